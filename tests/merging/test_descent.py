"""Gradient descent over a genome: it goes down, guards hold it back, and a kill changes nothing."""

from __future__ import annotations

import json

import pytest

from jp_adapt.core.errors import JpAdaptError, RunFolderError
from jp_adapt.merging.descent import Descent, lowest
from jp_adapt.merging.fitness import Fitness, Objective
from jp_adapt.merging.search import Gene, named

GENES = [Gene("a", 0.0, 2.0, 1.0), Gene("b", -1.0, 1.0, 0.0)]
TARGET = {"a": 1.6, "b": -0.5}
ITEMS = (0.5, 1.0, 1.5)


def losses_and_slopes(values):
    """Squared distance from a target, a little different for each item, and a guard that grows with `a`."""
    distance = sum((values[name] - goal) ** 2 for name, goal in TARGET.items())
    return (
        {"ja": [0.1 + distance * factor for factor in ITEMS], "en": [values["a"] * factor for factor in ITEMS]},
        {"ja": {name: 2 * (values[name] - goal) for name, goal in TARGET.items()}, "en": {"a": 1.0}},
    )


def descent(*, guard=None, steps=40, lr=0.1):
    start, _ = losses_and_slopes({gene.name: gene.start for gene in GENES})
    return Descent(GENES, Fitness([Objective("ja", 3, weight=1.0), Objective("en", 3, guard=guard)], start), steps, lr)


def test_it_goes_to_the_lowest_point(tmp_path):
    steps = descent(lr=0.05).run(losses_and_slopes, tmp_path / "journal.jsonl")
    assert len(steps) == 41
    assert named(GENES, lowest(steps).genome) == pytest.approx(TARGET, abs=0.05)
    assert lowest(steps).fitness == pytest.approx(0.1, abs=0.005)
    assert steps[0].fitness == pytest.approx(0.1 + 0.6**2 + 0.5**2)


def test_the_first_step_moves_every_number_by_the_rate(tmp_path):
    first, second = descent(steps=1, lr=0.05).run(losses_and_slopes, tmp_path / "journal.jsonl")
    assert named(GENES, second.genome) == pytest.approx({"a": 1.1, "b": -0.1})
    assert first.gradient == pytest.approx([2.0 * 2 * (1.0 - 1.6), 2.0 * 2 * (0.0 + 0.5)])  # of numbers from 0 to 1, over ranges of 2


def test_a_guard_holds_it_back(tmp_path):
    best = lowest(descent(guard=1.05).run(losses_and_slopes, tmp_path / "journal.jsonl"))
    assert named(GENES, best.genome)["a"] <= 1.06
    assert named(GENES, best.genome)["b"] == pytest.approx(TARGET["b"], abs=0.05)


def test_bounds_are_kept(tmp_path):
    steps = descent(lr=1.0).run(losses_and_slopes, tmp_path / "journal.jsonl")
    assert all(0 <= value <= 1 for step in steps for value in step.genome)


def test_stopped_anywhere_it_goes_on_to_the_same_steps(tmp_path):
    whole = descent().run(losses_and_slopes, tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (1, 2, 17, 41):
        cut = tmp_path / f"cut-{kept}.jsonl"
        cut.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])  # the next line was not written whole
        asked = []

        def counted(values, asked=asked):
            asked.append(values)
            return losses_and_slopes(values)

        again = descent().run(counted, cut)
        assert len(asked) == 41 - (kept - 1)
        assert [(step.genome, step.fitness, step.gradient) for step in again] == [(step.genome, step.fitness, step.gradient) for step in whole]


def test_the_journal_of_another_descent_is_refused_and_left_as_it_is(tmp_path):
    journal = tmp_path / "journal.jsonl"
    descent(steps=2).run(losses_and_slopes, journal)
    before = journal.read_bytes()
    with pytest.raises(RunFolderError, match="lr"):
        descent(steps=2, lr=0.2).run(losses_and_slopes, journal)
    assert journal.read_bytes() == before
    assert json.loads(before.splitlines()[0])["steps"] == 2


def test_a_loss_that_is_not_finite_ends_it(tmp_path):
    def broken(values):
        losses, slopes = losses_and_slopes(values)
        return losses | {"ja": [float("nan")] * 3}, slopes

    with pytest.raises(JpAdaptError, match="not finite"):
        descent().run(broken, tmp_path / "journal.jsonl")
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 1
