"""How the peers put a prompt and a choice together as tokens, and what that loses. The safe way is in `choices`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Pair:
    """Ids of prompt and choice; those from `first` on are scored."""

    ids: list[int]
    first: int
    moved: bool  # the scored ids do not spell the choice, or not as the whole text would


def pair(encode: Encode, prompt: str, choice: str, boundary: Literal["apart", "cut"], *, start: Sequence[int], empty: int) -> Pair:
    """Tokens as a peer takes them.

    "apart" (lm-evaluation-harness 0.3 and its forks, `BaseLM.loglikelihood`): each part encoded by itself, nothing before the prompt.
    "cut" (lm-eval 0.4, `TemplateLM._encode_pair`): white space at the prompt's end goes to the choice, both are encoded together after `start` (what the
    tokenizer itself puts before a text), and cut at the length of the encoded prompt. Before an empty prompt both put the token `empty`.

    Where the cut leaves nothing to score, which stops lm-eval, the last token is scored and the pair counts as moved.
    """
    together = encode(prompt + choice)
    if not prompt:
        ids = [empty, *encode(choice)]
        return Pair(ids, 1, False)
    if boundary == "apart":
        context, scored = encode(prompt), encode(choice)
        return Pair(context + scored, len(context), context + scored != together)
    context = [*start, *encode(prompt.rstrip())]
    ids = [*start, *together]
    first = min(len(context), len(ids) - 1)
    return Pair(ids, max(1, first), ids[: len(context)] != context or len(context) >= len(ids))
