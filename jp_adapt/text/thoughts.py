"""Thoughts of models that reason: what of a generated text is thought, and what is the answer. The one place that knows the marks.

Sources, each the model's own template or parser:

- `<think>`: Qwen3 and DeepSeek-R1, whose chat template writes the opening mark itself (vLLM's parsers `qwen3` and `deepseek_r1` read both).
- `<thinking>`, `<reasoning>`: asked for in many system prompts.
- `[THINK]`: Magistral and Ministral Reasoning.
- `<|channel>thought`: Gemma 4 (vLLM's parser `gemma4`).
- Harmony, messages in channels: gpt-oss (`openai/harmony`), and LLM-jp-4 (`llmjp4_vllm/llmjp4_harmony.py` in llm-jp/llm-jp-4-cookbook e7a9040: the same seven
  special tokens, the prompt ends in `<|start|>assistant`, so that an answer begins with `<|channel|>`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel>thought", "<channel|>"),
)
CHANNEL, ANALYSIS = "<|channel|>", "<|channel|>analysis<|message|>"
HARMONY = re.compile(r"(?:<\|start\|>\s*assistant[^<]*)?<\|channel\|>")  # how a text in channels begins
MESSAGE = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>(.*?)(?:<\|(?:end|return|call)\|>|(?=<\|start\|>|<\|channel\|>)|\Z)", re.DOTALL
)
WITHOUT_MARKS = re.compile(r"analysis(.*?)assistant(?:commentary.*?assistant)?final(.*)", re.DOTALL)  # channels after a server dropped special tokens


@dataclass(frozen=True)
class Parts:
    """A generated text in its parts. `thought` is None where there is none; `ended` is False where a thought goes on to the end of the text."""

    thought: str | None
    answer: str
    ended: bool = True


def split_thought(text: str, *, whole: bool = True) -> Parts:
    """The thought and the answer of a generated text; a text without a thought is the answer as it is.

    Marks that a thought or an answer quotes in pairs change nothing, and an end mark without an opening one of its own ends the thought. Where a thought quotes
    an opening mark alone, its last end mark ends it; of a text that is not `whole`, which may have been cut within a thought, that cannot be known.
    """
    begun = text.lstrip()
    if HARMONY.match(begun):
        return _of_channels(begun)
    if (plain := WITHOUT_MARKS.fullmatch(begun)) is not None:
        return Parts(plain[1].strip(), plain[2].lstrip())
    for begin, end in PAIRS:
        if begun.startswith(begin):
            return _of_pair(begun.removeprefix(begin), begin, end, whole)
        if end in begun and begin not in begun.partition(end)[0]:  # the template wrote the opening mark
            return _of_pair(begun, begin, end, whole)
    return Parts(None, text)


def opened_by(prompt: str) -> str:
    """The mark with which a prompt leaves a thought open: it belongs before the text that continues it. Empty where it leaves none open."""
    end = prompt.rstrip()
    return next((mark for mark in (*(begin for begin, _ in PAIRS), ANALYSIS) if end.endswith(mark)), "")


def names_thoughts(template: str) -> bool:
    """Whether a chat template is that of a model that thinks: it has the marks of a thought in it."""
    return any(mark in template for mark in (CHANNEL, *(end for _, end in PAIRS)))


def may_begin(text: str) -> bool:
    """Whether a text is the beginning of a mark that opens a thought, and may become one."""
    begun = text.lstrip()
    return any(mark.startswith(begun) and mark != begun for mark in (*(begin for begin, _ in PAIRS), CHANNEL, f"<|start|>assistant{CHANNEL}"))


def may_end(text: str) -> bool:
    """Whether the end of a thought may stand in a text (which is quicker to see than where)."""
    return "final" in text or any(end in text for _, end in PAIRS)


def _of_pair(text: str, begin: str, end: str, whole: bool) -> Parts:
    """`text` stands behind the opening mark."""
    border, last, depth = -1, -1, 1
    for mark in re.finditer(f"{re.escape(begin)}|{re.escape(end)}", text):
        if mark[0] == begin:
            depth += 1
            continue
        last = mark.end()
        if depth == 0 or (depth == 1 and border < 0):  # an end without an opening mark of its own is the thought's
            border = last
        depth = max(0, depth - 1)
    border = last if border < 0 and whole else border
    if border < 0:
        return Parts(text.strip(), "", ended=False)
    thought, answer = text[: border - len(end)].strip(), text[border:].lstrip()
    if not answer.startswith(begin):
        return Parts(thought, answer)
    more = _of_pair(answer.removeprefix(begin), begin, end, whole)
    return Parts(f"{thought}\n{more.thought}", more.answer, more.ended)


def _of_channels(text: str) -> Parts:
    """The last message of the channel `final`; all others are thought."""
    messages = [(match[1], match[2]) for match in MESSAGE.finditer(text)]
    thought = "\n".join(content.strip() for channel, content in messages if channel != "final")
    answers = [content for channel, content in messages if channel == "final"]
    return Parts(thought, answers[-1].lstrip() if answers else "", ended=bool(answers))
