"""Accuracies of followed instructions, as IFEval has them (arXiv 2311.07911, section 3): of prompts and of instructions, strict and loose."""

from __future__ import annotations

from collections.abc import Sequence

from jp_adapt.evaluation.checks.functions import passed


def prompt_strict(answer: str, checks: Sequence[str]) -> float:
    """Whether the answer passes all checks."""
    return float(all(passed(answer, checks)))


def instruction_strict(answer: str, checks: Sequence[str]) -> float:
    """Share of the checks that the answer passes."""
    return sum(passed(answer, checks)) / len(checks)


def prompt_loose(answer: str, checks: Sequence[str]) -> float:
    """Whether the answer passes all checks, each with or without what frames it."""
    return float(all(passed(answer, checks, loose=True)))


def instruction_loose(answer: str, checks: Sequence[str]) -> float:
    """Share of the checks that the answer passes, with or without what frames it."""
    return sum(passed(answer, checks, loose=True)) / len(checks)
