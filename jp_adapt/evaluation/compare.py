"""Two evaluations of the same items, compared in pairs: what differs, by how much, and whether chance alone would explain it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.core.documents import Tabular
from jp_adapt.core.errors import InputError
from jp_adapt.core.names import distinct_tails
from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.metrics import labels
from jp_adapt.evaluation.metrics.relative import JUDGE_RATIO, JUDGE_REFERENCE, JUDGE_SCORE, mean_ratios
from jp_adapt.evaluation.results import BenchmarkScore, Output, Scores, read_outputs, read_scores
from jp_adapt.evaluation.scoring import as_number, degenerate, item_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.05
LEAST_ITEMS = 30  # fewer items get no verdict: a handful that fell one way says little about the others
RESAMPLES = 1000  # of a metric that only a whole set has
Outcome = Literal["better", "worse", "no difference", "no verdict"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Run:
    """One evaluation: its folder, scores, and items by benchmark and id. `label` is the name that it has among others."""

    path: Path
    scores: Scores
    items: dict[str, dict[str, Output]]
    label: str = ""

    @property
    def name(self) -> str:
        """Of the model, or of the folder where the model has none."""
        return self.label or self.scores.model_name or self.path.name


@dataclass(frozen=True)
class Difference:
    """What a test says of two runs, A and B, on the same items: means over them, B - A with its 95 % interval, the test and its p value, and the difference
    that such a pair would show with 80 % power."""

    a_items: float
    b_items: float
    difference: float
    interval: Interval
    test: str
    p: float
    minimal_detectable_difference: float | None


@dataclass(frozen=True)
class BenchmarkComparison:
    """One benchmark of two runs, A and B. `outcome` says what B is beside A; there is no verdict where the items are too few, or a side's answers are
    degenerate: such a pair is not one of the tests either, and `p_holm` is None."""

    id: str
    name: str
    title: str
    metric: str
    items: int  # that both runs scored
    only_a: int
    only_b: int
    different_prompts: int
    a: float | None
    b: float | None
    chance: float | None
    a_items: float | None = None
    b_items: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    test: str | None = None
    p: float | None = None
    p_holm: float | None = None
    minimal_detectable_difference: float | None = None
    gained: list[str] = field(default_factory=list)  # items that B does better
    lost: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    degenerate: list[str] = field(default_factory=list)  # alarms on the items compared: "A: ...", "B: ..."
    outcome: Outcome = "no verdict"
    verdict: str = ""


@dataclass(frozen=True)
class TextComparison:
    """Bits per character of a text that both runs measured."""

    id: str
    a: float
    b: float


@dataclass(frozen=True)
class Pair:
    """A run beside the first one."""

    model: str
    benchmarks: list[BenchmarkComparison]
    only_in_one: list[str]
    texts: list[TextComparison]


@dataclass(frozen=True)
class ComparedModel:
    """A run that is compared: its name, and the profile that it was measured by."""

    name: str
    profile: str


@dataclass(frozen=True)
class Comparison(Tabular):
    """Runs compared with the first of them; p values are corrected for `tests` tests, and `level` is that of all of them together."""

    models: list[ComparedModel]
    tests: int
    level: float
    pairs: list[Pair]
    format: int = 2

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each pair and benchmark."""
        left_out = {"gained", "lost", "warnings", "degenerate", "interval"}
        results = []
        for pair in self.pairs:
            for entry in pair.benchmarks:
                low, high = entry.interval or (None, None)
                values = {name: value for name, value in asdict(entry).items() if name not in left_out}
                results.append({"model_a": self.models[0].name, "model_b": pair.model, **values, "low": low, "high": high})
        return results


