"""`jp-adapt merge explain`: of which models a model was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jp_adapt.core.errors import UsageError
from jp_adapt.core.progress import progress
from jp_adapt.report import terminal

if TYPE_CHECKING:
    from jp_adapt.merging.explain import Estimate, Explanation


def explain_model(model: Path, parents: Mapping[str, Path]) -> Explanation:
    """Estimate from weights alone which of the model folders `parents` made the model, with which coefficients, in each layer.

    Of vision-language models it is the language part that is compared.

    Raises:
        InputError: a folder holds no model, or the parents cannot be told apart.
    """
    from jp_adapt.commands.merge_parents import language_weights
    from jp_adapt.merging.explain import explain_merge

    weights, _ = language_weights(model)
    with progress("reading", len(weights.tensors)) as advance:
        return explain_merge(weights, {name: language_weights(path)[0] for name, path in parents.items()}, advance)


def named_folders(given: list[str]) -> dict[str, Path]:
    """NAME=PATH, or PATH with the folder's name. UsageError where two have one name."""
    results: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        folder = Path(path if equals else text)
        name = name if equals else folder.resolve().name
        if name in results:
            raise UsageError(f"two parents are called '{name}'; give them names: A={results[name]} B={folder}")
        results[name] = folder
    return results


def explanation_lines(explanation: Explanation, base: str | None) -> list[str]:
    """What was estimated, for a terminal: one line a parent, one line a layer.

    Args:
        base: the parent that is meant to be the base of a task arithmetic: the coefficients of the others are its weights.
    """
    whole, names = explanation.whole, explanation.parents
    rows = [(name, _coefficient(whole.coefficients, name, sign=True), _coefficient(explanation.errors, name)) for name in names]
    lines = terminal.table(("parent", "coefficient", "± stderr"), rows)
    lines += [f"sum {sum(whole.coefficients.values()):.4f}; {_unexplained(whole)}"]
    if base is not None and base in names:
        weights = ", ".join(f"{name} {whole.coefficients[name]:.4f}" for name in names if name != base)
        lines += [f"as task arithmetic on '{base}': weights {weights}"]
    layers = []
    for layer, estimate in explanation.layers.items():
        label = "outside" if layer is None else str(layer)
        rest = "–" if estimate.unexplained is None else f"{estimate.unexplained:.2g}"
        layers.append((label, *(_coefficient(estimate.coefficients, name) for name in names), rest))
    lines += ["", *terminal.table(("layer", *names, "unexplained"), layers)]
    if explanation.left_out:
        lines.append(f"not compared, since not all models have them in one shape: {', '.join(explanation.left_out)}")
    return lines


def _coefficient(values: Mapping[str, float], name: str, *, sign: bool = False) -> str:
    return "–" if name not in values else f"{values[name]:{'+' if sign else ''}.4f}"


def _unexplained(estimate: Estimate) -> str:
    rest = estimate.unexplained
    if rest is None:
        return "the parents do not differ"
    if rest < 0.01:
        return f"a mixture of these explains the model (unexplained: {rest:.2g} of the parents' spread)"
    return f"no mixture alone explains the model (unexplained: {rest:.2g} of the parents' spread): a method that selects elements, training, or other parents"
