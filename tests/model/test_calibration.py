"""New rows that are predicted as often as their tokens stand."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.model.calibration import LARGEST, common_direction, unigram_offsets


def test_the_direction_has_the_product_one_with_states_that_share_one() -> None:
    torch.manual_seed(0)
    shared = torch.zeros(64)
    shared[3], shared[17] = 40.0, -25.0
    hidden = shared + torch.randn(500, 64)
    along = hidden @ common_direction(hidden)
    assert float(along.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(along.std()) < 0.05
    assert float(common_direction(hidden).norm()) < 0.05


def test_states_that_share_no_direction_give_next_to_none() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(500, 64)
    assert float((hidden @ common_direction(hidden)).mean()) < 0.2


def test_each_token_is_predicted_as_often_as_it_stands() -> None:
    torch.manual_seed(0)
    new, rest = torch.randn(400, 3), torch.full((400,), 6.0)
    counts, total = torch.tensor([500.0, 20.0, 3.0]), 10_000
    offsets = unigram_offsets(new, rest, torch.ones(400), counts, total)
    logits = new + offsets
    mean = (logits - torch.logaddexp(rest, logits.logsumexp(dim=1))[:, None]).exp().mean(dim=0)
    torch.testing.assert_close(mean, (counts + 0.5) / (total + 1.5), rtol=0.01, atol=0.0)


def test_a_token_that_never_stands_is_pushed_down_so_far_and_no_further() -> None:
    offsets = unigram_offsets(torch.full((10, 2), 8.0), torch.zeros(10), torch.ones(10), torch.tensor([0.0, 5000.0]), 10_000)
    assert float(offsets[0]) == -LARGEST
