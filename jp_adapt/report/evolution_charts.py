"""The drawings of an evolution: fitness over candidates, held-out figures on the way, and the genome over the layers."""

from __future__ import annotations

from jp_adapt.report.evolution import FITNESS, Evolution, Figure
from jp_adapt.report.svg import Series, line_chart
from jp_adapt.report.svg_heat import heat_map


def evolution_drawings(evolution: Evolution) -> list[str]:
    """SVG texts: fitness and held-out curves, and a heat map for each parameter that was searched for."""
    return [_fitness(evolution), *_heldout(evolution), *(_genome(evolution, parameter) for parameter in _parameters(evolution))]


def _fitness(evolution: Evolution) -> str:
    numbers = [float(number) for number in range(1, len(evolution.candidates) + 1)]
    whole = [(number, entry.fitness) for number, entry in zip(numbers, evolution.candidates, strict=True) if entry.whole]
    heldout = [(float(point.evaluations), point.heldout[FITNESS]) for point in evolution.heldout_curve]
    uniform = evolution.model(evolution.best_uniform)
    lines = [
        Series("Candidates", [x for x, _ in whole], [y for _, y in whole], 0),
        Series("Best so far", numbers, [entry.best for entry in evolution.candidates], 1),
        Series("Best so far, held out", [x for x, _ in heldout], [y for _, y in heldout], 2),
        Series("Start, held out", [numbers[0], numbers[-1]], [uniform.heldout[FITNESS]] * 2, 4, dashed=True),
    ]
    return line_chart(lines, title="Fitness (lower is better)", x_label="candidates", y_label="weighted loss")


def _heldout(evolution: Evolution) -> list[str]:
    known = evolution.heldout_curve[0].heldout.keys()
    return [_heldout_curve(evolution, figure) for figure in evolution.figures if figure.name != FITNESS and figure.name in known]


def _heldout_curve(evolution: Evolution, figure: Figure) -> str:
    xs = [float(point.evaluations) for point in evolution.heldout_curve]
    parent = min if figure.lower_is_better else max
    best = parent(entry.heldout[figure.name] for entry in evolution.models if entry.kind == "parent")
    uniform = evolution.model(evolution.best_uniform).heldout[figure.name]
    lines = [
        Series("Best so far", xs, [point.heldout[figure.name] for point in evolution.heldout_curve], 2),
        Series("Best parent in this", [xs[0], xs[-1]], [best] * 2, 3, dashed=True),
        Series("Start of the search", [xs[0], xs[-1]], [uniform] * 2, 4, dashed=True),
    ]
    return line_chart(lines, title=f"Held out: {figure.name}", x_label="candidates", y_label=figure.unit)


def _parameters(evolution: Evolution) -> list[str]:
    return list(dict.fromkeys(entry.parameter for entry in evolution.genes))


def _genome(evolution: Evolution, parameter: str) -> str:
    genes = [entry for entry in evolution.genes if entry.parameter == parameter]
    rows = list(dict.fromkeys((entry.model, entry.module) for entry in genes))
    values = {(entry.model, entry.module, entry.layers): entry.best for entry in genes}
    return heat_map(
        [model if module is None else f"{model}, {module}" for model, module in rows],
        [f"{first}\u2013{end - 1}" for first, end in evolution.groups],
        [[values.get((*row, span)) for span in evolution.groups] for row in rows],
        title=f"{parameter.capitalize()} by layers",
        low=min(entry.low for entry in genes),
        high=max(entry.high for entry in genes),
    )
