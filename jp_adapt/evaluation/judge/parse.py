"""Verdicts out of a judge's words, strictly: what cannot be read in one way only is no verdict, and says why."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

BRACKETED = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
FENCED = re.compile(r"\A```(?:json)?[ \t]*\n(.*?)\n?```\Z", re.DOTALL)


class VerdictError(ValueError):
    """A judge's answer from which no verdict can be read; the message says why."""


def json_grade(text: str, scale: tuple[int, int]) -> float:
    """The `grade` of an answer that is a JSON object {"reason": text, "grade": whole number}, alone or in one ``` block."""
    fenced = FENCED.match(text.strip())
    try:
        value = json.loads(fenced.group(1) if fenced else text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise VerdictError(f"not a JSON object ({error.msg} at character {error.pos + 1})") from error
    if not isinstance(value, dict):
        raise VerdictError(f"JSON, but not an object: {_shown(value)}")
    if "grade" not in value:
        raise VerdictError(f"no 'grade' among the keys {', '.join(map(str, value)) or '(none)'}")
    grade = value["grade"]
    if isinstance(grade, bool) or not isinstance(grade, (int, float)) or not float(grade).is_integer():
        raise VerdictError(f"grade is {_shown(grade)}, not a whole number")
    return _within(float(grade), scale)


def bracketed_rating(text: str, scale: tuple[int, int]) -> float:
    """The number in [[ ]], full-width digits and brackets read as their plain forms. It may be repeated, but not contradicted."""
    found = {float(number) for number in BRACKETED.findall(unicodedata.normalize("NFKC", text))}
    if not found:
        raise VerdictError("no rating of the form [[5]]")
    if len(found) > 1:
        raise VerdictError(f"several ratings: {', '.join(f'[[{number:g}]]' for number in sorted(found))}")
    return _within(found.pop(), scale)


def last_line_choice(text: str) -> float:
    """1 where the first answer is the better one, 0 where the second is, 0.5 for a tie: the last line names 1, 2 or 3 and no other number."""
    lines = [line for line in unicodedata.normalize("NFKC", text).splitlines() if line.strip()]
    if not lines:
        raise VerdictError("an empty answer")
    found = set(re.findall(r"\d+", lines[-1]))
    if len(found) != 1 or not found <= {"1", "2", "3"}:
        raise VerdictError(f"the last line names {' and '.join(sorted(found)) or 'no number'}, not one of 1, 2 and 3")
    return {"1": 1.0, "2": 0.0, "3": 0.5}[found.pop()]


def parse_verdict(answer_format: str, text: str, scale: tuple[int, int] | None) -> float:
    """The verdict by the name of its format. VerdictError where there is none."""
    if answer_format == "last_line_choice":
        return last_line_choice(text)
    if scale is None:
        raise ValueError(f"{answer_format} needs a scale")
    return (json_grade if answer_format == "json_grade" else bracketed_rating)(text, scale)


def _within(number: float, scale: tuple[int, int]) -> float:
    if not scale[0] <= number <= scale[1]:
        raise VerdictError(f"{number:g} is outside the scale from {scale[0]} to {scale[1]}")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise VerdictError(f"key '{sorted(twice)[0]}' stands twice")
    return dict(pairs)


def _no_number(name: str) -> Any:
    raise VerdictError(f"{name} is no number of JSON")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:40]
