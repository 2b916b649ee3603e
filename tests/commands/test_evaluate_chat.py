"""`eval --chat`: asked in the model's template, thoughts kept apart, what is cut counted; and answers that are drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import RunFolderError
from jp_adapt.evaluation.results import Asking, read_outputs, read_scores
from jp_adapt.inference import model_source
from jp_adapt.inference.backend import Ask, Written
from jp_adapt.inference.model_source import Served
from jp_adapt.report.tables import summary_table
from tests.judge_server import judge_server

EVERYDAY = "quickstart/ja-everyday-100"
CHAT = {"benchmarks": (EVERYDAY,), "profile": "jp-adapt-chat", "limit": 20}
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|endoftext|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Scripted:
    """A backend that answers as it is told to."""

    def __init__(self, say: Callable[[Ask], Written]) -> None:
        self.say = say
        self.asked: list[Ask] = []

    def write(self, asks: Sequence[Ask], advance: object) -> list[Written]:
        self.asked += asks
        return [self.say(ask) for ask in asks]

    def chat(self, turns: Sequence[tuple[str, str]], user: str, system: str = "") -> str:
        return f"[{system}]{user}"

    def encode(self, text: str) -> list[int]:
        return [ord(char) for char in text]

    def take_warnings(self) -> list[str]:
        return []


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Ask], Written]], Scripted]:
    def use(say: Callable[[Ask], Written]) -> Scripted:
        backend = Scripted(say)
        monkeypatch.setattr(model_source.FolderSource, "backend", property(lambda self: backend))
        return backend

    return use


@pytest.fixture(scope="module")
def talker(pico: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with a chat template."""
    folder = tmp_path_factory.mktemp("talker") / "talker"
    shutil.copytree(pico, folder)
    (folder / "chat_template.jinja").write_text(CHATML, encoding="utf-8")
    return folder


