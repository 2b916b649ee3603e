"""The command `eval` on a small model: figures, files, continuing after a kill, a benchmark of one's own, and inputs that are broken."""

from __future__ import annotations

import html
import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.items import LoadedBenchmark, load_benchmark
from jp_adapt.cli.main import main
from jp_adapt.commands import evaluate as evaluate_module
from jp_adapt.commands.evaluate import EvalOptions, evaluate
from jp_adapt.core.errors import InputError, RunFolderError, UsageError
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.evaluation.results import BatchCheck, Flips, Output, Sample, Scores, read_outputs, read_scores
from jp_adapt.inference import model_source
from jp_adapt.inference.backend import Ask, Chosen, Written
from jp_adapt.report.tables import summary_table
from tests.benchmark_files import write_benchmark_files
from tests.processes import Command

MINE = """\
format: 1
kind: multiple_choice
version: "1"
title: Mine
licence: CC0-1.0
source: here
language: ja
data:
  test: {files: [items.jsonl], reader: jsonl}
id: "{{ id }}"
choices: choices
answer: answer
protocols:
  jp-adapt:
    prompt: "問い：{{ question }}\\n答え："
    metrics: [accuracy]
    variants:
      short: {prompt: "{{ question }}"}
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark_files(tmp_path_factory.mktemp("upstream"))


def mine(folder: Path, items: list[dict[str, Any]] | None = None) -> str:
    items = items or [{"id": f"m{n}", "question": f"{n}と{n}では？", "choices": [str(2 * n), str(n)], "answer": 0} for n in range(1, 13)]
    (folder / "mine.yaml").write_text(MINE, encoding="utf-8")
    (folder / "items.jsonl").write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return str(folder / "mine.yaml")


def test_a_benchmark_of_ones_own_needs_a_yaml_and_a_jsonl(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, out = mine(tmp_path), tmp_path / "out"
    assert main(["eval", str(pico), "--benchmarks", name, "--out", str(out), "--dtype", "float32"]) == 0
    captured = capsys.readouterr()
    assert "accuracy" in captured.out
    assert f"Scores: {out / 'scores.json'}" in captured.out
    assert f"Page: {out / 'index.html'}" in captured.out
    assert (out / "index.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    scores = read_scores(out)
    (score,) = scores.benchmarks
    assert score.name == f"{name}@jp-adapt/0-shot/accuracy"
    assert (score.items, score.chance, score.majority) == (12, 0.5, 1.0)
    assert score.sha256.keys() == {"items.jsonl"}
    assert scores.model["vocab_size"] == 500
    assert scores.model["dtype"] == "float32"
    assert scores.model["device"] == "cpu"
    assert len(scores.model["tokenizer_sha256"]) == 64
    outputs = list(read_outputs(out))
    assert [output.item for output in outputs] == [f"m{n}" for n in range(1, 13)]
    assert outputs[0].prompt == "問い：1と1では？\n答え："
    assert score.metrics["accuracy"].value == sum(output.scores["accuracy"] or 0 for output in outputs) / 12
    for output in outputs:
        assert output.log_likelihoods is not None
        assert output.prediction == output.log_likelihoods.index(max(output.log_likelihoods))


def test_a_base_brings_the_comparison(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, base = mine(tmp_path), str(tmp_path / "base")
    common = ["eval", str(pico), "--benchmarks", name, "--dtype", "float32"]
    assert main([*common, "--out", base]) == 0
    assert main([*common, "--out", str(tmp_path / "adapted"), "--baseline", base]) == 0
    printed = capsys.readouterr().out
    assert "no verdict: 12 items are too few; 30 are needed" in printed
    assert "Against " in (tmp_path / "adapted" / "index.html").read_text(encoding="utf-8")
    assert main([*common, "--prompt-set", "--out", str(tmp_path / "set"), "--baseline", str(tmp_path / "nothing")]) == 3
    assert "nothing: no such file" in capsys.readouterr().err
    assert main(["eval", str(pico), "--benchmarks", "quickstart/ja-everyday-100", "--out", str(tmp_path / "other"), "--baseline", base]) == 3
    assert "base: has none of these benchmarks (quickstart/ja-everyday-100)" in capsys.readouterr().err
    scores = (tmp_path / "base" / "scores.json").read_text(encoding="utf-8")
    (tmp_path / "base" / "scores.json").write_text(scores.replace("/0-shot/", "/3-shot/"), encoding="utf-8")
    assert main([*common, "--out", str(tmp_path / "other"), "--baseline", base]) == 3
    assert "they are not compared" in capsys.readouterr().err
    assert not (tmp_path / "other").exists(), "seen before anything is measured"


def test_many_kinds_at_once(pico: Path, data: Path, tmp_path: Path) -> None:
    names = ("ja/jnli", "ja/jsts", "ja/jmmlu", "ja/wmt20-en-ja", "ja/japanese-mt-bench", "ja/jhumaneval")
    scores = evaluate(pico, tmp_path / "out", benchmarks=names, data=data, limit=2, shots=0, dtype="float32", allow_code_execution=True)
    assert [score.id for score in scores.benchmarks] == list(names)
    by_id = {score.id: score for score in scores.benchmarks}
    assert by_id["ja/jmmlu"].groups.keys() == {"anatomy", "world_history"}
    assert by_id["ja/jhumaneval"].metrics["pass@1"].value == 0.0
    assert by_id["ja/jmmlu"].licence.startswith("CC-BY-SA-4.0 (japanese_history and world_history may be used")
    assert by_id["ja/jmmlu"].revision == "762cbf192c9e4588b574d718f95afd64c96fcbf4"
    turns = [output for output in read_outputs(tmp_path / "out") if output.benchmark == "ja/japanese-mt-bench"]
    ids = [output.item.rpartition("/") for output in turns]
    assert ids[0][0] == ids[1][0] != ids[2][0] == ids[3][0]
    assert [turn for _, _, turn in ids] == ["1", "2", "1", "2"]
    assert turns[0].generation is not None
    assert turns[0].generation in turns[1].prompt, "the second turn sees the first answer"


def test_needles_and_instructions_from_data_to_page(pico: Path, data: Path, tmp_path: Path) -> None:
    declared = shipped_benchmarks()["ja/niah-ja"].read_text(encoding="utf-8")
    grid = declared.replace("[1000, 2000, 4000, 8000, 16000, 32000]", "[60, 90]").replace("[0, 25, 50, 75, 100]", "[0, 100]").replace("trials: 2", "trials: 1")
    (tmp_path / "needles.yaml").write_text(grid.replace("max_chars: 30", "max_chars: 4"), encoding="utf-8")
    declared = shipped_benchmarks()["ja/m-ifeval-ja"].read_text(encoding="utf-8")
    (tmp_path / "short.yaml").write_text(declared.replace("max_chars: 3000", "max_chars: 4"), encoding="utf-8")
    names = (str(tmp_path / "needles.yaml"), str(tmp_path / "short.yaml"))
    needles, instructions = evaluate(pico, tmp_path / "out", benchmarks=names, data=data, dtype="float32", limit=4).benchmarks
    assert list(needles.groups) == ["60/0", "60/100", "90/0", "90/100"]
    assert needles.truncated_items == 0
    assert instructions.primary_metric == "prompt_level_strict_acc"
    assert instructions.metrics.keys() >= {"inst_level_strict_acc", "inst_level_loose_acc"}
    asked = [output for output in read_outputs(tmp_path / "out") if output.benchmark == names[1]]
    assert all("check" in json.loads(check) for output in asked for check in output.gold)
    assert "60, 0: 0.00" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_code_is_not_run_without_leave(pico: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ja/jhumaneval: .*say --allow-code-execution"):
        evaluate(pico, tmp_path / "out", benchmarks=("ja/jhumaneval",), data=data)
    assert not (tmp_path / "out").exists()


def test_the_same_command_does_nothing_again(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = EvalOptions(benchmarks=(mine(tmp_path),), dtype="float32")
    first = evaluate(pico, tmp_path / "out", options)
    monkeypatch.setattr(model_source.FolderSource, "loaded", property(lambda self: pytest.fail("a model was loaded")))
    assert evaluate(pico, tmp_path / "out", options).benchmarks == first.benchmarks


def test_another_evaluation_in_the_same_folder_is_refused(pico: Path, tmp_path: Path) -> None:
    options = EvalOptions(benchmarks=(mine(tmp_path),), dtype="float32")
    evaluate(pico, tmp_path / "out", options, limit=3)
    before = (tmp_path / "out" / "scores.json").read_bytes()
    with pytest.raises(
        RunFolderError,
        match=r"holds another evaluation; these settings differ:\n  limit: 3 there, not given now\n  seed: 0 there, not given now\nGive another --out",
    ):
        evaluate(pico, tmp_path / "out", options)
    mine(tmp_path, [{"id": "x", "question": "?", "choices": ["a", "b"], "answer": 0}])
    with pytest.raises(RunFolderError, match=r"these settings differ:\n  benchmarks\."):
        evaluate(pico, tmp_path / "out", options, limit=3)
    assert (tmp_path / "out" / "scores.json").read_bytes() == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(RunFolderError, match="is not empty, and holds no evaluation"):
        evaluate(pico, tmp_path / "other", options)


def test_a_limit_draws_a_sample_with_a_seed_and_says_so(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = [{"id": f"m{n}", "question": f"{n}?", "choices": ["はい", "いいえ"], "answer": int(n >= 9)} for n in range(12)]
    name = mine(tmp_path, items)
    arguments = ["eval", str(pico), "--benchmarks", name, "--dtype", "float32", "--limit", "4"]
    assert main([*arguments, "--out", str(tmp_path / "a")]) == 0
    assert f"{name}: a sample of 4 of 12 items, drawn with seed 0" in capsys.readouterr().out
    (score,) = read_scores(tmp_path / "a").benchmarks
    assert (score.items, score.sample) == (4, Sample(0, 12))
    first = [output.item for output in read_outputs(tmp_path / "a")]
    assert sum(output.gold == 1 for output in read_outputs(tmp_path / "a")) == 1, "labels in their shares; the first four items have one label"
    assert main([*arguments, "--seed", "1", "--out", str(tmp_path / "a")]) == 5
    assert "holds another evaluation; these settings differ:\n  seed: " in capsys.readouterr().err
    assert main([*arguments, "--seed", "1", "--out", str(tmp_path / "b")]) == 0
    assert [output.item for output in read_outputs(tmp_path / "b")] != first
    whole = evaluate(pico, tmp_path / "c", benchmarks=(name,), limit=12, dtype="float32").benchmarks[0]
    assert whole.sample is None


def test_a_model_is_named_by_its_run_and_stage(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage calls its result `final`: two models of two runs must be told apart, and have a folder of results each."""
    name = mine(tmp_path)
    folder = tmp_path / "b" / "stages" / "model" / "final"
    shutil.copytree(pico, folder)
    monkeypatch.chdir(tmp_path)
    common = ["--benchmarks", name, "--dtype", "float32"]
    assert main(["eval", "b/stages/model/final", *common]) == 0
    assert main(["eval", "b/stages/model/final", "--name", "mine v2", *common]) == 0
    assert [path.name for path in sorted((tmp_path / "runs").iterdir())] == ["eval-b-model", "eval-mine-v2"]
    assert [read_scores(tmp_path / "runs" / out).model_name for out in ("eval-b-model", "eval-mine-v2")] == ["b/model", "mine v2"]
    for file in ("scores.json", "index.html"):
        text = (tmp_path / "runs" / "eval-b-model" / file).read_text(encoding="utf-8")
        assert str(folder.parent) not in text, "no path of the user's disk"


