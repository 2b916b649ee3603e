"""Metrics of one answer against all right answers: the best of them counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence

from jp_adapt.text import numerals

HARNESS_NUMBER = re.compile(r"(\-?[0-9\.\,]+)")


def exact_match(prediction: str, answer: str) -> float:
    return float(prediction == answer)


def overlap_f1(prediction: Sequence[Hashable], answer: Sequence[Hashable]) -> float:
    """F1 of two multisets (SQuAD's F1, 1606.05250). Two empty ones agree, as SQuAD 2 has it."""
    if not prediction or not answer:
        return float(list(prediction) == list(answer))
    same = sum((Counter(prediction) & Counter(answer)).values())
    return 2 * same / (len(prediction) + len(answer))


def char_f1(prediction: str, answer: str) -> float:
    """F1 of the characters, white space apart: the metric that is called so, unlike `llm_jp_char_f1` and `flexeval_char_f1`."""
    return overlap_f1("".join(prediction.split()), "".join(answer.split()))


def swallow_char_f1(prediction: str, answer: str) -> float:
    """F1 of the characters, white space among them (swallow-evaluation-instruct's f1_score)."""
    return overlap_f1(prediction, answer)


def word_f1(prediction: str, answer: str) -> float:
    """F1 of UniDic short-unit words."""
    from jp_adapt.text.morphology import words

    return overlap_f1(words(prediction.strip()), words(answer.strip()))


def llm_jp_char_f1(prediction: str, answer: str) -> float:
    """What llm-jp-eval reports as char_f1: fuzzywuzzy's token_sort_ratio, whole percent of matching characters after the words are sorted."""
    return _fuzz_ratio(_sorted_words(prediction), _sorted_words(answer))


def flexeval_char_f1(prediction: str, answer: str) -> float:
    """What flexeval reports as char_f1: fuzzywuzzy's ratio, whole percent of matching characters."""
    return _fuzz_ratio(prediction, answer)


def _sorted_words(text: str) -> str:
    """fuzzywuzzy's processing: Latin-1 above ASCII away, what is not a letter or digit a space, lower case, words sorted."""
    text = "".join(char for char in text if not 128 <= ord(char) < 256)
    return " ".join(sorted(re.sub(r"\W", " ", text).lower().split()))


def _fuzz_ratio(left: str, right: str) -> float:
    """fuzzywuzzy's ratio (with python-Levenshtein, as both peers install it): insertions and deletions alone, rounded to percent; empty texts score 0."""
    from rapidfuzz.distance import Indel

    if left == right:
        return 1.0
    return round(100 * Indel.normalized_similarity(left, right)) / 100 if left and right else 0.0


def last_number(text: str) -> float | None:
    """The last number of a text, in any of the spellings of `jp_adapt.text.numerals`; None where there is none."""
    number = numerals.last_number(text)
    return None if number is None else float(number.value)


def number_match(prediction: str, answer: str) -> float:
    """Whether the last number of an answer is the right one."""
    given, right = numerals.last_number(prediction), numerals.last_number(answer)
    return float(given is not None and right is not None and given.value == right.value)


def harness_number(text: str) -> int | None:
    """The answer as the harnesses read MGSM: the last run of digits, dots and commas, when it is a whole number."""
    matches = HARNESS_NUMBER.findall(text)
    if not matches:
        return None
    try:
        value = float(matches[-1].strip(".").replace(",", ""))
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def harness_number_match(prediction: str, answer: str) -> float:
    results = harness_number(prediction)
    return float(results is not None and results == harness_number(answer))


def lm_eval_exact_match(prediction: str, answer: str) -> float:
    """lm-eval's exact_match of japanese_leaderboard: against the first right answer alone, white space at both ends away."""
    return float(prediction.strip() == answer.strip())
