"""Two evaluations of the same items, compared in pairs: what differs, by how much, and whether chance alone would explain it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.metrics import labels
from jp_adapt.evaluation.results import BenchmarkScore, Output, Scores, read_outputs, read_scores
from jp_adapt.evaluation.scoring import as_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.05
RESAMPLES = 1000  # of a metric that only a whole set has
Report = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One evaluation: its folder, scores, and items by benchmark and id."""

    path: Path
    scores: Scores
    items: dict[str, dict[str, Output]]

    @property
    def name(self) -> str:
        """Of the model, or of the folder where the model has none."""
        return str(self.scores.model.get("name") or self.path.name)


def load_run(path: Path) -> Run:
    """A result folder. InputError where scores.json or outputs.jsonl is missing, broken, or holds an item twice."""
    scores, items = read_scores(path), dict[str, dict[str, Output]]()
    for output in read_outputs(path):
        mine = items.setdefault(output.benchmark, {})
        if output.item in mine:
            raise InputError(f"{path}: item '{output.item}' of {output.benchmark} stands twice in outputs.jsonl")
        mine[output.item] = output
    return Run(path, scores, items)


def compare_scores(first: str | Path, *others: str | Path, seed: int = 0) -> Report:
    """Compare result folders with the first of them, benchmark by benchmark, item by item.

    Each pair and benchmark: the primary metric of both, the difference (other - first) with its 95 % bootstrap interval over the items, an exact McNemar
    test where every item is right or wrong and a sign-flip test otherwise, the p value after Holm's correction over all of them, the difference that such a
    pair of runs would show with 80 % power, a verdict in words, and which items changed.

    Raises:
        InputError: a folder is no evaluation; or the runs have no benchmark in common, or one of another version, protocol or data: such scores must not
            be compared.
    """
    return compare_runs([load_run(Path(path)) for path in (first, *others)], seed)


def compare_runs(runs: Sequence[Run], seed: int = 0) -> Report:
    """`compare_scores` of runs that are read already."""
    if len(runs) < 2:
        raise InputError("nothing to compare with: give at least two evaluations")
    base, *rest = runs
    pairs = [_pair(base, run, seed) for run in rest]
    tests = [entry for pair in pairs for entry in pair["benchmarks"] if entry["p"] is not None]
    for entry, adjusted in zip(tests, statistics.holm([entry["p"] for entry in tests]), strict=True):
        entry["p_holm"] = adjusted
    for run, pair in zip(rest, pairs, strict=True):
        for entry in pair["benchmarks"]:
            entry["verdict"] = verdict(entry, base.name, run.name)
    models = [{"name": run.name, "path": str(run.path), "profile": run.scores.profile} for run in (base, *rest)]
    return {"format": 1, "models": models, "tests": len(tests), "level": LEVEL, "pairs": pairs}


def _pair(base: Run, run: Run, seed: int) -> Report:
    """Every benchmark that two runs have in common."""
    ours, theirs = ({entry.id: entry for entry in one.scores.benchmarks} for one in (base, run))
    both = [name for name in ours if name in theirs]
    if not both:
        raise InputError(f"{run.path} and {base.path} have no benchmark in common")
    _refuse_mixed(base, run, both)
    return {
        "model": run.name,
        "benchmarks": [_benchmark(ours[name], theirs[name], base, run, seed) for name in both],
        "only_in_one": sorted(ours.keys() ^ theirs.keys()),
        "texts": _texts(base, run),
    }


def verdict(entry: Report, a: str, b: str) -> str:
    """One benchmark's comparison in words."""
    if entry["p_holm"] is None:
        return "not tested: the runs have no item in common that both scored"
    difference, mdd = entry["difference"], entry["minimal_detectable_difference"]
    if entry["p_holm"] < LEVEL:
        better, worse = (b, a) if difference > 0 else (a, b)
        return f"{better} is better than {worse} by {_amount(abs(difference), entry)} (p = {_p(entry['p_holm'])})"
    could = f"; a difference below about {_amount(mdd, entry)} would not show in {entry['items']} items" if mdd else ""
    return f"{a} and {b} cannot be told apart (p = {_p(entry['p_holm'])}){could}"


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


def _benchmark(x: BenchmarkScore, y: BenchmarkScore, a: Run, b: Run, seed: int) -> Report:
    ours, theirs = a.items.get(x.id, {}), b.items.get(y.id, {})
    common = [item for item in ours if item in theirs]
    metric = x.primary_metric
    scored = [item for item in common if ours[item].scores.get(metric) is not None and theirs[item].scores.get(metric) is not None]
    entry: Report = {
        "id": x.id,
        "name": x.name,
        "title": x.title,
        "metric": metric,
        "items": len(scored),
        "only_a": len(ours) - len(common),
        "only_b": len(theirs) - len(common),
        "different_prompts": sum(ours[item].prompt != theirs[item].prompt for item in common),
        "a": x.metrics[metric].value,
        "b": y.metrics[metric].value,
        "chance": x.chance,
        "difference": None,
        "interval": None,
        "test": None,
        "p": None,
        "p_holm": None,
        "minimal_detectable_difference": None,
        "gained": [],
        "lost": [],
        "warnings": [f"A: {warning}" for warning in x.warnings] + [f"B: {warning}" for warning in y.warnings],
    }
    if len(scored) < 2:
        return entry
    left, right = [[float(run[item].scores[metric] or 0.0) for item in scored] for run in (ours, theirs)]
    if METRICS[metric].whole_of in ("labels", "numbers"):
        return entry | _whole_set([ours[item] for item in scored], [theirs[item] for item in scored], metric, seed) | _changes(scored, left, right)
    weights = _weights(x, [ours[item].group for item in scored], left)
    return entry | _tested(left, right, weights, seed) | _changes(scored, left, right)


