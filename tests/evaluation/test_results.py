"""Results survive the disk, and a file that is none is refused with its place."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import jp_adapt
from jp_adapt.core.errors import InputError, JpAdaptError
from jp_adapt.evaluation.results import (
    BatchCheck,
    BenchmarkScore,
    Flips,
    MetricScore,
    Output,
    PartScore,
    PromptSet,
    Sample,
    Scores,
    TextScore,
    TouchedScores,
    read_outputs,
    read_scores,
    write_outputs,
    write_scores,
)

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
    score = replace(
        SCORE,
        touched=TouchedScores(1, 0.5, ["0"], PartScore(1, {"accuracy": 1.0}), PartScore(1, {"accuracy": None})),
        batch_check=BatchCheck(2, Flips(0, 1e-6), Flips(1, None)),
        prompt_set=PromptSet("accuracy", 0.5, (0.25, 0.75), {"default": 0.25, "short": 0.75}),
        sample=Sample(0, 10),
        scale=(1.0, 5.0),
    )
    scores = Scores({"name": "m"}, "jp-adapt", [SCORE, score], [TextScore("t", 1, 10, 30, 7, 4.5, 1.5)], {"torch": "2"})
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", r"not the scores of an evaluation in format 2 \(it names none\); give the folder that `jp-adapt eval` or `jp-adapt judge` wrote"),
        ("[]", r"not the scores of an evaluation in format 2: an object is needed, not \[\]; give the folder"),
        ('{"format": 3, "benchmarks": []}', r"in format 2 \(its format is 3\)"),
        ('{"format": true}', r"in format 2 \(its format is true\)"),
        ('{"format": 1, "benchmarks": {}}', r"in format 2 \(its format is 1\)"),
        ('{"format": 1, "benchmarks": [1]}', "model: the key is missing; profile: the key is missing; benchmarks.0: an object is needed, not 1"),
        ("[" * 100_000, "JSON nested deeper than 100 levels"),
        ('{"format": ' + "9" * 5000 + "}", "a number of 5,000 digits"),
        ('{"format": 2, "model": {"name": NaN}}', "NaN is not a number of JSON"),
        ("\x00\x00", "not valid JSON .Expecting value"),
    ],
)
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "scores.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"scores\.json(:1)?: .*" + said):
        read_scores(tmp_path)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("benchmarks", 0, "items"), "2", 'benchmarks.0.items: a whole number is needed, not "2"'),
        (("benchmarks", 0, "items"), 2.5, "benchmarks.0.items: a whole number is needed, not 2.5"),
        (("benchmarks", 0, "metrics", "accuracy", "value"), True, "benchmarks.0.metrics.accuracy.value: a number is needed, not true"),
        (("benchmarks", 0, "metrics", "accuracy", "interval"), 0.5, "benchmarks.0.metrics.accuracy.interval: a list is needed, not 0.5"),
        (("benchmarks", 0, "metrics"), [], r"benchmarks.0.metrics: an object is needed, not \[\]"),
        (("benchmarks", 0, "warnings"), "w", 'benchmarks.0.warnings: a list is needed, not "w"'),
        (("benchmarks", 0, "sha256"), {"f": 1}, "benchmarks.0.sha256.f: a text is needed, not 1"),
        (("model",), "m", 'model: an object is needed, not "m"'),
        (("texts",), [{"id": "t"}], "texts.0.documents: the key is missing; .* more"),
    ],
)
def test_types_are_checked_and_not_only_keys(tmp_path: Path, keys: tuple[str | int, ...], value: object, said: str) -> None:
    write_scores(tmp_path, Scores({"name": "m"}, "jp-adapt", [SCORE]))
    document = place = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (tmp_path / "scores.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match=r"scores\.json: not the scores of an evaluation in format 2: " + said):
        read_scores(tmp_path)


def test_scores_of_format_1_are_still_read(tmp_path: Path) -> None:
    touched = TouchedScores(2, 0.5, ["0", "1"], PartScore(2, {"accuracy": 1.0}), None)
    scores = Scores({"name": "m"}, "jp-adapt", [replace(SCORE, touched=touched), SCORE])
    old = scores.as_dict() | {"format": 1}
    old["benchmarks"][0]["touched"] |= {"touched": {"items": 2, "accuracy": 1.0}}
    for entry in old["benchmarks"]:
        del entry["sample"], entry["scale"]
    (tmp_path / "scores.json").write_text(json.dumps(old), encoding="utf-8")
    assert read_scores(tmp_path) == scores


def test_scores_as_tables(tmp_path: Path) -> None:
    write_scores(tmp_path, Scores({"name": "m"}, "jp-adapt", [SCORE]))
    scores = jp_adapt.read_scores(tmp_path)
    frame = scores.to_pandas()
    assert list(frame["metric"]) == ["accuracy", "mcc"]
    assert (frame["value"][0], frame["low"][0], frame["model"][0], frame["benchmark"][1]) == (0.5, 0.1, "m", "ja/jnli")
    assert scores.to_arrow().column("primary").to_pylist() == [True, False]


def test_pandas_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    scores = Scores({"name": "m"}, "jp-adapt", [SCORE])
    assert scores.to_arrow().num_rows == 2
    with pytest.raises(InputError, match="pandas is not installed: pip install pandas"):
        scores.to_pandas()


def test_a_broken_line_is_refused_with_its_number(tmp_path: Path) -> None:
    write_outputs(tmp_path / "outputs.jsonl", [OUTPUT])
    with (tmp_path / "outputs.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"benchmark": "x"}\n')
    with pytest.raises(InputError, match=r"outputs\.jsonl:2: not an item of an evaluation: item: the key is missing; .*and 6 more"):
        list(read_outputs(tmp_path))


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises((ValueError, JpAdaptError)):
        write_scores(tmp_path, Scores({"name": "m", "x": float("nan")}, "jp-adapt", []))
    assert not (tmp_path / "scores.json").exists()
