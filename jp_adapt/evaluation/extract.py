"""What of a generated text is the answer: a closed list of steps, done to the text as it was written. Normalisers come after them (`scoring.score_text`)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from jp_adapt.text import numerals


def first_number(text: str) -> str:
    """The first number of a text (`jp_adapt.text.numerals`) in ASCII digits, or nothing."""
    number = numerals.first_number(text)
    return numerals.number_text(number.value) if number is not None else ""


def last_number(text: str) -> str:
    """The last number of a text in ASCII digits, or nothing."""
    number = numerals.last_number(text)
    return numerals.number_text(number.value) if number is not None else ""


def llm_jp_number(text: str) -> str:
    """What llm-jp-eval takes for a number (src/llm_jp_eval/utils.py: normalize, parse_float): the digits and dots of the text after NFKC, without a sign."""
    digits = re.sub(r"[^0-9.]", "", unicodedata.normalize("NFKC", text))
    try:
        float(digits)
    except ValueError:
        return ""
    return digits


def flexeval_number(text: str) -> str:
    """What flexeval's preset of MGSM takes for the answer (RegexExtractor): the last run of digits, dots and commas, as it was written, or nothing."""
    numbers = re.findall(r"-?[0-9.,]+", text)
    return numbers[-1] if numbers else ""


STEPS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "first_line": lambda text: text.lstrip("\n").split("\n", 1)[0],
    "up_to_newline": lambda text: text.split("\n", 1)[0],
    "first_paragraph": lambda text: text.split("\n\n", 1)[0],
    "first_number": first_number,
    "last_number": last_number,
    "llm_jp_number": llm_jp_number,
    "flexeval_number": flexeval_number,
}


def extract(text: str, steps: Iterable[str]) -> str:
    """`text` after the named steps, in order."""
    for step in steps:
        text = STEPS[step](text)
    return text
