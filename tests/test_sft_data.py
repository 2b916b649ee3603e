"""The instruction data that is shipped: format, variety, no duplicates, Japanese, right sums, nothing shared with what is measured."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from jp_adapt.benchmarks.items import load_benchmark, load_declaration
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.corpus.conversations import read_conversations
from tests.japanese import japanese_share
from tests.test_shipped import all_runs, shared_run
from tests.test_shipped import records as held_out

FOLDER = Path(__file__).resolve().parents[1] / "recipes" / "data" / "sft"
FILE = FOLDER / "ja_instructions.jsonl"
FOREIGN = {"code", "translate"}  # categories whose answers may be of other letters


@pytest.fixture(scope="module")
def records():
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def answers(record):
    return [turn["content"] for turn in record["messages"] if turn["role"] == "assistant"] if "messages" in record else [record["output"]]


def question(record):
    return "\n".join(turn["content"] for turn in record["messages"]) if "messages" in record else f"{record['instruction']}\n{record['input']}"


def test_there_are_enough_and_they_are_varied(records):
    assert len(records) >= 200
    categories = Counter(record["category"] for record in records)
    assert len(categories) >= 20
    assert max(categories.values()) <= 0.1 * len(records)
    assert categories["multi_turn"] >= 10
    assert categories["refuse"] >= 8


def test_every_line_is_a_conversation_with_its_own_id(records):
    assert len(read_conversations(FILE)) == len(records)
    assert len({record["id"] for record in records}) == len(records)
    for record in records:
        assert record.keys() in ({"id", "category", "messages"}, {"id", "category", "instruction", "input", "output"})
        assert record["id"].startswith(record["category"])
        texts = [question(record), *answers(record)]
        assert all("\ufffd" not in text and text == text.strip("　") for text in texts)


def test_nothing_stands_twice(records):
    for texts in ([question(record) for record in records], [answer for record in records for answer in answers(record)]):
        assert [text for text, number in Counter(texts).items() if number > 1] == []
    openings = Counter(answers(record)[0][:25] for record in records if len(answers(record)[0]) > 25)
    assert [opening for opening, number in openings.items() if number > 1] == []


def test_it_is_japanese(records):
    for record in records:
        share = japanese_share(question(record))
        assert share > (0.1 if record["category"] in FOREIGN else 0.5), record["id"]
        if record["category"] not in FOREIGN:
            for answer in answers(record):
                figures = (
                    record["category"] in ("arithmetic", "math_explain")
                    or re.fullmatch(r"[^ぁ-ん]*", answer)
                    or "×" in answer
                    or "÷" in answer
                    or "+" in answer
                )
                assert figures or japanese_share(answer) > 0.4, record["id"]


SUM = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?(?:[-+×÷]\d+(?:\.\d+)?)+)=(\d+(?:\.\d+)?)(?![\d/.])(余り(\d+))?")


def test_every_sum_is_right(records):
    """`a×b+c=d` wherever it stands in an answer, and divisions with a rest."""
    checked = 0
    for record in records:
        for answer in answers(record):
            for match in SUM.finditer(answer):
                left, right, rest = match[1].replace("×", "*").replace("÷", "/"), float(match[2]), match[4]
                if rest:
                    dividend, divisor = map(int, left.split("/"))
                    assert divmod(dividend, divisor) == (int(match[2]), int(rest)), f"{record['id']}: {match[0]}"
                else:
                    assert eval(left) == pytest.approx(right), f"{record['id']}: {match[0]}"  # noqa: S307 (digits and operators only)
                checked += 1
    assert checked >= 30


def test_the_check_of_sums_sees_a_wrong_one():
    assert [match[0] for match in SUM.finditer("鉛筆は120×4=480円、合計は72+80=150点、1500÷200=7余り100")] == ["120×4=480", "72+80=150", "1500÷200=7余り100"]


def test_code_answers_are_python_that_runs(records):
    blocks = [block for record in records for answer in answers(record) for block in re.findall(r"```python\n(.*?)```", answer, flags=re.DOTALL)]
    assert len(blocks) >= 3
    for block in blocks:
        compile(block, "answer", "exec")


def test_no_question_that_is_measured_stands_in_it(records):
    runs = all_runs([question(record) + "\n".join(answers(record)) for record in records], 20)
    shipped = [name for name in shipped_benchmarks() if load_declaration(name)[0].data.folder is None]
    assert shipped
    for name in shipped:
        assert {item.id: run for item in load_benchmark(name).items if (run := shared_run(item.fields["question"], runs, 20))} == {}


def test_no_heldout_text_stands_in_it(records):
    runs = all_runs([question(record) + "\n".join(answers(record)) for record in records], 40)
    assert {document["id"]: run for document in held_out("ja_heldout") if (run := shared_run(document["text"], runs, 40))} == {}


def test_the_table_of_the_data_is_true(records):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    chars = sum(len(question(record)) + sum(map(len, answers(record))) for record in records if "messages" not in record)
    chars += sum(len(turn["content"]) for record in records if "messages" in record for turn in record["messages"])
    assert f"| conversations | {len(records)} |" in readme
    assert f"| of these with several turns | {sum('messages' in record for record in records)} |" in readme
    assert f"| categories | {len({record['category'] for record in records})} |" in readme
    assert f"| characters | {chars:,} |" in readme
