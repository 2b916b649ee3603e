"""The figures of a run as typed documents: what an evaluate stage measured (evaluation.json), and the summary of the whole run (summary.json)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from jp_adapt.core.documents import Document, Tabular
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.compare import BenchmarkComparison
from jp_adapt.report.evolution import Evolution
from jp_adapt.tokenizer.measure import Chip

EVALUATION, SUMMARY = "evaluation.json", "summary.json"
Interval = tuple[float, float]
Role = Literal["base", "adapted"]
ROLES: tuple[Role, Role] = ("base", "adapted")  # the first model is the one that the second is compared with


@dataclass(frozen=True)
class ModelFacts:
    """A model that was measured."""

    name: str
    vocab_size: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class TextFigures:
    """One model on one held-out text."""

    tokens: int
    chars_per_token: float
    tokens_per_word: float | None
    bits_per_char: float
    bits_per_byte: float
    bits_per_end: float | None = None


@dataclass(frozen=True)
class BitsDifference:
    """Adapted minus base in bits per character, with the 95 % interval of the paired difference."""

    bits_per_char: float
    interval: Interval


@dataclass(frozen=True)
class HeldOutText:
    """A held-out text with the figures of the models that were measured on it. `sha256`: of its documents; None where an earlier version measured them."""

    id: str
    language: str
    documents: int
    chars: int
    bytes: int
    base: TextFigures | None = None
    adapted: TextFigures | None = None
    difference: BitsDifference | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class BenchmarkSide:
    """One model's primary metric, as a share of a perfect score."""

    value: float | None
    interval: Interval | None = None
    moved_boundaries: int = 0
    truncated_items: int = 0


@dataclass(frozen=True)
class BenchmarkResult:
    """A benchmark of the evaluate stage. `comparison` is what `evaluation/compare` says of the two models, in the metric's own unit, and `perfect` the best
    value in that unit."""

    id: str
    name: str
    title: str
    version: str
    licence: str
    sha256: dict[str, str]
    metric: str
    items: int
    chance: float | None
    perfect: float = 1.0
    warnings: list[str] = field(default_factory=list)
    base: BenchmarkSide | None = None
    adapted: BenchmarkSide | None = None
    comparison: BenchmarkComparison | None = None


@dataclass(frozen=True)
class SegmentedSentence:
    """A sentence as the tokens of each model; empty for one that was not measured."""

    text: str
    base: list[Chip] = field(default_factory=list)
    adapted: list[Chip] = field(default_factory=list)


@dataclass(frozen=True)
class SampleText:
    """What each model wrote after a prompt."""

    prompt: str
    base: str | None = None
    adapted: str | None = None


@dataclass(frozen=True)
class StageEvaluation(Document):
    """All that an evaluate stage measured: evaluation.json in its folder. The results of `jp-adapt eval` lie beside it, a folder for each model."""

    WHAT: ClassVar[str] = "the figures of an evaluate stage"
    WAY_OUT: ClassVar[str] = "measure again with `jp-adapt run ... --from ID`, the id of the stage; what lies there is kept"
    FORMAT: ClassVar[int] = 2

    models: dict[str, ModelFacts] = field(default_factory=dict)
    texts: list[HeldOutText] = field(default_factory=list)
    benchmarks: list[BenchmarkResult] = field(default_factory=list)
    tests: int = 0  # over which the p values are corrected
    segmentation: list[SegmentedSentence] = field(default_factory=list)
    samples: list[SampleText] = field(default_factory=list)
    format: Literal[2] = 2


@dataclass(frozen=True)
class Figures:
    """A figure before and after."""

    base: float | None = None
    adapted: float | None = None


@dataclass(frozen=True)
class Headline:
    """The three figures that a run is judged by."""

    chars_per_token: Figures = Figures()
    bits_per_char_ja: Figures = Figures()
    bits_per_byte_en: Figures = Figures()


@dataclass(frozen=True)
class RunFacts:
    """What the run is."""

    name: str
    title: str
    created: str
    jp_adapt: str
    seed: int
    elapsed_s: float


