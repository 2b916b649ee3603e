"""The prompts are the published ones, word for word, and what stands in an answer stays an answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.judge import SLOTS, load_judge_task
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.shipped import shipped_judges
from jp_adapt.evaluation.judge.answers import Answers, Item, read_answers, read_items, read_references
from jp_adapt.evaluation.judge.requests import build_judgements, estimate_tokens, request_body
from tests.data import needs_data, shared_data
from tests.judge_server import fastchat, llava, write_lines

B = "ja/elyza-tasks-100"
OTHER = {"benchmark": "ja/jnli", "item": "7", "generation": None}
VALUES = {name: f"<{name}>" for name in SLOTS}
# SHA-256 of the published prompts with the slots filled as in VALUES, system and user joined by a NUL
PUBLISHED = {
    "prompt_eval": "593f937a7afec27df9f894ea283bda291b230ee4e39ce6eb15bdd0b151bc7aa4",
    "single-v1": "d0db0ff59cacd7edea636c15d6743919580f39877f38ca27b5173069cfe7f607",
    "single-math-v1": "51e917ce87320af9bf0fb17e385183159716c05ce12ba32ee429abc660d152db",
    "single-v1-multi-turn": "f6dbd5ddb27917eb70e1242043ac5eabc671a5707fdacf8dd61698b54ec3c575",
    "single-math-v1-multi-turn": "3cab096688f626212966f22a5aecaf620f4e8e68417795a679040a98823172f9",
    "pair-ja": "85a3f29738af81f2dc8fdafe7ca53b2508c68cc3ef357920fbe0fbca954c8690",
    "heron-bench": "7874b607beceb2b5a9b1841e618268dfaf2d76d5b01052f0d2a773c728f6ba43",
    "heron-bench-eval-mm": "97a1a569c97d736fbabace68a6352b8808cbdfef26555a29432094c49ed099eb",
    "llm-as-a-judge": "e8dcc1b038f52c929ca349b81c00698b13daa98fa142357be8102fc8ec2bbd5a",
}
NO_ENGLISH = "AIアシスタントの返答の言語は、ユーザーが使用している言語と一致しているべきで、そうでない場合は減点されるべきです。"  # younger than the records


def bench() -> Path:
    return shared_data() / "benchmarks"


def prompts() -> dict[str, Any]:
    return {prompt.name: prompt for name in shipped_judges() for prompt in load_judge_task(name)[0].prompts}


@pytest.mark.parametrize("judge", shipped_judges())
def test_a_prompt_is_the_published_one(judge: str) -> None:
    for prompt in load_judge_task(judge)[0].prompts:
        text = "\0".join(message["content"] for message in prompt.messages(VALUES))
        assert hashlib.sha256(text.encode()).hexdigest() == PUBLISHED[prompt.name]


@needs_data
def test_the_prompts_are_those_of_the_upstream_files() -> None:
    """Filled by str.format, as the harnesses fill them."""
    own = prompts()
    elyza = (bench() / "elyza_tasks_100/assets/prompt_eval.txt").read_text(encoding="utf-8")
    filled = elyza.format(input_text="<question_1>", output_text="<reference_1>", eval_aspect="<criteria>", pred="<answer_1>")
    assert own["prompt_eval"].messages(VALUES) == [{"role": "user", "content": filled}]
    files = ("japanese_mt_bench/fastchat/llm_judge/data/judge_ja_prompts.jsonl", "rakuda/jrank/data/judge_prompts.jsonl")
    theirs = [json.loads(line) for file in files for line in (bench() / file).read_text(encoding="utf-8").splitlines()]
    assert len(theirs) == 3
    for prompt in theirs:
        filled = prompt["prompt_template"].format(
            question="<question_1>", answer="<answer_1>", ref_answer_1="<reference_1>", answer_a="<answer_a>", answer_b="<answer_b>"
        )
        assert own[prompt["name"]].messages(VALUES) == [{"role": "system", "content": prompt["system_prompt"]}, {"role": "user", "content": filled}]


@needs_data
def test_recorded_prompts_are_built_again_from_questions_and_answers() -> None:
    """All 564 recorded requests of GPT-4: 316 letter by letter; questions or references of the others were mended later, so theirs come from the record."""
    root = bench() / "japanese_mt_bench/fastchat/llm_judge/data/japanese_mt_bench"
    items = {item.id: item for item in read_items(root / "question_full.jsonl", "fastchat")}
    answers = {path.stem: read_answers(path, B) for path in (root / "model_answer").glob("*.jsonl")}
    references = read_references(root / "reference_answer/gpt-4.jsonl")
    task, _ = load_judge_task("ja/mt-bench")
    exact = 0
    for line in (root / "model_judgment/gpt-4_single.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        item, asked = items[record["question_id"]], record["user_prompt"]
        prompt = task.prompt_for(1, item.category)
        assert prompt is not None
        assert prompt.name == record["judge"][1]
        values = {"answer_1": answers[record["model"]].turns[item.id][0], "question_1": item.turns[0], "reference_1": references[item.id][0]}
        then = dict(values)
        for slot, start, end in (("question_1", "[質問]\n", "\n\n["), ("reference_1", "[参考回答の開始]\n", "\n[参考回答の終了]")):
            if start in asked:
                then[slot] = asked.split(start, 1)[1].split(end, 1)[0]
        now, recorded = (prompt.messages(filled)[-1]["content"] for filled in (values, then))
        exact += asked in (now, now.replace(NO_ENGLISH, ""))
        assert asked in (recorded, recorded.replace(NO_ENGLISH, ""))
    assert exact == 316


def test_what_looks_like_a_slot_in_an_answer_stays_text() -> None:
    task, _ = load_judge_task("ja/elyza-tasks-100")
    item = Item("1", "", ("{answer_1}と{criteria}",), ("{x}",), "{question_1}")
    [entry] = build_judgements(task, [item], [Answers("m", Path("a"), {"1": ("{reference_1} {} {0} %s",)})])
    content = entry.messages[0]["content"]
    assert "# 問題\n{answer_1}と{criteria}\n" in content
    assert "# 言語モデルの回答\n{reference_1} {} {0} %s\n" in content
    assert '{"reason": "(採点基準に照らした評価内容)", "grade": ' in content


def test_turns_categories_and_references_of_mt_bench() -> None:
    task, _ = load_judge_task("ja/mt-bench")
    items = [Item("1", "writing", ("問1", "問2")), Item("2", "coding", ("問1", "問2"), ("参1", "参2"))]
    made = build_judgements(task, items, [Answers("m", Path("a"), {"1": ("答1", "答2"), "2": ("答1", "")})])
    assert [(entry.item, entry.turn, entry.prompt) for entry in made] == [
        ("1", 1, "single-v1"),
        ("1", 2, "single-v1-multi-turn"),
        ("2", 1, "single-math-v1"),
        ("2", 2, "single-math-v1-multi-turn"),
    ]
    assert "参2" in made[3].messages[1]["content"]
    assert "参2" not in made[2].messages[1]["content"]
    assert request_body(task, made[0]) == {"messages": made[0].messages, "temperature": 0.0, "max_tokens": 2048}
    with pytest.raises(InputError, match="item 2: prompt 'single-math-v1' needs reference_1, which is missing"):
        build_judgements(task, [Item("2", "math", ("問1", "問2"))], [Answers("m", Path("a"), {"2": ("答1", "答2")})])


def test_an_answer_to_heron_bench_stands_behind_the_reference_and_the_context(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "questions_ja.jsonl", [{"question_id": 7, "category": "conv", "context": "鶴が二羽います。", "text": "何羽？"}])
    [item] = read_items(path, "heron")
    answers = read_answers(write_lines(tmp_path / "m.jsonl", [llava("m", 7, "三羽です。")]), "ja/heron-bench")
    references = read_references(write_lines(tmp_path / "gpt4.jsonl", [llava("gpt-4", 7, "二羽です。")]))
    for name in ("ja/heron-bench", "ja/heron-bench-eval-mm"):
        [made] = build_judgements(load_judge_task(name)[0], [replace(item, reference=references["7"])], [answers])
        shown = [made.messages[1]["content"].index(text) for text in ("鶴が二羽います。", "何羽？", "二羽です。", "三羽です。")]
        assert shown == sorted(shown)
        assert (made.category, made.settled) == ("conv", None)
    write_lines(path, [{"question_id": 7, "category": "conv", "text": "何羽？"}])
    with pytest.raises(InputError, match=r"questions_ja\.jsonl:1: no 'context'"):
        read_items(path, "heron")
    with pytest.raises(InputError, match=r"gpt4\.jsonl:2: item '7' is answered twice"):
        read_references(write_lines(tmp_path / "gpt4.jsonl", [llava("gpt-4", 7, "二羽")] * 2))


def test_every_pair_of_rakuda_is_shown_in_both_orders() -> None:
    task, _ = load_judge_task("ja/rakuda")
    items = [Item("q", "地理", ("問",))]
    models = [Answers(name, Path(name), {"q": (f"答{name}",)}) for name in "abc"]
    made = build_judgements(task, items, models)
    assert sorted(entry.models for entry in made) == [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")]
    content = made[0].messages[1]["content"]
    assert content.index("答a") < content.index("答b")
    with pytest.raises(InputError, match="give the answers of at least two"):
        build_judgements(task, items, models[:1])


def test_an_empty_answer_to_elyza_is_not_sent() -> None:
    task, _ = load_judge_task("ja/elyza-tasks-100")
    items = [Item(str(n), "", ("問",), ("解",), "基準") for n in (0, 1)]
    made = build_judgements(task, items, [Answers("m", Path("a"), {"0": (" \n",), "1": ("答",)})])
    assert [entry.settled for entry in made] == [1.0, None]
    assert estimate_tokens(made, 100) == (estimate_tokens(made[1:], 100)[0], 100)
    assert request_body(task, made[1])["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{"pred": "a"}], r"1 items have no answer \(ids 1\)"),
        ([{"pred": "a"}] * 3, r"1 items are no items of ja/elyza-tasks-100 \(ids 2\)"),
        ([{"item": "1", "generation": "a"}, {"item": "1", "generation": "b"}], r"jsonl:2: item '1' is answered twice"),
        ([{"item": "1", "generation": None}], r"jsonl:1: generation is null; only generated answers can be judged"),
        ([{"pred": 4}], r"jsonl:1: pred: a text is needed, and it is 4"),
        ([{"text": "a"}], r"jsonl:1: no answer; a line has 'item' and 'generation'"),
        ([{"question_id": 1, "choices": []}], r"jsonl:1: choices: a list with an object in it is needed"),
        ([{"question_id": 1, "choices": [{"turns": [1]}]}], r"jsonl:1: choices\[0\]\.turns: a list of texts is needed"),
        ([{"item": "1/2", "generation": "a"}], r"jsonl:1: item '1' is answered twice, or its first turn is missing"),
        ([OTHER], r"jsonl: no answer to ja/elyza-tasks-100; it holds answers to ja/jnli"),
        ([], "no line in it"),
    ],
)
def test_wrong_answers_are_named_with_their_place(tmp_path: Path, lines: list[dict[str, Any]], message: str) -> None:
    task, _ = load_judge_task("ja/elyza-tasks-100")
    items = [Item(str(n), "", ("問",), ("解",), "基準") for n in (0, 1)]
    with pytest.raises(InputError, match=message):
        build_judgements(task, items, [read_answers(write_lines(tmp_path / "answers.jsonl", lines), B)])


def test_answers_in_every_layout(tmp_path: Path) -> None:
    run = write_lines(tmp_path / "run-1" / "outputs.jsonl", [OTHER, {"item": "7/1", "generation": "一"}, {"item": "7/2", "generation": "二"}]).parent
    assert (read_answers(run, B).model, read_answers(run, B).turns) == ("run-1", {"7": ("一", "二")})
    assert read_answers(run / "outputs.jsonl", B).model == "run-1"
    fast = read_answers(write_lines(tmp_path / "gpt-4.jsonl", [fastchat("gpt-4", 7, "一", "二")]), B)
    assert (fast.model, fast.turns) == ("gpt-4", {"7": ("一", "二")})
    half = write_lines(tmp_path / "org" / "preds.jsonl", [{"pred": "半X分"}])
    half.write_text(half.read_text(encoding="utf-8").replace("X", "\\ud83d"), encoding="utf-8")
    assert read_answers(half, B).turns == {"0": ("半\ufffd分",)}


def test_a_wrong_declaration_is_an_error_with_its_line(tmp_path: Path) -> None:
    good = load_judge_task("ja/elyza-tasks-100")[1].read_text(encoding="utf-8")
    for old, new, message in (
        ("scale: [1, 5]", "scael: [1, 5]", r"judge\.yaml:\d+: scael: unknown key \(did you mean 'scale'\?\)"),
        ("scale: [1, 5]\n", "", "'scale' belongs to 'kind: score'"),
        ("json_grade", "last_line_choice", "belongs to 'kind: pair'"),
        ("{answer_1}", "", r"prompt 'prompt_eval' never shows \{answer_1\}"),
        ("turn: 1", "turn: 3", r"prompts\.0\.turn"),
    ):
        path = tmp_path / "judge.yaml"
        path.write_text(good.replace(old, new), encoding="utf-8")
        with pytest.raises(UsageError, match=message):
            load_judge_task(str(path))
    ratio = load_judge_task("ja/heron-bench")[1].read_text(encoding="utf-8")
    for old, new, message in (
        ("scale: [1, 10]", "scale: [0, 10]", "'kind: ratio' needs 'references' and a 'scale' above 0"),
        ("references: ", "empty_answer: 1\nreferences: ", "sends empty answers"),
        ("turn: 1", "turn: 2", "'kind: ratio' judges one turn"),
        ("{reference_1}", "", r"prompt 'heron-bench' never shows \{reference_1\}"),
        ("layout: heron", "layout: benchmark", "'file' is needed, but for 'layout: benchmark', which has none"),
    ):
        path.write_text(ratio.replace(old, new), encoding="utf-8")
        with pytest.raises(UsageError, match=message):
            load_judge_task(str(path))
    with pytest.raises(UsageError, match=r"no judge for 'ja/rakuga' \(did you mean 'rakuda'\?\)"):
        load_judge_task("ja/rakuga")
    assert load_judge_task("mt-bench")[0].benchmark == load_judge_task("ja/mt-bench")[0].benchmark == "ja/japanese-mt-bench"
