"""The language part of a vision-language model as a causal model: its own modules, and the figures of the whole."""

from __future__ import annotations

import pytest
import torch
import transformers

from jp_adapt.core.errors import InputError
from jp_adapt.model.causal import load_base, load_causal
from jp_adapt.model.language_view import whole_of
from tests.seeing import make_seeing


@pytest.mark.parametrize(("kind", "tied"), [("llava", True), ("llava_next", False), ("idefics3", True), ("smolvlm", False)])
def test_it_has_the_names_of_a_plain_llama_and_the_logits_of_the_whole(kind, tied, pico, tmp_path):
    folder = make_seeing(kind, pico, tmp_path / kind, tied=tied)
    model = load_causal(folder, torch.float32)
    view, plain = model.base, load_base(pico, torch.float32)
    assert dict(view.named_parameters()).keys() - {"lm_head.weight"} == dict(plain.named_parameters()).keys() - {"lm_head.weight"}
    whole = whole_of(view)
    assert view.model.embed_tokens.weight is whole.get_input_embeddings().weight
    assert (view.lm_head.weight is view.model.embed_tokens.weight) is model.tied is tied
    assert whole_of(plain) is None
    ids = torch.tensor([[5, 9, 8, 7]])
    own = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    with torch.inference_mode():
        assert torch.allclose(model.logits(model(ids)[0]), own(input_ids=ids).logits[0], atol=1e-5)


def test_without_values_and_in_four_bits(pico, tmp_path):
    folder = make_seeing("llava", pico, tmp_path / "llava")
    empty = load_causal(folder, torch.float32, empty=True)
    assert {parameter.device.type for parameter in empty.base.parameters()} == {"meta"}
    assert empty.base.lm_head.weight is empty.base.model.embed_tokens.weight
    with pytest.raises(InputError, match="a vision-language model trains in its own precision"):
        load_base(folder, torch.float32, quantization="nf4")
