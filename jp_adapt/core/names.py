"""Short names for paths: as much of their end as tells them apart, and nothing of where they lie on a disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath


def distinct_tails(paths: Sequence[str]) -> list[str]:
    """The shortest end of each path that no other path has; its last part where that is enough. The same path twice gives the same name twice."""
    parts = [PurePath(path).parts or (path,) for path in paths]
    return ["/".join(mine[-_length(mine, parts) :]) for mine in parts]


def _length(mine: tuple[str, ...], every: Sequence[tuple[str, ...]]) -> int:
    others = [other for other in every if other != mine]
    return next((length for length in range(1, len(mine)) if all(other[-length:] != mine[-length:] for other in others)), len(mine))
