"""From a file to a checked merge recipe; every problem at its file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import read_text
from jp_adapt.core.given import several
from jp_adapt.core.yaml_lines import Document, load_yaml
from jp_adapt.merging.table import METHODS
from jp_adapt.recipe.document import apply_override
from jp_adapt.recipe.explain import explain, where
from jp_adapt.recipe.merge import Finding, MergeRecipe, findings


@dataclass(frozen=True)
class LoadedMerge:
    """A checked merge recipe, the text of its file byte for byte, and where it lies."""

    recipe: MergeRecipe
    text: str
    path: Path


def load_merge(path: Path, overrides: str | Sequence[str] = ()) -> LoadedMerge:
    """Load a merge recipe from a file; paths in it start at its folder.

    Raises:
        UsageError: the recipe is wrong; the message lists every problem with file:line.
        InputError: the file is missing.
    """
    document = load_yaml(path)
    if not isinstance(document.value, dict):
        raise UsageError(f"{path}:1: a merge recipe is a mapping that begins with 'format: 1'")
    _refuse_mergekit(document, path)
    for override in several(overrides):
        apply_override(document, override)
    try:
        recipe = MergeRecipe.model_validate(document.value)
    except ValidationError as error:
        problems = [explain(document, detail, MergeRecipe) for detail in error.errors()]
        raise _refusal(document, problems) from error
    if problems := [*findings(recipe, recipe.models), *_own_findings(recipe)]:
        raise _refusal(document, problems)
    return LoadedMerge(_absolute(recipe, path.resolve().parent), read_text(path), path)


def _own_findings(recipe: MergeRecipe) -> Iterator[Finding]:
    for name, model in recipe.models.items():
        if recipe.folder_of(name) is None or (model.path is None and model.adapter is None):
            yield ("models", name), f"'{name}' needs a 'path': the folder of a model or, with 'adapter', of the adapter's base (the recipe's base by default)"
    method = METHODS.get(recipe.method)
    if recipe.write == "adapter" and method is not None and not (method.in_lora_space and recipe.slices is None):
        able = ", ".join(name for name, entry in METHODS.items() if entry.in_lora_space)
        yield ("write",), f"write: adapter needs a method that adds whole matrices ({able}), without slices; {method.name} looks at single elements of them"


def _refusal(document: Document, problems: Sequence[Finding]) -> UsageError:
    return UsageError("\n".join(dict.fromkeys(f"{where(document, key)}: {message}" for key, message in problems)))


def _refuse_mergekit(document: Document, path: Path) -> None:
    if "merge_method" in document.value:
        line = document.places[("merge_method",)][1]
        raise UsageError(f"{path}:{line}: a configuration of mergekit; make a recipe of it first: jp-adapt merge from-mergekit {path} > merge.yaml")


def _absolute(recipe: MergeRecipe, folder: Path) -> MergeRecipe:
    models = {
        name: model.model_copy(
            update={key: str(folder / Path(value).expanduser()) for key in ("path", "adapter") if (value := getattr(model, key)) is not None}
        )
        for name, model in recipe.models.items()
    }
    return recipe.model_copy(update={"models": models})
