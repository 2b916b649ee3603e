"""From a name or a file to a checked recipe: `extends`, `-s` overrides, all problems at once, each at its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from jp_adapt.benchmarks.items import LoadedBenchmark, load_benchmark, load_declaration, named_benchmarks, protocol_of, reads_shots
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.benchmarks.part import Part
from jp_adapt.core.errors import InputError, JpAdaptError, Problems, UsageError
from jp_adapt.core.files import is_file, read_text
from jp_adapt.core.given import several
from jp_adapt.core.plugins import use_plugins
from jp_adapt.core.schema_words import LIST, MAPPING, what_is_needed
from jp_adapt.core.shipped import shipped_benchmarks, shipped_corpora, shipped_recipes
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import Document, Key, load_yaml, parse_scalar
from jp_adapt.recipe import schema
from jp_adapt.recipe.checks import Finding, cross_check
from jp_adapt.recipe.deepspeed import read_deepspeed
from jp_adapt.recipe.evolve import Measure
from jp_adapt.recipe.evolve_sizes import size_findings, too_few
from jp_adapt.recipe.schema import EvaluateStage

MAX_PARENTS = 20  # that a recipe extends, one after another
MAX_KEYS = 12  # of a setting: stages.cpt.optimizer.lr has four
STEP_PATHS = ("files", "data")  # parameters of the steps of a corpus recipe that are paths
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


def find_recipe(name_or_path: str | Path, shipped: dict[str, Path] | None = None) -> Path:
    """File of a recipe. A text with a separator or `.yaml` is a path, any other a name among `shipped`, which are the recipes of `run` by default."""
    text = str(name_or_path)
    shipped = shipped_recipes() if shipped is None else shipped
    if not text:
        raise UsageError("no recipe is named; give the name of a shipped one (see: jp-adapt list), or the path of a file")
    if isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml")) or text in (".", ".."):
        path = Path(text)
        if not is_file(path):
            raise InputError(f"{path}: {_no_recipe(path)}")
        return path
    if text not in shipped and Path(text).is_dir():
        raise InputError(f"{text}: {_no_recipe(Path(text))}")
    if text not in shipped and text in shipped_corpora():
        raise UsageError(f"'{text}' is a corpus recipe; give it to: jp-adapt corpus prepare {text}")
    if text not in shipped:
        raise UsageError(
            f"no recipe '{text}'{did_you_mean(text, shipped)}; shipped recipes: {', '.join(shipped) or 'none'} (a file is given as a path: ./{text}.yaml)"
        )
    return shipped[text]


def _no_recipe(path: Path) -> str:
    if path.is_dir():
        files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
        return f"is a folder; give the recipe's file in it, such as {files[0] if files else path / 'NAME.yaml'}"
    return "is no file that holds a recipe" if path.exists() else "no such recipe file"


def with_parents(path: Path, children: tuple[Path, ...], shipped: dict[str, Path] | None = None) -> Document:
    """The document of `path` merged over that of its `extends` parent, file paths made absolute."""
    document = load_yaml(path)
    if not isinstance(document.value, dict):
        raise UsageError(f"{path}:1: a recipe is a mapping that begins with 'format: 1'")
    _absolute_paths(document.value, path.resolve().parent)
    _one_spelling(document)
    parent_name = document.value.pop("extends", None)
    if parent_name is None:
        return document
    place = f"{path}:{document.places[('extends',)][1]}"
    near = path.parent / str(parent_name)
    try:
        parent_path = near if is_file(near) else find_recipe(str(parent_name), shipped)
    except JpAdaptError as error:
        raise type(error)(f"{place}: {error}") from error
    if parent_path.resolve() in {child.resolve() for child in (*children, path)}:
        raise UsageError(f"{place}: 'extends' goes in a circle through {parent_path}")
    if len(children) == MAX_PARENTS:
        raise UsageError(f"{place}: more than {MAX_PARENTS} recipes extend each other in a chain; lay some of them together")
    parent = with_parents(parent_path, (*children, path), shipped)
    _merge(parent, document)
    return parent


def _absolute(value: Any, folder: Path) -> Any:
    """A path or a list of paths, from `folder` on; whatever else stands there is left to the schema."""
    if isinstance(value, list):
        return [_absolute(path, folder) if isinstance(path, str) else path for path in value]
    return str(folder / value) if isinstance(value, str) else value


def _home(path: str) -> Path:
    """`~` and `~user` written out; as it is where there is no such user, for the check that looks for the folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _absolute_paths(value: dict[str, Any], folder: Path) -> None:
    """Paths in a recipe are relative to its own file; an installed package's file is not a path."""
    sources = value.get("sources")
    for source in sources.values() if isinstance(sources, dict) else ():
        if isinstance(source, dict) and source.get("path"):
            source["path"] = _absolute(source["path"], folder)
    if isinstance(value.get("tokenizer"), str):
        value["tokenizer"] = str(folder / value["tokenizer"])
    stages = value.get("stages")
    for stage in stages if isinstance(stages, list) else ():
        if isinstance(stage, dict) and stage.get("kind") == "evaluate":
            if isinstance(stage.get("data"), str):
                stage["data"] = str(folder / _home(stage["data"]))
            if isinstance(stage.get("benchmarks"), list):
                stage["benchmarks"] = [str(folder / name) if str(name).endswith((".yaml", ".yml")) else name for name in stage["benchmarks"]]
        if isinstance(stage, dict) and stage.get("kind") == "evolve":
            _absolute_measures(stage, folder)
        models = stage.get("models") if isinstance(stage, dict) and stage.get("kind") in ("merge", "evolve") else None
        for model in models.values() if isinstance(models, dict) else ():
            for key in ("path", "adapter") if isinstance(model, dict) else ():
                model |= {key: _absolute(model[key], folder)} if key in model else {}
    steps = value.get("steps")
    for step in steps if isinstance(steps, list) else ():  # of a corpus recipe
        for name in STEP_PATHS if isinstance(step, dict) else ():
            step |= {name: _absolute(step[name], folder)} if name in step else {}
    for key in ("deepspeed", "control"):
        if isinstance(value.get(key), str):
            value[key] = str(folder / value[key])
    base = value.get("base")
    if isinstance(base, dict):
        for key in ("path",) if "package" in base else ("path", "file"):
            if isinstance(base.get(key), str):
                base[key] = str(folder / base[key])


