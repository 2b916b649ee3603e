"""Multiple choice by log-likelihood, without a token boundary between prompt and choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jp_adapt.inference.answer import Encode
from jp_adapt.inference.trie import Request, common_prefix


@dataclass(frozen=True)
class ChoiceRequests:
    """One item as tokens: a request for each choice, all scored from the same place."""

    requests: list[Request]
    moved_boundary: bool  # some choice merges with the end of the prompt, so that scoring begins inside the prompt


def choice_requests(encode: Encode, prompt: str, options: Sequence[str], *, prefix: int) -> ChoiceRequests:
    """Prompt and choice encoded together, as a text is in training.

    All choices are scored from the first token at which any two of them, or one of them and the prompt, differ: the same characters are scored for every
    choice and none is dropped, whatever the tokenizer merges.
    """
    context = encode(prompt)
    texts = [encode(prompt + option) for option in options]
    shared = min(common_prefix(context, ids) for ids in texts)
    return ChoiceRequests([Request([prefix, *ids], first=1 + shared) for ids in texts], shared < len(context))
