"""What `eval` says of its own figures: contamination, changed data, a model that always answers alike, memory that ran out."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.evaluation.results import BatchCheck, Flips, Scores, read_outputs, read_scores
from jp_adapt.inference import model_source
from jp_adapt.inference.backend import Ask, Chosen, Written
from jp_adapt.report.tables import summary_table
from tests.commands.own_benchmark import mine


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


def test_data_that_changed_and_what_is_not_reproduced_are_told(pico: Path, benchmark_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["eval", str(pico), "--benchmarks", "ja/jnli", "--data", str(benchmark_data), "--limit", "2", "--shots", "0", "--dtype", "float32"]
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


def test_a_constant_predictor_is_named(pico: Path, benchmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Scripted(pick=lambda prompt, choices: [choice.strip() for choice in choices].index("中立"))
    _, table, page = report(tmp_path, pico, monkeypatch, backend, "ja/jnli", data=benchmark_data)
    given = "degenerate: answers '中立' on 12 of 12 items; that alone scores 0.3333"
    assert f"! ja/jnli: {given}" in table
    assert given in html.unescape(page)


def test_swapped_labels_are_named(pico: Path, benchmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that answers rightly, but for two labels exchanged."""
    gold = {item.fields["sentence1"]: item.answer for item in load_benchmark("ja/jnli", benchmark_data).items}
    shown = {sentence: {0: 1, 1: 0, 2: 2}[int(answer or 0)] for sentence, answer in gold.items()}
    backend = Scripted(pick=lambda prompt, choices: shown[prompt.rpartition("前提：")[2].split("\n")[0]])
    _, table, page = report(tmp_path, pico, monkeypatch, backend, "ja/jnli", data=benchmark_data)
    given = "swapped labels? accuracy is 0.333, and 1.000 with '含意' and '矛盾' exchanged"
    assert f"! ja/jnli: {given}" in table
    assert given in html.unescape(page)


def test_an_answer_in_full_width_digits_is_right(pico: Path, benchmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits of either width are one answer, and what the model wrote stands in the report as it was written."""
    right = {item.fields["question"]: item.answers[0] for item in load_benchmark("ja/mgsm-ja", benchmark_data, shots=False).items}
    wide = str.maketrans("0123456789", "０１２３４５６７８９")

    def say(prompt: str) -> str:
        return "答えは" + next(answer for question, answer in right.items() if question in prompt).translate(wide) + "です。"

    scores, table, page = report(tmp_path, pico, monkeypatch, Scripted(say), "ja/mgsm-ja", data=benchmark_data, shots=0)
    assert scores.benchmarks[0].metrics["number_match"].value == 1.0
    assert re.search(r"number_match +1\.0000", table)
    first = next(iter(read_outputs(tmp_path / "out")))
    assert first.generation is not None
    assert first.generation in page
    assert re.search("[０-９]", first.generation)


def test_answers_are_asked_again_in_other_batches(
    pico: Path, benchmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jp_adapt.inference.local_engine import LocalEngine

    given = ["--benchmarks", "ja/jcommonsenseqa,ja/niilc", "--data", str(benchmark_data)]
    arguments = ["eval", str(pico), *given, "--dtype", "float32", "--shots", "0", "--limit", "3"]
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


def test_memory_that_ran_out_is_told(
    pico: Path, benchmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from jp_adapt.model.causal import CausalModel

    forward = CausalModel.forward

    def fails(self, ids, *rest, **named):
        if ids.shape[0] > 4 or ids.shape[1] > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, ids, *rest, **named)

    monkeypatch.setattr(CausalModel, "forward", fails)
    few = ["--shots", "0", "--limit", "6"]
    arguments = ["eval", str(pico), "--benchmarks", "ja/niilc,ja/xwinograd-ja", "--data", str(benchmark_data), "--dtype", "float32", *few]
    assert main([*arguments, "--out", str(tmp_path / "scores")]) == 0
    wrote, chose = read_scores(tmp_path / "scores").benchmarks
    (written,) = (warning for warning in wrote.warnings if warning.startswith("memory"))
    (scored,) = (warning for warning in chose.warnings if warning.startswith("memory"))
    assert re.fullmatch(r"memory ran out [0-9]+ times while answers were written; each time half as much was taken at once, and nothing was lost", written)
    assert re.fullmatch(r"memory ran out 5 times while choices were scored; .*", scored)  # 512 tokens -> 16
    assert f"! ja/niilc: {written}" in capsys.readouterr().out