@dataclass(frozen=True)
class Control:
    """Another run beside this one, with its own figures; `training_s` of the one and of the other say how long each trained, held-out measures included.

    What both must have in common: base (`base_sha256`, of its files) and held-out texts. Controls that earlier versions wrote have neither, and no benchmarks.
    """

    name: str
    title: str
    created: str
    headline: Headline
    training_s: float
    base: dict[str, Any] = field(default_factory=dict)
    base_sha256: str | None = None
    texts: list[HeldOutText] = field(default_factory=list)
    benchmarks: list[BenchmarkResult] = field(default_factory=list)

    def score(self, one: BenchmarkResult) -> float | None:
        """What its model scored on a benchmark, as a share of a perfect score; None where it was not measured on the same items in the same way."""
        same = (entry for entry in self.benchmarks if (entry.name, entry.sha256, entry.items) == (one.name, one.sha256, one.items))
        side = next((entry.adapted for entry in same), None)
        return side.value if side is not None else None


@dataclass(frozen=True)
class StepFigures:
    """One step of a training stage; None for a figure that was not measured, or is not a number. `new_tokens`: in use, where they come in little by little."""

    step: int
    tokens: int
    elapsed_s: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    loss_nats_per_token: float | None = None
    loss_bits_per_char: float | None = None
    new_tokens: int | None = None


@dataclass(frozen=True)
class HeldOutFigures:
    """Held-out text at one step."""

    step: int
    tokens: int
    bits_per_char_ja: float | None = None
    bits_per_byte_en: float | None = None


@dataclass(frozen=True)
class TrainingSample:
    """What the model in training wrote after a prompt."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class TrainingCurve:
    """The steps and held-out figures of a training stage: of the texts `heldout_ja` and `heldout_en`, the first `heldout_chars` characters of each. `done` says
    whether the stage is finished. `samples`: those of the first step that has any, and of the last."""

    stage: str
    kind: str
    steps: list[StepFigures] = field(default_factory=list)
    heldout: list[HeldOutFigures] = field(default_factory=list)
    heldout_ja: str | None = None
    heldout_en: str | None = None
    heldout_chars: int | None = None
    done: bool = True
    samples: list[TrainingSample] = field(default_factory=list)

    @property
    def phases(self) -> list[tuple[int, int]]:
        """(new tokens in use, step from which on) where they come in little by little."""
        first: dict[int, int] = {}
        for step in self.steps:
            if step.new_tokens is not None:
                first.setdefault(step.new_tokens, step.step)
        return list(first.items())


@dataclass(frozen=True)
class NewToken:
    """A new token with its count in the corpus."""

    token: str
    count: int


@dataclass(frozen=True)
class AddedTokens:
    """What a tokenizer stage added: new tokens by script, the most used ones, and the criteria, each of which must be 0."""

    new_tokens: int
    by_script: dict[str, int]
    examples: list[NewToken]
    criteria: dict[str, int]


@dataclass(frozen=True)
class InputFile:
    """A file that the run read."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class StageFacts:
    """A finished stage. `pages`: reports that it wrote, relative to the run folder."""

    id: str
    kind: str
    elapsed_s: float | None
    fingerprint: str
    peak_memory_bytes: int | None
    pages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Provenance:
    """Where everything came from, and the commands that repeat the run. `base_sha256`: of the base's files or its commit; None before a stage used it."""

    base: dict[str, Any]
    inputs: list[InputFile]
    env: dict[str, Any]
    stages: list[StageFacts]
    repeat: list[str]
    base_sha256: str | None = None


