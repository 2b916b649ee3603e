"""Gradient descent over a genome: it goes down, guards hold it back, and a kill changes nothing."""

from __future__ import annotations

import json
import math

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


def descent(*, guard=None, steps=40, radius=0.1):
    start, _ = losses_and_slopes({gene.name: gene.start for gene in GENES})
    return Descent(GENES, Fitness([Objective("ja", 3, weight=1.0), Objective("en", 3, guard=guard)], start), steps, radius)


def test_it_goes_to_the_lowest_point_and_stops_there(tmp_path):
    steps = descent(radius=0.05).run(losses_and_slopes, tmp_path / "journal.jsonl")
    assert len(steps) < 10
    assert named(GENES, lowest(steps).genome) == pytest.approx(TARGET, abs=1e-3)
    assert lowest(steps).fitness == pytest.approx(0.1, abs=1e-5)
    assert steps[0].fitness == pytest.approx(0.1 + 0.6**2 + 0.5**2)


def test_the_first_step_goes_down_the_gradient_as_far_as_the_radius(tmp_path):
    first, second = descent(steps=1, radius=0.05).run(losses_and_slopes, tmp_path / "journal.jsonl")
    slopes = [2.0 * 2 * (1.0 - 1.6), 2.0 * 2 * (0.0 + 0.5)]  # of numbers from 0 to 1, over ranges of 2
    assert first.slopes["ja"] == pytest.approx(slopes)
    moved = [after - before for before, after in zip(first.genome, second.genome, strict=True)]
    assert math.hypot(*moved) == pytest.approx(0.05 * math.sqrt(2), rel=1e-3)
    assert moved[0] / moved[1] == pytest.approx(slopes[0] / slopes[1], rel=1e-2)


def valley(values):
    """A guard that is steep across a valley, and an objective that falls across it first of all, and along it far on."""
    x, y = values["a"] - 1, values["b"]
    ja = 1 - 0.5 * x - 0.3 * y + 0.1 * (x + y) ** 2
    across = x - y
    return (
        {"ja": [ja * factor for factor in ITEMS], "en": [(1 + 40 * across**2) * factor for factor in ITEMS]},
        {"ja": {"a": -0.5 + 0.2 * (x + y), "b": -0.3 + 0.2 * (x + y)}, "en": {"a": 80 * across, "b": -80 * across}},
    )


def test_a_steep_guard_lets_it_go_along_the_valley(tmp_path):
    """A step of a fixed length down the gradient alone breaks the guard at once, and never finds back."""
    start, _ = valley({"a": 1.0, "b": 0.0})
    fitness = Fitness([Objective("ja", 3, weight=1.0), Objective("en", 3, guard=1.01)], start)
    steps = Descent(GENES, fitness, 12, 0.1).run(valley, tmp_path / "journal.jsonl")
    best = lowest(steps)
    assert steps[1].fitness > steps[0].fitness  # broken
    assert sum(best.losses["en"]) / 3 <= 1.011
    assert sum(best.losses["ja"]) / 3 < 0.601  # the bottom of the valley ends at a = 2, b = 1, where it is 0.6
    assert best.fitness < 0.601


def test_a_guard_holds_it_back(tmp_path):
    best = lowest(descent(guard=1.05).run(losses_and_slopes, tmp_path / "journal.jsonl"))
    assert named(GENES, best.genome)["a"] <= 1.06
    assert named(GENES, best.genome)["b"] == pytest.approx(TARGET["b"], abs=0.05)


def test_bounds_are_kept(tmp_path):
    steps = descent(radius=1.0).run(losses_and_slopes, tmp_path / "journal.jsonl")
    assert all(0 <= value <= 1 for step in steps for value in step.genome)


def test_stopped_anywhere_it_goes_on_to_the_same_steps(tmp_path):
    whole = descent().run(losses_and_slopes, tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for kept in range(1, len(whole) + 1):
        cut = tmp_path / f"cut-{kept}.jsonl"
        cut.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])  # the next line was not written whole
        asked = []

        def counted(values, asked=asked):
            asked.append(values)
            return losses_and_slopes(values)

        again = descent().run(counted, cut)
        assert len(asked) == len(whole) - (kept - 1)
        assert [(step.genome, step.fitness, step.slopes) for step in again] == [(step.genome, step.fitness, step.slopes) for step in whole]


def test_the_journal_of_another_descent_is_refused_and_left_as_it_is(tmp_path):
    journal = tmp_path / "journal.jsonl"
    descent(steps=2).run(losses_and_slopes, journal)
    before = journal.read_bytes()
    with pytest.raises(RunFolderError, match="radius"):
        descent(steps=2, radius=0.2).run(losses_and_slopes, journal)
    assert journal.read_bytes() == before
    assert json.loads(before.splitlines()[0])["steps"] == 2


def test_a_loss_that_is_not_finite_ends_it(tmp_path):
    def broken(values):
        losses, slopes = losses_and_slopes(values)
        return losses | {"ja": [float("nan")] * 3}, slopes

    with pytest.raises(JpAdaptError, match="not finite"):
        descent().run(broken, tmp_path / "journal.jsonl")
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 1
