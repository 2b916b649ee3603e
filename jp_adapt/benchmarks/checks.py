"""The checks: what a program can see of an answer, whether an instruction was followed. A new check is a function and a row here.

The names with two parts are those of IFEval (Zhou et al. 2023, arXiv 2311.07911; google-research, instruction_following_eval), those that begin with `ja:`
are of M-IFEval (Dussolle et al. 2025, arXiv 2502.04688; lightblue-tech/M-IFEval at 0bc3143), so that a record of theirs names its checks itself. Those that
begin with `text:` are ours, for benchmarks of one's own and for LCTG Bench.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jp_adapt.core.suggest import did_you_mean

Function = str | Callable[..., bool]  # "module:function" in jp_adapt.evaluation.checks, imported when it is needed; or the function itself
RELATIONS = {"en": ("less than", "at least"), "ja": ("未満", "以上")}


@dataclass(frozen=True)
class Check:
    """A check: a pure function of an answer, and of the arguments by their names, and the type that each argument has."""

    function: Function
    arguments: Mapping[str, type] = field(default_factory=dict)


def _more_or_less(number: str, relation: str = "relation", **more: type) -> dict[str, type]:
    return {**more, number: int, relation: str}


CHECKS: dict[str, Check] = {
    "keywords:existence": Check("english:has_keywords", {"keywords": list}),
    "keywords:frequency": Check("english:keyword_count", _more_or_less("frequency", keyword=str)),
    "keywords:forbidden_words": Check("english:lacks_words", {"forbidden_words": list}),
    "keywords:letter_frequency": Check("english:letter_count", _more_or_less("let_frequency", "let_relation", letter=str)),
    "language:response_language": Check("languages:is_in_language", {"language": str}),
    "length_constraints:number_sentences": Check("english:sentence_count", _more_or_less("num_sentences")),
    "length_constraints:number_paragraphs": Check("shared:has_divided_paragraphs", {"num_paragraphs": int}),
    "length_constraints:number_words": Check("english:word_count", _more_or_less("num_words")),
    "length_constraints:nth_paragraph_first_word": Check("english:nth_paragraph_begins", {"num_paragraphs": int, "nth_paragraph": int, "first_word": str}),
    "detectable_content:number_placeholders": Check("shared:has_placeholders", {"num_placeholders": int}),
    "detectable_content:postscript": Check("shared:has_postscript", {"postscript_marker": str}),
    "detectable_format:number_bullet_lists": Check("english:has_bullets", {"num_bullets": int}),
    "detectable_format:constrained_response": Check("english:is_one_of_three"),
    "detectable_format:number_highlighted_sections": Check("english:has_highlights", {"num_highlights": int}),
    "detectable_format:multiple_sections": Check("english:has_sections", {"section_spliter": str, "num_sections": int}),
    "detectable_format:json_format": Check("shared:is_json"),
    "detectable_format:title": Check("english:has_title"),
    "combination:two_responses": Check("shared:has_two_responses"),
    "combination:repeat_prompt": Check("english:repeats_prompt", {"prompt_to_repeat": str}),
    "startend:end_checker": Check("english:ends_with", {"end_phrase": str}),
    "startend:quotation": Check("english:is_quoted"),
    "change_case:capital_word_frequency": Check("english:capital_word_count", _more_or_less("capital_frequency", "capital_relation")),
    "change_case:english_capital": Check("english:is_upper_case"),
    "change_case:english_lowercase": Check("english:is_lower_case"),
    "punctuation:no_comma": Check("english:lacks_commas"),
    "ja:keywords:existence": Check("japanese:has_keywords", {"keywords": list}),
    "ja:keywords:frequency": Check("japanese:keyword_count", _more_or_less("frequency", keyword=str)),
    "ja:keywords:forbidden_words": Check("japanese:lacks_words", {"forbidden_words": list}),
    "ja:keywords:letter_frequency": Check("japanese:letter_count", _more_or_less("let_frequency", "let_relation", letter=str)),
    "ja:language:response_language": Check("languages:is_in_language", {"language": str}),
    "ja:length_constraints:number_sentences": Check("japanese:sentence_count", _more_or_less("num_sentences")),
    "ja:length_constraints:number_paragraphs": Check("shared:has_divided_paragraphs", {"num_paragraphs": int}),
    "ja:length_constraints:number_letters": Check("japanese:char_count", _more_or_less("num_letters")),
    "ja:length_constraints:nth_paragraph_first_word": Check("japanese:nth_paragraph_begins", {"num_paragraphs": int, "nth_paragraph": int, "first_word": str}),
    "ja:detectable_content:number_placeholders": Check("shared:has_placeholders", {"num_placeholders": int}),
    "ja:detectable_content:postscript": Check("shared:has_postscript", {"postscript_marker": str}),
    "ja:detectable_format:number_bullet_lists": Check("japanese:has_bullets", {"num_bullets": int}),
    "ja:detectable_format:number_numbered_lists": Check("japanese:has_numbered_lines", {"num_items": int}),
    "ja:detectable_format:constrained_response": Check("japanese:is_one_of_three"),
    "ja:detectable_format:number_highlighted_sections": Check("japanese:has_highlights", {"num_highlights": int}),
    "ja:detectable_format:multiple_sections": Check("japanese:has_sections", {"section_spliter": str, "num_sections": int}),
    "ja:detectable_format:json_format": Check("shared:is_json"),
    "ja:detectable_format:title": Check("japanese:has_title"),
    "ja:detectable_format:nominal_ending": Check("japanese:has_nominal_endings", {"count": int}),
    "ja:combination:two_responses": Check("shared:has_two_responses"),
    "ja:combination:repeat_prompt": Check("japanese:repeats_prompt", {"prompt_to_repeat": str}),
    "ja:startend:end_checker": Check("japanese:ends_with", {"end_phrase": str}),
    "ja:startend:sentence_unified_end": Check("japanese:sentences_end_with", {"ending": str}),
    "ja:startend:quotation": Check("japanese:is_quoted"),
    "ja:letters:furigana": Check("japanese:has_readings"),
    "ja:letters:kansuuji": Check("japanese:lacks_digits"),
    "ja:letters:no_katakana": Check("japanese:lacks_katakana"),
    "ja:letters:katakana_only": Check("japanese:is_katakana"),
    "ja:letters:no_hiragana": Check("japanese:lacks_hiragana"),
    "ja:letters:hiragana_only": Check("japanese:is_hiragana"),
    "ja:letters:kanji": Check("japanese:kanji_count", _more_or_less("kanji_limit")),
    "ja:punctuation:no_comma": Check("japanese:lacks_commas"),
    "ja:punctuation:no_period": Check("japanese:lacks_full_stops"),
    "text:contains": Check("limits:contains", {"words": list}),
    "text:lacks": Check("limits:lacks", {"words": list}),
    "text:bare": Check("frames:is_bare", {"words": list}),
    "text:chars": Check("limits:has_chars", {"least": int, "most": int}),
}


def check_texts(names: Any, arguments: Any) -> list[str]:
    """The checks of an item as JSON texts, in order: {"check": name, argument: value, ...}. Arguments without a value (null) are left out.

    ValueError for a check that is unknown, or whose arguments are not those that it takes.
    """
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"the names of checks are {str(names)[:60]!r}; a list of names is needed, with one at least")
    if not isinstance(arguments, list) or len(arguments) != len(names):
        raise ValueError(f"the arguments of checks are {str(arguments)[:60]!r}; a list of {len(names)} is needed, one for each check")
    return [_text(name, given) for name, given in zip(names, arguments, strict=True)]


def _text(name: str, given: Any) -> str:
    if name not in CHECKS:
        raise ValueError(f"no check '{name}'{did_you_mean(name, CHECKS)}")
    if not isinstance(given, dict):
        raise ValueError(f"check '{name}': its arguments are {str(given)[:60]!r}; names and values are needed")
    needed, values = CHECKS[name].arguments, {str(key): value for key, value in given.items() if value is not None}
    if values.keys() != needed.keys():
        raise ValueError(f"check '{name}': its arguments are {', '.join(values) or 'none'}; it takes {', '.join(needed) or 'none'}")
    for key, value in values.items():
        _check_value(name, key, value, needed[key])
    return json.dumps({"check": name, **values}, ensure_ascii=False)


def _check_value(name: str, key: str, value: Any, kind: type) -> None:
    texts = not isinstance(value, list) or all(isinstance(entry, str) for entry in value)
    if not isinstance(value, kind) or isinstance(value, bool) or not texts:
        what = {int: "a whole number", str: "a text", list: "a list of texts"}[kind]
        raise ValueError(f"check '{name}': {key} is {str(value)[:60]!r}; {what} is needed")
    relations = RELATIONS["ja" if name.startswith("ja:") else "en"]
    if key.endswith("relation") and value not in relations:
        raise ValueError(f"check '{name}': {key} is '{value}'; '{relations[0]}' or '{relations[1]}' is needed")
