"""Two processes give the scores of one, to the last bit, and either continues with what the other has finished."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import UsageError
from jp_adapt.evaluation.results import read_scores
from jp_adapt.inference.model_source import Served, open_source
from jp_adapt.inference.processes import Processes
from tests.processes import Ended, run


@pytest.fixture(scope="module")
def arguments(pico: Path, benchmark_data: Path) -> list[str]:
    given = ["--benchmarks", "ja/jcommonsenseqa,ja/niilc,ja/xwinograd-ja", "--data", str(benchmark_data)]
    return ["eval", str(pico), *given, "--dtype", "float32", "--shots", "0", "--limit", "8", "--check-batches", "2"]


def two(arguments: list[str]) -> Ended:
    return run(*arguments, "--processes=2", env={"OMP_NUM_THREADS": "1"})


def test_two_processes_score_what_one_scores(arguments: list[str], tmp_path: Path) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
        both = two([*arguments, "--out", str(tmp_path / "two")])
        assert both.returncode == 0, both.stderr
        assert both.stdout.count("Scores: ") == 1
        assert both.stderr.count("loading ") == 1
        assert (tmp_path / "two" / "outputs.jsonl").read_bytes() == (tmp_path / "one" / "outputs.jsonl").read_bytes()
        assert read_scores(tmp_path / "two").benchmarks == read_scores(tmp_path / "one").benchmarks

        (part,) = (tmp_path / "two" / "parts").glob("ja_niilc*")
        shutil.rmtree(part)  # as if two processes had been killed there: one continues
        assert main([*arguments, "--out", str(tmp_path / "two")]) == 0
        assert (tmp_path / "two" / "outputs.jsonl").read_bytes() == (tmp_path / "one" / "outputs.jsonl").read_bytes()
    finally:
        torch.set_num_threads(threads)


def test_what_is_wrong_is_told_with_its_exit_code(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x", encoding="utf-8")
    done = two([*arguments, "--out", str(tmp_path / "out")])
    assert done.returncode == 5, done.stderr
    assert "is not empty, and holds no evaluation" in done.stderr
    with pytest.raises(UsageError, match="2 processes ask one endpoint no faster; use --parallel"):
        open_source("pico", "auto", Served("http://localhost/v1"), tmp_path, Processes(0, 2))


def test_an_evaluation_inside_a_run_of_several_processes_waits_for_none(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    scores = evaluate(pico, tmp_path / "out", benchmarks=("quickstart/ja-everyday-100",), limit=2, dtype="float32")
    assert scores.benchmarks[0].items == 2
