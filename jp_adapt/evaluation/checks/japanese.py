"""The checks of M-IFEval for Japanese answers (lightblue-tech/M-IFEval at 0bc3143, instructions/ja_instructions.py; arXiv 2502.04688, appendix).

Words are those of IPADIC, whose dictionary Janome has there and MeCab here. What M-IFEval asks for in words that IPADIC divides, such as 秘密の特訓,
no answer has; its scores are made so, and these are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from jp_adapt.evaluation.checks.shared import compare, nth_paragraph
from jp_adapt.text.morphology import ipadic_words

THREE_ANSWERS = ("はい、そうです。", "いいえ、違います。", "どちらとも言えません。")
KANJI = "\u4e00-\u9faf"
_WIDTHS = str.maketrans("！？（）｡｢｣\u3000", "!?()。「」 ")
_JAPANESE = r"!-/:-@\[-`{-~\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef"  # and the marks of ASCII
_SPACE = re.compile(rf"(?<=[{_JAPANESE}]) +(?=[{_JAPANESE}\x00-\x7f])|(?<=[\x00-\x7f]) +(?=[{_JAPANESE}])")
_QUOTED = re.compile("「.*?」|『.*?』")


def has_keywords(text: str, keywords: Sequence[str]) -> bool:
    return set(keywords) <= {word for word, _ in ipadic_words(text)}


def keyword_count(text: str, keyword: str, frequency: int, relation: str) -> bool:
    return compare(sum(word == keyword.strip() for word, _ in ipadic_words(text)), frequency, relation)


def lacks_words(text: str, forbidden_words: Sequence[str]) -> bool:
    return not set(forbidden_words) & {word for word, _ in ipadic_words(text)}


def letter_count(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    """A hiragana, and its katakana."""
    katakana = chr(ord(letter.strip()[:1]) + 96)
    return compare(text.count(letter.strip()) + text.count(katakana), let_frequency, let_relation)


def sentence_count(text: str, num_sentences: int, relation: str) -> bool:
    return compare(len(sentences(text)), num_sentences, relation)


def sentences(text: str) -> list[str]:
    """Sentences end at 。 ! ? and line ends, but not within 「」 or (); a line that ends with の goes on in the next one (ja_sentence_segmenter 0.0.2).

    Spaces next to Japanese do not count, so that one behind the last mark of a line is no sentence.
    """
    lines: list[str] = []
    for line in _SPACE.sub("", text.strip().translate(_WIDTHS)).splitlines():
        if lines and lines[-1].endswith("の") and lines[-1] != "の":
            lines[-1] += line
        else:
            lines.append(line)
    return [sentence for line in lines for sentence in _cut(line)]


def _cut(line: str) -> list[str]:
    """The sentences of a line, each with its mark; what stands within quotation marks or parentheses is not cut."""
    kept = re.sub(r"「[^「」]*」|\([^()]*\)", lambda part: "\0" * len(part[0]), line)
    ends = [match.end() for match in re.finditer("[。!?]", kept)]
    return [line[start:end] for start, end in zip([0, *ends], [*ends, len(line)], strict=True) if start < end]


def char_count(text: str, num_letters: int, relation: str) -> bool:
    return compare(len(text), num_letters, relation)


def nth_paragraph_begins(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    paragraph = _nth_paragraph(text, num_paragraphs, nth_paragraph)
    return paragraph is not None and paragraph.lstrip("「").lstrip("『").startswith(first_word.lower())


_nth_paragraph = nth_paragraph  # the argument of M-IFEval has the same name


def has_bullets(text: str, num_bullets: int) -> bool:
    """Exactly so many lines that begin with ・."""
    return len(re.findall(r"^\s*・[^・].*$", text, re.MULTILINE)) == num_bullets


def has_numbered_lines(text: str, num_items: int) -> bool:
    """Exactly so many lines that begin with a number, a dot and a space."""
    return len(re.findall(r"^\s*\d+\.\s.*$", text, re.MULTILINE)) == num_items


def is_one_of_three(text: str) -> bool:
    return any(answer in text for answer in THREE_ANSWERS)


def has_highlights(text: str, num_highlights: int) -> bool:
    """At least so many parts between 《 and 》."""
    return sum(bool(part.strip("《》").strip()) for part in re.findall(r"《[^\n《》]*》", text)) >= num_highlights


def has_sections(text: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many headings such as 第1章."""
    return len(re.findall(rf"第[\d０-９]+{re.escape(section_spliter.strip())}", text)) >= num_sections


def has_title(text: str) -> bool:
    """A title between 『 and 』, on one line."""
    return any(title.lstrip("『").rstrip("』").strip() for title in re.findall(r"『[^\n]+』", text))


def has_nominal_endings(text: str, count: int) -> bool:
    """At least so many sentences that end with a noun (体言止め), outside of quotation marks."""
    words = ipadic_words(_QUOTED.sub("", text))
    return sum(mark in "。！？" and before[1] == "名詞" for before, (mark, _) in pairwise(words)) >= count


def repeats_prompt(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().startswith(prompt_to_repeat.strip())


def ends_with(text: str, end_phrase: str) -> bool:
    return text.strip().strip("」』").endswith(end_phrase.strip().strip("」』"))


def sentences_end_with(text: str, ending: str) -> bool:
    """All sentences end so, outside of quotation marks. A line end after 。 belongs to the next sentence, and after the last one it is a sentence by itself."""
    return all(sentence.endswith(ending) for sentence in re.split("[。！？]", _QUOTED.sub("", text)) if sentence)


def is_quoted(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == "「" and text[-1] == "」"


def has_readings(text: str) -> bool:
    """Every run of kanji has its reading in hiragana behind it, in full-width parentheses."""
    return len(re.findall(f"[{KANJI}]+", text)) == len(re.findall(f"[{KANJI}]+（[ぁ-ん]+）", text))


def kanji_count(text: str, kanji_limit: int, relation: str) -> bool:
    return compare(len(re.findall(f"[{KANJI}]", text)), kanji_limit, relation)


def lacks_digits(text: str) -> bool:
    """No digit of any script; what is written in kanji is none."""
    return re.search(r"\d", text) is None


def lacks_katakana(text: str) -> bool:
    return re.search("[ァ-ヺｦ-ﾟ]", text) is None


def lacks_hiragana(text: str) -> bool:
    return re.search("[ぁ-ゖ]", text) is None


def is_katakana(text: str) -> bool:
    """All letters are katakana; marks, digits and spaces may be any."""
    return _letters_are("[ァ-ンー・ｦ-ﾟ]", text)


def is_hiragana(text: str) -> bool:
    """All letters are hiragana; marks, digits and spaces may be any."""
    return _letters_are("[ぁ-んー]", text)


def _letters_are(pattern: str, text: str) -> bool:
    return all(unicodedata.category(char)[0] != "L" for char in re.sub(pattern, "", text))


def lacks_commas(text: str) -> bool:
    return "、" not in text


def lacks_full_stops(text: str) -> bool:
    return "。" not in text