def right_letters() -> dict[str, str]:
    lines = Path("eval/quickstart/ja-everyday-100.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["question"]: "ABCD"[record["answer"]] for record in map(json.loads, lines)}


def letter(ask: Ask) -> str:
    return next(letter for question, letter in right_letters().items() if question in ask.text)


def test_answers_are_found_and_thoughts_kept_apart(pico: Path, tmp_path: Path, scripted: Any) -> None:
    backend = scripted(lambda ask: Written(f"理由。\n**答え：** {letter(ask)}", thought="答え：Aかな。"))
    scores = evaluate(pico, tmp_path / "out", system="簡潔に。", thought_tokens=64, **CHAT)
    [score] = scores.benchmarks
    assert score.name == f"{EVERYDAY}@jp-adapt-chat/0-shot/exact_match"
    assert (score.primary.value, score.cut_answers, score.asking) == (1.0, 0, Asking(system="簡潔に。", thought_tokens=64))
    outputs = list(read_outputs(tmp_path / "out"))
    assert {output.thought for output in outputs} == {"答え：Aかな。"}
    assert {output.prediction for output in outputs} <= set("ABCD")
    asked = backend.asked[0]
    assert asked.text.startswith("[簡潔に。]次の質問に、")
    assert asked.said == (asked.text.removeprefix("[簡潔に。]"),)
    assert (asked.start, asked.system, asked.thought_tokens, asked.draw) == ("nothing", "簡潔に。", 64, None)
    assert "\nA. " in asked.text
    assert asked.text.endswith("最後の行に、「答え：」に続けて記号を書いてください。")


def test_answers_that_are_cut_are_counted(pico: Path, tmp_path: Path, scripted: Any) -> None:
    cut = iter([Written("", thought="まだ考えて", cut=True)] * 3 + [Written("答え：", cut=True)])
    scripted(lambda ask: next(cut, Written("答え：A")))
    scores = evaluate(pico, tmp_path / "out", **CHAT)
    told = "cut: 4 of 20 answers were cut by their budget, 3 of them within their thought; --thought-tokens gives it more room"
    assert scores.benchmarks[0].cut_answers == 4
    assert told in scores.benchmarks[0].warnings
    assert told in summary_table(scores)
    assert sum(output.cut for output in read_outputs(tmp_path / "out")) == 4
    assert "まだ考えて" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_several_answers_have_their_mean_pass_at_k_and_what_most_say(pico: Path, tmp_path: Path, scripted: Any) -> None:
    """Of four answers an item, two are right and the wrong ones differ: half are right, and the majority is."""
    turn: dict[str, int] = {}

    def say(ask: Ask) -> Written:
        at = turn[ask.text] = turn.get(ask.text, -1) + 1
        others = [other for other in "ABCD" if other != letter(ask)]
        return Written(f"答え：{(others[0], letter(ask), letter(ask), others[1])[at]}")

    backend = scripted(say)
    scores = evaluate(pico, tmp_path / "out", temperature=0.6, top_p=0.95, top_k=20, samples=4, seed=7, **CHAT)
    [score] = scores.benchmarks
    assert score.name == f"{EVERYDAY}@jp-adapt-chat/0-shot/exact_match/mean-of-4"
    values = {name: metric.value for name, metric in score.metrics.items()}
    assert values == {"exact_match": 0.5, "pass@2": pytest.approx(1 - 1 / 6), "pass@4": 1.0, "majority@4": 1.0}
    assert score.primary.interval is None, "over the items, which are all the same"
    assert score.asking == Asking(temperature=0.6, top_p=0.95, top_k=20, samples=4, seed=7)
    output = next(iter(read_outputs(tmp_path / "out")))
    assert [sample.scores["exact_match"] for sample in output.samples] == [0.0, 1.0, 1.0, 0.0]
    assert output.prediction == output.samples[1].prediction
    seeds = {ask.draw.seed for ask in backend.asked if ask.draw is not None}
    assert len(seeds) == 80, "each answer has its own"
    with pytest.raises(RunFolderError):
        evaluate(pico, tmp_path / "out", temperature=0.7, top_p=0.95, top_k=20, samples=4, seed=7, **CHAT)


def test_draws_depend_on_seed_item_and_sample_alone(talker: Path, tmp_path: Path) -> None:
    options = {"benchmarks": (EVERYDAY,), "profile": "jp-adapt-chat", "dtype": "float32", "temperature": 1.0, "samples": 2}
    few: dict[str, list[str]] = {}
    more: dict[str, list[str]] = {}
    for name, limit, kept in (("few", 2, few), ("more", 5, more)):
        evaluate(talker, tmp_path / name, limit=limit, **options)
        kept |= {output.item: [sample.generation for sample in output.samples] for output in read_outputs(tmp_path / name)}
    shared = few.keys() & more.keys()
    assert shared
    assert all(few[item] == more[item] for item in shared), "whatever is drawn beside it"
    assert all(first != second for first, second in more.values())
    evaluate(talker, tmp_path / "other", limit=2, seed=1, **options)
    assert [[sample.generation for sample in output.samples] for output in read_outputs(tmp_path / "other")] != list(few.values())


def test_a_folder_is_asked_in_its_template(talker: Path, tmp_path: Path) -> None:
    evaluate(talker, tmp_path / "out", system="簡潔に。", dtype="float32", **CHAT | {"limit": 2})
    output = next(iter(read_outputs(tmp_path / "out")))
    assert output.prompt.startswith("<|im_start|>system\n簡潔に。<|endoftext|><|im_start|>user\n次の質問に、")
    assert output.prompt.endswith("記号を書いてください。<|endoftext|><|im_start|>assistant\n")
    assert output.thought is None


def test_an_endpoint_gets_messages_and_says_what_it_thought(tmp_path: Path) -> None:
    """The first answer that is a thought cut short is asked for with room for one, and all others have it from the beginning."""
    with judge_server(["reasoned"] * 4) as server:
        scores = evaluate("m", tmp_path / "out", served=Served(server.url, parallel=1), system="簡潔に。", **CHAT | {"limit": 3})
    bodies = [body for body in server.bodies if "messages" in body]
    assert [message["role"] for message in bodies[0]["messages"]] == ["system", "user"]
    assert "stop" not in bodies[0]
    assert bodies[1]["max_tokens"] == bodies[0]["max_tokens"] + 2048
    assert bodies[1]["messages"] == bodies[0]["messages"]
    assert {body["max_tokens"] for body in bodies[1:]} == {bodies[1]["max_tokens"]}
    assert len(bodies) == 4
    outputs = list(read_outputs(tmp_path / "out"))
    assert [(output.generation, output.thought, output.cut) for output in outputs] == [("答え：A", "考えます。", False)] * 3
    assert scores.benchmarks[0].cut_answers == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chat", "--shots", "2"], "--shots 2: profile jp-adapt-chat shows no examples"),
        (["--samples", "2"], "--samples: at temperature 0 every answer is the most probable one; give --temperature too"),
        (["--system", "短く"], "--system and --thought-tokens are for models that are asked in their chat template; give --chat too"),
        (["--chat", "--top-p", "1.5"], "'1.5' is not above 0 and at most 1"),
        (["--chat", "--profile", "jp-adapt"], "not allowed with argument"),
    ],
)
def test_what_does_not_go_together_is_told(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    try:
        code = main(["eval", str(pico), "--benchmarks", EVERYDAY, *arguments, "--out", str(tmp_path / "out")])
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2
    assert message in capsys.readouterr().err


def test_the_command_line(pico: Path, tmp_path: Path, scripted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    scripted(lambda ask: Written("答え：A"))
    assert (
        main(["eval", str(pico), "--chat", "--benchmarks", EVERYDAY, "--limit", "4", "--temperature", "0.5", "--samples", "2", "--out", str(tmp_path / "o")])
        == 0
    )
    assert "majority@2" in capsys.readouterr().out
    assert read_scores(tmp_path / "o").profile == "jp-adapt-chat"
