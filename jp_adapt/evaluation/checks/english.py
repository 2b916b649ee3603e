"""The checks of IFEval for English answers (google-research, instruction_following_eval/instructions.py; arXiv 2311.07911, table 1).

Sentences end there where NLTK's trained Punkt says, and words are those of the Penn Treebank. Here both follow the rules of these tools, without NLTK and
its data: sentences with the abbreviations below, words as far as capitals need it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jp_adapt.evaluation.checks.languages import is_in_language
from jp_adapt.evaluation.checks.shared import compare, nth_paragraph

THREE_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof rev gen sen rep gov capt lt col sgt st mt jr sr co corp inc ltd bros dept vs etc no vol pp p fig eq approx est
e.g i.e a.m p.m u.s u.k u.s.a u.n d.c n.y l.a ph.d b.a m.a m.d jan feb mar apr jun jul aug sep sept oct nov dec ave blvd
""".split()  # noqa: SIM905 (60 lines, one for each, say no more)
)
_MARK = re.compile(r"(\S*[.!?])[\"')\]}*”’]*\s+(?=\S)")
_CONTRACTION = re.compile(r"(n't|'(?:s|m|d|ll|re|ve))\b", re.IGNORECASE)
_WORD = re.compile(r"[^\s,;:@#$%&?!()\[\]{}<>\"`]+")
PUNCTUATION = ".,?!'\""


def has_keywords(text: str, keywords: Sequence[str]) -> bool:
    return all(re.search(re.escape(keyword), text, re.IGNORECASE) for keyword in keywords)


def keyword_count(text: str, keyword: str, frequency: int, relation: str) -> bool:
    return compare(len(re.findall(re.escape(keyword.strip()), text, re.IGNORECASE)), frequency, relation)


def lacks_words(text: str, forbidden_words: Sequence[str]) -> bool:
    """None of the words stands there as a word."""
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


def letter_count(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return compare(text.lower().count(letter.strip().lower()), let_frequency, let_relation)


def sentence_count(text: str, num_sentences: int, relation: str) -> bool:
    ends = sum(map(_ends_sentence, _MARK.findall(text)))
    return compare(ends + bool(text.strip()), num_sentences, relation)


def _ends_sentence(word: str) -> bool:
    """Whether a sentence ends with the mark of `word`: not behind an abbreviation, an initial or dots."""
    if word[-1] != ".":
        return True
    word = word[:-1].lstrip("\"'([{*_").lower()
    return not (word in ABBREVIATIONS or word.endswith(".") or (len(word) == 1 and word.isalpha()))


def word_count(text: str, num_words: int, relation: str) -> bool:
    """Words are runs of letters and digits, so that "don't" is two."""
    return compare(len(re.findall(r"\w+", text)), num_words, relation)


def capital_word_count(text: str, capital_frequency: int, capital_relation: str) -> bool:
    """Words whose letters are all capitals; "DON'T" is two."""
    return compare(sum(word.isupper() for word in _WORD.findall(_CONTRACTION.sub(r" \1", text))), capital_frequency, capital_relation)


def nth_paragraph_begins(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    paragraph = _nth_paragraph(text, num_paragraphs, nth_paragraph)
    if paragraph is None:
        return False
    word = re.split(f"[{re.escape(PUNCTUATION)}]", paragraph.split()[0].lstrip("'").lstrip('"'))[0]
    return word.lower() == first_word.lower()


_nth_paragraph = nth_paragraph  # the argument of IFEval has the same name


def has_bullets(text: str, num_bullets: int) -> bool:
    """Exactly so many lines that begin with * or -."""
    return len(re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)) + len(re.findall(r"^\s*-.*$", text, re.MULTILINE)) == num_bullets


def is_one_of_three(text: str) -> bool:
    return any(answer in text for answer in THREE_ANSWERS)


def has_highlights(text: str, num_highlights: int) -> bool:
    """At least so many parts between *asterisks*; one in **two of them** counts, too."""
    single = [part for part in re.findall(r"\*[^\n\*]*\*", text) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n\*]*\*\*", text) if part[2:-2].strip()]
    return len(single) + len(double) >= num_highlights


def has_sections(text: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many headings such as "Section 1"."""
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", text)) >= num_sections


def has_title(text: str) -> bool:
    """A title between << and >>, on one line."""
    return any(title.lstrip("<").rstrip(">").strip() for title in re.findall(r"<<[^\n]+>>", text))


def repeats_prompt(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def ends_with(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def is_quoted(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def is_upper_case(text: str) -> bool:
    return text.isupper() and is_in_language(text, "en")


def is_lower_case(text: str) -> bool:
    return text.islower() and is_in_language(text, "en")


def lacks_commas(text: str) -> bool:
    return "," not in text
