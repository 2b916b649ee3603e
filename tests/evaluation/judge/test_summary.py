"""Figures of judgements: recorded ones again, exactly, and what is known from elsewhere."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from jp_adapt.benchmarks.judge import load_judge_task
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.evaluation.judge.bradley_terry import POINTS, Game, fit, rank
from jp_adapt.evaluation.judge.recorded import read_ranking, read_recorded
from jp_adapt.evaluation.judge.summary import Takes, agreement, calibrate, summarise, weighted_kappa
from tests.data import needs_data, shared_data
from tests.judge_server import write_lines

ELYZA, MT_BENCH = (load_judge_task(name)[0] for name in ("ja/elyza-tasks-100", "ja/mt-bench"))
# Three takes of Command R+ on the answers of three models: sums of the grades, and of how many items two takes agree (gpt4-autoeval, commit 75413ea)
RECORDED = {
    "calm2-7b-chat_cmdr+": ([257, 261, 256], [77, 78, 77]),
    "karakuri-lm-70b-chat-v0.1-gguf-q4km-hf_cmdr+": ([353, 339, 341], [74, 78, 75]),
    "Swallow-7b-instruct_cmdr+": ([237, 240, 230], [74, 67, 75]),
}


@needs_data
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_takes_of_elyza_tasks_again(name: str) -> None:
    [folder] = (shared_data() / "benchmarks/elyza_tasks_100/assets").glob(f"*/{name}")
    paths = sorted(folder.glob("result_take*.jsonl"))
    [takes] = read_recorded(paths, ELYZA)
    sums, same = RECORDED[name]
    results = summarise(takes, (1, 5))
    assert takes.model == name
    assert [round(100 * take.mean) for take in results.takes] == sums
    assert results.mean == pytest.approx(sum(sums) / 300, abs=1e-12)
    assert results.agreement.same == same
    assert min(same) / 100 >= 0.67
    assert max(same) / 100 <= 0.78
    grades = np.array([[json.loads(line)["grade"] for line in path.read_text(encoding="utf-8").splitlines()] for path in paths])
    assert [take.stderr for take in results.takes] == pytest.approx(grades.std(axis=1, ddof=1) / 10)
    assert results.stderr == pytest.approx(grades.mean(axis=0).std(ddof=1) / 10)
    assert round(results.stderr, 2) in (0.13, 0.14)


@needs_data
def test_recorded_judgements_of_mt_bench_again() -> None:
    path = shared_data() / "benchmarks/japanese_mt_bench/fastchat/llm_judge/data/japanese_mt_bench/model_judgment/gpt-4_single.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    results = {takes.model: summarise(takes, (1, 10)) for takes in read_recorded([path], MT_BENCH)}
    assert len(results) == 7
    assert sum(entry.judgements for entry in results.values()) == 564
    for model, entry in results.items():
        scores = [line["score"] for line in lines if line["model"] == model]
        assert entry.judgement_mean == pytest.approx(sum(scores) / len(scores), abs=1e-12)  # FastChat's show_result.py: the mean of all lines
        assert entry.items == 80
    twice = {model: entry.agreement.compared for model, entry in results.items() if entry.agreement}
    assert sum(map(sum, twice.values())) == 4  # four turns were judged a second time


def test_agreement_and_noise_by_hand() -> None:
    takes = [{("1", 1): 1.0, ("2", 1): 3.0, ("3", 1): 5.0, ("4", 1): 2.0}, {("1", 1): 1.0, ("2", 1): 4.0, ("3", 1): 3.0, ("4", 1): 2.0}]
    results = agreement(takes, (1, 5))
    assert results is not None
    assert (results.compared, results.same, results.same_share, results.within_one_share) == ([4], [2], 0.5, 0.75)
    assert results.noise == pytest.approx(math.sqrt((0 + 0.25 + 1 + 0) / 4 / 4))  # standard errors of two takes are half their difference
    assert agreement(takes[:1], (1, 5)) is None
    assert agreement([{("1", 1): 1.0}, {("2", 1): 1.0}], (1, 5)) is None


def test_summary_counts_an_item_once_whatever_its_turns_and_takes() -> None:
    takes = Takes(
        "m",
        [{("1", 1): 2.0, ("1", 2): 4.0, ("2", 1): 6.0, ("2", 2): 8.0}, {("1", 1): 4.0, ("1", 2): 4.0, ("2", 1): 6.0}],
        categories={"1": "writing", "2": "math"},
    )
    results = summarise(takes, (1, 10))
    assert (results.items, results.mean, results.turns) == (2, pytest.approx((3 + 4 + 6 + 8) / 4), {"1": 4.5, "2": 6.0})
    assert results.categories == {"writing": 3.5, "math": 7.0}
    assert results.stderr == pytest.approx(abs(7 - 3.5) / 2)


def test_calibration_by_hand() -> None:
    recorded = {(str(n), 1): float(score) for n, score in enumerate([1, 2, 3, 4, 5])}
    given = {(str(n), 1): float(score) for n, score in enumerate([2, 3, 4, 5, 5])} | {("9", 1): 1.0}
    results = calibrate(recorded, given, (1, 5))
    assert (results.judgements, results.same, results.within_one_share) == (5, 1, 1.0)
    assert results.mean_shift == pytest.approx(0.8)
    assert results.pearson == pytest.approx(np.corrcoef([1, 2, 3, 4, 5], [2, 3, 4, 5, 5])[0, 1])
    low, high = results.mean_shift_interval
    assert low <= 0.8 <= high
    assert calibrate(recorded, {}, (1, 5)).same_share is None


def test_grades_that_grow_with_the_length_of_answers() -> None:
    grades = {(str(n), 1): float(score) for n, score in enumerate([1, 2, 2, 4, 5])}
    lengths = {(str(n), 1): length for n, length in enumerate([10, 30, 20, 90, 80])} | {("9", 1): 5}
    expected = np.corrcoef([1, 2.5, 2.5, 4, 5], [1, 3, 2, 5, 4])[0, 1]  # ranks
    assert summarise(Takes("m", [grades], lengths), (1, 5)).length_spearman == pytest.approx(expected)
    assert summarise(Takes("m", [grades]), (1, 5)).length_spearman is None
    recorded = dict.fromkeys(grades, 3.0)
    assert calibrate(recorded, grades, (1, 5), lengths).length_spearman == pytest.approx(expected)
    assert calibrate(recorded, recorded, (1, 5), lengths).length_spearman is None


def test_two_judges_are_read_as_takes(tmp_path: Path) -> None:
    line = {"models": ["m"], "turn": 1, "take": 1}
    paths = [
        write_lines(tmp_path / f"{name}.jsonl", [line | {"item": str(n), "score": score} for n, score in enumerate(scores)])
        for name, scores in (("a", [1, 2, 3, 4]), ("b", [1, 2, 4, 4]))
    ]
    [takes] = read_recorded(paths, ELYZA)
    results = summarise(takes, (1, 5))
    assert results.agreement is not None
    assert (results.agreement.same, results.agreement.compared) == ([3], [4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmark": "ja/japanese-mt-bench"}, "a judgement of ja/japanese-mt-bench, not of ja/elyza-tasks-100"),
        ({"score": 9}, "score is 9, outside the scale of 1 to 5"),
        ({"score": True}, "score is True, not a number"),
        ({"take": "a"}, "take is 'a', not a whole number"),
        ({"turn": None}, "turn is None, not a whole number"),
        ({"models": 5}, "no recorded judgement"),
    ],
)
def test_a_judgement_that_cannot_be_meant_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    line = {"benchmark": ELYZA.benchmark, "models": ["m"], "item": "1", "turn": 1, "take": 1, "score": 3}
    path = write_lines(tmp_path / "a.jsonl", [line, line | {"item": "2"} | change])
    with pytest.raises(InputError, match=rf"a\.jsonl:2: {message}"):
        read_recorded([path], ELYZA)


def test_a_judge_does_not_agree_with_itself(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"grade": 3}])
    with pytest.raises(UsageError, match="named twice"):
        read_recorded([path, tmp_path / "." / "a.jsonl"], ELYZA)


def test_what_fastchat_could_not_read_is_no_score(tmp_path: Path) -> None:
    line = {"model": "m", "turn": 1}
    path = write_lines(tmp_path / "a.jsonl", [line | {"question_id": 1, "score": 8}, line | {"question_id": 2, "score": -1}])
    [takes] = read_recorded([path], MT_BENCH)
    assert takes.scores == [{("1", 1): 8.0}]


@pytest.mark.parametrize(
    ("a", "b", "kappa"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 5], [5, 1], -1.0),
        ([1, 1, 5, 5], [1, 5, 1, 5], 0.0),
        ([3, 3], [3, 3], None),
        ([1, 2, 3, 4, 5], [2, 2, 3, 4, 4], 1 - 2 / (70 / 5)),
    ],
)
def test_weighted_kappa(a: list[int], b: list[int], kappa: float | None) -> None:
    results = weighted_kappa(a, b, (1, 5))
    assert results == (None if kappa is None else pytest.approx(kappa))


def test_recorded_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.jsonl:1: no recorded judgement"):
        read_recorded([write_lines(tmp_path / "x.jsonl", [{"text": "a"}])], ELYZA)
    with pytest.raises(InputError, match=r"y\.jsonl:2: score is '4', not a number"):
        read_recorded([write_lines(tmp_path / "y.jsonl", [{"grade": 4}, {"grade": "4"}])], ELYZA)
    ranking = tmp_path / "z.json"
    ranking.write_text('{"ranking": [{"model": "a"}]}', encoding="utf-8")
    with pytest.raises(InputError, match="not a ranking of Rakuda"):
        read_ranking(ranking)


def games(results: list[tuple[int, int, float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(first, second, score, number of such games) -> arrays for `fit`."""
    first, second, score, weight = (np.array(column) for column in zip(*results, strict=True))
    return first, second, score.astype(float), weight.astype(float)