def _absolute_measures(stage: dict[str, Any], folder: Path) -> None:
    if isinstance(stage.get("data"), str):
        stage["data"] = str(folder / _home(stage["data"]))
    measures = stage.get("fitness")
    for measure in measures.values() if isinstance(measures, dict) else ():
        name = measure.get("benchmark") if isinstance(measure, dict) else None
        if isinstance(name, str) and name.endswith((".yaml", ".yml")):
            measure["benchmark"] = str(folder / name)


def _one_spelling(document: Document) -> None:
    """`license` of each source, however it is spelled, so that a child replaces what its parent says."""
    sources = document.value.get("sources")
    for name, source in sources.items() if isinstance(sources, dict) else ():
        if isinstance(source, dict) and "licence" in source:
            source["license"] = source.pop("licence")
            key: Key = ("sources", name)
            document.places |= {(*key, "license"): document.places.pop((*key, "licence"))}


def _merge(parent: Document, child: Document) -> None:
    """Lay `child` over `parent`: mappings key by key, stages id by id, anything else whole. A base is replaced whole: its ways exclude each other."""

    def lay(old: Any, new: Any, old_key: Key, new_key: Key) -> Any:
        if isinstance(old, dict) and isinstance(new, dict) and old_key != ("base",):
            for name, item in new.items():
                old[name] = lay(old.get(name), item, (*old_key, name), (*new_key, name))
            return old
        if old_key == ("stages",) and isinstance(old, list) and isinstance(new, list):
            positions = {stage.get("id"): index for index, stage in enumerate(old) if isinstance(stage, dict)}
            for index, stage in enumerate(new):
                position = positions.get(stage.get("id")) if isinstance(stage, dict) else None
                if position is None:
                    position = len(old)
                    old.append(None)
                old[position] = lay(old[position], stage, ("stages", position), ("stages", index))
            return old
        for place_key, place in child.places.items():
            if place_key[: len(new_key)] == new_key:
                merged_key = (*old_key, *place_key[len(new_key) :])
                parent.places[merged_key] = place
        return new

    parent.value = lay(parent.value, child.value, (), ())


