"""Multiple choice by log-likelihood, without a token boundary between prompt and choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jp_adapt.evaluation.bits import Encode
from jp_adapt.evaluation.score import log_likelihoods
from jp_adapt.evaluation.trie import Request, common_prefix
from jp_adapt.model.causal import CausalModel


@dataclass(frozen=True)
class ChoiceResult:
    """One item: ln p of prompt + choice from where the choices part, in nats, and what follows from it."""

    log_likelihood: list[float]
    prediction: int
    moved_boundary: bool  # some choice merges with the end of the prompt, so that scoring begins inside the prompt


@dataclass(frozen=True)
class ChoiceRequests:
    """One item as tokens: a request for each choice, all scored from the same place."""

    requests: list[Request]
    moved_boundary: bool


def choice_requests(encode: Encode, prompt: str, options: Sequence[str], *, prefix: int) -> ChoiceRequests:
    """Prompt and choice encoded together, as a text is in training.

    All choices are scored from the first token at which any two of them, or one of them and the prompt, differ: the same characters are scored for every
    choice and none is dropped, whatever the tokenizer merges.
    """
    context = encode(prompt)
    texts = [encode(prompt + option) for option in options]
    shared = min(common_prefix(context, ids) for ids in texts)
    return ChoiceRequests([Request([prefix, *ids], first=1 + shared) for ids in texts], shared < len(context))


def score_items(
    model: CausalModel, items: Sequence[ChoiceRequests], *, max_tokens: int, advance: Callable[[int, str], None] = lambda done, note: None
) -> list[ChoiceResult]:
    """Predict for each item the choice with the highest log-likelihood."""
    nats = iter(log_likelihoods(model, [request for item in items for request in item.requests], max_tokens=max_tokens, advance=advance))
    results = []
    for item in items:
        scores = [next(nats) for _ in item.requests]
        results.append(ChoiceResult(scores, max(range(len(scores)), key=scores.__getitem__), item.moved_boundary))
    return results


def score_choices(
    model: CausalModel,
    encode: Encode,
    prompts: Sequence[str],
    choices: Sequence[Sequence[str]],
    *,
    prefix: int,
    max_tokens: int,
    advance: Callable[[int, str], None] = lambda done, note: None,
) -> list[ChoiceResult]:
    """Predict for each prompt the choice with the highest log-likelihood."""
    items = [choice_requests(encode, prompt, options, prefix=prefix) for prompt, options in zip(prompts, choices, strict=True)]
    return score_items(model, items, max_tokens=max_tokens, advance=advance)
