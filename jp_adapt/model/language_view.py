"""The language part of a vision-language model as a causal model of transformers: its own modules under the names of a plain Llama, nothing copied."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from jp_adapt.core.errors import InputError
from jp_adapt.model.attention import DOCUMENT_ATTENTION
from jp_adapt.model.vision import is_vision

BODIES = ("language_model", "text_model")


def sees(config: Any) -> bool:
    """Whether a configuration of transformers is that of a vision-language model."""
    return is_vision({"model_type": config.model_type, **({"vision_config": {}} if hasattr(config, "vision_config") else {})})


def load_seeing(folder: Any, config: Any, dtype: torch.dtype, *, empty: bool) -> Any:
    """The language part of a vision-language model's folder; `whole_of` gives the whole. `empty`: the parameters without their values.

    InputError for a kind whose language part is more than a Llama.
    """
    if config.model_type == "mllama":
        raise InputError(f"{folder}: a Mllama has cross-attention between the layers of its Llama; it can be merged, and neither trained nor asked here")
    if empty:
        with init_empty_weights(include_buffers=False):
            whole = AutoModelForImageTextToText.from_config(config, dtype=dtype, trust_remote_code=False)
        whole.tie_weights()
    else:
        whole = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, dtype=dtype)
    return language_view(whole.eval())


def language_view(whole: Any) -> Any:
    """The language part of a loaded vision-language model."""
    body = next((getattr(whole.model, name) for name in BODIES if hasattr(whole.model, name)), None)
    if body is None:
        raise InputError(f"a {whole.config.model_type} has no language part that is known")
    config = body.config
    config.tie_word_embeddings = bool(whole.config.tie_word_embeddings)
    config._attn_implementation = DOCUMENT_ATTENTION
    with init_empty_weights():
        view = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    view.model, view.lm_head = body, whole.lm_head
    view.generation_config = whole.generation_config
    view.__dict__["whole"] = whole  # no module of the view: what sees does not train, and is not saved with it
    return view.eval()


def whole_of(base: Any) -> Any | None:
    """The vision-language model whose language part `base` is; None for a plain model."""
    return base.__dict__.get("whole")