def _tested(left: Sequence[float], right: Sequence[float], weights: Sequence[float], seed: int) -> Report:
    """Difference of the (weighted) means, its interval, test and minimal detectable difference."""
    a, b = [[weight * score for weight, score in zip(weights, scores, strict=True)] for scores in (left, right)]
    found: Report = {
        "a_items": sum(a) / len(a),
        "b_items": sum(b) / len(b),
        "difference": (sum(b) - sum(a)) / len(a),
        "interval": statistics.paired_mean_interval(a, b, seed),
    }
    if set(left) | set(right) <= {0.0, 1.0} and len(set(weights)) == 1:
        correct = [score == 1.0 for score in left], [score == 1.0 for score in right]
        return found | {
            "test": "McNemar, exact",
            "p": statistics.mcnemar_p(*correct),
            "minimal_detectable_difference": statistics.minimal_detectable_difference(*correct),
        }
    return found | {
        "test": "sign flips",
        "p": statistics.paired_mean_p(a, b, seed),
        "minimal_detectable_difference": statistics.minimal_detectable_mean_difference(a, b),
    }


def _whole_set(ours: Sequence[Output], theirs: Sequence[Output], name: str, seed: int) -> Report:
    """A metric that only a whole set has (a correlation, MCC): paired bootstrap of the metric itself, and a test that swaps the two runs' answers."""
    import numpy as np

    gold = _gold(ours, name)
    answers = [_answer(output, name) for output in (*ours, *theirs)]
    generator, size = np.random.default_rng(seed), len(gold)

    def differences(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of resamples whose items are `left` and `right` among the answers of both runs, [R, N]; NaN where one of the two is not defined."""
        return labels.resampled(name, answers, [*gold, *gold], right) - labels.resampled(name, answers, [*gold, *gold], left)

    everyone = np.arange(size)[None]
    observed = float(differences(everyone, everyone + size)[0])
    if np.isnan(observed):
        return {}
    drawn = generator.integers(0, size, (RESAMPLES, size))
    flips = generator.integers(0, 2, (RESAMPLES, size)) * size
    known = differences(drawn, drawn + size)
    known = np.sort(known[~np.isnan(known)])
    reached = int((np.abs(differences(everyone + flips, everyone + size - flips)) >= abs(observed) - 1e-12).sum())
    return {
        "difference": observed,
        "interval": (float(known[round(0.025 * (len(known) - 1))]), float(known[round(0.975 * (len(known) - 1))])),
        "test": "answers swapped at random",
        "p": (reached + 1) / (RESAMPLES + 1),
        "minimal_detectable_difference": (statistics.Z95 + statistics.Z80) * float(np.std(known)),
    }


def _gold(outputs: Sequence[Output], metric: str) -> list[Any]:
    """Right answers as the metric takes them: numbers for a correlation, labels otherwise."""
    return [as_number(str(output.gold[0])) for output in outputs] if METRICS[metric].whole_of == "numbers" else [output.gold for output in outputs]


def _answer(output: Output, metric: str) -> Any:
    return (output.scores[metric] or 0.0) if METRICS[metric].whole_of == "numbers" else output.prediction


def _weights(entry: BenchmarkScore, groups: Sequence[str], scores: Sequence[float]) -> list[float]:
    """How much each item counts: the same, or, where the benchmark's value is the mean of its groups, by the size of its group. Their mean is 1."""
    value, count = entry.metrics[entry.primary_metric].value, len(scores)
    sizes = Counter(groups)
    weights = [count / len(sizes) / sizes[group] for group in groups]
    macro = sum(weight * score for weight, score in zip(weights, scores, strict=True)) / count
    plain = sum(scores) / count
    if value is not None and len(sizes) > 1 and abs(macro - value) < 1e-9 < abs(plain - value):
        return weights
    return [1.0] * count


def _changes(items: Sequence[str], left: Sequence[float], right: Sequence[float]) -> Report:
    """Items that the second run does better, and those it does worse."""
    return {
        "gained": [item for item, x, y in zip(items, left, right, strict=True) if y > x],
        "lost": [item for item, x, y in zip(items, left, right, strict=True) if y < x],
    }


def _texts(a: Run, b: Run) -> list[Report]:
    """Bits per character of the texts that both runs measured."""
    mine = {text["id"]: text for text in b.scores.texts}
    return [{"id": text["id"], "a": text["bits_per_char"], "b": mine[text["id"]]["bits_per_char"]} for text in a.scores.texts if text["id"] in mine]


def _amount(value: float, entry: Report) -> str:
    """A difference in the unit of its metric: points of a share, or the metric's own."""
    facts = METRICS[entry["metric"]]
    own = facts.whole_of == "numbers" or facts.perfect != 1
    return f"{value:.3f}" if own else f"{100 * value:.1f} points"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def notes(entry: Report) -> list[str]:
    """What a reader of one comparison must know besides its figures."""
    found = []
    if entry["only_a"] or entry["only_b"]:
        found.append(f"{entry['only_a']} items are in A alone and {entry['only_b']} in B alone; only the others are compared")
    if entry["different_prompts"]:
        found.append(f"{entry['different_prompts']} items were asked with another prompt")
    return found + list(entry["warnings"])
