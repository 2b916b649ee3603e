"""What a merge may say: in a recipe of its own, and as a stage of a run."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PlainSerializer, PlainValidator

from jp_adapt.benchmarks.part import Count, Name, Part, Seed
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import Key
from jp_adapt.merging import settings
from jp_adapt.merging.table import METHODS, REQUIRED, Method


def _setting(value: object) -> settings.Setting:
    """What a recipe says of a parameter, as the merge takes it. ValueError names the rule."""
    if _is_number(value):
        return float(cast("float", value))
    if isinstance(value, list) and value and all(map(_is_number, value)):
        return tuple(map(float, value))
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        return tuple(_condition(entry) for entry in value)
    raise ValueError("give a number, a list of numbers (spread evenly over the layers), or a list of {value, module, layers}")


def _condition(entry: dict[str, Any]) -> settings.Condition:
    for key in entry:
        if key not in CONDITION_KEYS:
            raise ValueError(f"unknown key '{key}'{did_you_mean(key, CONDITION_KEYS)} in a condition; it has value, and may have module and layers")
    value = _setting(entry.get("value"))
    module, layers = entry.get("module"), entry.get("layers")
    if any(isinstance(item, settings.Condition) for item in (value if isinstance(value, tuple) else ())):
        raise ValueError("the value of a condition is a number or a list of numbers")
    if module is not None and not (isinstance(module, str) and module):
        raise ValueError(f"module is {module!r}; give a part of the tensors' names, as self_attn, mlp.down_proj or lm_head")
    if layers is not None and not (isinstance(layers, list) and len(layers) == 2 and all(type(item) is int for item in layers) and 0 <= layers[0] < layers[1]):
        raise ValueError(f"layers is {layers!r}; write [first, last + 1], counted from 0 in the merged model")
    return settings.Condition(cast("float | tuple[float, ...]", value), module, None if layers is None else (layers[0], layers[1]))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _as_written(setting: settings.Setting) -> object:
    """A setting as a recipe writes it; without that pydantic warns of every condition."""
    if isinstance(setting, (int, float)):
        return setting
    return [_plain(entry) if isinstance(entry, settings.Condition) else entry for entry in setting]


def _plain(condition: settings.Condition) -> dict[str, object]:
    values = {key: getattr(condition, key) for key in CONDITION_KEYS}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items() if value is not None}


CONDITION_KEYS = ("value", "module", "layers")
Layer = Annotated[int, Field(ge=0, le=10**6)]
Value = Annotated[settings.Setting, PlainValidator(_setting), PlainSerializer(_as_written)]
LayerRange = Annotated[tuple[Layer, Layer], Field(strict=False)]


class ModelSettings(Part):
    """What the method takes from a model."""

    weight: Value | None = Field(None, description="its factor")
    density: Value | None = Field(None, description="share of its differences to the base that is kept (TIES, DARE, DELLA)")
    epsilon: Value | None = Field(None, description="how far the share differs between the smallest and the largest differences of a row (DELLA)")
    scale: Value | None = Field(None, description="factor of the layers of passthrough")

    def given(self) -> dict[str, settings.Setting]:
        """The settings that are there, by name."""
        values = {name: getattr(self, name) for name in ModelSettings.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class MergeModel(ModelSettings):
    """A model, and what the method takes from it: a folder, or an adapter of jp-adapt or peft with the folder of its base."""

    path: str | None = Field(None, description="folder of the model; with `adapter`, of its base (the recipe's base by default)")
    adapter: str | None = Field(None, description="folder of a LoRA adapter")


class SliceModel(ModelSettings):
    """Layers of a model in a slice; what is set here goes before what is set for the whole model."""

    layers: LayerRange = Field(description="[first, last + 1] layer of the model")


class Slice(Part):
    """Layers of the merged model, and the models that they are made of: their layers are merged one with one."""

    models: dict[Name, SliceModel] = Field(min_length=1, description="name -> the layers of this model")


class MergeSettings(Part):
    """How models are merged, whatever they are."""

    method: str = Field(description="one of " + ", ".join(METHODS))
    base: Name | None = Field(None, description="the model that the others were tuned from, for methods that merge differences")
    slices: list[Slice] | None = Field(None, min_length=1, description="layers of the merged model from the first on; without it, all layers of all models")
    around: Name | None = Field(
        None, description="passthrough: model whose embedding, last norm and head are kept; by default those of the first and of the last slice are"
    )
    normalize: bool | None = Field(None, description="weights are divided by their sum; each method's own default")
    lambda_: Value | None = Field(None, alias="lambda", description="factor of all differences to the base; 1 by default")
    t: Value | None = Field(None, description="slerp: from 0, the first model, to 1, the second")
    topk: float | None = Field(None, gt=0, le=1, description="SCE: share of the elements that differ most; 1 by default")
    seed: Seed = Field(0, description="of the random masks of DARE and DELLA")
    dtype: Literal["float32", "bfloat16", "float16"] | None = Field(
        None, description="of the written weights; by default each tensor as in the base or first model"
    )
    tokenizer: Name | None = Field(None, description="model whose tokenizer is kept; by default one that holds the tokens of all")
    rows: Literal["donor", "pieces"] = Field("donor", description="row of a token that a model lacks: of the models that have it, or made of its own pieces")
    config: Name | None = Field(None, description="model whose config.json is kept where they compute differently (rope, norms, heads)")
    into: Name | None = Field(
        None,
        description="vision-language model that gets the merged language part and keeps all else; by default the base if it is one, else the first that is",
    )
    shard_bytes: Count = Field(5_000_000_000, description="largest size of a weight file")

    def shared(self) -> dict[str, settings.Setting]:
        """The parameters that are set for the whole merge."""
        numbers = {"normalize": self.normalize, "topk": self.topk}
        given: dict[str, settings.Setting] = {name: float(value) for name, value in numbers.items() if value is not None}
        return given | {name: value for name, value in (("lambda", self.lambda_), ("t", self.t)) if value is not None}


class MergeRecipe(MergeSettings):
    """A merge of model folders and adapters."""

    format: Literal[1] = Field(1, description="of the merge recipe; there is one")
    name: Name = Field(description="name of the merge")
    models: dict[Name, MergeModel] = Field(min_length=1, description="name -> model folder or adapter, and what the method takes from it")
    write: Literal["model", "adapter"] = Field("model", description="adapter: merge LoRA adapters of one base into one adapter, without the base's weights")

    def folder_of(self, name: str) -> str | None:
        """The folder of a model's weights; an adapter without one belongs to the base of the recipe."""
        path = self.models[name].path
        return self.models[self.base].path if path is None and self.base in self.models else path


