"""Grades beside those of reference answers: the ratio by hand, its errors, and reviews in the layout of LLaVA and Heron-Bench."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jp_adapt.benchmarks.judge import load_judge_task
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.judge.ratio import ratio_of
from jp_adapt.evaluation.judge.recorded import read_recorded
from jp_adapt.evaluation.judge.results import CategoryRatio, TakeScore
from jp_adapt.evaluation.judge.scores import summarise_takes
from jp_adapt.evaluation.judge.summary import Takes
from tests.judge_server import write_lines

HERON, EVAL_MM = (load_judge_task(name)[0] for name in ("ja/heron-bench", "ja/heron-bench-eval-mm"))
CATEGORIES = {"1": "conv", "2": "conv", "3": "detail", "4": "complex"}


def take(*values: float) -> dict[tuple[str, int], float]:
    return {(str(number), 1): value for number, value in enumerate(values, start=1)}


def test_the_ratio_by_hand() -> None:
    """conv: 10 of 16; detail: 9 of 6, above the reference; complex: 5 of 10. (62.5 + 150 + 50) / 3, where the ratio of all means would be 75."""
    results = ratio_of(Takes("m", [take(4, 6, 9, 5)], references=[take(8, 8, 6, 10)], categories=CATEGORIES))
    assert results.value == pytest.approx(87.5)
    assert results.categories == {"conv": CategoryRatio(2, 5, 8, 62.5), "detail": CategoryRatio(1, 9, 6, 150), "complex": CategoryRatio(1, 5, 10, 50)}
    assert results.takes == [TakeScore(results.value, results.stderr)]
    assert results.noise is None


def test_takes_are_averaged_by_item_before_the_ratio_and_may_lack_items() -> None:
    takes = Takes("m", [take(4, 6), take(8)], references=[take(8, 8), take(10)], categories=CATEGORIES)
    results = ratio_of(takes)
    assert results.value == pytest.approx(100 * (6 + 6) / (9 + 8))
    assert [entry.mean for entry in results.takes] == pytest.approx([62.5, 80])


def test_the_interval_is_of_both_grades_of_items_resampled_within_their_categories() -> None:
    """Against the delta method: the variance of a ratio of means is that of (score - R reference) / mean reference."""
    generator = np.random.default_rng(1)
    sizes = {"conv": 42, "detail": 21, "complex": 40}
    names = [name for name, size in sizes.items() for _ in range(size)]
    reference = generator.integers(6, 11, len(names)).astype(float)
    score = np.clip(reference - generator.integers(0, 5, len(names)), 1, 10)
    results = ratio_of(Takes("m", [take(*score)], references=[take(*reference)], categories={str(n): name for n, name in enumerate(names, start=1)}))
    variance = 0.0
    for name, size in sizes.items():
        own = np.array(names) == name
        ratio = score[own].mean() / reference[own].mean()
        variance += float(np.var(100 * (score - ratio * reference)[own] / reference[own].mean()) / size)
    assert results.stderr == pytest.approx(math.sqrt(variance) / 3, rel=0.05)
    assert results.interval is not None
    assert results.interval[1] - results.interval[0] == pytest.approx(2 * 1.96 * results.stderr, rel=0.1)
    everything_alike = ratio_of(Takes("m", [take(*reference / 2)], references=[take(*reference)], categories={}))
    assert (everything_alike.value, everything_alike.stderr, everything_alike.interval) == (pytest.approx(50), None, None)


def test_noise_by_hand() -> None:
    """Two takes that differ in a score by 2 and in a reference by 2: (4 + 6) / 2 of 10, and R = 0.5 of a reference of (8 + 10) / 2."""
    takes = Takes("m", [take(4, 5), take(6, 5)], references=[take(10, 8), take(10, 10)], categories=CATEGORIES)
    results = ratio_of(takes)
    ratio, mean = 100 * 10 / 19, 19 / 2
    spreads = [(100 * 2 / mean / 2), (ratio * 2 / mean / 2)]  # standard errors of two takes are half their difference
    assert results.noise == pytest.approx(math.sqrt(sum(spread**2 for spread in spreads)) / 2)


def review(id: int, category: str, reference: float, score: float) -> dict[str, Any]:
    return {"id": id, "question_id": id, "answer1_id": id, "answer2_id": id, "category": category, "content": "", "tuple": [reference, score]}


def test_recorded_reviews(tmp_path: Path) -> None:
    lines = [review(1, "conv", 8.0, 4.0), review(2, "conv", 8.0, 6.0), review(3, "detail", 6.0, 9.0), review(4, "complex", -1, -1)]
    [takes] = read_recorded([write_lines(tmp_path / "model-a.jsonl", lines)], HERON)
    [summary] = summarise_takes(HERON, [takes])
    assert (summary.model, summary.items, summary.mean, summary.categories) == ("model-a", 3, pytest.approx(19 / 3), {"conv": 5, "detail": 9})
    assert summary.ratio is not None
    assert summary.ratio.value == pytest.approx((62.5 + 150) / 2)


def test_our_own_judgements_are_read_again(tmp_path: Path) -> None:
    line = {"benchmark": "ja/heron-bench", "models": ["m"], "turn": 1, "take": 1, "prompt": "heron-bench"}
    lines = [line | {"item": n, "category": CATEGORIES[n], "score": score, "reference_score": 8} for n, score in (("1", 4), ("2", 6), ("3", 8))]
    path = write_lines(tmp_path / "judgements.jsonl", [*lines, line | {"item": "4", "score": None, "failure": "no verdict"}])
    [takes] = read_recorded([path], HERON)
    assert ratio_of(takes).value == pytest.approx((62.5 + 100) / 2)
    with pytest.raises(InputError, match=r"jsonl:1: a judgement by the prompt 'heron-bench', and not by heron-bench-eval-mm; name its own --benchmark"):
        read_recorded([path], EVAL_MM)
    for change, message in (({"reference_score": None}, "reference_score is None, not a number"), ({"reference_score": 0}, "outside the scale of 1 to 10")):
        with pytest.raises(InputError, match=rf"jsonl:1: .*{message}"):
            read_recorded([write_lines(tmp_path / "b.jsonl", [lines[0] | change])], HERON)
