"""From a name or a file to one document: what it extends, whole paths, and the settings of `-s`. Whether it is right is not asked here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.files import is_file
from jp_adapt.core.shipped import shipped_corpora, shipped_recipes
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import Document, Key, load_yaml, parse_scalar

MAX_PARENTS = 20  # that a recipe extends, one after another
MAX_KEYS = 12  # of a setting: stages.cpt.optimizer.lr has four
STEP_PATHS = ("files", "data")  # parameters of the steps of a corpus recipe that are paths


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
