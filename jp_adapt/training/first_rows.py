"""What new rows take from the training text before training begins: their first values, and the directions in which its hidden states vary."""

from __future__ import annotations

import numpy as np
import torch

from jp_adapt.corpus.pack import IGNORED, StepPlan, first_batches
from jp_adapt.model.calibration import row_calibration
from jp_adapt.model.causal import CausalModel
from jp_adapt.training import ranks

COUNTED_TOKENS = 2_000_000  # of the training text
STATE_TOKENS = 8_192  # whose hidden states are looked at; with 2,048, of few documents, a model could begin 0.26 bits per character worse


def calibrate_rows(model: CausalModel, plan: StepPlan, *, sharded: bool, known: int = 0) -> None:
    """Let the new rows in use begin with the probability that their tokens have in the training text (`model/calibration.py`); the first `known` stay.

    Rank 0 computes, on the GPU where there is one and the model is not to be sharded; the others add the same.
    """
    added = ranks.share(_added(model, plan, known, sharded=sharded) if ranks.rank() == 0 else None)
    output = model.new_output
    if output is not None and not output.is_meta:
        output.data[known : model.rows_in_use] += added.to(output)


def _added(model: CausalModel, plan: StepPlan, known: int, *, sharded: bool) -> torch.Tensor:
    if torch.cuda.is_available() and not sharded:
        model.to(torch.device("cuda"))
    counts, total = _counts(model, plan)
    return row_calibration(model, first_states(model, plan), torch.from_numpy(counts[known:]), total, known).cpu()


@torch.inference_mode()
def first_states(model: CausalModel, plan: StepPlan) -> torch.Tensor:
    """[N, H] last hidden states of the first tokens of `plan`, of whole steps: at least `STATE_TOKENS` of them, if it has so many."""
    states: list[torch.Tensor] = []
    for batch in first_batches(plan, STATE_TOKENS):
        ids, positions, targets = (torch.tensor(part, device=model.base_head.device) for part in (batch.ids, batch.positions, batch.targets))
        states.append(model(ids, positions)[targets != IGNORED])
    return torch.cat(states)


def _counts(model: CausalModel, plan: StepPlan) -> tuple[np.ndarray, int]:
    """[W] how often each new token in use stands in the text that will be trained on, and how many tokens were counted."""
    counts, total = np.zeros(model.rows_in_use, np.int64), 0
    for batch in first_batches(plan, COUNTED_TOKENS):
        targets = np.concatenate([np.asarray(row) for row in batch.targets])
        targets = targets[targets != IGNORED]
        total += len(targets)
        new = targets[(targets >= model.order.first) & (targets < model.order.first + model.rows_in_use)]
        counts += np.bincount(new - model.order.first, minlength=model.rows_in_use)
    return counts, total
