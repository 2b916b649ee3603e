"""Which tensors the merged model has, and for each of them: the tensors it is made of and the parameters of the method there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.merging.checkpoint import TensorInfo, Weights
from jp_adapt.merging.settings import Condition, Place, Setting, in_layer, layer_of, value_at
from jp_adapt.merging.table import Method

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
Settings = Mapping[str, Setting]  # parameter -> what it is


@dataclass(frozen=True)
class Parent:
    """A model that is merged; `tied`: its head is its embedding."""

    weights: Weights
    tied: bool

    @cached_property
    def tensors(self) -> dict[str, str]:
        """Name in the architecture -> name in the file; a tied head stands under the embedding's."""
        own = {name: name for name in self.weights.tensors if not (self.tied and name == HEAD)}
        return own | {HEAD: EMBEDDING} if self.tied else own

    @cached_property
    def layers(self) -> int:
        return 1 + max((layer for name in self.weights.tensors if (layer := layer_of(name)) is not None), default=-1)

    @property
    def rows_without_head(self) -> int:
        """Rows of the embedding for which the head has none: tokens that the model reads and never writes (the image's, in Mllama)."""
        return self.info(EMBEDDING).shape[0] - self.info(HEAD).shape[0] if HEAD in self.tensors else 0

    def info(self, name: str) -> TensorInfo:
        return self.weights.tensors[self.tensors[name]]


@dataclass(frozen=True)
class Slice:
    """Layers of the merged model: for each model that takes part the first of its layers and the one behind the last, and its settings there."""

    layers: Mapping[str, tuple[int, int]]
    settings: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def length(self) -> int:
        first, end = next(iter(self.layers.values()))
        return end - first


@dataclass(frozen=True)
class Job:
    """One tensor of the merged model.

    Attributes:
        sources: model -> name of its tensor, in the order of the models.
        info: shape and type of the result.
        per_model: parameter -> its values, one for each model but the base.
        shared: parameter -> its value.
    """

    place: Place
    sources: Mapping[str, str]
    info: TensorInfo
    per_model: Mapping[str, list[float]]
    shared: Mapping[str, float]


def whole_models(parents: Mapping[str, Parent]) -> list[Slice]:
    """The one slice of a merge that stacks nothing. InputError where the models have different numbers of layers."""
    counts = {name: parent.layers for name, parent in parents.items()}
    if len(set(counts.values())) > 1:
        given = ", ".join(f"'{name}' {count}" for name, count in counts.items())
        raise InputError(f"the models have different numbers of layers ({given}); say in 'slices' which layers of each are merged")
    return [Slice({name: (0, count) for name, count in counts.items()})]


def plan(
    method: Method,
    parents: Mapping[str, Parent],
    slices: Sequence[Slice],
    *,
    base: str | None,
    rows: int,
    settings: Mapping[str, Settings],
    shared: Settings,
    dtype: torch.dtype | None = None,
    rows_without_head: int = 0,
    around: str | None = None,
) -> list[Job]:
    """The jobs of a merge, in the order of the model: embedding, layers, norm, head.

    Args:
        base: the model that the others differ from, for methods that merge differences.
        rows: of embedding and head of the merged model; the head lacks the last `rows_without_head`.
        around: the model whose embedding, last norm and head are kept; by default the embedding is of the first slice, norm and head are of the last.
        settings: model -> its parameters; those of a slice go before them.
        shared: parameters of the merge.
        dtype: of the result; by default that of the base's tensor, else of the first model's.

    Raises:
        UsageError: a parameter that has no default has no value for a tensor, or a slice has layers or models that it cannot have.
        InputError: the tensors of the models do not match.
    """
    _check_slices(method, slices, parents, base)
    planner = _Planner(method, parents, base, {EMBEDDING: rows, HEAD: rows - rows_without_head}, settings, shared, dtype)
    first, last = ends(slices, around)
    jobs = [planner.job(first, EMBEDDING, Place(EMBEDDING, None, 0.0))]
    number = 0
    for part in slices:
        for offset in range(part.length):
            depth = offset / (part.length - 1) if part.length > 1 else 1.0
            jobs += [planner.job(part, name, Place(in_layer(name, number), number, depth), offset) for name in planner.layer_names(part, offset)]
            number += 1
    tied = all(parents[name].tied for part in (slices if around is None else [first]) for name in part.layers)
    outside = [name for name in planner.outside_names(last) if name != EMBEDDING and not (tied and name == HEAD)]
    jobs += [planner.job(last, name, Place(name, None, 0.0)) for name in outside]
    for owner, own in (*settings.items(), (None, shared)):
        _check_conditions(owner, own, [job.place for job in jobs])
    return jobs


def ends(slices: Sequence[Slice], around: str | None) -> tuple[Slice, Slice]:
    """Whose embedding, and whose last norm and head are kept."""
    return (slices[0], slices[-1]) if around is None else (Slice({around: (0, 1)}), Slice({around: (0, 1)}))


