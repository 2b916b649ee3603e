"""Where a thought ends: marks of five families, quoted ones, and what has none."""

from __future__ import annotations

import pytest

from jp_adapt.text.thoughts import Parts, may_end, names_thoughts, opened_by, split_thought

HARMONY = "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{answer}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("東京です。", Parts(None, "東京です。")),
        ("  東京\n", Parts(None, "  東京\n")),
        ("<think>\n考える。\n</think>\n\n東京\n", Parts("考える。", "東京\n")),
        ("<think>\n\n</think>\n\n東京", Parts("", "東京")),
        ("考える。\n</think>\n\n東京", Parts("考える。", "東京")),
        ("<think>考える", Parts("考える", "", ended=False)),
        ("[THINK]考える[/THINK]東京", Parts("考える", "東京")),
        ("<|channel>thought\n考える<channel|>東京", Parts("考える", "東京")),
        ("<think>「<think>」と書くか。</think>東京", Parts("「<think>」と書くか。", "東京")),
        ("<think>ここで </think> と書くと終わる。まだだ。</think>東京", Parts("ここで </think> と書くと終わる。まだだ。", "東京")),
        ("<think>考える</think><think>と</think>は印", Parts("考える\nと", "は印")),
        ("<think>考える</think>印は<think>と</think>です", Parts("考える", "印は<think>と</think>です")),
        ('{"reason": "<think>と</think>"}', Parts(None, '{"reason": "<think>と</think>"}')),
        (HARMONY.format(thought="考える", answer="東京<|return|>"), Parts("考える", "東京")),
        ("<|start|>assistant" + HARMONY.format(thought="考える", answer="東京"), Parts("考える", "東京")),
        ("<|channel|>final <|constrain|>json<|message|>{}", Parts("", "{}")),
        ("<|channel|>analysis<|message|>考える<|end|><|start|>assistant<|channel|>comm", Parts("考える", "", ended=False)),
        (
            "<|channel|>analysis<|message|>あ<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
            "<|start|>assistant<|channel|>final<|message|>い",
            Parts("あ\n{}", "い"),
        ),
        ("analysis考えるassistantfinal東京", Parts("考える", "東京")),
        ("analysis of the text", Parts(None, "analysis of the text")),
    ],
)
def test_a_text_in_its_parts(text: str, parts: Parts) -> None:
    assert split_thought(text) == parts


def test_a_text_that_was_cut_may_have_been_cut_within_its_thought() -> None:
    text = "<think>印の<think>と</think>は答えに書かない。"
    assert split_thought(text).answer == "は答えに書かない。"
    assert split_thought(text, whole=False) == Parts("印の<think>と</think>は答えに書かない。", "", ended=False)
    assert split_thought(f"{text}</think>東京", whole=False).answer == "東京"


@pytest.mark.parametrize(
    ("prompt", "mark"),
    [
        ("<｜User｜>問い<｜Assistant｜><think>\n", "<think>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|im_start|>assistant\n", ""),
        ("<|start|>assistant", ""),
        ("<|start|>assistant<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>"),
    ],
)
def test_the_mark_that_a_prompt_leaves_open(prompt: str, mark: str) -> None:
    assert opened_by(prompt) == mark
    if mark:
        assert not split_thought(opened_by(prompt) + "考える").ended


def test_what_says_that_a_model_thinks() -> None:
    assert names_thoughts("{{ content.split('</think>')[-1] }}")
    assert names_thoughts("<|start|>assistant<|channel|>final<|message|>")
    assert not names_thoughts("<|im_start|>{{ role }}<|im_end|>")
    assert may_end("。</think>")
    assert may_end("<|channel|>final")
    assert not may_end("考える。")