def load_run(path: Path) -> Run:
    """A result folder. InputError where scores.json or outputs.jsonl is missing, broken, or holds an item twice."""
    scores, items = read_scores(path), dict[str, dict[str, Output]]()
    for output in read_outputs(path):
        own = items.setdefault(output.benchmark, {})
        if output.item in own:
            raise InputError(f"{path}: item '{output.item}' of {output.benchmark} stands twice in outputs.jsonl")
        own[output.item] = output
    return Run(path, scores, items)


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Result folders, each under a name of its own: where two models have the same, as much of the path stands behind it as tells them apart."""
    runs = [load_run(path) for path in paths]
    counts = Counter(run.name for run in runs)
    tails = distinct_tails([str(run.path.resolve()) for run in runs])
    return [replace(run, label=f"{run.name} ({tail})") if counts[run.name] > 1 else run for run, tail in zip(runs, tails, strict=True)]


def compare_scores(first: str | Path, *others: str | Path, seed: int = 0) -> Comparison:
    """Compare result folders with the first of them, benchmark by benchmark, item by item.

    Each pair and benchmark: the primary metric of both, the difference (other - first) with its 95 % bootstrap interval over the items, an exact McNemar
    test where every item is right or wrong and a sign-flip test otherwise, the p value after Holm's correction over all of them, the difference that such a
    pair of runs would show with 80 % power, a verdict in words, and which items changed. No verdict is given on fewer than 30 items, nor where a run answers
    the same nearly every time: a constant answer is no evidence.

    Raises:
        InputError: a folder is not an evaluation; or the runs have no benchmark in common, or one of another version, protocol or data: such scores must not
            be compared.
    """
    return compare_runs(load_runs([Path(path) for path in (first, *others)]), seed)


def compare_runs(runs: Sequence[Run], seed: int = 0) -> Comparison:
    """`compare_scores` of runs that are read already."""
    return compare_groups([runs], seed)[0]


def compare_groups(groups: Sequence[Sequence[Run]], seed: int = 0) -> list[Comparison]:
    """`compare_scores` of several groups of runs, such as one for each suite; Holm's correction goes over the tests of all of them."""
    if any(len(runs) < 2 for runs in groups):
        raise InputError("nothing to compare with: give at least two evaluations")
    pairs = [[_pair(runs[0], run, seed) for run in runs[1:]] for runs in groups]
    tested = [entry for group in pairs for pair in group for entry in pair.benchmarks if entry.p is not None and _reason(entry, "", "") is None]
    adjusted = dict(zip(map(id, tested), statistics.holm([entry.p for entry in tested if entry.p is not None]), strict=True))

    def judged(pair: Pair, base: Run) -> Pair:
        return replace(pair, benchmarks=[_judged(replace(entry, p_holm=adjusted.get(id(entry))), base.name, pair.model) for entry in pair.benchmarks])

    return [
        Comparison([ComparedModel(run.name, run.scores.profile) for run in runs], len(tested), LEVEL, [judged(pair, runs[0]) for pair in group])
        for runs, group in zip(groups, pairs, strict=True)
    ]


def _pair(base: Run, run: Run, seed: int) -> Pair:
    """Every benchmark that two runs have in common."""
    ours, theirs = ({entry.id: entry for entry in item.scores.benchmarks} for item in (base, run))
    both = [name for name in ours if name in theirs]
    if not both:
        raise InputError(f"{run.path} and {base.path} have no benchmark in common")
    _refuse_mixed(base, run, both)
    compared = [_benchmark(ours[name], theirs[name], base, run, seed) for name in both]
    return Pair(run.name, compared, sorted(ours.keys() ^ theirs.keys()), _texts(base, run))


def _judged(entry: BenchmarkComparison, a: str, b: str) -> BenchmarkComparison:
    """The comparison with its verdict, for models called `a` and `b`."""
    reason = _reason(entry, a, b)
    if reason is not None or entry.p_holm is None or entry.difference is None:
        return replace(entry, outcome="no verdict", verdict=f"no verdict: {reason}")
    if entry.p_holm < LEVEL:
        better, worse = (b, a) if entry.difference > 0 else (a, b)
        verdict = f"{better} is better than {worse} by {_amount(abs(entry.difference), entry)} (p = {_p(entry.p_holm)})"
        return replace(entry, outcome="better" if entry.difference > 0 else "worse", verdict=verdict)
    mdd = entry.minimal_detectable_difference
    could = f"; a difference below about {_amount(mdd, entry)} would not show in {entry.items} items" if mdd else ""
    return replace(entry, outcome="no difference", verdict=f"{a} and {b} cannot be told apart (p = {_p(entry.p_holm)}){could}")


def _reason(entry: BenchmarkComparison, a: str, b: str) -> str | None:
    """Why there is no verdict; None where there is one."""
    if entry.items < 2:
        return "the runs have no two items in common that both scored"
    if entry.p is None:
        return "the metric is not defined on these items"
    if entry.items < LEAST_ITEMS:
        return f"{entry.items} items are too few; {LEAST_ITEMS} are needed"
    if entry.degenerate:
        names = {"A": a, "B": b}
        return "; ".join(f"{names[alarm[0]]} {alarm[3:]}" for alarm in entry.degenerate)
    return None


