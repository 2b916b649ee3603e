"""A line of the table: what was measured, its figure, what was asked, and whether it was reached."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Row:
    """`reached`: None where there is nothing to reach: a figure for the record, or something that is not installed."""

    what: str
    figure: str
    asked: str = ""
    reached: bool | None = None

    def __str__(self) -> str:
        mark = {True: "ok", False: "FAILED", None: ""}[self.reached]
        return f"  {self.what:<58} {self.figure:<34} {self.asked:<20} {mark}"


def at_most(what: str, figure: float, bound: float) -> Row:
    """A figure that may not be larger than `bound`; one that is no number is too large."""
    return Row(what, f"{figure:.2e}", f"at most {bound:.0e}", bool(figure <= bound))


def distance(own: torch.Tensor, exact: torch.Tensor) -> float:
    """Norm of the difference over the norm of what is exact."""
    exact = exact.detach().double().cpu()
    return float((own.detach().double().cpu() - exact).norm() / exact.norm())
