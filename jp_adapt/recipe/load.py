"""From a name or a file to a checked recipe: all problems at once, each at its file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jp_adapt.core.errors import InputError, JpAdaptError, Problems, UsageError
from jp_adapt.core.files import is_file, read_text
from jp_adapt.core.given import several
from jp_adapt.core.plugins import use_plugins
from jp_adapt.core.yaml_lines import Document, Key
from jp_adapt.recipe import schema
from jp_adapt.recipe.checks import Finding, cross_check
from jp_adapt.recipe.deepspeed import read_deepspeed
from jp_adapt.recipe.document import apply_override, find_recipe, with_parents
from jp_adapt.recipe.evolve_sizes import size_findings, too_few
from jp_adapt.recipe.explain import explain, short, where
from jp_adapt.recipe.stage_items import measured_benchmark, stage_benchmarks

NOTHING = {"id": "none", "kind": "export", "start": "base"}  # a stage that names no source, file or benchmark


@dataclass(frozen=True)
class LoadedRecipe:
    """A checked recipe, the text of its file byte for byte, and where it lies; and how it was asked for: by which name or path, with which settings."""

    recipe: schema.Recipe
    text: str
    path: Path
    asked: str = ""
    overrides: tuple[str, ...] = ()


def load_recipe(name_or_path: str | Path, overrides: str | Sequence[str] = (), *, need_files: bool = True) -> LoadedRecipe:
    """Load a shipped recipe by name, or a recipe file by path.

    Args:
        overrides: `KEY=VALUE` settings that win over the recipe; stages are named by id: `stages.cpt.optimizer.lr=2e-4`.
        need_files: whether the texts and the base must be there; a plan needs neither.

    Raises:
        UsageError: the recipe is wrong; the message lists every problem with file:line.
        InputError: the recipe, or a file that it names, is missing.
    """
    path, overrides = find_recipe(name_or_path), several(overrides)
    document = with_parents(path, ())
    problems = Problems()
    for override in overrides:
        with problems.collected():
            apply_override(document, override)
    problems.refuse()
    recipe = _validate(document, problems)
    if recipe is not None:
        _use_plugins(recipe, document, problems)
        _check_benchmarks(recipe, document, need_files, problems)
        if need_files:
            with problems.collected():
                _check_files(recipe, document)
            with problems.collected():
                _check_deepspeed(recipe, document)
            with problems.collected():
                _check_sizes(recipe, document)
    problems.refuse()
    assert recipe is not None
    return LoadedRecipe(recipe, read_text(path), path, str(name_or_path), tuple(overrides))


def _validate(document: Document, problems: Problems) -> schema.Recipe | None:
    """The recipe, with what is wrong added to `problems`; of one that is wrong what can be looked at further, or None."""
    recipe: schema.Recipe | None
    try:
        recipe = schema.Recipe.model_validate(document.value)
        findings = list(cross_check(recipe))
    except ValidationError as error:
        details = error.errors()
        findings = [explain(document, detail) for detail in details]
        recipe, more = _what_is_right(document, details)
        findings += more
    if findings:
        problems.errors.append(UsageError("\n".join(dict.fromkeys(f"{where(document, key)}: {message}" for key, message in findings))))
    return recipe


def _what_is_right(document: Document, details: Sequence[Any]) -> tuple[schema.Recipe | None, list[Finding]]:
    """The recipe without what a schema found wrong in its stages and sources, and what is wrong between its stages all the same.

    An unknown key is taken out. A stage that is wrong otherwise gives its place to one that names nothing, so that the others keep theirs, and nothing is said
    then of how stages go together.
    """
    value, touched, whole = deepcopy(document.value), set[Key](), True
    for _ in range(2):  # without a misspelled key, what it meant may be missing
        wrong: dict[Key, list[Key]] = {}  # the stage or source -> the unknown keys in it, and () for whatever else is wrong there
        for detail in details:
            unknown = detail["type"] == "extra_forbidden" and detail["loc"][0] == "stages"
            wrong.setdefault(tuple(detail["loc"][:2]), []).append(explain(document, detail)[0] if unknown else ())
        if any(len(place) < 2 or place[0] not in ("stages", "sources") for place in wrong):
            return None, []
        for place, keys in wrong.items():
            touched.add(place)
            if () in keys:
                whole = False
                value[place[0]][place[1]] = NOTHING if place[0] == "stages" else None
            else:
                for key in keys:
                    _take_out(value, key)
        value["sources"] = {name: source for name, source in (value.get("sources") or {}).items() if source is not None}
        try:
            recipe = schema.Recipe.model_validate(value)
        except ValidationError as error:
            details = error.errors()
        else:
            return recipe, [finding for finding in cross_check(recipe) if finding[0][:2] not in touched] if whole else []
    return None, []


def _take_out(value: Any, key: Key) -> None:
    for part in key[:-1]:
        value = value[part]
    del value[key[-1]]


def _use_plugins(recipe: schema.Recipe, document: Document, problems: Problems) -> None:
    """Before the benchmarks are read, whose metrics a plugin may bring."""
    for index, name in enumerate(recipe.plugins):
        with problems.collected():
            try:
                use_plugins([name])
            except JpAdaptError as error:
                raise type(error)(f"{where(document, ('plugins', index))}: {error}") from error


def _check_benchmarks(recipe: schema.Recipe, document: Document, need_files: bool, problems: Problems) -> None:
    """A benchmark that cannot be read is found now, and not when the training before it is over."""
    for index, stage in enumerate(recipe.stages):
        if isinstance(stage, schema.EvaluateStage):
            parts: list[tuple[Key, schema.EvaluateStage]] = [(("suite",), stage)] if stage.suite is not None else []
            parts += [(("benchmarks", at), stage.model_copy(update={"benchmarks": [name]})) for at, name in enumerate(stage.benchmarks)]
            for key, part in parts:
                with problems.collected():
                    try:
                        stage_benchmarks(part, items=need_files)
                    except JpAdaptError as error:
                        raise type(error)(f"{where(document, ('stages', index, *key))}: {error}") from error
        if isinstance(stage, schema.EvolveStage):
            for name, measure in stage.fitness.items():
                with problems.collected():
                    try:
                        loaded = measured_benchmark(measure, stage.data, items=need_files)
                        if need_files and loaded is not None and loaded.items and (finding := too_few(measure, len(loaded.items), "items")):
                            raise UsageError(finding)
                    except JpAdaptError as error:
                        raise type(error)(f"{where(document, ('stages', index, 'fitness', name, 'benchmark'))}: {error}") from error


def _check_sizes(recipe: schema.Recipe, document: Document) -> None:
    findings = []
    for index, stage in enumerate(recipe.stages):
        if isinstance(stage, schema.EvolveStage):
            findings += [f"{where(document, ('stages', index, *key))}: stage '{stage.id}': {said}" for key, said in size_findings(stage, recipe)]
    if findings:
        raise UsageError("\n".join(findings))


def _check_deepspeed(recipe: schema.Recipe, document: Document) -> None:
    if recipe.deepspeed is None:
        return
    try:
        read_deepspeed(Path(recipe.deepspeed))
    except JpAdaptError as error:
        raise type(error)(f"{where(document, ('deepspeed',))}: {error}") from error


def _check_files(recipe: schema.Recipe, document: Document) -> None:
    missing = []
    for name, source in recipe.sources.items():
        path = Path(source.path)
        if not source.path:
            wrong: str | None = f"bring {source.bring or 'a text of your own'}: -s sources.{name}.path=FILE"
        else:
            wrong = _missing(path) and _missing(path / "index.json") and _missing(path)  # or a prepared corpus
        if wrong is not None:
            missing.append(f"{where(document, ('sources', name, 'path'))}: source '{name}': {wrong}")
    base = recipe.base
    if base.path is not None and (wrong := _missing(Path(base.path), folder=True)):
        missing.append(f"{where(document, ('base', 'path'))}: base: {wrong}")
    if base.file is not None and base.package is None and (wrong := _missing(Path(base.file))):
        missing.append(f"{where(document, ('base', 'file'))}: base: {wrong}")
    if recipe.control is not None and (wrong := _missing(Path(recipe.control)) and _missing(Path(recipe.control), folder=True)):
        missing.append(f"{where(document, ('control',))}: control: {wrong} (a run's folder, or its summary.json)")
    for index, stage in enumerate(recipe.stages):
        for place, folder in stage.outside.items():
            if wrong := _missing(Path(folder), folder=True):
                missing.append(f"{where(document, ('stages', index, *place))}: {wrong}")
        if isinstance(stage, schema.PretrainStage) and stage.grow is not None:
            missing += [f"{where(document, ('stages', index, 'data', *place))}: {wrong}" for place, wrong in _prepared_data(stage, recipe)]
    if missing:
        raise InputError("\n".join(missing))


def _prepared_data(stage: schema.PretrainStage, recipe: schema.Recipe) -> Iterator[Finding]:
    """The prepared corpora that a stage names which grows: they hold the tokens of one tokenizer."""
    for position, item in enumerate(stage.data):
        if item.source in recipe.sources and (Path(recipe.sources[item.source].path) / "index.json").is_file():
            yield (position,), f"source '{item.source}' is a prepared corpus, with the tokens of one tokenizer, and 'grow' has several; name a source of texts"


def _missing(path: Path, folder: bool = False) -> str | None:
    """What is wrong with a path that must be a file, or a folder; None where it is one."""
    try:
        existing = path.is_dir() if folder else is_file(path)
    except InputError as error:
        return str(error)
    except OSError as error:
        return f"{short(str(path))}: cannot be read ({error.strerror})"
    return None if existing else f"no such {'folder' if folder else 'file'}: {path}"
