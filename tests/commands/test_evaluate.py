"""The command `eval` on a small model: figures, files, continuing after a kill, a benchmark of one's own, and inputs that are broken."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.items import LoadedBenchmark
from jp_adapt.cli.main import main
from jp_adapt.commands import evaluate as evaluate_module
from jp_adapt.commands.evaluate import EvalOptions, evaluate
from jp_adapt.core.errors import InputError, RunFolderError
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.evaluation.results import Output, Sample, read_outputs, read_scores
from jp_adapt.inference import model_source
from tests.commands.own_benchmark import mine
from tests.processes import Command


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


def test_many_kinds_at_once(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    names = ("ja/jnli", "ja/jsts", "ja/jmmlu", "ja/wmt20-en-ja", "ja/japanese-mt-bench", "ja/jhumaneval")
    scores = evaluate(pico, tmp_path / "out", benchmarks=names, data=benchmark_data, limit=2, shots=0, dtype="float32", allow_code_execution=True)
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


def test_needles_and_instructions_from_data_to_page(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    declared = shipped_benchmarks()["ja/niah-ja"].read_text(encoding="utf-8")
    grid = declared.replace("[1000, 2000, 4000, 8000, 16000, 32000]", "[60, 90]").replace("[0, 25, 50, 75, 100]", "[0, 100]").replace("trials: 2", "trials: 1")
    (tmp_path / "needles.yaml").write_text(grid.replace("max_chars: 30", "max_chars: 4"), encoding="utf-8")
    declared = shipped_benchmarks()["ja/m-ifeval-ja"].read_text(encoding="utf-8")
    (tmp_path / "short.yaml").write_text(declared.replace("max_chars: 3000", "max_chars: 4"), encoding="utf-8")
    names = (str(tmp_path / "needles.yaml"), str(tmp_path / "short.yaml"))
    needles, instructions = evaluate(pico, tmp_path / "out", benchmarks=names, data=benchmark_data, dtype="float32", limit=4).benchmarks
    assert list(needles.groups) == ["60/0", "60/100", "90/0", "90/100"]
    assert needles.truncated_items == 0
    assert instructions.primary_metric == "prompt_level_strict_acc"
    assert instructions.metrics.keys() >= {"inst_level_strict_acc", "inst_level_loose_acc"}
    asked = [output for output in read_outputs(tmp_path / "out") if output.benchmark == names[1]]
    assert all("check" in json.loads(check) for output in asked for check in output.gold)
    assert "60, 0: 0.00" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


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


def test_a_killed_evaluation_goes_on(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    arguments = ["eval", str(pico), "--benchmarks", "ja/jcommonsenseqa,quickstart/ja-everyday-100,ja/jnli", "--data", str(benchmark_data), "--dtype", "float32"]
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


def test_finished_benchmarks_are_kept_where_a_later_one_fails(pico: Path, benchmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (mine(tmp_path), "ja/mgsm-ja")
    options = EvalOptions(benchmarks=names, data=benchmark_data, shots=0, limit=2, dtype="float32")

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


def test_a_context_that_is_too_long_is_counted(pico: Path, tmp_path: Path) -> None:
    items = [{"id": "long", "question": "長い" * 400, "choices": ["はい", "いいえ"], "answer": 0}]
    scores = evaluate(pico, tmp_path / "out", benchmarks=(mine(tmp_path, items),), dtype="float32")
    assert scores.benchmarks[0].truncated_items == 1
    (output,) = read_outputs(tmp_path / "out")
    assert output.truncated_tokens > 0


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
