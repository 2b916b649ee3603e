"""Documents packed into one row lose what they lose alone: the loss of each equals that of a row of its own, in SDPA and in eager attention."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.model.causal import CausalModel, NewRows
from jp_adapt.model.lora import LoraSettings, lora_parameters
from jp_adapt.training.objective import NextTokenLoss

LENGTH, PREFIX = 64, 0
SIZES = (9, 30, 5, 64, 1, 17, 40, 22)


@pytest.fixture(params=["jp_adapt_documents", "sdpa", "eager"])
def objective(request, pico_untied):
    """A small model in this kind of attention, with new rows and LoRA that do something."""
    base = AutoModelForCausalLM.from_pretrained(pico_untied, attn_implementation=request.param)
    generator = torch.Generator().manual_seed(2)
    model = CausalModel(base, NewRows(torch.randn(20, 32, generator=generator), torch.randn(20, 32, generator=generator)))
    model.add_lora(LoraSettings(4, 8), seed=0)
    for parameter in lora_parameters(model.body).values():
        parameter.data.normal_(std=0.2, generator=generator)
    assert model.body.config._attn_implementation == request.param
    return NextTokenLoss(model)


def test_each_document_loses_what_it_loses_in_a_row_of_its_own(objective):
    generator = torch.Generator().manual_seed(1)
    documents = [torch.randint(1, 520, (size,), generator=generator).tolist() for size in SIZES]
    plan = plan_training({"text": (documents, 1.0)}, prefix=PREFIX, length=LENGTH, rows_per_step=2, seed=3, epochs=1)
    compared = 0
    with torch.no_grad():
        for step in range(plan.num_steps):
            batch = plan.batch(step)
            ids, positions, targets = (torch.tensor(part) for part in (batch.ids, batch.positions, batch.targets))
            for place, row in enumerate(plan.step(step)):
                start = 0
                for piece in plan.row(row):
                    here = torch.full_like(targets, -1)
                    here[place, start : start + piece.tokens] = targets[place, start : start + piece.tokens]
                    start += piece.tokens
                    packed = objective(ids, positions, here)
                    document = documents[piece.document]
                    alone = objective(torch.tensor([[PREFIX, *document[:-1]]]), torch.arange(len(document))[None], torch.tensor([document]))
                    assert abs(float(packed - alone)) <= 1e-5 * float(alone)
                    compared += 1
    assert compared == len(SIZES)
    assert plan.packing.num_rows < len(SIZES), "some documents must share a row"