def test_two_models_in_closed_form() -> None:
    """logit P(first wins) is advantage + d in one order and advantage - d in the other."""
    strengths, advantage = fit(*games([(0, 1, 1.0, 30), (0, 1, 0.0, 10), (1, 0, 1.0, 20), (1, 0, 0.0, 20)]), 2, prior=0.0)
    existing, back = math.log(3), math.log(1)
    assert advantage == pytest.approx((existing + back) / 2, abs=1e-8)
    assert strengths[0] - strengths[1] == pytest.approx((existing - back) / 2, abs=1e-8)
    assert strengths.sum() == pytest.approx(0, abs=1e-9)


def minorise(wins: np.ndarray) -> np.ndarray:
    """Strengths by the MM algorithm of Hunter (2004): another way to the same maximum."""
    p = np.ones(len(wins))
    played = wins + wins.T
    for _ in range(20_000):
        p = wins.sum(axis=1) / (played / (p[:, None] + p[None, :])).sum(axis=1)
        p /= np.exp(np.log(p).mean())
    return np.log(p)


def test_many_models_against_another_algorithm() -> None:
    """Each game in both orders with the same result: there is no advantage of the place, and MM gives the strengths."""
    generator = np.random.default_rng(3)
    wins = generator.integers(1, 30, (6, 6)).astype(float)
    np.fill_diagonal(wins, 0)
    results = [(i, j, 1.0, int(wins[i, j])) for i in range(6) for j in range(6) if i != j]
    results += [(j, i, 0.0, count) for i, j, _, count in results]
    strengths, advantage = fit(*games(results), 6, prior=0.0)
    assert advantage == pytest.approx(0, abs=1e-8)
    assert strengths == pytest.approx(minorise(wins), abs=1e-7)