def apply_override(document: Document, override: str) -> None:
    """Lay one KEY=VALUE over the document."""
    dotted, equals, text = override.partition("=")
    named = f"-s {override}" if len(override) <= 200 else f"-s {override[:200]}..."
    if not equals or not dotted:
        raise UsageError(f"{named}: write KEY=VALUE, for example stages.cpt.optimizer.lr=2e-4")
    target: Any = document.value
    key: Key = ()
    names = dotted.split(".")
    if names[0] == "sources" and names[-1] == "licence":
        names[-1] = "license"
    if len(names) > MAX_KEYS:
        raise UsageError(f"{named}: {len(names)} keys, and no setting lies deeper than {MAX_KEYS}")
    for position, name in enumerate(names):
        step: str | int = name
        if isinstance(target, list):
            ids = [item.get("id") if isinstance(item, dict) else None for item in target]
            if name in ids:
                step = ids.index(name)
            elif name.isascii() and name.isdecimal() and len(name) < 6 and int(name) < len(target):
                step = int(name)
            else:
                raise UsageError(f"{named}: no '{name[:80]}' in {'.'.join(names[:position])}{did_you_mean(name, [i for i in ids if i])}")
        elif not isinstance(target, dict):
            raise UsageError(f"{named}: '{'.'.join(names[:position])}' holds one value and has no '{name}'")
        key = (*key, step)
        if position == len(names) - 1:
            target[step] = parse_scalar(text, named)
            for stale in [place_key for place_key in document.places if place_key[: len(key)] == key]:
                del document.places[stale]
            document.places[key] = (named, 0)
        else:
            if isinstance(target, dict) and step not in target:
                target[step] = {}
                document.places[key] = (named, 0)
            target = target[step]


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


def where(document: Document, key: Key) -> str:
    """The file:line of a key, or of the nearest thing around it."""
    file, line = document.place(key) or ("recipe", 1)
    return f"{file}:{line}" if line else file


def explain(document: Document, detail: Any, root: type[BaseModel] = schema.Recipe) -> tuple[Key, str]:
    """Turn one pydantic error into (path of keys, message that names the value, the rule and the way out)."""
    key = tuple(detail["loc"])
    if key[:1] == ("stages",) and key[2:3] and key[2] in schema.STAGES:  # pydantic puts the kind of a stage into the path; the file has no such key
        key = key[:2] + key[3:]
    dotted = _dotted(document, key) or "recipe"
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        return key, f"unknown key '{key[-1]}'{did_you_mean(str(key[-1]), _fields_at(document, key[:-1], root))}"
    if kind == "missing":
        return key[:-1], f"'{key[-1]}' is missing here; it has no default"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        value = given.get("kind") if isinstance(given, dict) else given
        return (*key, "kind"), f"stage kind is {value!r}{did_you_mean(str(value), schema.STAGES)}; kinds: {', '.join(schema.STAGES)}"
    rule = what_is_needed(detail)
    if rule in (MAPPING, LIST):
        rule += _example(key, given, _annotation_at(document, key, root), is_list=rule == LIST)
    return key, f"{dotted} is {_short(given)}: {rule}" if not isinstance(given, dict) or rule.startswith(LIST) else f"{dotted}: {rule}"


def _dotted(document: Document, key: Key) -> str:
    """The path of keys as `-s` takes it: a stage is named by its id."""
    parts = list(key)
    if key[:1] == ("stages",) and len(key) > 1:
        stage = document.value["stages"][key[1]]
        name = stage.get("id") if isinstance(stage, dict) else None
        parts[1] = name if isinstance(name, str) and re.fullmatch(r"[\w.-]+", name) else key[1]
    return ".".join(map(str, parts))


def _example(key: Key, given: Any, annotation: Any, *, is_list: bool) -> str:
    """What to write at a key, where that can be told: "; write budget: {tokens: 20000}"."""
    choices = list(_choices(annotation))
    if is_list:
        entries = [choice for entry in choices if get_origin(entry) is list for choice in _choices(get_args(entry)[0])]
        entry = _model_example(entries) or (given if isinstance(given, str) and str in map(_bare, entries) else "")
        written = f"[{entry}]" if entry else ""
    else:
        written = _model_example(choices)
    name = f"{key[-1]}: " if key and isinstance(key[-1], str) else ""
    return f"; write {name}{written}" if written else ""


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _model_example(choices: Sequence[Any]) -> str:
    models = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, Part)]
    return models[0].EXAMPLE if len(models) == 1 else ""


def _annotation_at(document: Document, key: Key, root: type[BaseModel]) -> Any:
    """The type that the schema has for what stands at `key`."""
    kind, value, annotation = root, document.value, None
    for part in key:
        annotation, value = _inside(kind, part), value[part]
        kind = _kind_of(annotation, value)
    return annotation


def _fields_at(document: Document, key: Key, root: type[BaseModel]) -> list[str]:
    """Names that the schema allows at `key`, for "did you mean"."""
    kind, value = root, document.value
    for part in key:
        value = value[part]
        kind = _kind_of(_inside(kind, part), value)
    return list(getattr(kind, "model_fields", ()))


