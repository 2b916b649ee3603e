"""New rows whose tokens are predicted as often as they occur in the training text, before any training: a bias for each, written into the row.

The last hidden states of a language model share a direction (the rogue dimensions of Timkey and van Schijndel 2109.04404), so that there is a small vector d
whose product with every state is nearly 1. Adding c times d to an output row adds c to the logit of its token in every context. The c that gives each new
token its share of the training tokens follows in closed form but for the normalisation, which a few iterations settle.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jp_adapt.model.causal import CHUNK_LOGITS, CausalModel

RIDGE = 1e-2  # of the mean eigenvalue
ITERATIONS, STEP = 10, 0.8
LARGEST = 6.0  # nats; a token that nearly never stands is not pushed further
LONGEST = 0.3  # of the median length of a new row: what is added is no longer, whatever direction the states share
UNSEEN = 0.5  # counts of a token that the text lacks


def common_direction(hidden: Tensor) -> Tensor:
    """The vector d [H] whose product with the states `hidden` [N, H] is 1, by least squares with a ridge: nearly 0 where they share no direction."""
    states = hidden.float()
    moment = states.t() @ states / len(states)
    ridge = RIDGE * moment.diagonal().mean() * torch.eye(len(moment), device=moment.device)
    return torch.linalg.solve(moment + ridge, states.mean(dim=0))


def unigram_offsets(new: Tensor, rest: Tensor, along: Tensor, counts: Tensor, total: int, largest: float = LARGEST) -> Tensor:
    """How much to add to the logits of new tokens, so that each is predicted as often as it occurs.

    Args:
        new: [N, W] logits of the new tokens in N contexts.
        rest: [N] log of the sum of the exponentials of all other logits.
        along: [N] by how much the logits rise in each context for an offset of 1.
        counts: [W] how often each new token occurs among `total` tokens of the training text.

    Returns:
        [W] offsets in nats, from -`largest` to `largest`.
    """
    wanted = ((counts + UNSEEN) / (total + UNSEEN * len(counts))).log()
    offsets = torch.zeros_like(wanted)
    for _ in range(ITERATIONS):
        logits = new + along[:, None] * offsets
        norm = torch.logaddexp(rest, logits.logsumexp(dim=1))
        mean = (logits - norm[:, None]).logsumexp(dim=0) - torch.log(torch.tensor(float(len(new))))
        offsets = (offsets + STEP * (wanted - mean)).clamp(-largest, largest)
    return offsets


@torch.inference_mode()
def row_calibration(model: CausalModel, hidden: Tensor, counts: Tensor, total: int, known: int = 0) -> Tensor:
    """[W, H] what to add to the last W output rows in use of the new tokens of `model`; where the head is tied they are the input rows too.

    Args:
        hidden: [N, H] last hidden states of training text, the more varied the better.
        counts: [W] how often each of these tokens occurs among `total` tokens of the training text.
        known: new rows before them that stay as they are.
    """
    rows = model.new_head
    assert rows is not None
    direction = common_direction(hidden)
    head, trained = model.base_head.to(hidden.dtype), rows[:known].to(hidden.dtype)
    size = max(1, CHUNK_LOGITS // len(head))
    rest = torch.cat([(part @ head.t()).float().logsumexp(dim=1) for part in hidden.split(size)])
    if known:
        rest = torch.logaddexp(rest, (hidden @ trained.t()).float().logsumexp(dim=1))
    new = (hidden @ rows[known:].to(hidden.dtype).t()).float()
    largest = min(LARGEST, LONGEST * float(rows[known:].norm(dim=1).median() / direction.norm()))
    offsets = unigram_offsets(new, rest, hidden.float() @ direction, counts.to(new), total, largest)
    return offsets[:, None] * direction
