"""mergekit's YAML as a merge recipe: what means the same is taken over, all else is refused with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import Document, Key, load_yaml
from jp_adapt.merging.table import METHODS, Method
from jp_adapt.recipe.explain import explain, where

TOP = ("merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype", "tokenizer_source", "tokenizer", "name")
RENAMED = {"select_topk": "topk"}
WITHOUT_EFFECT = {"int8_mask": None, "rescale": None}  # memory only; and what `_rescaled` looks at
NOTES = {
    "all": "mergekit computes in `dtype`; here the arithmetic is float32, and `dtype` is the type of what is written.",
    "dare": "mergekit scales what DARE and DELLA keep to the sum of all magnitudes; here it is divided by its probability, as in the papers. Masks differ too.",
    "sce": "mergekit weighs all models alike where their mean squared differences add up to less than 1e-6; here they are weighed as in the paper.",
    "model_stock": "mergekit takes norms whose product is below 1e-6 for that; here the angle is computed whatever its size.",
}


class _Source(BaseModel):
    """The shape of an entry of mergekit's `models`, or of the `sources` of a slice; what stands in it is looked at later."""

    model: Any
    parameters: dict[str, Any] | None = None


class _LayerSource(_Source):
    layer_range: tuple[int, int]


class _Slice(BaseModel):
    sources: list[_LayerSource]


class _Shape(BaseModel):
    """The shape of a configuration of mergekit."""

    merge_method: str
    models: list[_Source] | None = None
    slices: list[_Slice] | None = None
    parameters: dict[str, Any] | None = None


def recipe_from_mergekit(path: Path) -> str:
    """The text of a merge recipe that does what a configuration of mergekit says; notes where the two define a method differently.

    Raises:
        UsageError: the file is none of mergekit's, or says what has no equal here; every problem with file:line. InputError: it is missing.
    """
    document = load_yaml(path)
    if not isinstance(document.value, dict) or "merge_method" not in document.value:
        raise UsageError(f"{path}:1: no configuration of mergekit (it has a merge_method)")
    try:
        _Shape.model_validate(document.value)
    except ValidationError as error:
        findings = [explain(document, detail, _Shape) for detail in error.errors()]
        raise UsageError("\n".join(dict.fromkeys(f"{where(document, key)}: {message}" for key, message in findings))) from error
    reader = _Reader(document)
    recipe = reader.recipe(path.stem)
    if reader.problems:
        raise UsageError("\n".join(dict.fromkeys(f"{where(document, key)}: {message}" for key, message in reader.problems)))
    notes = [
        f"# Made from mergekit's {path.name} by: jp-adapt merge from-mergekit",
        *(f"# {note}" for key, note in NOTES.items() if _noted(recipe["method"], key)),
    ]
    return "\n".join(notes) + "\n" + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=160, default_flow_style=None)


def _noted(method: str, key: str) -> bool:
    return key == "all" or method == key or (key == "dare" and METHODS[method].masks)


