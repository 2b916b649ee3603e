"""What a parameter is for one tensor: a number, numbers spread over the layers, or the first of several conditions that holds. Nothing here imports torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

DENSITY_STEPS = 20  # densities that are searched for are multiples of 1/20, so that the thresholds of TIES come from one small table
LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


@dataclass(frozen=True)
class Place:
    """Where a tensor of the merged model stands.

    Attributes:
        name: of the tensor in the merged model.
        layer: its layer there; None for embedding, last norm and head.
        depth: from 0 for the first layer of its slice to 1 for the last; 0 outside of layers.
    """

    name: str
    layer: int | None
    depth: float


@dataclass(frozen=True)
class Condition:
    """A value for the tensors whose name contains `module` and whose layer is in `layers` (first, and first no more); None: any."""

    value: float | tuple[float, ...]
    module: str | None = None
    layers: tuple[int, int] | None = None

    def holds(self, place: Place) -> bool:
        if self.layers is not None and (place.layer is None or not self.layers[0] <= place.layer < self.layers[1]):
            return False
        return self.module is None or self.module in place.name


Setting = float | tuple[float, ...] | tuple[Condition, ...]


def value_at(setting: Setting, place: Place) -> float | None:
    """The value for a tensor; None where no condition holds. Several numbers are values at even distances of depth, with lines between them."""
    if isinstance(setting, (int, float)):
        return float(setting)
    if isinstance(setting[0], Condition):
        condition = next((entry for entry in setting if isinstance(entry, Condition) and entry.holds(place)), None)
        return None if condition is None else value_at(condition.value, place)
    return _between([float(entry) for entry in setting if not isinstance(entry, Condition)], place.depth)


def _between(values: Sequence[float], depth: float) -> float:
    position = depth * (len(values) - 1)
    first = min(int(position), len(values) - 1)
    after = min(first + 1, len(values) - 1)
    share = position - first
    return values[first] if share == 0 else (1 - share) * values[first] + share * values[after]


def steps_between(low: float, high: float) -> tuple[int, int]:
    """The first and the last step of densities within bounds; the last is before the first where there is none."""
    return math.ceil(low * DENSITY_STEPS - 1e-9), math.floor(high * DENSITY_STEPS + 1e-9)


def layer_of(name: str) -> int | None:
    """The number of the layer in a tensor's name."""
    match = LAYER.search(name)
    return int(match.group(1)) if match else None


def in_layer(name: str, layer: int) -> str:
    """The name that the tensor has in another layer."""
    match = LAYER.search(name)
    assert match is not None, name
    return name[: match.start(1)] + str(layer) + name[match.end(1) :]


def numbers_in(setting: Setting) -> list[float]:
    """Every number of a setting."""
    if isinstance(setting, (int, float)):
        return [float(setting)]
    return [number for entry in setting for number in (numbers_in(entry.value) if isinstance(entry, Condition) else [float(entry)])]
