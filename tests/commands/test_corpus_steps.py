"""Steps are made from what a recipe says of them; what it says wrong is told with its line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from jp_adapt.commands.corpus_steps import STEPS, build_steps
from jp_adapt.core.errors import UsageError
from jp_adapt.corpus.steps import ForSources, Outcome, Step
from jp_adapt.recipe.load_corpus import load_corpus


@dataclass(frozen=True)
class Length:
    """A step of the shape that steps have."""

    at_least: int = 5
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "length"

    def __call__(self, text: str) -> Outcome:
        return Outcome(text if len(text) >= self.at_least else None, "short")


def _make(files: list[str], at_least: int = 1) -> Step:
    return Length(at_least + len(files), tuple(files))


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STEPS, "length", Length)
    monkeypatch.setitem(STEPS, "made", _make)


def _build(tmp_path: Path, *steps: str) -> tuple[Step, ...]:
    path = tmp_path / "x.yaml"
    text = "format: 1\nname: x\ntexts: true\nsources: {a: {path: x, language: ja, licence: none}, b: {path: x, language: en, licence: none}}\nsteps:\n"
    path.write_text(text + "".join(f"  - {step}\n" for step in steps), encoding="utf-8")
    return build_steps(load_corpus(path))


def test_parameters_and_defaults(tmp_path: Path) -> None:
    assert _build(tmp_path, "{kind: length, at_least: 7, words: [あ, い]}") == (Length(7, ("あ", "い")),)
    assert _build(tmp_path, "{kind: length}") == (Length(),)
    assert _build(tmp_path, "{kind: made, files: [a.txt, b.txt]}") == (Length(3, (str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))),)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{kind: lenght}", "x.yaml:6: step kind is 'lenght' (did you mean 'length'?); kinds: "),
        ("{at_least: 3}", "x.yaml:6: step kind is None; kinds: "),
        ("{kind: length, at_last: 3}", "x.yaml:6: step length has no parameter 'at_last' (did you mean 'at_least'?); it has: at_least, words"),
        ("{kind: length, at_least: many}", "x.yaml:6: step length: at_least is 'many': a whole number is needed"),
        ("{kind: made}", "x.yaml:6: step made: files is "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, step: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _build(tmp_path, step)
    assert message in str(caught.value)


def test_a_step_for_some_sources_and_the_same_kind_for_others(tmp_path: Path) -> None:
    steps = _build(tmp_path, "{kind: length, at_least: 7, sources: [a]}", "{kind: length, sources: [b]}")
    assert steps == (ForSources(Length(7), ("a",)), ForSources(Length(), ("b",)))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("{kind: length, sources: [c]}", "", "x.yaml:6: a step is for source 'c', which the recipe does not have; sources: a, b"),
        ("{kind: length, sources: []}", "", "x.yaml:6: 'sources' of a step is []; give a list of sources, such as [a]"),
        ("{kind: length, sources: a}", "", "x.yaml:6: 'sources' of a step is 'a'; give a list of sources"),
        ("{kind: length, sources: [b]}", "{kind: length}", "x.yaml:7: a step 'length' of source 'b' stands above already"),
        ("{kind: length}", "{kind: length, sources: [b]}", "x.yaml:7: a step 'length' of source 'b' stands above already"),
    ],
)
def test_wrong_sources_of_a_step_are_told(tmp_path: Path, first: str, second: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _build(tmp_path, *filter(None, (first, second)))
    assert message in str(caught.value)


def test_all_problems_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _build(tmp_path, "{kind: length}", "{kind: length}", "{kind: nothing}")
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "a step 'length' of source 'a' stands above already, and their counts could not be told apart",
        "step kind is 'nothing'; kinds",
    ]