def test_a_record_of_another_shape_is_refused_and_an_earlier_one_is_read(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, state = EvalOptions(benchmarks=(mine(tmp_path),), dtype="float32"), tmp_path / "out" / "eval.json"
    first = evaluate(pico, tmp_path / "out", options)
    record = json.loads(state.read_text(encoding="utf-8"))
    assert record["format"] == 1
    earlier = {key: value for key, value in record["identity"].items() if key != "seed"}
    state.write_text(json.dumps(earlier), encoding="utf-8")
    monkeypatch.setattr(model_source.FolderSource, "loaded", property(lambda self: pytest.fail("a model was loaded")))
    assert evaluate(pico, tmp_path / "out", options).benchmarks == first.benchmarks
    for text, said in (("[]", r"an object is needed, not \[\]"), ('{"format": 2}', r"in format 1 \(its format is 2\); give another --out")):
        state.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"eval\.json: not the record of an evaluation .*" + said):
            evaluate(pico, tmp_path / "out", options)


def test_a_killed_evaluation_goes_on(pico: Path, data: Path, tmp_path: Path) -> None:
    arguments = ["eval", str(pico), "--benchmarks", "ja/jcommonsenseqa,quickstart/ja-everyday-100,ja/jnli", "--data", str(data), "--dtype", "float32"]
    out = tmp_path / "out"
    process = Command(*arguments, "--out", str(out))
    deadline = time.monotonic() + 60
    while not list((out / "parts").glob("ja_jcommonsenseqa*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    finished = {path.name: path.stat().st_mtime_ns for path in (out / "parts").glob("ja_jcommonsenseqa*")}
    assert len(finished) == 1
    assert main([*arguments, "--out", str(out)]) == 0
    assert {name: (out / "parts" / name).stat().st_mtime_ns for name in finished} == finished, "what was finished is not done again"
    assert main([*arguments, "--out", str(tmp_path / "straight")]) == 0
    resumed, straight = read_scores(out), read_scores(tmp_path / "straight")
    assert resumed.benchmarks == straight.benchmarks
    assert (out / "outputs.jsonl").read_bytes() == (tmp_path / "straight" / "outputs.jsonl").read_bytes()


def test_a_prompt_set_measures_every_wording(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(pico), "--benchmarks", mine(tmp_path), "--prompt-set", "--out", str(tmp_path / "out"), "--dtype", "float32"]) == 0
    (score,) = read_scores(tmp_path / "out").benchmarks
    assert score.prompt_set is not None
    assert score.prompt_set.values.keys() == {"default", "short"}
    assert "accuracy over 2 prompts: mean" in capsys.readouterr().out


def test_contamination_is_told(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = mine(tmp_path)
    table = tmp_path / "overlap.jsonl"
    table.write_text("".join(json.dumps({"benchmark": name, "item": f"m{n}", "share": 0.9}) + "\n" for n in (1, 2, 3)), encoding="utf-8")
    assert main(["eval", str(pico), "--benchmarks", name, "--overlap", str(table), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "contamination: 3 of 12 items stand in the training corpus" in printed
    assert re.search(r"accuracy \S+ over 9 clean items, \S+ over 3 touched items", printed)
    assert "contamination: 3 of 12 items stand in the training corpus" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    (score,) = read_scores(tmp_path / "out").benchmarks
    assert score.touched is not None
    assert score.touched.clean.items == 9


def test_data_that_changed_and_what_is_not_reproduced_are_told(pico: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["eval", str(pico), "--benchmarks", "ja/jnli", "--data", str(data), "--limit", "2", "--shots", "0", "--dtype", "float32"]
    assert main([*common, "--profile", "stability-0.3", "--out", str(tmp_path / "out")]) == 0
    assert "data: datasets/jnli-v1.3/valid-v1.3.json is not the file that the declaration was made with" in capsys.readouterr().out
    (score,) = read_scores(tmp_path / "out").benchmarks
    assert score.data == "changed"
    assert score.note.startswith("task version 1.1 of the fork")
    assert "task version 1.1 of the fork" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


class Scripted:
    """A backend that answers what it is told to, in place of the model: what is tested is everything around it."""

    def __init__(self, say: Callable[[str], str] | None = None, pick: Callable[[str, Sequence[str]], int] | None = None) -> None:
        self.say, self.pick = say, pick

    def choose(self, prompts: Sequence[str], choices: Sequence[Sequence[str]], boundary: object, advance: object, pictures: object = ()) -> list[Chosen]:
        assert self.pick is not None
        return [Chosen([float(at == self.pick(prompt, of)) for at in range(len(of))]) for prompt, of in zip(prompts, choices, strict=True)]

    def write(self, asks: Sequence[Ask], advance: object) -> list[Written]:
        assert self.say is not None
        return [Written(self.say(ask.text)) for ask in asks]

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def take_warnings(self) -> list[str]:
        return []


def report(tmp_path: Path, pico: Path, monkeypatch: pytest.MonkeyPatch, backend: Scripted, name: str, **options: Any) -> tuple[Scores, str, str]:
    """Scores, the terminal's table and the page of an evaluation whose model is `backend`."""
    monkeypatch.setattr(model_source.FolderSource, "backend", property(lambda self: backend))
    scores = evaluate(pico, tmp_path / "out", benchmarks=(name,), **options)
    return scores, summary_table(scores), (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_a_constant_predictor_is_named(pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Scripted(pick=lambda prompt, choices: [choice.strip() for choice in choices].index("中立"))
    _, table, page = report(tmp_path, pico, monkeypatch, backend, "ja/jnli", data=data)
    given = "degenerate: answers '中立' on 12 of 12 items; that alone scores 0.3333"
    assert f"! ja/jnli: {given}" in table
    assert given in html.unescape(page)


def test_swapped_labels_are_named(pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that answers rightly, but for two labels exchanged."""
    gold = {item.fields["sentence1"]: item.answer for item in load_benchmark("ja/jnli", data).items}
    shown = {sentence: {0: 1, 1: 0, 2: 2}[int(answer or 0)] for sentence, answer in gold.items()}
    backend = Scripted(pick=lambda prompt, choices: shown[prompt.rpartition("前提：")[2].split("\n")[0]])
    _, table, page = report(tmp_path, pico, monkeypatch, backend, "ja/jnli", data=data)
    given = "swapped labels? accuracy is 0.333, and 1.000 with '含意' and '矛盾' exchanged"
    assert f"! ja/jnli: {given}" in table
    assert given in html.unescape(page)


def test_an_answer_in_full_width_digits_is_right(pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits of either width are one answer, and what the model wrote stands in the report as it was written."""
    right = {item.fields["question"]: item.answers[0] for item in load_benchmark("ja/mgsm-ja", data, shots=False).items}
    wide = str.maketrans("0123456789", "０１２３４５６７８９")

    def say(prompt: str) -> str:
        return "答えは" + next(answer for question, answer in right.items() if question in prompt).translate(wide) + "です。"

    scores, table, page = report(tmp_path, pico, monkeypatch, Scripted(say), "ja/mgsm-ja", data=data, shots=0)
    assert scores.benchmarks[0].metrics["number_match"].value == 1.0
    assert re.search(r"number_match +1\.0000", table)
    first = next(iter(read_outputs(tmp_path / "out")))
    assert first.generation is not None
    assert first.generation in page
    assert re.search("[０-９]", first.generation)


def test_finished_benchmarks_are_kept_where_a_later_one_fails(pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (mine(tmp_path), "ja/mgsm-ja")
    options = EvalOptions(benchmarks=names, data=data, shots=0, limit=2, dtype="float32")

    works = evaluate_module.run_benchmark

    def fails(loaded: LoadedBenchmark, *rest: Any) -> list[Output]:
        if loaded.id == names[1]:
            raise InputError("the disk has gone")
        return works(loaded, *rest)

    monkeypatch.setattr(evaluate_module, "run_benchmark", fails)
    with pytest.raises(InputError, match="the disk has gone"):
        evaluate(pico, tmp_path / "out", options)
    assert [score.id for score in read_scores(tmp_path / "out").benchmarks] == [names[0]]
    assert len(list(read_outputs(tmp_path / "out"))) == 2
    monkeypatch.undo()
    assert [score.id for score in evaluate(pico, tmp_path / "out", options).benchmarks] == list(names)


def test_texts_are_measured_in_bits(pico: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("日本語の文です。", encoding="utf-8")
    scores = evaluate(pico, tmp_path / "out", benchmarks=(mine(tmp_path),), texts=(str(text),), dtype="float32")
    (entry,) = scores.texts
    assert (entry.chars, entry.bytes) == (8, 24)
    assert entry.bits_per_char == pytest.approx(3 * entry.bits_per_byte)


def test_the_field_of_texts_can_be_named_and_a_wrong_one_is_told_before_any_work(pico: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text('{"id": 1, "body": "日本語の文です。"}\n', encoding="utf-8")
    options = {"benchmarks": (mine(tmp_path),), "texts": (str(text),), "dtype": "float32"}
    with pytest.raises(InputError, match=r"text\.jsonl:1: no text in field 'text'; there are: id, body; .* --field NAME"):
        evaluate(pico, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    assert evaluate(pico, tmp_path / "out", field="body", **options).texts[0].chars == 8


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"x"', r"items\.jsonl:1: not a JSON object"),
        ('{"id": "a", "choices": ["a", "b"], "answer": 0}', r"items\.jsonl:1: template '{{ question }}' cannot be filled in \('question' is undefined\)"),
        ("", r"items\.jsonl: no items"),
        ('{"id": "a", "question": "?", "choices": ["a", "b"], "answer": 0}\n' * 2, r"items\.jsonl:2: id 'a' stands in .*items\.jsonl:1 already"),
    ],
)
def test_broken_items_are_told_with_their_line_before_any_work(pico: Path, tmp_path: Path, line: str, message: str) -> None:
    name = mine(tmp_path)
    (tmp_path / "items.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        evaluate(pico, tmp_path / "out", benchmarks=(name,))
    assert not (tmp_path / "out").exists()


def test_a_wrong_encoding_is_told(pico: Path, tmp_path: Path) -> None:
    name = mine(tmp_path)
    (tmp_path / "items.jsonl").write_bytes('{"id": "日"}'.encode("cp932"))
    with pytest.raises(InputError, match=r"items\.jsonl:1: byte 0x93 is not UTF-8"):
        evaluate(pico, tmp_path / "out", benchmarks=(name,))


def test_models_that_are_none(pico: Path, tmp_path: Path) -> None:
    import shutil

    name = mine(tmp_path)
    with pytest.raises(InputError, match="nothing: no such folder"):
        evaluate(tmp_path / "nothing", tmp_path / "out", benchmarks=(name,))
    bare = tmp_path / "bare"
    shutil.copytree(pico, bare)
    (bare / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"bare: no tokenizer\.json"):
        evaluate(bare, tmp_path / "out", benchmarks=(name,))
    large = tmp_path / "large"
    shutil.copytree(pico, large)
    spec = json.loads((large / "tokenizer.json").read_text(encoding="utf-8"))
    spec["model"]["vocab"] |= {"qzqz": 500, "zqzq": 501}
    (large / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(InputError, match="the tokenizer has 502 tokens, and the embedding 500 rows; they do not belong together"):
        evaluate(large, tmp_path / "out2", benchmarks=(name,))


def test_a_context_that_is_too_long_is_counted(pico: Path, tmp_path: Path) -> None:
    items = [{"id": "long", "question": "長い" * 400, "choices": ["はい", "いいえ"], "answer": 0}]
    scores = evaluate(pico, tmp_path / "out", benchmarks=(mine(tmp_path, items),), dtype="float32")
    assert scores.benchmarks[0].truncated_items == 1
    (output,) = read_outputs(tmp_path / "out")
    assert output.truncated_tokens > 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--suite", "ja-cor"], 2, "no suite 'ja-cor' (did you mean 'ja-core'?)"),
        (["--benchmarks", "ja/jnl"], 2, "no benchmark 'ja/jnl' (did you mean 'ja/jnli'?)"),
        (["--profile", "stability"], 2, "no profile 'stability' (did you mean 'stability-0.6'?); profiles: jp-adapt, jp-adapt-chat, "),
        (["--benchmarks", "ja/jcola"], 3, "ja/jcola: its data is not shipped; run `jp-adapt data fetch ja/jcola --to DIR` and give --data DIR"),
        (["--benchmarks", "ja/niah-ja"], 3, "ja/niah-ja: its data is not shipped; bring it by hand into DIR/niah and give --data DIR (your own text)"),
        (["--benchmarks", "ja/niah-ja", "--data", "nowhere"], 3, "nowhere/niah: no such folder; bring your own text there"),
        (
            ["--benchmarks", "ja/jcommonsenseqa", "--data", "nowhere"],
            3,
            "nowhere/jglue: no such folder; run `jp-adapt data fetch ja/jcommonsenseqa --to nowhere`, or bring https://github.com/yahoojapan/JGLUE there",
        ),
        (["--benchmarks", "quickstart/ja-everyday-100", "--shots", "2"], 2, "shots is 2, and the benchmark has no examples to show"),
        (["--overlap", "nothing.jsonl"], 3, "nothing.jsonl: no such file"),
    ],
)
def test_what_is_wrong_is_told(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str) -> None:
    assert main(["eval", str(pico), *arguments, "--out", str(tmp_path / "out")]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("line", ["{}", '{"benchmark": "a", "item": "b", "share": 2}', "[]", '{"benchmark": "a", "item": "b", "share": "x"}'])
def test_a_table_of_overlap_that_is_none(tmp_path: Path, line: str) -> None:
    from jp_adapt.corpus.overlap import read_overlap

    (tmp_path / "table.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"table\.jsonl:1: "):
        read_overlap(tmp_path / "table.jsonl")


def test_the_example_of_the_documentation_works(pico: Path, tmp_path: Path) -> None:
    """The YAML and the line of docs/evaluation.md, as they stand there."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    section = text[text.index("## A benchmark of your own") :]
    blocks = [block for block in section.split("\n\n") if block.startswith("    ")]
    line, declaration = (("\n".join(row.removeprefix("    ") for row in block.splitlines()) + "\n") for block in blocks[:2])
    (tmp_path / "capitals.jsonl").write_text(line, encoding="utf-8")
    (tmp_path / "capitals.yaml").write_text(declaration, encoding="utf-8")
    scores = evaluate(pico, tmp_path / "out", benchmarks=(str(tmp_path / "capitals.yaml"),), dtype="float32")
    assert scores.benchmarks[0].items == 1
    assert scores.benchmarks[0].chance == 0.25


def test_answers_are_asked_again_in_other_batches(
    pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jp_adapt.inference.local_engine import LocalEngine

    arguments = ["eval", str(pico), "--benchmarks", "ja/jcommonsenseqa,ja/niilc", "--data", str(data), "--dtype", "float32", "--shots", "0", "--limit", "3"]
    assert main([*arguments, "--check-batches", "2", "--out", str(tmp_path / "out")]) == 0
    chose, wrote = (score.batch_check for score in read_scores(tmp_path / "out").benchmarks)
    assert chose is not None
    assert chose.answers == 2
    assert (chose.alone.flips, chose.together.flips) == (0, 0)
    assert chose.alone.largest_difference_nats is not None
    assert chose.alone.largest_difference_nats < 1e-4
    assert wrote == BatchCheck(2, Flips(0, None), Flips(0, None))
    assert "ja/jcommonsenseqa: of 2 answers asked again fell otherwise: 0 one at a time (up to " in capsys.readouterr().out

    score, write = LocalEngine.log_likelihoods, LocalEngine.continue_prompts

    def other_alone(self, requests, max_tokens, advance):
        return [
            nats + (3.0 if len(requests) == 1 and at else -3.0 * (requests[0].ids[-1] % 2))
            for at, nats in enumerate(score(self, requests, max_tokens, advance))
        ]

    monkeypatch.setattr(LocalEngine, "log_likelihoods", other_alone)
    monkeypatch.setattr(LocalEngine, "continue_prompts", lambda self, asks, advance: [f"{len(asks)}" for _ in write(self, asks, advance)])
    assert main([*arguments, "--check-batches", "2", "--out", str(tmp_path / "other")]) == 0
    chose, wrote = (score.batch_check for score in read_scores(tmp_path / "other").benchmarks)
    assert chose is not None
    assert wrote is not None
    assert chose.alone.largest_difference_nats == pytest.approx(3.0, abs=1e-3)
    assert (wrote.alone.flips, wrote.together.flips) == (2, 2)


def test_memory_that_ran_out_is_told(pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from jp_adapt.model.causal import CausalModel

    forward = CausalModel.forward

    def fails(self, ids, *rest, **named):
        if ids.shape[0] > 4 or ids.shape[1] > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, ids, *rest, **named)

    monkeypatch.setattr(CausalModel, "forward", fails)
    arguments = ["eval", str(pico), "--benchmarks", "ja/niilc,ja/xwinograd-ja", "--data", str(data), "--dtype", "float32", "--shots", "0"]
    assert main([*arguments, "--out", str(tmp_path / "scores")]) == 0
    wrote, chose = read_scores(tmp_path / "scores").benchmarks
    (written,) = (warning for warning in wrote.warnings if warning.startswith("memory"))
    (scored,) = (warning for warning in chose.warnings if warning.startswith("memory"))
    assert re.fullmatch(r"memory ran out [0-9]+ times while answers were written; each time half as much was taken at once, and nothing was lost", written)
    assert re.fullmatch(r"memory ran out 5 times while choices were scored; .*", scored)  # 512 tokens -> 16
    assert f"! ja/niilc: {written}" in capsys.readouterr().out


def test_a_benchmark_without_data_is_left_out_where_that_is_said(pico: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    partly = tmp_path / "partly"
    shutil.copytree(data / "jglue", partly / "jglue")
    given = ["eval", str(pico), "--benchmarks", "ja/jnli,ja/jsts,ja/jcola,quickstart/ja-everyday-100", "--limit", "2", "--data", str(partly)]
    assert main([*given, "--out", str(tmp_path / "refused")]) == 3
    err = capsys.readouterr().err
    assert f"ja/jcola: {partly / 'jcola'}: no such folder" in err or "ja/jcola: " in err
    assert "3 of 4 benchmarks are whole; to measure these alone: --missing skip" in err
    assert not (tmp_path / "refused" / "scores.json").exists()
    assert main([*given, "--missing", "skip", "--out", str(tmp_path / "scores")]) == 0
    assert "left out: ja/jcola: " in capsys.readouterr().err
    assert [entry.id for entry in read_scores(tmp_path / "scores").benchmarks] == ["ja/jnli", "ja/jsts", "quickstart/ja-everyday-100"]


def test_nothing_is_measured_where_all_data_is_missing(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["eval", str(pico), "--benchmarks", "ja/jnli,ja/jcola", "--data", str(tmp_path), "--missing", "skip", "--out", str(tmp_path / "scores")]
    assert main(given) == 3
    err = capsys.readouterr().err
    assert "ja/jnli: " in err
    assert "ja/jcola: " in err
    assert "--missing skip" not in err


def test_a_model_that_is_not_there_is_named_before_its_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(tmp_path / "nothere"), "--suite", "ja-core", "--data", str(tmp_path)]) == 3
    assert f"{tmp_path / 'nothere'}: no such folder" in capsys.readouterr().err


def test_a_model_of_the_hub_by_its_id_and_commit(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The hub's own cache, as a download leaves it: nothing is asked for."""
    from huggingface_hub import constants

    commit = "c" * 40
    shutil.copytree(pico, tmp_path / "cache" / "models--org--pico" / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    assert main(["eval", f"org/pico@{commit}", "--limit", "2", "--out", "scores"]) == 0
    assert read_scores(tmp_path / "scores").model["name"] == "org/pico"
    assert main(["eval", "org/pico", "--limit", "2", "--out", "again"]) == 3
    assert "org/pico: no such folder, and as a model of the hub: org/pico@main: the hub does not say which commit" in capsys.readouterr().err


def test_sampling_where_nothing_is_drawn_is_refused(pico: Path, tmp_path: Path) -> None:
    name = mine(tmp_path)
    with pytest.raises(UsageError, match="--temperature 1: no answer is drawn where choices are scored"):
        evaluate(pico, tmp_path / "out", benchmarks=(name,), temperature=1.0, samples=3)
    assert not (tmp_path / "out").exists()