def test_a_tie_is_half_a_win_of_each() -> None:
    ties, _ = fit(*games([(0, 1, 0.5, 4), (0, 1, 1.0, 2), (1, 0, 0.5, 6)]), 2, prior=0.0)
    halves, _ = fit(*games([(0, 1, 1.0, 4), (0, 1, 0.0, 2), (1, 0, 1.0, 3), (1, 0, 0.0, 3)]), 2, prior=0.0)
    assert ties == pytest.approx(halves, abs=1e-9)


def test_a_model_that_always_wins_has_a_finite_strength() -> None:
    results = rank([Game(f"q{n}", *pair, score) for n in range(40) for pair, score in ((("a", "b"), 1.0), (("b", "a"), 0.0))])
    assert [entry.model for entry in results.strengths] == ["a", "b"]
    assert results.strengths[0].points > 1300
    assert math.isfinite(results.strengths[0].interval[1])
    assert results.strengths[0].win_share == 1.0
    assert results.decided_by_order == 0.0


def test_ranking_finds_planted_strengths_and_the_advantage_of_the_first_place() -> None:
    generator = np.random.default_rng(0)
    planted = {"a": 1.0, "b": 0.4, "c": -0.4, "d": -1.0}
    played = []
    for question in range(60):
        for first in planted:
            for second in planted:
                if first != second:
                    odds = 0.5 + planted[first] - planted[second]
                    played.append(Game(f"q{question}", first, second, float(generator.random() < 1 / (1 + math.exp(-odds)))))
    results = rank(played)
    assert [entry.model for entry in results.strengths] == list(planted)
    inside = sum(entry.interval[0] <= 1000 + POINTS * planted[entry.model] <= entry.interval[1] for entry in results.strengths)
    assert inside >= 3
    assert results.first_place_advantage == pytest.approx(POINTS * 0.5, abs=40)
    assert results.games == 60 * 12
    assert results == rank(played)


def test_a_judge_that_looks_only_at_the_place() -> None:
    results = rank([Game(f"q{n}", *pair, 1.0) for n in range(20) for pair in (("a", "b"), ("b", "a"))])
    assert results.decided_by_order == 1.0
    assert results.strengths[0].points == pytest.approx(1000, abs=1e-6)
    assert results.first_place_advantage > 500