class _Reader:
    """Reads a configuration; `problems` collects what cannot be taken over."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.config: dict[str, Any] = document.value
        self.problems: list[tuple[Key, str]] = []
        self.names: dict[str, str] = {}  # mergekit's reference to a model -> its name in the recipe
        self.models: dict[str, dict[str, Any]] = {}

    def refuse(self, key: Key, message: str) -> None:
        self.problems.append((key, message))

    def recipe(self, name: str) -> dict[str, Any]:
        config = self.config
        for key in config:
            if key not in TOP:
                self.refuse((key,), f"'{key}' has no equal here{did_you_mean(key, TOP)}")
        method = METHODS.get(str(config["merge_method"]))
        if method is None:
            self.refuse(("merge_method",), f"method '{config['merge_method']}' is not one of ours: {', '.join(METHODS)}")
            return {}
        shared = self._shared(method)
        base = self._model(("base_model",), config["base_model"]) if config.get("base_model") is not None else None
        recipe: dict[str, Any] = {
            "format": 1,
            "name": re.sub(r"[^A-Za-z0-9_.-]", "-", str(config.get("name", name))).lstrip("-_.") or "merged",
            "method": method.name,
        }
        recipe |= {"base": base} if method.base and base is not None else {}
        recipe["models"] = self.models
        if "slices" in config:
            recipe["slices"] = [self._slice(method, base, number, part) for number, part in enumerate(config["slices"])]
            used = {name for part in recipe["slices"] for name in part["models"]}
            recipe["models"] = {name: model for name, model in self.models.items() if name in used}
        else:
            self._whole_models(method, base)
        recipe |= shared | self._written(base)
        return recipe

    def _model(self, key: Key, reference: Any) -> str:
        """The name of a model that mergekit names by its path, `PATH+ADAPTER`, or a mapping."""
        if isinstance(reference, Mapping):
            model, lora = reference.get("model"), reference.get("lora")
            path = model.get("path") if isinstance(model, Mapping) else model
            adapter = lora.get("path") if isinstance(lora, Mapping) else lora
        else:
            path, _, adapter = str(reference).partition("+")
        if not path or "@" in str(path):
            self.refuse(key, f"model {reference!r}: give the folder of a model (fetch a revision of the hub into one first)")
            path = str(path)
        text = f"{path}+{adapter}" if adapter else str(path)
        if text not in self.names:
            stem = re.sub(r"[^A-Za-z0-9_.-]", "-", Path(str(adapter or path)).name).lstrip("-_.") or "model"
            taken = set(self.names.values())
            self.names[text] = next(name for name in (stem, *(f"{stem}-{number}" for number in range(2, 1000))) if name not in taken)
            self.models[self.names[text]] = {"path": str(path)} | ({"adapter": adapter} if adapter else {})
        return self.names[text]

    def _whole_models(self, method: Method, base: str | None) -> None:
        for number, entry in enumerate(self.config.get("models") or ()):
            key: Key = ("models", number)
            name = self._model((*key, "model"), entry["model"])
            if not (method.base and name == base):
                self.models[name] |= self._per_model(method, (*key, "parameters"), entry.get("parameters"))

    def _slice(self, method: Method, base: str | None, number: int, part: Mapping[str, Any]) -> dict[str, Any]:
        key: Key = ("slices", number)
        for extra in part.keys() - {"sources"}:
            self.refuse((*key, extra), f"'{extra}' of a slice has no equal here; say it for the whole merge, or in its sources")
        models = {}
        for place, source in enumerate(part["sources"]):
            name = self._model((*key, "sources", place, "model"), source["model"])
            given = {} if method.base and name == base else self._per_model(method, (*key, "sources", place, "parameters"), source.get("parameters"))
            models[name] = {"layers": list(source["layer_range"])} | given
        order = sorted(models, key=lambda name: name != base)  # slerp goes from the base
        return {"models": {name: models[name] for name in order}}

    def _per_model(self, method: Method, key: Key, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
        own, common = dict(parameters or {}), dict(self.config.get("parameters") or {})
        given = {}
        for name in method.per_model:
            scopes = [(scope, place) for scope, place in ((own, (*key, name)), (common, ("parameters", name))) if name in scope]
            if scopes:
                given[name] = self._joined([self._value(place, scope[name]) for scope, place in scopes])
        return given

    def _joined(self, values: Sequence[Any]) -> Any:
        """The first value; where it is a list of conditions, those of the next one behind it, since mergekit looks there when none holds."""
        first, *others = values
        if not (isinstance(first, list) and isinstance(first[0], dict)) or not others:
            return first
        after = others[0]
        return [*first, *(after if isinstance(after, list) and isinstance(after[0], dict) else [{"value": after}])]

    def _shared(self, method: Method) -> dict[str, Any]:
        given = {}
        for name, value in (self.config.get("parameters") or {}).items():
            key: Key = ("parameters", name)
            if name in WITHOUT_EFFECT:
                self._check_rescale(method, key, name, value)
            elif RENAMED.get(name, name) in method.shared:
                given[RENAMED.get(name, name)] = value if isinstance(value, bool) else self._value(key, value)
            elif name not in method.per_model and (value or name not in ("filter_wise",)):
                self.refuse(key, f"parameter '{name}' of {method.name} has no equal here")
        return given

    def _check_rescale(self, method: Method, key: Key, name: str, value: Any) -> None:
        if name == "rescale" and bool(value) != method.masks:
            way = "DARE and DELLA always divide what they keep by its probability" if method.masks else "only DARE and DELLA scale what they keep"
            self.refuse(key, f"rescale: {value} has no equal here; {way}")

    def _value(self, key: Key, value: Any) -> Any:
        """mergekit's number, list of numbers, or list of {value, filter}."""
        if isinstance(value, Mapping):
            value = [value]
        if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            return [
                {"value": self._value(key, entry.get("value"))} | ({} if entry.get("filter") in (None, "*") else {"module": str(entry["filter"])})
                for entry in value
            ]
        try:
            return [float(entry) for entry in value] if isinstance(value, list) and value else float(value)
        except (TypeError, ValueError):
            self.refuse(key, f"{value!r} is neither a number, nor a list of numbers, nor a list of values with filters")
            return 0.0

    def _written(self, base: str | None) -> dict[str, Any]:
        """Type and tokenizer of the merged model."""
        written: dict[str, Any] = {}
        dtype = self.config.get("out_dtype") or self.config.get("dtype")
        if dtype is not None:
            written["dtype"] = str(dtype).removeprefix("torch.")
        tokenizer = self.config.get("tokenizer")
        source = tokenizer.get("source", "union") if isinstance(tokenizer, Mapping) else self.config.get("tokenizer_source")
        if isinstance(tokenizer, Mapping) and tokenizer.keys() - {"source"}:
            self.refuse(("tokenizer",), "of a tokenizer only its source is taken over")
        if source == "base" and base is not None:
            written["tokenizer"] = base
        elif source not in (None, "union", "base"):
            written["tokenizer"] = self._model(("tokenizer_source",), source)
        return written
