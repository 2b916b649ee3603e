"""What a step over documents is, how steps are run one after the other, and how everything they do is counted.

A step is a pure function of a text and of its own parameters, and can be pickled: the same steps run in one process, in many, or on a cluster, and
`Counts` of the parts, merged in any order, are those of the whole.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

SAMPLES = 5  # of dropped documents, for each step, source and reason
SAMPLE_CHARS = 200
PAIR_CHARS = 1000
BEFORE_CHARS = 100  # of a pair, before the first difference


@dataclass(frozen=True, slots=True)
class Document:
    """A text, the name of the source it came from, and where it stands there, as "file:line"."""

    text: str
    source: str
    place: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step made of a text: the text to keep, or None with the reason why the document is dropped.

    Attributes:
        changes: kind of change -> how often it was made ("mail" -> 2), for a text that is kept.
        matches: (benchmark item, share of its n-grams that the text holds), of a document that overlaps with benchmarks.
    """

    text: str | None
    reason: str = ""
    changes: Mapping[str, int] = field(default_factory=dict)
    matches: tuple[tuple[str, float], ...] = ()


class Step(Protocol):
    """A step over one document at a time. `name` is its key in reports; two steps of one name never see the same source.

    A step that was made from files says so in an attribute `inputs`: name -> SHA-256 of what it took from there.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, text: str) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class ForSources:
    """A step that only documents of some sources go through; the others pass it uncounted."""

    step: Step
    sources: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.step.name

    def __call__(self, text: str) -> Outcome:
        return self.step(text)


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """The beginning of a dropped document. Those of the smallest hash are kept, whatever the order or number of the processes."""

    hash: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A near duplicate that was dropped, beside the document that was kept: at most PAIR_CHARS characters of each, from before where they begin to differ."""

    place: str
    text: str
    kept_place: str
    kept: str


@dataclass
class StepCounts:
    """What one step did to one source; characters are Unicode code points.

    Attributes:
        dropped: reason -> [documents, characters].
        changes: kind of change -> occurrences.
        matches: benchmark item -> [documents that overlap with it, largest share of its n-grams in one document].
        samples: reason -> dropped documents.
        pairs: of near duplicates, those among the samples.
    """

    documents_in: int = 0
    characters_in: int = 0
    documents_kept: int = 0
    characters_kept: int = 0
    documents_changed: int = 0
    dropped: dict[str, list[int]] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    matches: dict[str, tuple[int, float]] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)

    def add(self, document: Document, outcome: Outcome) -> None:
        self.documents_in += 1
        self.characters_in += len(document.text)
        if outcome.text is None:
            documents, characters = self.dropped.get(outcome.reason, (0, 0))
            self.dropped[outcome.reason] = [documents + 1, characters + len(document.text)]
            self._sample(outcome.reason, _sample(document))
        else:
            self.documents_kept += 1
            self.characters_kept += len(outcome.text)
            self.documents_changed += outcome.text != document.text
            for kind, number in outcome.changes.items():
                self.changes[kind] = self.changes.get(kind, 0) + number
        for item, share in outcome.matches:
            self._match(item, 1, share)

    def merge(self, other: StepCounts) -> None:
        """Add the counts of another part of the same source."""
        self.documents_in += other.documents_in
        self.characters_in += other.characters_in
        self.documents_kept += other.documents_kept
        self.characters_kept += other.characters_kept
        self.documents_changed += other.documents_changed
        for reason, (documents, characters) in other.dropped.items():
            before = self.dropped.get(reason, (0, 0))
            self.dropped[reason] = [before[0] + documents, before[1] + characters]
        for kind, number in other.changes.items():
            self.changes[kind] = self.changes.get(kind, 0) + number
        for item, (documents, share) in other.matches.items():
            self._match(item, documents, share)
        for reason, samples in other.samples.items():
            for sample in samples:
                self._sample(reason, sample)

    def _sample(self, reason: str, sample: Sample) -> None:
        samples = self.samples.setdefault(reason, [])
        insort(samples, sample)
        del samples[SAMPLES:]

    def _match(self, item: str, documents: int, share: float) -> None:
        before, largest = self.matches.get(item, (0, 0.0))
        self.matches[item] = (before + documents, max(largest, share))


class Counts:
    """The counts of every step and source, in the order in which the steps first saw a document."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, StepCounts]] = {}

    def record(self, step: str, document: Document, outcome: Outcome) -> None:
        self.of(step, document.source).add(document, outcome)

    def of(self, step: str, source: str) -> StepCounts:
        return self.steps.setdefault(step, {}).setdefault(source, StepCounts())

    def merge(self, other: Counts) -> None:
        for step, sources in other.steps.items():
            for source, counts in sources.items():
                self.of(step, source).merge(counts)

    def to_json(self) -> dict[str, Any]:
        """step -> source -> counts, with every mapping in the order of its keys: equal counts are equal bytes."""
        return {step: {source: _sorted(asdict(counts)) for source, counts in sorted(sources.items())} for step, sources in self.steps.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Counts:
        counts = cls()
        for step, sources in value.items():
            for source, fields in sources.items():
                samples = {reason: [Sample(**sample) for sample in results] for reason, results in fields["samples"].items()}
                matches = {item: (documents, share) for item, (documents, share) in fields["matches"].items()}
                counts.steps.setdefault(step, {})[source] = StepCounts(**{**fields, "samples": samples, "matches": matches})
        return counts


def run_steps(documents: Iterable[Document], steps: Sequence[Step], counts: Counts) -> Iterator[Document]:
    """The documents that every step keeps, as the steps leave them, in their order; what each step did is added to `counts`."""
    chosen: dict[str, list[Step]] = {}
    for document in documents:
        source = document.source
        if source not in chosen:
            chosen[source] = [step for step in steps if not isinstance(step, ForSources) or source in step.sources]
        for step in chosen[source]:
            outcome = step(document.text)
            counts.record(step.name, document, outcome)
            if outcome.text is None:
                break
            if outcome.text != document.text:
                document = Document(outcome.text, source, document.place)
        else:
            yield document


def pair_of(dropped: Document, kept: Document) -> Pair:
    """Two documents that are alike, cut to where they differ."""
    same = next((at for at, (a, b) in enumerate(zip(dropped.text, kept.text, strict=False)) if a != b), min(len(dropped.text), len(kept.text)))
    shown = slice(max(0, same - BEFORE_CHARS) if same > PAIR_CHARS // 2 else 0, None)
    return Pair(dropped.place, dropped.text[shown][:PAIR_CHARS], kept.place, kept.text[shown][:PAIR_CHARS])


def _sample(document: Document) -> Sample:
    digest = hashlib.blake2b(document.text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return Sample(digest, document.place, document.text[:SAMPLE_CHARS])


def _sorted(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: dict(sorted(value.items())) if isinstance(value, dict) else value for name, value in fields.items()}
