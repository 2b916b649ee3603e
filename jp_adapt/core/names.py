"""Short names for paths: the part at the end that distinguishes them, without the folders above it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath


def model_name(folder: Path) -> str:
    """The name of the model in a folder: the folder's own, or, if a stage made it (runs/mine/stages/model/final), that of the run and the stage: mine/model."""
    parts = folder.resolve().parts
    return f"{parts[-4]}/{parts[-2]}" if len(parts) > 4 and parts[-1] == "final" and parts[-3] == "stages" else parts[-1]


def folder_name(name: str) -> str:
    """A name as that of a folder: hyphens for slashes, spaces and other marks. Empty where no letter and no digit is in it."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def distinct_tails(paths: Sequence[str]) -> list[str]:
    """The shortest end of each path that no other path has; its last part where that is enough. The same path twice gives the same name twice."""
    parts = [PurePath(path).parts or (path,) for path in paths]
    return ["/".join(own[-_length(own, parts) :]) for own in parts]


def told_apart(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Names as they are; behind one that several have stands as much of its path as tells them apart. An empty name becomes that."""
    tails = distinct_tails(paths)
    shown = [name or tail for name, tail in zip(names, tails, strict=True)]
    return [f"{name} ({tail})" if shown.count(name) > 1 else name for name, tail in zip(shown, tails, strict=True)]


def _length(mine: tuple[str, ...], every: Sequence[tuple[str, ...]]) -> int:
    others = [other for other in every if other != mine]
    return next((length for length in range(1, len(mine)) if all(other[-length:] != mine[-length:] for other in others)), len(mine))
