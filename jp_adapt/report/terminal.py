"""Tables for a terminal: Japanese text takes the two columns that it has, no cell is cut, and off a terminal the lines are the same on every machine."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence

from jp_adapt.core.visible import visible

UNBOUNDED = 100_000  # columns, where no terminal has a width


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1, indent: int = 0) -> list[str]:
    """The lines of a table. The first `words` columns hold words and stand at the left, the others numbers; a table without column names has no head.

    On a terminal cells are wrapped to its width. Anywhere else every row is one line, without colours or trailing spaces.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, show_header=any(columns), pad_edge=False, padding=(0, 2, 0, 0), header_style="none")
    for index, name in enumerate(columns):
        drawn.add_column(name, justify="left" if index < words else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(" ".join(visible(cell).split("\n"))) for cell in row))
    width = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else UNBOUNDED
    out = io.StringIO()
    Console(file=out, width=max(40, width), color_system=None, force_terminal=False, legacy_windows=False, emoji=False).print(drawn, soft_wrap=False)
    return [f"{'':{indent}}{line}".rstrip() for line in out.getvalue().splitlines()]
