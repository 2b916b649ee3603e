"""How the next token is drawn: temperature, then the `top_k` most probable, then the smallest set of them whose probability is `top_p` (as transformers, vLLM).

Each answer has a generator of its own, seeded by what it is an answer to: what is computed beside it, and in which order, changes nothing in its draws.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SEEDS = 2**31  # what every server takes


@dataclass(frozen=True)
class Draw:
    """How one answer is drawn. `top_k` 0 and `top_p` 1 leave all tokens in; `seed`: see `seed_of`."""

    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0


def seed_of(seed: int, item: str, sample: int) -> int:
    """The seed of the given sample of an item's answers: the first bits of a hash of the three."""
    name = f"{seed}/{item}/{sample}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % SEEDS


def next_token(logits: Tensor, draw: Draw | None, generator: random.Random | None) -> int:
    """The next token by its logits, [V]: the most probable one, or the one that `generator` draws."""
    if draw is None or generator is None:
        return int(logits.argmax())
    # The most probable logit becomes 0, so that no temperature, however small, makes it infinite.
    logits = logits.double()
    scaled, tokens = ((logits - logits.max()) / draw.temperature).sort(descending=True, stable=True)
    if draw.top_k:
        scaled, tokens = scaled[: draw.top_k], tokens[: draw.top_k]
    mass = scaled.softmax(dim=0).cumsum(dim=0)
    most = float(mass[-1])
    if draw.top_p < 1:
        most = float(mass[min(int((mass < draw.top_p).sum()), len(mass) - 1)])
    at = int((mass <= generator.random() * most).sum())
    return int(tokens[min(at, len(tokens) - 1)])
