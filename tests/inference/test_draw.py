"""Drawn tokens: their shares are those of the distribution, and nothing but the seed decides which they are."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch

from jp_adapt.inference.draw import Draw, next_token, seed_of

SHARES = torch.tensor([0.1, 0.4, 0.2, 0.3])


def shares(draw: Draw, draws: int = 4000) -> dict[int, float]:
    generator = random.Random(draw.seed)
    counts = Counter(next_token(SHARES.log(), draw, generator) for _ in range(draws))
    return {token: count / draws for token, count in sorted(counts.items())}


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (Draw(1.0), {0: 0.1, 1: 0.4, 2: 0.2, 3: 0.3}),
        (Draw(0.5), {0: 0.01 / 0.3, 1: 0.16 / 0.3, 2: 0.04 / 0.3, 3: 0.09 / 0.3}),
        (Draw(1.0, top_k=2), {1: 4 / 7, 3: 3 / 7}),
        (Draw(1.0, top_p=0.75), {1: 4 / 9, 2: 2 / 9, 3: 3 / 9}),
        (Draw(1.0, top_p=0.39), {1: 1.0}),
        (Draw(1.0, top_p=0.5, top_k=3), {1: 4 / 7, 3: 3 / 7}),
        (Draw(1e-4), {1: 1.0}),
        (Draw(5e-324), {1: 1.0}),
    ],
)
def test_tokens_come_in_the_shares_of_the_distribution(draw: Draw, expected: dict[int, float]) -> None:
    assert shares(draw) == pytest.approx(expected, abs=0.03)


def test_without_a_draw_the_most_probable_token_is_taken() -> None:
    assert next_token(SHARES, None, None) == 1


def test_a_seed_is_of_all_three() -> None:
    seeds = {seed_of(seed, item, sample) for seed in (0, 1) for item in ("q1", "q2", "q11") for sample in (0, 1, 11)}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(0, "q1", 1) == 1369199029, "the same on every machine"