def _refuse_mixed(a: Run, b: Run, both: Sequence[str]) -> None:
    """InputError that lists every benchmark whose scores mean different things in the two runs."""
    problems = []
    ours, theirs = ({entry.id: entry for entry in run.scores.benchmarks} for run in (a, b))
    for name in both:
        x, y = ours[name], theirs[name]
        for what, left, right in (("protocol", x.name, y.name), ("version", x.version, y.version), ("metric", x.primary_metric, y.primary_metric)):
            if left != right:
                problems.append(f"{name}: {what} '{left}' in {a.path}, '{right}' in {b.path}")
                break
        else:
            if sorted(x.sha256.values()) != sorted(y.sha256.values()):
                problems.append(f"{name}: the data differs (sha256 of {', '.join(sorted(x.sha256.keys() | y.sha256.keys()))})")
    if problems:
        raise InputError("these scores measure different things and are not compared:\n  " + "\n  ".join(problems))


def _benchmark(x: BenchmarkScore, y: BenchmarkScore, a: Run, b: Run, seed: int) -> BenchmarkComparison:
    ours, theirs = a.items.get(x.id, {}), b.items.get(y.id, {})
    common = [item for item in ours if item in theirs]
    metric = x.primary_metric
    scored = [item for item in common if ours[item].scores.get(metric) is not None and theirs[item].scores.get(metric) is not None]
    whole = set(ours) == set(theirs)
    alarms = [f"{side}: {alarm}" for side, run in (("A", ours), ("B", theirs)) for alarm in degenerate([run[item] for item in scored])]
    entry = BenchmarkComparison(
        id=x.id,
        name=x.name,
        title=x.title,
        metric=metric,
        items=len(scored),
        only_a=len(ours) - len(common),
        only_b=len(theirs) - len(common),
        different_prompts=sum(ours[item].prompt != theirs[item].prompt for item in common),
        a=x.primary.value if whole else None,
        b=y.primary.value if whole else None,
        chance=x.chance,
        warnings=[f"A: {warning}" for warning in x.warnings] + [f"B: {warning}" for warning in y.warnings],
        degenerate=alarms,
    )
    if len(scored) < 2:
        return entry
    left, right = [[float(run[item].scores[metric] or 0.0) for item in scored] for run in (ours, theirs)]
    if metric == JUDGE_RATIO:
        tested = _ratios([ours[item] for item in scored], [theirs[item] for item in scored], seed)
    elif _whole_of(metric) in ("labels", "numbers"):
        tested = _labels([ours[item] for item in scored], [theirs[item] for item in scored], metric, seed)
    else:
        macro = _averages_groups(x, list(ours.values()))
        weights = _weights([ours[item].group for item in scored]) if macro else item_weights(metric, [ours[item] for item in scored])
        tested = _tested(left, right, weights, seed)
    gained = [item for item, u, v in zip(scored, left, right, strict=True) if v > u]
    lost = [item for item, u, v in zip(scored, left, right, strict=True) if v < u]
    entry = replace(entry, gained=gained, lost=lost, **({} if tested is None else vars(tested)))
    return entry if whole else replace(entry, a=entry.a_items, b=entry.b_items)  # the values of what is compared, and not of all that one run measured


def _tested(left: Sequence[float], right: Sequence[float], weights: Sequence[float], seed: int) -> Difference:
    """Difference of the (weighted) means, its interval, test and minimal detectable difference."""
    a, b = [[weight * score for weight, score in zip(weights, scores, strict=True)] for scores in (left, right)]
    difference, interval = (sum(b) - sum(a)) / len(a), statistics.paired_mean_interval(a, b, seed)
    if set(left) | set(right) <= {0.0, 1.0} and len(set(weights)) == 1:
        correct = [score == 1.0 for score in left], [score == 1.0 for score in right]
        test, p, detectable = "McNemar, exact", statistics.mcnemar_p(*correct), statistics.minimal_detectable_difference(*correct)
        return Difference(sum(a) / len(a), sum(b) / len(b), difference, interval, test, p, detectable)
    p, least = statistics.paired_mean_p(a, b, seed), statistics.minimal_detectable_mean_difference(a, b)
    return Difference(sum(a) / len(a), sum(b) / len(b), difference, interval, "sign flips", p, least)


def _labels(ours: Sequence[Output], theirs: Sequence[Output], name: str, seed: int) -> Difference | None:
    """A correlation, MCC, or another metric of labels or numbers."""
    gold = _gold(ours, name) * 2
    answers = [_answer(output, name) for output in (*ours, *theirs)]
    return _whole_set(lambda drawn: labels.resampled(name, answers, gold, drawn), [""] * len(ours), seed)


