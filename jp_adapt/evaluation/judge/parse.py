"""Verdicts out of a judge's words, strictly: what is not in the form that was asked for, or can be read in two ways, is not a verdict, and says why."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, NamedTuple

from jp_adapt.benchmarks.judge import AnswerFormat
from jp_adapt.core.errors import InputError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.text.thoughts import split_thought

FENCED = re.compile(r"\A```(?:json)?[ \t]*\n(.*?)\n?```\Z", re.DOTALL)
LABEL = r"(?:(?:最終)?(?:的な)?(?:評価|判定|選択|結論|結果|回答|答え|出力|verdict|choice|answer)[はが:=\s]*)?"
CHOICE = re.compile(rf"{LABEL}(?:([123])|アシスタント([12])(?:の[回解]答)?)(?:です|を選びます|を選択します)?", re.IGNORECASE)
NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
BRACKETED = re.compile(rf"\[\[\s*{NUMBER}\s*\]\]")
TWO_SCORES = re.compile(rf"{NUMBER}(?:\s*,\s*|\s+){NUMBER}")
MARKS = str.maketrans("", "", "*_#`'\"「」『』【】[]()<>")  # around a number, which say nothing


class Grades(NamedTuple):
    """What a verdict gives the answer; and the reference answer, where the judge grades both."""

    score: float
    reference: float | None = None


class VerdictError(ValueError):
    """A judge's answer from which no verdict can be read; the message says why."""


def without_thought(text: str) -> str:
    """What a judge says after its thought. VerdictError where the thought does not end."""
    parts = split_thought(text.strip())
    if not parts.ended:
        raise VerdictError("the thought does not end")
    return parts.answer.strip()


def json_grade(text: str, scale: tuple[int, int]) -> float:
    """The `grade` of an answer that is a JSON object {"reason": text, "grade": whole number}, alone or in one ``` block."""
    return _whole_grade(_object(text), "grade", scale)


def json_scores(text: str, scale: tuple[int, int]) -> Grades:
    """The `score` and `score_gpt`, whole numbers, of an answer that is a JSON object, alone or in one ``` block."""
    value = _object(text)
    return Grades(_whole_grade(value, "score", scale), _whole_grade(value, "score_gpt", scale))


def first_line_scores(text: str, scale: tuple[int, int]) -> Grades:
    """The two numbers of the first line, which are those of the reference answer and of the answer: nothing else may stand there but a comma or marks."""
    lines = [line for line in unicodedata.normalize("NFKC", text).splitlines() if line.strip()]
    if not lines:
        raise VerdictError("an empty answer")
    numbers = TWO_SCORES.fullmatch(lines[0].translate(MARKS).strip())
    if numbers is None:
        raise VerdictError(f"the first line is {_shown(lines[0].strip())}, not two numbers alone")
    reference, score = (_within(float(number), scale) for number in numbers.groups())
    return Grades(score, reference)


def lone_grade(text: str, scale: tuple[int, int]) -> float:
    """The whole number that an answer is; marks and a full stop say nothing."""
    plain = unicodedata.normalize("NFKC", text).translate(MARKS).strip(" \t\n。.")
    if not re.fullmatch(r"\d{1,9}", plain):
        raise VerdictError(f"the answer is {_shown(text.strip())}, not a whole number alone")
    return _within(float(plain), scale)


def bracketed_rating(text: str, scale: tuple[int, int]) -> float:
    """The number in [[ ]], full-width digits and brackets read as their plain forms. It may be repeated, but not contradicted."""
    results = {float(number) for number in BRACKETED.findall(unicodedata.normalize("NFKC", text))}
    if not results:
        raise VerdictError("no rating of the form [[5]]")
    if len(results) > 1:
        raise VerdictError(f"several ratings: {', '.join(f'[[{number:g}]]' for number in sorted(results))}")
    return _within(results.pop(), scale)


def last_line_choice(text: str) -> float:
    """1 where the first answer is the better one, 0 where the second is, 0.5 for a tie: the last line is 1, 2 or 3 and no other word than a label, or is the
    name of the first or second assistant. A number within a sentence is not a choice: 「2つの回答は同等」 names neither answer."""
    lines = [line for line in unicodedata.normalize("NFKC", text).splitlines() if line.strip()]
    if not lines:
        raise VerdictError("an empty answer")
    chosen = CHOICE.fullmatch(lines[-1].translate(MARKS).strip(" \t。.、,:;!"))
    if chosen is None:
        raise VerdictError(f"the last line is {_shown(lines[-1].strip())}, not one of 1, 2 and 3 alone")
    return {"1": 1.0, "2": 0.0, "3": 0.5}[chosen.group(1) or chosen.group(2)]


def parse_verdict(answer_format: AnswerFormat, text: str, scale: tuple[int, int] | None) -> Grades:
    """The verdict by the name of its format, after the thought of a judge that reasons. VerdictError if there is no verdict."""
    text = without_thought(text)
    if answer_format == "last_line_choice":
        return Grades(last_line_choice(text))
    if scale is None:
        raise ValueError(f"{answer_format} needs a scale")
    if answer_format == "first_line_scores":
        return first_line_scores(text, scale)
    if answer_format == "json_scores":
        return json_scores(text, scale)
    return Grades({"json_grade": json_grade, "bracketed_rating": bracketed_rating, "lone_grade": lone_grade}[answer_format](text, scale))


def _object(text: str) -> dict[str, Any]:
    """The JSON object that an answer is, alone or in one ``` block."""
    fenced = FENCED.match(text.strip())
    try:
        value = parse_json(fenced.group(1) if fenced else text, "the answer", unique_keys=True, lone_surrogates="replace")
    except InputError as error:
        raise VerdictError(f"not a JSON object ({str(error).removeprefix('the answer: ')})") from error
    if not isinstance(value, dict):
        raise VerdictError(f"JSON, but not an object: {_shown(value)}")
    return value


def _whole_grade(value: dict[str, Any], name: str, scale: tuple[int, int]) -> float:
    if name not in value:
        raise VerdictError(f"no '{name}' among the keys {', '.join(map(str, value))[:80] or '(none)'}")
    grade = value[name]
    if isinstance(grade, bool) or not isinstance(grade, (int, float)) or not float(grade).is_integer():
        raise VerdictError(f"{name} is {_shown(grade)}, not a whole number")
    return _within(float(grade), scale)


def _within(number: float, scale: tuple[int, int]) -> float:
    if not scale[0] <= number <= scale[1]:
        raise VerdictError(f"{number:g} is outside the scale from {scale[0]} to {scale[1]}")
    return number


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:40]