def _check_conditions(model: str | None, own: Settings, places: Sequence[Place]) -> None:
    """UsageError for a condition that holds nowhere: a module that is misspelled, or layers that the model does not have."""
    for parameter, setting in own.items():
        for condition in setting if isinstance(setting, tuple) else ():
            if isinstance(condition, Condition) and not any(condition.holds(place) for place in places):
                layers = "" if condition.layers is None else f" in layers {condition.layers[0]} to {condition.layers[1] - 1}"
                wanted = "no tensor" if condition.module is None else f"no tensor with '{condition.module}' in its name"
                whose = parameter if model is None else f"{parameter} of '{model}'"
                raise UsageError(f"{whose}: there is {wanted}{layers}, for which it has a value; names are those of model.safetensors (self_attn, mlp, ...)")


@dataclass(frozen=True)
class _Planner:
    method: Method
    parents: Mapping[str, Parent]
    base: str | None
    rows: Mapping[str, int]
    settings: Mapping[str, Settings]
    shared: Settings
    dtype: torch.dtype | None

    def layer_names(self, part: Slice, offset: int) -> list[str]:
        """Names of the tensors of a layer, as the first model of the slice has them; the others must have the same."""
        return self._same_names(part, {model: first + offset for model, (first, _) in part.layers.items()})

    def outside_names(self, part: Slice) -> list[str]:
        """Names of the tensors outside of layers, the head last."""
        return sorted(self._same_names(part, dict.fromkeys(part.layers)), key=lambda name: name == HEAD)

    def _same_names(self, part: Slice, layers: Mapping[str, int | None]) -> list[str]:
        names = {
            model: [name if layer is None else in_layer(name, 0) for name in self.parents[model].tensors if layer_of(name) == layer]
            for model, layer in layers.items()
        }
        (first, known), *others = names.items()
        for model, own in others:
            if odd := sorted(set(own) ^ set(known)):
                has, lacks = (model, first) if odd[0] in own else (first, model)
                raise InputError(f"'{has}' has a tensor {odd[0]} and '{lacks}' has none: these are two architectures; take models of one base")
        start = layers[first]
        return known if start is None else [in_layer(name, start) for name in known]

    def job(self, part: Slice, name: str, place: Place, offset: int | None = None) -> Job:
        """The job for the tensor that the first model of the slice calls `name`."""
        own = {model: name if offset is None else in_layer(name, first + offset) for model, (first, _) in part.layers.items()}
        infos = {model: self.parents[model].info(own[model]) for model in own}
        leading = self.base if self.method.base and self.base is not None else next(iter(infos))
        shape = infos[leading].shape
        if name in self.rows:
            shape = (self.rows[name], *shape[1:])
        for model, info in infos.items():
            if info.shape[1:] != shape[1:] or (info.shape != shape and name not in self.rows):
                raise InputError(f"{place.name} is {list(info.shape)} in '{model}' and {list(infos[leading].shape)} in '{leading}'; take models of one size")
        merged = [model for model in own if not (self.method.base and model == self.base)]
        per_model = {
            parameter: [self._value(parameter, default, part, model, place) for model in merged] for parameter, default in self.method.per_model.items()
        }
        shared = {parameter: self._shared(parameter, default, place) for parameter, default in self.method.shared.items()}
        sources = {model: self.parents[model].tensors[tensor] for model, tensor in own.items()}
        return Job(place, sources, TensorInfo(shape, self.dtype or infos[leading].dtype), per_model, shared)

    def _value(self, parameter: str, default: float | None, part: Slice, model: str, place: Place) -> float:
        for scope in (part.settings.get(model, {}), self.settings.get(model, {})):
            if parameter in scope and (value := value_at(scope[parameter], place)) is not None:
                return value
        if default is None:
            way_out = f"give '{parameter}', or end its list with {{value: NUMBER}}"
            raise UsageError(f"'{model}' has no {parameter} for {place.name}; {self.method.name} needs one, and it has no default: {way_out}")
        return default

    def _shared(self, parameter: str, default: float | bool | None, place: Place) -> float:
        if parameter in self.shared and (value := value_at(self.shared[parameter], place)) is not None:
            return value
        if default is None:
            raise UsageError(f"{self.method.name} has no {parameter} for {place.name}; it needs one, and it has no default")
        return float(default)


def _check_slices(method: Method, slices: Sequence[Slice], parents: Mapping[str, Parent], base: str | None) -> None:
    fewest, most = method.models
    for number, part in enumerate(slices):
        place = f"slice {number}: " if len(slices) > 1 else ""
        count = len(part.layers) - (method.base and base in part.layers)
        if count < fewest or (most is not None and count > most):
            asked = f"{fewest}" if fewest == most else f"at least {fewest}" if most is None else f"{fewest} to {most}"
            raise UsageError(f"{place}{method.name} merges {asked} models{' and a base' if method.base else ''}, and {count} are given")
        for name, (first, end) in part.layers.items():
            if not 0 <= first < end <= parents[name].layers:
                raise UsageError(f"{place}layers [{first}, {end}] of '{name}', which has {parents[name].layers}; write [first, last + 1], counted from 0")
        lengths = {name: end - first for name, (first, end) in part.layers.items()}
        if len(set(lengths.values())) > 1:
            given = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
            raise UsageError(f"{place}its models give different numbers of layers ({given}); layers are merged one with one")