def _ratios(ours: Sequence[Output], theirs: Sequence[Output], seed: int) -> Difference | None:
    """The ratio of a judge's grades to those of the reference answers."""
    import numpy as np

    groups = [output.group for output in ours]
    scores, references = (np.array([output.scores[name] for output in (*ours, *theirs)], dtype=float) for name in (JUDGE_SCORE, JUDGE_REFERENCE))
    return _whole_set(lambda drawn: mean_ratios(scores[drawn], references[drawn], groups), groups, seed)


def _whole_set(value: Callable[[NDArray[np.int64]], NDArray[np.float64]], groups: Sequence[str], seed: int) -> Difference | None:
    """A metric that only a whole set has: paired bootstrap of the metric itself, items resampled within their groups, and a test that swaps the two runs'
    answers. None where the metric is not defined.

    Args:
        value: of resamples of the answers of both runs, one behind the other, [R, N]; NaN where it is not defined.
    """
    import numpy as np

    generator, size = np.random.default_rng(seed), len(groups)
    everyone = np.arange(size)[None]
    a, b = (float(value(side)[0]) for side in (everyone, everyone + size))
    observed = b - a
    if np.isnan(observed):
        return None
    spread = statistics.bootstrap_within(lambda drawn: value(drawn + size) - value(drawn), groups, generator, RESAMPLES)
    if spread.interval is None or spread.stderr is None:
        return None
    flips = generator.integers(0, 2, (RESAMPLES, size)) * size
    swapped = value(everyone + size - flips) - value(everyone + flips)
    reached = int((np.abs(swapped) >= abs(observed) - 1e-12).sum())
    detectable = (statistics.Z95 + statistics.Z80) * spread.stderr
    return Difference(a, b, observed, spread.interval, "answers swapped at random", (reached + 1) / (RESAMPLES + 1), detectable)


def _whole_of(metric: str) -> str | None:
    """What the metric takes of the whole set; None for a mean over items, as an unknown metric of another program is."""
    return METRICS[metric].whole_of if metric in METRICS else None


def _gold(outputs: Sequence[Output], metric: str) -> list[Any]:
    """Right answers as the metric takes them: numbers for a correlation, labels otherwise."""
    return [as_number(str(output.gold[0])) for output in outputs] if _whole_of(metric) == "numbers" else [output.gold for output in outputs]


def _answer(output: Output, metric: str) -> Any:
    return (output.scores[metric] or 0.0) if _whole_of(metric) == "numbers" else output.prediction


def _averages_groups(entry: BenchmarkScore, outputs: Sequence[Output]) -> bool:
    """Whether a benchmark's value is the mean of its groups: told by the value, from all items that it is of."""
    value, scores = entry.primary.value, [float(output.scores.get(entry.primary_metric) or 0.0) for output in outputs]
    weights = _weights([output.group for output in outputs])
    macro = sum(weight * score for weight, score in zip(weights, scores, strict=True)) / len(scores)
    return value is not None and len(set(weights)) > 1 and abs(macro - value) < 1e-9 < abs(sum(scores) / len(scores) - value)


def _weights(groups: Sequence[str]) -> list[float]:
    """How much each item counts in a mean of group means: by the size of its group. The mean of the weights is 1."""
    sizes = Counter(groups)
    return [len(groups) / len(sizes) / sizes[group] for group in groups]


def _texts(a: Run, b: Run) -> list[TextComparison]:
    """Bits per character of the texts that both runs measured."""
    own = {text.id: text for text in b.scores.texts}
    return [TextComparison(text.id, text.bits_per_char, own[text.id].bits_per_char) for text in a.scores.texts if text.id in own]


def _amount(value: float, entry: BenchmarkComparison) -> str:
    """A difference in the unit of its metric: points of a share, or the metric's own."""
    own = _whole_of(entry.metric) == "numbers" or max(abs(entry.a or 0), abs(entry.b or 0)) > 1
    return f"{value:.3f}" if own else f"{100 * value:.1f} points"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def notes(entry: BenchmarkComparison) -> list[str]:
    """What a reader of one comparison must know besides its figures."""
    results = []
    if entry.only_a or entry.only_b:
        results.append(f"{entry.only_a} items are in A alone and {entry.only_b} in B alone; only the others are compared")
    if entry.different_prompts:
        results.append(f"{entry.different_prompts} items were asked with another prompt")
    alarms = [f"{alarm[:3]}degenerate: {alarm[3:]}" for alarm in entry.degenerate]
    return results + list(dict.fromkeys([*entry.warnings, *alarms]))
