"""The metrics of JFinQA (ajtgjmdjp/jfinqa at 04831da, src/jfinqa/_metrics.py), by its own rules for figures of Japanese annual reports."""

from __future__ import annotations

import re
import unicodedata

UNITS = ("百万円", "千円", "億円", "兆円", "円", "ドル", "ポイント", "pt", "bps")
MULTIPLIERS = {"千": 1e3, "百万": 1e6, "億": 1e8, "兆": 1e12}
TOLERANCE = 0.01  # of the right number: answers are rounded


def jfinqa_exact_match(prediction: str, answer: str) -> float:
    """The same text, of any width and case, without commas in numbers and した at the end; △ is a minus sign."""
    return float(_normal(prediction) == _normal(answer))


def jfinqa_numerical_match(prediction: str, answer: str) -> float:
    """Within 1 % of the right number; where one of the two is no number, `jfinqa_exact_match`. A unit or % at the end does not count."""
    given, right = _number(prediction), _number(answer)
    if given is None or right is None:
        return jfinqa_exact_match(prediction, answer)
    return float(abs(given - right) <= TOLERANCE * abs(right))


def _normal(text: str) -> str:
    text = re.sub("^[△▲]", "-", unicodedata.normalize("NFKC", text.strip()))
    text = re.sub(r"(?<=\d),(?=\d)", "", text)
    ending = next((ending for ending in ("しました", "した") if text.endswith(ending)), "")
    return text.removesuffix(ending).lower().strip()


def _number(text: str) -> float | None:
    text = _normal(text)
    for unit in UNITS:  # one after the other, so that 円ドル loses both
        text = text.removesuffix(unit)
    multiplier = next((char for char in MULTIPLIERS if char in text), "")
    digits = re.sub(r"[^\d.\-+]", "", text)
    try:
        return float(digits) * MULTIPLIERS.get(multiplier, 1.0)
    except ValueError:
        return None
