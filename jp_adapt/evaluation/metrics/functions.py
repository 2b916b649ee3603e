"""The functions of the metrics in `jp_adapt.benchmarks.metrics`, imported when one is needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from jp_adapt.benchmarks.metrics import METRICS, Function


def item_function(metric: str) -> Callable[..., float]:
    """The function that scores one item."""
    item = METRICS[metric].item
    assert item is not None, metric
    return _function(item)


def whole_function(metric: str) -> Callable[..., float | None]:
    """The function that scores a whole set; None from it where the metric is not defined."""
    whole = METRICS[metric].whole
    assert whole is not None, metric
    return _function(whole)


def scored_function(metric: str) -> Callable[[Any, Any], float | None]:
    """The function that scores an answer by what the benchmark's `scored_by` gives; None from it where the metric has no score for the item."""
    return item_function(metric)


def over_scores(metric: str) -> Callable[[Any], Any]:
    """The function of the items' scores, [..., N] with NaN for none -> [...]."""
    return whole_function(metric)


@cache
def _function(function: Function) -> Callable[..., Any]:
    if callable(function):
        return function
    module, _, name = function.partition(":")
    return getattr(import_module(f"jp_adapt.evaluation.metrics.{module}"), name)  # type: ignore[no-any-return]
