"""Steps and their counts: nothing is lost, and the parts merged in any order are the whole."""

from __future__ import annotations

import json
import pickle
import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.corpus.steps import SAMPLES, Counts, Document, ForSources, Outcome, Step, run_steps
from tests.properties import examples


@dataclass(frozen=True)
class Shorten:
    """Drops texts with an x, shortens the others."""

    length: int
    name: str = "shorten"

    def __call__(self, text: str) -> Outcome:
        if "x" in text:
            return Outcome(None, "x" if text.startswith("x") else "later x", matches=(("item", len(text) / 100),))
        return Outcome(text[: self.length], changes={"cut": len(text) - self.length} if len(text) > self.length else {})


STEPS = [Shorten(6), Shorten(3, "again")]
TEXTS = st.lists(st.text("abxあ", max_size=9), max_size=60)


def documents(texts: list[str]) -> list[Document]:
    return [Document(text, "even" if number % 2 == 0 else "odd", f"f:{number}") for number, text in enumerate(texts)]


@examples(100)
@given(TEXTS, st.randoms())
def test_counts_add_up_and_do_not_depend_on_how_the_work_is_split(texts: list[str], shuffle: random.Random) -> None:
    whole = Counts()
    kept = list(run_steps(documents(texts), STEPS, whole))
    assert [document.text for document in kept] == [text[:3] for text in texts if "x" not in text]
    parts = []
    for start in range(0, len(texts), 7):
        part = Counts()
        list(run_steps(documents(texts)[start : start + 7], STEPS, part))
        parts.append(Counts.from_json(json.loads(json.dumps(part.to_json()))))
    shuffle.shuffle(parts)
    merged = Counts()
    for part in parts:
        merged.merge(part)
    assert merged.to_json() == whole.to_json() or not texts
    for sources in whole.steps.values():
        for counts in sources.values():
            assert counts.documents_in == counts.documents_kept + sum(number for number, _ in counts.dropped.values())
            assert all(len(samples) <= SAMPLES for samples in counts.samples.values())


def test_what_one_step_drops_the_next_never_sees() -> None:
    counts = Counts()
    assert [document.text for document in run_steps(documents(["xa", "abcdefgh", "bx"]), STEPS, counts)] == ["abc"]
    first, second = counts.steps["shorten"], counts.steps["again"]
    assert first["even"].dropped == {"x": [1, 2], "later x": [1, 2]}
    assert first["odd"].changes == {"cut": 2}
    assert first["odd"].documents_changed == 1
    assert first["even"].matches == {"item": (2, 0.02)}
    assert "even" not in second
    assert second["odd"].characters_in == 6
    assert [sample.text for sample in first["even"].samples["later x"]] == ["bx"]


def test_a_step_for_one_source_leaves_the_others_alone_and_uncounted() -> None:
    counts = Counts()
    steps = [ForSources(STEPS[0], ("even",)), ForSources(STEPS[0], ("other",)), STEPS[1]]
    assert [document.text for document in run_steps(documents(["xa", "xabcdef", "abcdefgh"]), steps, counts)] == ["abc"]
    assert {name: {source: results.documents_in for source, results in sources.items()} for name, sources in counts.steps.items()} == {
        "shorten": {"even": 2},
        "again": {"odd": 1, "even": 1},
    }


@pytest.mark.parametrize("step", [*STEPS, ForSources(STEPS[0], ("a",))])
def test_steps_travel_to_other_processes(step: Step) -> None:
    assert pickle.loads(pickle.dumps(step)) == step  # noqa: S301
