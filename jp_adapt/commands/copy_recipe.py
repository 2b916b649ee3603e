"""Copy a shipped recipe together with the files it names, keeping their places beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from jp_adapt.commands.json_schema import place_schema
from jp_adapt.core.files import new_folder, read_text, refuse_existing, write_text
from jp_adapt.core.shipped import shipped_corpora, shipped_folder
from jp_adapt.corpus.sources import expand_paths
from jp_adapt.recipe.load import LoadedRecipe, load_recipe
from jp_adapt.recipe.load_corpus import load_corpus
from jp_adapt.recipe.new_recipe import SCHEMA_LINE


def copy_recipe(name: str, folder: Path) -> Path:
    """Copy the shipped recipe or corpus recipe `name` into the new folder `folder` and return the path of the copy. UsageError if `folder` exists."""
    refuse_existing(folder, "folder")
    loaded = load_corpus(name) if name in shipped_corpora() else load_recipe(name, need_files=False)
    root = shipped_folder("recipes").resolve()
    given = [source.path for source in loaded.recipe.sources.values() if source.path]
    patterns = [path for entry in given for path in ([entry] if isinstance(entry, str) else entry)]
    if isinstance(loaded, LoadedRecipe) and loaded.recipe.control is not None:
        patterns.append(loaded.recipe.control)
    with new_folder(folder) as target:
        for path in [loaded.path, *(expand_paths(patterns) if name in shipped_corpora() else map(Path, patterns))]:
            copied = target / path.resolve().relative_to(root)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)
        copy, kind = target / loaded.path.resolve().relative_to(root), "corpus" if name in shipped_corpora() else "recipe"
        write_text(copy, f"{SCHEMA_LINE.format(kind)}\n{read_text(copy)}")
        place_schema(kind, copy.parent)
    return folder / loaded.path.resolve().relative_to(root)
