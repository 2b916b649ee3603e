"""New rows are calibrated on the text that a stage trains on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.model.causal import CausalModel, NewRows, load_base
from jp_adapt.training.first_rows import calibrate_rows
from tests.conftest import make_pico

FIRST, NEW = 500, 3
DOCUMENTS = [[10, FIRST, 11, FIRST], [FIRST, FIRST, 12], [13, FIRST + 1, 14, FIRST, 15]] * 8  # the third new token occurs nowhere


def model_of(folder: Path) -> CausalModel:
    torch.manual_seed(0)
    base = load_base(folder, torch.float32)
    rows = 0.1 * torch.randn(NEW, 32)
    return CausalModel(base, NewRows(rows, None if base.config.tie_word_embeddings else rows.clone()))


def mean_probabilities(model: CausalModel) -> torch.Tensor:
    ids = torch.tensor([[0, *document] for document in DOCUMENTS if len(document) == 4])
    with torch.inference_mode():
        return model.logits(model(ids).flatten(0, 1)).softmax(dim=1).mean(dim=0)[FIRST : FIRST + NEW]


@pytest.mark.parametrize("tied", [True, False])
def test_frequent_tokens_become_likelier_and_absent_ones_less_likely(tmp_path: Path, tied: bool) -> None:
    make_pico(tmp_path / "pico", tied=tied)
    model = model_of(tmp_path / "pico")
    plan = plan_training({"ja": (DOCUMENTS, 1.0)}, prefix=0, length=16, rows_per_step=2, seed=1, tokens=3_000)
    assert model.new_input is not None
    assert model.new_output is not None
    before, first = mean_probabilities(model), model.new_input.detach().clone()
    calibrate_rows(model, plan, sharded=False)
    after = mean_probabilities(model)
    assert after[0] > before[0]
    assert after[2] < before[2]
    assert torch.equal(model.new_input, first) is not tied, "input rows of an untied model stay as they are"
    moved = (model.new_output.detach() - first).norm(dim=1)
    assert float(moved.max()) <= 0.3 * float(first.norm(dim=1).median()) + 1e-6