Finding = tuple[Key, str]


def findings(merge: MergeSettings, models: Mapping[str, ModelSettings], *, searched: Collection[str] = ()) -> Iterator[Finding]:
    """What a method and its settings do not agree on: (path of keys, message). `searched`: what a search says, parameters of models or `slices`."""
    method = METHODS.get(merge.method)
    if method is None:
        yield ("method",), f"method is '{merge.method}'{did_you_mean(merge.method, METHODS)}; methods: {', '.join(METHODS)}"
        return
    for key in ("base", "around", "tokenizer", "config", "into"):
        name = getattr(merge, key)
        if name is not None and name not in models:
            yield (key,), f"{key} is '{name}'{did_you_mean(name, models)}; the models are {', '.join(models)}"
    if method.base and merge.base is None:
        yield ("method",), f"{method.name} merges differences to a base; name it: base: MODEL"
    if not method.base and merge.base is not None:
        yield ("base",), f"{method.name} takes no base; take 'base' out (and '{merge.base}' too, if it is not to be merged)"
    if merge.around is not None and method.name != "passthrough":
        yield ("around",), f"{method.name} merges embeddings and heads as all else; take 'around' out"
    yield from _wrong_settings(method, merge, models)
    yield from _missing_settings(method, merge, models, searched)
    if "slices" not in searched:
        yield from _wrong_models(method, merge, models)


def _wrong_models(method: Method, merge: MergeSettings, models: Mapping[str, ModelSettings]) -> Iterator[Finding]:
    if merge.slices is None:
        yield from ((("models",), message) for message in _wrong_count(method, len(set(models) - ({merge.base} if method.base else set()))))
    for number, part in enumerate(merge.slices or ()):
        key: Key = ("slices", number, "models")
        for name in part.models:
            if name not in models:
                yield (*key, name), f"slice {number} names '{name}'{did_you_mean(name, models)}; the models are {', '.join(models)}"
        if method.base and merge.base is not None and merge.base not in part.models:
            yield key, f"slice {number} lacks the layers of the base '{merge.base}'"
        yield from ((key, message) for message in _wrong_count(method, len(set(part.models) - ({merge.base} if method.base else set()))))


def _wrong_count(method: Method, count: int) -> Iterator[str]:
    fewest, most = method.models
    if count < fewest or (most is not None and count > most):
        asked = str(fewest) if fewest == most else f"at least {fewest}"
        yield f"{method.name} merges {asked} {'model' if asked == '1' else 'models'}{' beside the base' if method.base else ''}, and {count} are given"


def _wrong_settings(method: Method, merge: MergeSettings, models: Mapping[str, ModelSettings]) -> Iterator[Finding]:
    for name in merge.shared():
        if name not in method.shared:
            yield (name,), f"{method.name} takes no '{name}'; it takes {_listed([*method.shared, *method.per_model])}"
    scopes: list[tuple[Key, str, ModelSettings]] = [(("models", name), name, model) for name, model in models.items()]
    scopes += [(("slices", number, "models", name), name, model) for number, part in enumerate(merge.slices or ()) for name, model in part.models.items()]
    for key, name, model in scopes:
        for parameter, setting in model.given().items():
            if method.base and name == merge.base:
                yield (*key, parameter), f"'{name}' is the base, which takes no '{parameter}'"
            elif parameter not in method.per_model:
                yield (*key, parameter), f"{method.name} takes no '{parameter}' of a model; it takes {_listed([*method.per_model])}"
            for value in settings.numbers_in(setting):
                if parameter == "density" and not 0 < value <= 1:
                    yield (*key, parameter), f"density of '{name}' is {value:g}; it is a share, above 0 and up to 1"
                if parameter == "epsilon" and not 0 <= value < 0.5:
                    yield (*key, parameter), f"epsilon of '{name}' is {value:g}; it is at least 0 and below 0.5"


def _missing_settings(method: Method, merge: MergeSettings, models: Mapping[str, ModelSettings], searched: Collection[str]) -> Iterator[Finding]:
    """A parameter without a default that a model has nowhere."""
    for parameter, default in method.per_model.items():
        if default is not REQUIRED or parameter in searched:
            continue
        for name, model in models.items():
            own = [part.models[name] for part in merge.slices or () if name in part.models]
            known = [parameter in entry.given() for entry in own] if merge.slices is not None else [False]
            if not (parameter in model.given() or all(known) or (method.base and name == merge.base)):
                yield ("models", name), f"'{name}' has no {parameter}; {method.name} needs one, and it has no default: {parameter}: NUMBER"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no parameters"
