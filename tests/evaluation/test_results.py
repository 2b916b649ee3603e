"""Results survive the disk, and a file that is none is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError, JpAdaptError
from jp_adapt.evaluation.results import BenchmarkScore, MetricScore, Output, Scores, read_outputs, read_scores, write_outputs, write_scores

SCORE = BenchmarkScore(
    id="ja/jnli",
    name="ja/jnli@jp-adapt/3-shot/accuracy",
    title="JNLI",
    version="1.3",
    licence="CC-BY-SA-4.0",
    source="here",
    revision=None,
    sha256={"valid.json": "0" * 64},
    num_fewshot=3,
    items=2,
    primary_metric="accuracy",
    metrics={"accuracy": MetricScore(0.5, (0.1, 0.9), 0.35), "mcc": MetricScore(None)},
    chance=1 / 3,
    majority=0.5,
    warnings=["answers 'neutral' on 2 of 2 items"],
    groups={"a": {"accuracy": 1.0, "mcc": None}},
)
OUTPUT = Output("ja/jnli", "0", "a", "前提：\u2028雨\n", ["含意", "矛盾"], [-1.5, -2.0], None, 0, 1, {"accuracy": 0.0}, True, 3)


def test_scores_survive_the_disk(tmp_path: Path) -> None:
    scores = Scores({"name": "m"}, "jp-adapt", [SCORE], [], {"torch": "2"})
    write_scores(tmp_path, scores)
    assert read_scores(tmp_path) == scores == read_scores(tmp_path / "scores.json")


def test_outputs_survive_the_disk(tmp_path: Path) -> None:
    write_outputs(tmp_path / "outputs.jsonl", [OUTPUT, OUTPUT])
    assert list(read_outputs(tmp_path)) == [OUTPUT, OUTPUT]


def test_a_key_of_a_later_version_is_let_go(tmp_path: Path) -> None:
    write_outputs(tmp_path / "outputs.jsonl", [OUTPUT])
    line = json.loads((tmp_path / "outputs.jsonl").read_text(encoding="utf-8"))
    (tmp_path / "outputs.jsonl").write_text(json.dumps(line | {"later": 1}) + "\n", encoding="utf-8")
    assert list(read_outputs(tmp_path)) == [OUTPUT]


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 2, "benchmarks": []}', '{"format": 1, "benchmarks": [1]}', '{"format": 1, "benchmarks": []}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"scores\.json: "):
        read_scores(tmp_path)


def test_a_broken_line_is_refused_with_its_number(tmp_path: Path) -> None:
    write_outputs(tmp_path / "outputs.jsonl", [OUTPUT])
    with (tmp_path / "outputs.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"benchmark": "x"}\n')
    with pytest.raises(InputError, match=r"outputs\.jsonl:2: not a Output"):
        list(read_outputs(tmp_path))


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises((ValueError, JpAdaptError)):
        write_scores(tmp_path, Scores({"name": "m", "x": float("nan")}, "jp-adapt", []))
    assert not (tmp_path / "scores.json").exists()
