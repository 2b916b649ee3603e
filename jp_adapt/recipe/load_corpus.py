"""From a name or a file to a checked corpus recipe, with shipped source declarations filled in; every problem at its file and line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from jp_adapt.core.errors import Problems, UsageError
from jp_adapt.core.files import read_text
from jp_adapt.core.given import several
from jp_adapt.core.shipped import shipped_corpora, shipped_recipes, shipped_sources
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import Document, Key, load_yaml
from jp_adapt.recipe.corpus import CorpusRecipe
from jp_adapt.recipe.document import apply_override, find_recipe, with_parents
from jp_adapt.recipe.explain import explain, where
from jp_adapt.recipe.schema import Recipe

HUB_KEYS = ("dataset", "revision", "config", "split")


class SourceDeclaration(BaseModel, extra="forbid", strict=True):
    """A public corpus, ready to `use`: where it is and how it is read."""

    format: int
    title: str
    source: dict[str, Any]


@dataclass(frozen=True)
class LoadedCorpus:
    """A checked corpus recipe, its file, the text of that byte for byte, and where each part of it stands."""

    recipe: CorpusRecipe
    text: str
    path: Path
    document: Document

    def place(self, key: Key) -> str:
        """The file:line of a part of the recipe."""
        return where(self.document, key)


def load_corpus(name_or_path: str | Path, overrides: str | Sequence[str] = ()) -> LoadedCorpus:
    """Load a shipped corpus recipe by name, or a corpus recipe file by path.

    Raises:
        UsageError: the recipe is wrong; the message lists every problem with file:line.
        InputError: the recipe is missing.
    """
    path = find_recipe(name_or_path, shipped_corpora())
    document = with_parents(path, (), shipped_corpora())
    for override in several(overrides):
        apply_override(document, override)
    problems = Problems()
    _fill_in_declarations(document, problems)
    problems.refuse()
    try:
        recipe = CorpusRecipe.model_validate(document.value)
    except ValidationError as error:
        findings = [explain(document, detail, CorpusRecipe) for detail in error.errors()]
        raise UsageError("\n".join(dict.fromkeys(f"{where(document, key)}: {message}" for key, message in findings))) from error
    return LoadedCorpus(recipe, read_text(path), path, document)


def is_corpus_recipe(name_or_path: str | Path) -> bool:
    """Whether a shipped name or a file is a corpus recipe, and no recipe of `run`: it has sources, and no key that only the other kind has.

    Raises:
        UsageError, InputError: nothing has this name, or the file is no YAML.
    """
    shipped = shipped_recipes() | shipped_corpora()
    keys = set(with_parents(find_recipe(name_or_path, shipped), (), shipped).value)
    return "sources" in keys and not keys & (Recipe.model_fields.keys() - CorpusRecipe.model_fields.keys())


def _declaration(name: str) -> dict[str, Any]:
    return SourceDeclaration.model_validate(load_yaml(shipped_sources()[name]).value).source


def _fill_in_declarations(document: Document, problems: Problems) -> None:
    """Lay each source that says `use: NAME` over the shipped declaration; a `path` of its own takes the place of the hub."""
    sources = document.value.get("sources")
    for key, source in sources.items() if isinstance(sources, dict) else ():
        if not isinstance(source, dict) or "use" not in source:
            continue
        name = str(source.pop("use"))
        if name not in shipped_sources():
            known = ", ".join(shipped_sources())
            place = where(document, ("sources", key, "use"))
            problems.errors.append(UsageError(f"{place}: no shipped source '{name}'{did_you_mean(name, shipped_sources())}; there are: {known}"))
            continue
        declared = _declaration(name)
        if "path" in source:
            declared = {part: value for part, value in declared.items() if part not in HUB_KEYS}
        sources[key] = declared | source
