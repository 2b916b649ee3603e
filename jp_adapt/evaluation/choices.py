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
    """Predict for each prompt the choice with the highest log-likelihood.

    Prompt and choice are encoded together, as a text is in training. All choices of an item are scored from the first token at which any two of them,
    or one of them and the prompt, differ: the same characters are scored for every choice and none is dropped, whatever the tokenizer merges.
    """
    requests: list[Request] = []
    moved: list[bool] = []
    for prompt, options in zip(prompts, choices, strict=True):
        context = encode(prompt)
        texts = [encode(prompt + option) for option in options]
        shared = min(common_prefix(context, ids) for ids in texts)
        moved.append(shared < len(context))
        requests += [Request([prefix, *ids], first=1 + shared) for ids in texts]
    nats = log_likelihoods(model, requests, max_tokens=max_tokens, advance=advance)
    results, start = [], 0
    for options, boundary in zip(choices, moved, strict=True):
        scores = nats[start : start + len(options)]
        results.append(ChoiceResult(scores, max(range(len(options)), key=scores.__getitem__), boundary))
        start += len(options)
    return results
