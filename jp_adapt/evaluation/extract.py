"""What of a generated text is the answer: a closed list of steps, done to the text as it was written. Normalisers come after them (`scoring.score_text`)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from jp_adapt.evaluation import extract_peers
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


# Where an answer that was asked for as 「答え：…」 begins, and the other ways in which models say it, the surest first; of each the last one counts.
NAMED = r"(?:最終|最終的な|最終の|正しい)?(?:答え|回答|解答|Answer)[*_`】\]]*[ \u3000]*(?:は[ \u3000]*)?[:：]"
ANSWER_MARKS = (
    re.compile(rf"^[ \u3000*_#>`【\[-]*{NAMED}", re.IGNORECASE | re.MULTILINE),
    re.compile(NAMED, re.IGNORECASE),
    re.compile(r"[【\[](?:最終)?(?:答え|回答|解答)[】\]]|^#+ *(?:最終的?な?)?(?:答え|回答|解答) *$", re.MULTILINE),
    re.compile(r"(?:答え|正解|回答|解答)は、?"),
)
BOXED = re.compile(r"\\boxed\s*\{")
DECORATION = " \t\u3000*_`#\"'「」『』“”。"
FENCED = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
LETTER = re.compile(r"(?<![A-Za-z0-9])[A-J](?![A-Za-z0-9'])")


def boxed(text: str) -> str:
    r"""What stands in the last \boxed{...}, braces in it in pairs; the text itself where there is none."""
    begun = list(BOXED.finditer(text))
    if not begun:
        return text
    start, depth = begun[-1].end(), 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if not depth:
            return text[start:at]
    return text


def after_answer(text: str) -> str:
    """The first line that is not empty behind the last 「答え：」, without marks of emphasis; where nothing says so, the last line of the text."""
    for mark in ANSWER_MARKS:
        for found in reversed(list(mark.finditer(text))):
            lines = [bare for line in text[found.end() :].split("\n") if (bare := line.strip(DECORATION))]
            if lines:
                return lines[0].removesuffix("です").strip(DECORATION)
    lines = [bare for line in text.split("\n") if (bare := line.strip(DECORATION))]
    return lines[-1] if lines else ""


def choice_letter(text: str) -> str:
    """The first letter from A to J of any width that stands alone, or nothing: B of 「B. 犬」, 「(Ｂ)」 and 「選択肢Bです」."""
    found = LETTER.search(unicodedata.normalize("NFKC", text))
    return found[0] if found else ""


def code_block(text: str) -> str:
    """The program in the first ``` block, on lines of its own; the text itself where there is none."""
    found = FENCED.search(text)
    return f"\n{found[1]}\n" if found else text


STEPS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "first_line": lambda text: text.lstrip("\n").split("\n", 1)[0],
    "up_to_newline": lambda text: text.split("\n", 1)[0],
    "first_paragraph": lambda text: text.split("\n\n", 1)[0],
    "first_number": first_number,
    "last_number": last_number,
    "llm_jp_number": llm_jp_number,
    "flexeval_number": flexeval_number,
    "boxed": boxed,
    "after_answer": after_answer,
    "choice_letter": choice_letter,
    "code_block": code_block,
    "last_code_block": extract_peers.last_code_block,
    "lighteval_a_to_d": lambda text: extract_peers.lighteval_letter(text, "ABCD"),
    "lighteval_a_to_j": lambda text: extract_peers.lighteval_letter(text, "ABCDEFGHIJ"),
    "swallow_answer": extract_peers.swallow_answer,
    "swallow_japanese": lambda text: extract_peers.prefixed_line(text, "日本語:"),
    "swallow_english": lambda text: extract_peers.prefixed_line(text, "English:"),
}


def extract(text: str, steps: Iterable[str]) -> str:
    """`text` after the named steps, in order."""
    for step in steps:
        text = STEPS[step](text)
    return text
