"""Merge a trained adapter into a plain model folder, and prove that the folder computes what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from torch import Tensor

from jp_adapt.core.errors import GateError
from jp_adapt.core.files import read_json, write_json
from jp_adapt.model.causal import CausalModel, Quantization, attach, load_base
from jp_adapt.model.language_view import whole_of
from jp_adapt.model.lora import merge_lora
from jp_adapt.model.rows import RowOrder, set_rows
from jp_adapt.model.vision import HEAD, copy_image_side, language_part, with_language
from jp_adapt.model.weight_files import read_tensors

MAX_LOGIT_DIFFERENCE = 5e-3  # float32 rounding of W x + B A x against (W + B A) x; measured about 1e-4 on SmolLM2-135M


def export_model(
    base: Path, adapter: Path, trained_dtype: torch.dtype, folder: Path, probe: list[int], *, dtype: str = "float32", quantization: Quantization | None = None
) -> float:
    """Write `base` + `adapter` into `folder` as safetensors of type `dtype`; of a vision-language model all that sees is written as it is in `base`.

    The base's weights are taken as they trained: rounded to `trained_dtype` and to `quantization`, so that the folder is the model that was trained and
    not a near one. What was in 4 bits is written in `dtype`.
    Merging is done in float32, and proven in two steps: merged and attached logits agree on a probe, and what was written is what was merged.

    Args:
        probe: ids of a text on which the logits are compared.

    Returns:
        The largest difference of a logit. GateError when it is above `MAX_LOGIT_DIFFERENCE`, when a weight was not written as it was merged, or
        when a tied head came apart.
    """
    ids = torch.tensor([probe])
    attached = _as_trained(base, adapter, trained_dtype, quantization)
    attached_logits = _logits(attached, ids)
    merged = merge(attached)
    with torch.inference_mode():
        difference = float((merged(input_ids=ids).logits - attached_logits).abs().max())
    if not difference <= MAX_LOGIT_DIFFERENCE:
        raise GateError(f"merged and attached logits differ by {difference:.2e}, and at most {MAX_LOGIT_DIFFERENCE:.0e} is allowed; the export was not kept")
    target = getattr(torch, dtype)
    _save(merged.to(target), base, folder, dtype)
    written = load_base(folder, target)
    if attached.tied and written.get_output_embeddings().weight.data_ptr() != written.get_input_embeddings().weight.data_ptr():
        raise GateError("the head of the written model is no longer tied to its embedding")
    kept = written.state_dict()
    for name, weight in merged.state_dict().items():
        if not torch.equal(kept[name], weight):
            raise GateError(f"{name} was not written as it was merged; the export was not kept")
    return difference


def _save(merged: Any, base: Path, folder: Path, dtype: str) -> None:
    """Write a plain model, or that of `base` around a language part."""
    if whole_of(merged) is None:
        merged.save_pretrained(folder)
        return
    place = str(base / "config.json")
    config = read_json(base / "config.json")
    tensors: dict[str, Tensor] = {}
    for path in sorted(base.glob("*.safetensors")):
        tensors |= read_tensors(path)
    part = language_part(config, tensors, place)
    assert part is not None
    own, tied = set(part.names(tensors).values()), bool(merged.config.tie_word_embeddings)
    written = {part.file_name(name): weight.detach() for name, weight in merged.state_dict().items() if not (tied and name == HEAD)}
    written |= {name: tensor for name, tensor in tensors.items() if name not in own}
    save_torch_state_dict(written, folder)
    rows, layers = len(merged.get_input_embeddings().weight), int(merged.config.num_hidden_layers)
    write_json(folder / "config.json", with_language(config, part, rows=rows, layers=layers, tied=tied, dtype=dtype))
    copy_image_side(base, folder)


def _as_trained(base: Path, adapter: Path, trained_dtype: torch.dtype, quantization: Quantization | None) -> CausalModel:
    # On the CPU: in full width the model may fit no GPU. A weight on the border of two of the 16 values may round to the other one there.
    rounded = load_base(base, trained_dtype, quantization=quantization, device="cpu")
    model = attach(rounded.dequantize() if quantization else rounded, adapter)
    model.base.to(torch.float32)
    model.dtype = torch.float32
    return model


def _logits(model: CausalModel, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.logits(model(ids)[0])[None]


def merge(model: CausalModel) -> Any:
    """The transformers model with LoRA merged and the new rows in the places of their ids; `model` is used up."""
    merge_lora(model.body)
    base, vocab_size = model.base, model.vocab_size
    if model.new_input is not None and model.new_output is not None:
        base.set_input_embeddings(_extend(base.get_input_embeddings(), model.new_input, model.order))
        if model.tied:
            base.tie_weights()
        else:
            base.set_output_embeddings(_extend(base.get_output_embeddings(), model.new_output, model.order))
        base.config.vocab_size = vocab_size
    return base


def _extend(layer: Any, new: Tensor, order: RowOrder) -> Any:
    """The embedding or linear layer `layer` with the rows `new` among its own, old rows unchanged."""
    old = layer.weight.detach()
    set_rows(layer, order.join(old, new.detach().to(old.dtype)))
    return layer
