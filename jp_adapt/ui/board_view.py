"""The leaderboard of a matrix for the page: its table, and where the items of each model on each suite are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.commands.matrix import cell_folder
from jp_adapt.core.files import is_file
from jp_adapt.evaluation.leaderboard import LEADERBOARD, Leaderboard
from jp_adapt.evaluation.results import SCORES


def board_view(path: Path, folder: Path) -> dict[str, Any]:
    """leaderboard.json of `path`, and `items`: suite -> model -> path below `folder` of its evaluation, of those that are there."""
    board = Leaderboard.read(path / LEADERBOARD)
    items: dict[str, dict[str, str]] = {}
    for suite in dict.fromkeys(row.suite for row in board.table):
        cells = {model: cell_folder(path, model, suite) for model in board.models}
        items[suite] = {model: cell.relative_to(folder).as_posix() for model, cell in cells.items() if is_file(cell / SCORES)}
    return {"name": path.name, **asdict(board), "items": items}
