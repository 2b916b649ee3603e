"""Copy a shipped recipe together with the files it names, keeping their places beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import new_folder
from jp_adapt.core.shipped import shipped_folder
from jp_adapt.recipe.load import load_recipe


def copy_recipe(name: str, folder: Path) -> Path:
    """Copy the shipped recipe `name` into the new folder `folder`; the path of the copied recipe comes back. UsageError when `folder` exists."""
    if folder.exists():
        raise UsageError(f"{folder}: exists already; give a new folder")
    loaded = load_recipe(name, need_files=False)
    root = shipped_folder("recipes").resolve()
    with new_folder(folder) as target:
        for path in [loaded.path, *(Path(source.path) for source in loaded.recipe.sources.values() if source.path)]:
            copied = target / path.resolve().relative_to(root)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)
    return folder / loaded.path.name
