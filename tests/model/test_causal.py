"""A loaded base equals transformers' eager one, packed documents and cached generation included."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from jp_adapt.model.causal import load_base


@pytest.fixture(scope="module")
def models(pico):
    return load_base(pico, torch.float32), AutoModelForCausalLM.from_pretrained(pico, attn_implementation="eager")


def test_hidden_states_equal_eager(models):
    ours, eager = models
    ids = torch.randint(0, 500, (3, 40), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(input_ids=ids).logits, eager(input_ids=ids).logits, rtol=1e-5, atol=1e-5)


def test_a_packed_document_sees_nothing_of_its_neighbour(models):
    ours, eager = models
    ids = torch.randint(0, 500, (1, 40), generator=torch.Generator().manual_seed(0))
    positions = torch.cat([torch.arange(17), torch.arange(23)])[None]
    with torch.inference_mode():
        packed = ours(input_ids=ids, position_ids=positions, use_cache=False).logits[:, 17:]
        alone = eager(input_ids=ids[:, 17:]).logits
        contaminated = ours(input_ids=ids, use_cache=False).logits[:, 17:]
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-5)
    assert (contaminated - alone).abs().max() > 1e-3


def test_gradients_equal_eager(models):
    _ours, _eager = models
    ids = torch.randint(0, 500, (2, 24), generator=torch.Generator().manual_seed(0))
    gradients = []
    for model in models:
        embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
        model(inputs_embeds=embedded, use_cache=False).logits.square().mean().backward()
        gradients.append(embedded.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


def test_left_padded_generation_equals_eager(models):
    ids = torch.tensor([[0, 0, 5, 9], [3, 8, 11, 200]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    ours, eager = (model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=6, do_sample=False, pad_token_id=0) for model in models)
    assert ours.tolist() == eager.tolist()


def test_other_libraries_say_nothing_while_they_load() -> None:
    """A newcomer takes their notes of what they lack for a failure."""
    done = subprocess.run([sys.executable, "-c", "import jp_adapt.model.causal"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
