"""The page of a leaderboard: a table for each suite, models as columns, each score with its interval and whether it differs from the first model's."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from jp_adapt.evaluation.leaderboard import BoardRow, Leaderboard, Standing
from jp_adapt.report.pages import render
from jp_adapt.report.written import number_text

SECTIONS = {"scores": "Scores", "verdicts": "Verdicts", "missing": "Not measured yet"}
MARKS = {"better": "▲", "worse": "▼", "no difference": "=", "no verdict": "?"}


def leaderboard_page(board: Leaderboard, pages: Mapping[tuple[str, str], str]) -> str:
    """The whole page as HTML text. `pages`: (model, suite) -> address of the page with its items, from this page's folder."""
    suites = list(dict.fromkeys(row.suite for row in board.table))
    tables = [(suite, _columns(board, suite, pages), [_line(row, board) for row in board.table if row.suite == suite]) for suite in suites]
    verdicts = [(row.name, standing.verdict) for row in board.table for standing in row.standings if standing.verdict]
    return render("leaderboard.html.jinja", SECTIONS, title="Leaderboard", version="", board=board, tables=tables, verdicts=verdicts)


def score_text(standing: Standing) -> str:
    """The score, and a mark where it was compared with the first model's."""
    value = number_text(standing.value, 4)
    return f"{MARKS[standing.outcome]} {value}" if standing.outcome else value


def _columns(board: Leaderboard, suite: str, pages: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """(model, address of its page or nothing) of each column."""
    return [(model, quote(pages.get((model, suite), ""))) for model in board.models]


def _line(row: BoardRow, board: Leaderboard) -> tuple[BoardRow, list[tuple[str, str, bool]]]:
    """The row, and for each model (score, interval, whether it is the highest)."""
    by_model = {standing.model: standing for standing in row.standings}
    best = max((standing.value for standing in row.standings if standing.value is not None), default=None)
    cells = []
    for model in board.models:
        standing = by_model.get(model)
        interval = standing.interval if standing else None
        below = f"{number_text(interval[0], 3)} to {number_text(interval[1], 3)}" if interval else ""
        cells.append((score_text(standing) if standing else "–", below, standing is not None and standing.value == best))
    return row, cells