@dataclass(frozen=True)
class RunSummary(Document, Tabular):
    """Every figure of a run: report/summary.json. `waiting` names the stages that are not finished."""

    WHAT: ClassVar[str] = "the summary of a run"
    WAY_OUT: ClassVar[str] = "write it again with `jp-adapt report RUN`"
    FORMAT: ClassVar[int] = 2

    headline: Headline
    run: RunFacts
    evaluation: StageEvaluation
    training: list[TrainingCurve]
    tokenizer: AddedTokens | None
    provenance: Provenance
    evolutions: list[Evolution] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    control: Control | None = None
    format: Literal[2] = 2

    @property
    def training_s(self) -> float:
        """Seconds that the finished training stages took."""
        trained = {curve.stage for curve in self.training}
        return sum(stage.elapsed_s or 0.0 for stage in self.provenance.stages if stage.id in trained)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each step of each training stage: its losses, and the held-out figures where they were measured."""
        results = []
        for curve in self.training:
            heldout = {entry.step: entry for entry in curve.heldout}
            steps = {entry.step: entry for entry in curve.steps}
            for step in sorted(heldout.keys() | steps.keys()):
                row: dict[str, Any] = {"run": self.run.name, "stage": curve.stage, "step": step}
                row |= vars(steps.get(step) or StepFigures(step, heldout[step].tokens)) | vars(heldout.get(step) or HeldOutFigures(step, steps[step].tokens))
                results.append(row)
        return results


def read_control(path: Path) -> Control:
    """The figures of another run, by its folder or its summary.json. InputError where it has none, or measured none of the headline's."""
    file = path / "report" / SUMMARY if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file; the control is a run's folder, or its report/summary.json (`jp-adapt report RUN` writes one)")
    summary = RunSummary.read(file)
    if summary.headline == Headline():
        raise InputError(f"{file}: this run measured none of the headline's figures; give one with an evaluate stage that has 'texts'")
    return Control(
        summary.run.name,
        summary.run.title,
        summary.run.created,
        summary.headline,
        summary.training_s,
        summary.provenance.base,
        summary.provenance.base_sha256,
        [replace(text, base=None, adapted=None, difference=None) for text in summary.evaluation.texts],
        [replace(entry, base=None, comparison=None, warnings=[]) for entry in summary.evaluation.benchmarks],
    )


def headline_text(texts: Sequence[HeldOutText], language: str) -> HeldOutText | None:
    """The text that the headline's figures of a language are of: the first one."""
    return next((text for text in texts if text.language == language), None)


def check_control(summary: RunSummary, control: Control) -> list[str]:
    """What of a run and its control cannot be compared, as an earlier version wrote one of them. InputError where they differ in base or held-out text."""
    own, wrong, unknown = summary.provenance, [], []
    if None in (own.base_sha256, control.base_sha256) or ("model" in own.base) != ("model" in control.base):  # a hub's commit is no hash of files
        unknown.append("base")
    elif own.base_sha256 != control.base_sha256:
        wrong.append(f"its base is {_base_name(control.base, control.base_sha256)}, this run's {_base_name(own.base, own.base_sha256)}")
    for language in ("ja", "en"):
        ours, other = (headline_text(texts, language) for texts in (summary.evaluation.texts, control.texts))
        if ours is None or (other is None and control.texts):
            continue
        if other is None or (None in (ours.sha256, other.sha256) and _size(ours) == _size(other)):
            unknown.append(f"text {ours.id}")
        elif (ours.sha256, _size(ours)) != (other.sha256, _size(other)):
            wrong.append(f"it is measured on other text: {_text_name(other)}, this run on {_text_name(ours)}")
    if wrong:
        raise InputError(f"control {control.name} does not stand beside run {summary.run.name}: {'; '.join(wrong)}; give a run on the same base and texts")
    return unknown


def _base_name(base: dict[str, Any], sha256: str | None) -> str:
    named = next((str(base[key]) for key in ("file", "path", "model") if key in base), "unknown")
    return f"{named} ({str(sha256)[:12]}...)"


def _size(text: HeldOutText) -> tuple[int, int, int]:
    return text.documents, text.chars, text.bytes


def _text_name(text: HeldOutText) -> str:
    return f"{text.id} ({text.chars:,} characters, hash {text.sha256[:12] + '...' if text.sha256 else 'unknown'})"
