"""The checks of IFEval: an answer that follows the instruction, and one that does not. The forms are those that its instructions describe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.benchmarks.checks import check_texts
from jp_adapt.evaluation.checks import english
from jp_adapt.evaluation.checks.functions import passed

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["Talented", "c++"]}, "a talented C++ author", "a talented author"),
    ("keywords:frequency", {"keyword": "flow", "frequency": 2, "relation": "at least"}, "Flow and overflow", "flow"),
    ("keywords:frequency", {"keyword": "flow", "frequency": 2, "relation": "less than"}, "flow", "flow, flow"),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "a rocket", "a Rock."),
    ("keywords:letter_frequency", {"letter": "Q", "let_frequency": 2, "let_relation": "at least"}, "Quick quiz", "quick"),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "at least"}, "Go! Go!", "Go!"),
    ("language:response_language", {"language": "de"}, "Das ist nicht schwer, und es ist gut.", "That is not hard, and it is good."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "Mr. Li left. He ran.", "Mr. Li left"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "It cost 3.5 dollars.", "Why? No."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo\n***\n", "One\n***\n***\nTwo"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "I don't", "I do"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"}, "A\n\n'then, b", "A\n\nthence b"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "a"}, "A b\n\nC", "A b\n\nC\n\nD"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [place]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye\np. p. s. one more", "Bye\nP.S. one more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n  - b", "* a\n- b\n* c"),
    ("detectable_format:constrained_response", {}, "Well: My answer is maybe.", "maybe"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and *b*", "*a* and * *"),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "Section 1\na\nSection 2\nb", "Section one"),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', "{'a': 1}"),
    ("detectable_format:title", {}, "<<Joy>>\nA poem", "<< >>\nA poem"),
    ("combination:two_responses", {}, "a\n******\nb", "a\n******\na"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Why so?"}, "why so? Because.", "You ask: why so?"),
    ("startend:end_checker", {"end_phrase": "The end."}, 'It is "the end."', "The end. Bye"),
    ("startend:quotation", {}, ' "all" ', '"all" of it'),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}, "NASA and I", "NASA and Me"),
    ("change_case:english_capital", {}, "THIS IS THE ONE", "This Is"),
    ("change_case:english_lowercase", {}, "this is the one", "this is I"),
    ("punctuation:no_comma", {}, "a; b", "a, b"),
]


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES)
def test_a_check_tells_good_from_bad(name: str, arguments: dict[str, Any], good: str, bad: str) -> None:
    checks = check_texts([name], [arguments])
    assert passed(good, checks) == [True]
    assert passed(bad, checks) == [False]


@given(st.integers(0, 30), st.integers(1, 30))
def test_less_than_and_at_least_are_opposites(words: int, limit: int) -> None:
    text = " ".join(["word"] * words)
    assert english.word_count(text, limit, "at least") == (words >= limit) != english.word_count(text, limit, "less than")


@given(st.text(alphabet="ab ,.!?\"'*<>[]#\n-1", max_size=40))
def test_no_text_breaks_a_check(text: str) -> None:
    for name, arguments, *_ in CASES:
        assert passed(text, check_texts([name], [arguments]), loose=True)[0] in (True, False)
