"""The summary of a judging as a document: read by one reader, under its name of today and of earlier versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import jp_adapt
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.judge.results import Calibration, RankingCalibration

ESTIMATE = {"requests": 2, "tokens_in": 10, "tokens_out": 4, "cost": None}
USED = ESTIMATE | {"uncounted": 0, "fresh_requests": 2, "fresh_in": 10, "fresh_out": 4, "fresh_cost": None}
CALIBRATION = dict.fromkeys(("same_share", "within_one_share", "kappa", "pearson", "spearman", "mean_shift", "mean_shift_interval"))


def earlier(**changes: Any) -> dict[str, Any]:
    """A summary as earlier versions wrote it: of a ranking it had no `models`, of grades no `ranking`."""
    grades = {"model": "m", "items": 2, "judgements": 2, "judgement_mean": 3.5, "mean": 3.5, "stderr": 0.5, "interval": [3.0, 4.0]}
    return {
        "format": 1,
        "benchmark": "ja/elyza-tasks-100",
        "version": "1.0",
        "licence": "CC-BY-SA-4.0",
        "source": "https://example.org",
        "judge": {"model": "j"},
        "takes": 1,
        "sha256": {"m.jsonl": "0" * 64},
        "estimate": ESTIMATE,
        "usage": USED,
        "half_written_lines": 0,
        "judgements": 2,
        "empty_answers": 0,
        "without_verdict": 0,
        "requests_failed": 0,
        "asked_again": 0,
        "models_without_verdict": [],
        "failures": [],
        "models": [grades | {"takes": [{"mean": 3.5, "stderr": 0.5}], "turns": {"1": 3.5}, "categories": {}, "agreement": None}],
        "calibration": {"m": {"judgements": 0, "same": 0, **CALIBRATION}},
        **changes,
    }


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path.parent


def test_the_summary_of_an_earlier_version_is_read_under_its_name(tmp_path: Path) -> None:
    summary = jp_adapt.read_judge_summary(write(tmp_path / "out" / "summary.json", earlier()))
    assert (summary.models[0].interval, summary.models[0].turns, summary.ranking) == ((3.0, 4.0), {"1": 3.5}, None)
    assert summary.calibration == {"m": Calibration(0, 0, **CALIBRATION)}
    summary.write(tmp_path / "out" / "judge_summary.json")
    write(tmp_path / "out" / "summary.json", earlier(benchmark="older"))
    assert jp_adapt.read_judge_summary(tmp_path / "out") == summary, "today's name goes first"


def test_a_ranking_and_its_calibration_keep_their_types(tmp_path: Path) -> None:
    value = earlier(ranking={"strengths": [], "first_place_advantage": 0.0, "decided_by_order": None, "games": 2})
    value["calibration"] = {"models": ["a", "b"], "spearman": 1.0, "pearson": None}
    del value["models"]
    summary = jp_adapt.read_judge_summary(write(tmp_path / "out" / "summary.json", value))
    assert (summary.models, summary.calibration) == ([], RankingCalibration(["a", "b"], 1.0, None))
    assert summary.ranking is not None
    assert summary.ranking.games == 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "summary.json",
            {"format": 2, "headline": {}},
            r"summary\.json: not the summary of a judging in format 1 \(its format is 2\); give the folder that `jp-adapt judge`",
        ),
        ("judge_summary.json", earlier(takes="3"), r"judge_summary\.json: not the summary .*: takes: a whole number is needed, not \"3\""),
        ("judge.json", {"format": 1}, r"judge_summary\.json: no such file"),
    ],
)
def test_what_is_none_is_refused_with_a_clear_word(tmp_path: Path, name: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        jp_adapt.read_judge_summary(write(tmp_path / "out" / name, value))