def _inside(kind: Any, part: str | int) -> Any:
    """The type of what stands at `part` in a value of type `kind`: a field of a model, or an entry of a mapping or a list."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_fields[str(part)].annotation if part in kind.model_fields else None
    return (get_args(kind) or (None,))[-1]


def _kind_of(annotation: Any, value: Any) -> Any:
    """The model or container that `value` is meant to be, where the schema allows several; None where that cannot be told."""
    if isinstance(value, dict) and value.get("kind") in schema.STAGES:
        return schema.STAGES[value["kind"]]
    choices = list(_choices(annotation))
    models = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]
    if isinstance(value, dict) and models:
        return models[0] if len(models) == 1 else None
    return next((choice for choice in choices if isinstance(value, get_origin(choice) or ())), None)


def _choices(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows."""
    if get_origin(annotation) is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for entry in get_args(annotation):
            yield from _choices(entry)
    else:
        yield annotation


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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
        return f"{_short(str(path))}: cannot be read ({error.strerror})"
    return None if existing else f"no such {'folder' if folder else 'file'}: {path}"


def stage_benchmarks(stage: EvaluateStage, *, items: bool = True) -> list[LoadedBenchmark]:
    """The benchmarks of an evaluate stage. Without `items` those that need a data folder are declarations only. Errors as of `load_benchmark`."""
    names, profile = named_benchmarks(stage.suite, stage.benchmarks, stage.profile)
    loaded = []
    for name in names:
        benchmark, path = load_declaration(name)
        protocol = protocol_of(name, benchmark, profile)
        if (protocol.kind or benchmark.kind) == "code":
            raise UsageError(
                f"{name}: its score comes from running programs that the model wrote, which a recipe never does; give the exported model to: jp-adapt eval"
            )
        shots = protocol.shots if stage.shots is None else stage.shots
        reads = reads_shots(name, benchmark, protocol, shots)
        if items or benchmark.data.folder is None:
            loaded.append(load_benchmark(name, Path(stage.data) if stage.data is not None else None, shots=reads))
        else:
            loaded.append(LoadedBenchmark(name, benchmark, path, [], [], {}))
    return loaded


def measured_benchmark(measure: Measure, data: str | None, *, items: bool = True) -> LoadedBenchmark | None:
    """The benchmark that an evolution is measured by; None for a text. Without `items` one that needs a data folder is a declaration only.

    Raises:
        UsageError: a known benchmark, whose test set nothing may be searched on, or one whose items have no right answer. Else as of `load_benchmark`.
    """
    if measure.benchmark is None:
        return None
    benchmark, path = load_declaration(measure.benchmark)
    protocol = protocol_of(measure.benchmark, benchmark, "jp-adapt")
    if (protocol.kind or benchmark.kind) in ("code", "judge"):
        raise UsageError(f"{measure.benchmark}: an item of kind {protocol.kind or benchmark.kind} has no right answer to be measured by")
    whole = METRICS[protocol.primary_metric].whole_of
    if measure.metric == "score" and whole is not None:
        raise UsageError(
            f"{measure.benchmark}: {protocol.primary_metric} is a figure of a whole set, and a search needs one of each item: metric: bits_per_char"
        )
    free = measure.force or benchmark.searchable
    known = {(entry.source, *entry.data.test.files) for name in shipped_benchmarks() if not free for entry in load_declaration(name)[:1]}
    if (benchmark.source, *benchmark.data.test.files) in known:
        raise UsageError(
            f"{measure.benchmark}: the test set of a known benchmark; a model that was searched for on it has a score there that says nothing. "
            "Give items of your own (a declaration file), or say force: true"
        )
    if items or benchmark.data.folder is None:
        return load_benchmark(
            measure.benchmark, Path(data) if data is not None else None, shots=reads_shots(measure.benchmark, benchmark, protocol, protocol.shots)
        )
    return LoadedBenchmark(measure.benchmark, benchmark, path, [], [], {})


def benchmark_hashes(stage: schema.Stage) -> dict[str, dict[str, str]]:
    """Hashes of the files of each benchmark that a stage asks, by its name (of a declaration file the name without its folder), or by that of its measure."""
    if isinstance(stage, EvaluateStage):
        return {Path(entry.id).name if entry.path == Path(entry.id) else entry.id: entry.sha256 for entry in stage_benchmarks(stage)}
    if isinstance(stage, schema.EvolveStage):
        loaded = {name: measured_benchmark(measure, stage.data) for name, measure in stage.fitness.items()}
        return {name: entry.sha256 for name, entry in loaded.items() if entry is not None}
    return {}
