"""The search: it finds what it is asked for, and a kill at any moment changes nothing."""

from __future__ import annotations

import json
import math
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from jp_adapt.core.errors import InputError, JpAdaptError, RunFolderError, UsageError
from jp_adapt.merging.fitness import Objective
from jp_adapt.merging.search import Gene, Search, split_items
from tests.merging.searches import GENERATIONS, GENES, OBJECTIVES, TARGET, killed, score, search, summary
from tests.processes import FORKS


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The search in one go."""
    return search().run(score, tmp_path_factory.mktemp("search") / "journal.jsonl", GENERATIONS)


def test_it_comes_near_to_the_target(tmp_path):
    result = search().run(score, tmp_path / "journal.jsonl", 40)
    assert result.mean == pytest.approx(TARGET, abs=0.05)
    assert result.best.fitness < result.evaluations[0].fitness / 3
    for entry in result.evaluations:
        assert all(0 <= value <= 1 for value in entry.genome)


def test_killed_at_ten_moments_it_asks_for_the_same_genomes(straight, tmp_path):
    """One journal survives ten kills, each in the middle of an evaluation; the process after the last kill ends with what one process gives."""
    journal = tmp_path / "journal.jsonl"
    for calls in (0, 1, 2, 3, 5, 7, 4, 6, 2, 9):
        process = FORKS.Process(target=killed, args=(journal, calls))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert summary(search().run(score, journal, GENERATIONS)) == summary(straight)


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_was_cut_short_is_evaluated_again(cut, straight, tmp_path):
    journal = tmp_path / "journal.jsonl"
    search().run(score, journal, GENERATIONS)
    journal.write_bytes(journal.read_bytes()[:-cut])
    asked = []
    again = search().run(lambda genome, items: asked.append(genome) or score(genome, items), journal, GENERATIONS)
    assert summary(again) == summary(straight)
    assert len({json.dumps(genome) for genome in asked}) == 1
    assert summary(search().run(score, journal, GENERATIONS)) == summary(straight)  # the journal itself is whole again


def test_a_finished_search_asks_nothing_and_can_go_on(straight, tmp_path):
    journal = tmp_path / "journal.jsonl"
    search().run(score, journal, 2)

    def never(genome, items):
        raise AssertionError

    assert len(search().run(never, journal, 2).evaluations) == 1 + 2 * search().population
    assert summary(search().run(score, journal, GENERATIONS)) == summary(straight)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_candidates_evaluated_at_the_same_time_give_the_same_search(kind, straight, tmp_path):
    with kind(2) as executor:
        result = search().run(score, tmp_path / "journal.jsonl", GENERATIONS, executor=executor)
    assert summary(result) == summary(straight)


def test_hopeless_candidates_are_given_up_early_and_never_win(straight, tmp_path):
    given_up = [entry for entry in straight.evaluations if not entry.whole]
    assert given_up
    assert all(len(entry.losses["ja"]) in (8, 16) for entry in given_up)
    assert straight.best.whole
    items = []
    search(rounds=1).run(lambda genome, asked: items.append(len(asked["ja"])) or score(genome, asked), tmp_path / "whole.jsonl", 1)
    assert set(items) == {24}


def test_the_estimate_of_a_candidate_that_was_given_up_is_near_its_fitness(straight):
    for entry in [entry for entry in straight.evaluations if not entry.whole]:
        genome = search().named(entry.genome)
        losses = score(genome, {objective.name: range(objective.items) for objective in OBJECTIVES})
        plain = sum(objective.weight * sum(losses[objective.name]) / objective.items for objective in OBJECTIVES)
        assert entry.fitness == pytest.approx(plain, rel=0.25)


def test_a_guard_holds_back_what_the_fitness_does_not_ask_for(tmp_path):
    """The first gene lowers the loss and raises that of the guard, which may grow by 10 %."""
    genes = [Gene("gain", 0.0, 1.0, 0.1), Gene("idle", 0.0, 1.0, 0.5)]

    def trade(genome, items):
        return {"aim": [1 - genome["gain"] for _ in items["aim"]], "guard": [1 + genome["gain"] for _ in items["guard"]]}

    free = Search(genes, [Objective("aim", 4, weight=1.0), Objective("guard", 4)]).run(trade, tmp_path / "free.jsonl", 12)
    held = Search(genes, [Objective("aim", 4, weight=1.0), Objective("guard", 4, guard=1.1)]).run(trade, tmp_path / "held.jsonl", 12)
    assert free.best_genome["gain"] > 0.9
    assert held.best_genome["gain"] == pytest.approx(1.1 * 1.1 - 1, abs=0.03)


def test_a_candidate_that_breaks_a_guard_is_given_up_early(tmp_path):
    search = Search([Gene("gain", 0.0, 1.0, 0.1), Gene("idle", 0.0, 1.0, 0.5)], [Objective("aim", 4, weight=1.0), Objective("guard", 4, guard=1.1)], rounds=2)
    result = search.run(
        lambda genome, items: {"aim": [1 - genome["gain"] for _ in items["aim"]], "guard": [1 + genome["gain"] for _ in items["guard"]]},
        tmp_path / "journal.jsonl",
        8,
    )
    broken = [entry for entry in result.evaluations if 1 + search.named(entry.genome)["gain"] > 1.1 * 1.1 + 1e-6]
    assert len(broken) > 5
    assert not any(entry.whole for entry in broken)
    assert min(entry.fitness for entry in broken) > result.best.fitness


def test_a_guard_whose_few_items_disagree_holds_back_more(tmp_path):
    """Four items of it grow by 0.4, 0.8, 1.2 and 1.6 times the gain; others of their kind may grow by more on average, so the upper bound must hold."""
    genes = [Gene("gain", 0.0, 1.0, 0.0), Gene("idle", 0.0, 1.0, 0.5)]

    def trade(genome, items):
        return {"aim": [1 - genome["gain"] for _ in items["aim"]], "guard": [1 + genome["gain"] * 0.4 * (1 + item) for item in items["guard"]]}

    held = Search(genes, [Objective("aim", 4, weight=1.0), Objective("guard", 4, guard=1.1)], seed=1).run(trade, tmp_path / "held.jsonl", 15)
    bound = 1 + 1.645 * 0.4 * math.sqrt(5 / 3) / 2  # of the growth for a gain of 1: mean, and standard error of four
    assert held.best_genome["gain"] == pytest.approx(0.1 / bound, abs=0.01)


def test_the_journal_of_another_search_is_not_touched(tmp_path):
    journal = tmp_path / "journal.jsonl"
    search().run(score, journal, 1)
    before = journal.read_bytes()
    with pytest.raises(RunFolderError, match=r"journal.jsonl: holds another search; these settings differ:\n  seed: .*\nGive another place"):
        search(seed=4).run(score, journal, 1)
    assert journal.read_bytes() == before


def test_a_damaged_line_and_a_genome_that_was_never_asked_for_are_refused(tmp_path):
    journal = tmp_path / "journal.jsonl"
    search().run(score, journal, 1)
    lines = journal.read_text(encoding="utf-8").splitlines()
    journal.write_text("\n".join([*lines[:2], "{", *lines[3:]]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"journal.jsonl:3: no line of a search's journal"):
        search().run(score, journal, 1)
    moved = json.loads(lines[2])
    moved["genome"][0] += 1e-3
    journal.write_text("\n".join([*lines[:2], json.dumps(moved), *lines[3:]]) + "\n", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"candidate 0 of generation 1 is another one than this search asks for; continue with the cmaes that began it"):
        search().run(score, journal, 1)


@pytest.mark.parametrize("wrong", [{"ja": [0.1]}, {"ja": [float("nan")] * 24, "en": [0.1] * 8}])
def test_a_score_that_gives_too_few_or_broken_losses_is_named(wrong, tmp_path):
    with pytest.raises(JpAdaptError, match=r"the score gave \d+ losses of '(ja|en)' where \d+ finite ones were asked"):
        search(rounds=1).run(lambda genome, items: wrong, tmp_path / "journal.jsonl", 1)


def test_items_are_dev_or_held_out_and_never_both():
    dev, heldout = split_items(100, 0.3, seed=1)
    assert sorted([*dev, *heldout]) == list(range(100))
    assert len(heldout) == 30
    assert split_items(100, 0.3, seed=1) == (dev, heldout)
    assert split_items(100, 0.3, seed=2) != (dev, heldout)
    with pytest.raises(UsageError, match=r"of 3 items 0 would be held out; some must be, and some not \(share 0.1\)"):
        split_items(3, 0.1, seed=1)


@pytest.mark.parametrize(
    ("genes", "objectives", "options", "message"),
    [
        (GENES[:1], OBJECTIVES, {}, "1 genes: CMA-ES searches over at least two numbers"),
        ([*GENES, Gene("d", 0.0, 1.0, 2.0)], OBJECTIVES, {}, "gene 'd': it starts at 2, and its bounds are 0 and 1"),
        (GENES, [Objective("x", 4)], {}, "no objective has a weight, so there is nothing to search for"),
        (GENES, [Objective("x", 4, weight=1.0)], {"rounds": 5}, "'x' has 4 items, which cannot be asked in 5 rounds"),
    ],
)
def test_searches_that_make_no_sense_are_refused(genes, objectives, options, message):
    with pytest.raises(UsageError, match=message):
        Search(genes, objectives, **options)
