"""From a GGUF file to a plain model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from jp_adapt.core.errors import InputError, JpAdaptError

# transformers' GGUF reader drops the name of the pre-tokenizer; these are what llama.cpp's names stand for (llama-vocab.cpp). "smollm" splits digits.
GGUF_PRE_TOKENIZERS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [],
    "smollm": [{"type": "Digits", "individual_digits": True}],
}


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model and tokenizer of a GGUF file into `folder`, as float32 safetensors (quantised weights are expanded)."""
    transformers_logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise InputError(f"{gguf}: not a GGUF model that transformers can read ({error})") from error
    # The weights are plain float32 now, and transformers would refuse to save what it still takes for a quantised model.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _restore_pre_tokenizer(folder / "tokenizer.json", _gguf_pre_tokenizer(gguf), gguf)


def _gguf_pre_tokenizer(gguf: Path) -> str | None:
    """The metadata field `tokenizer.ggml.pre`; None for a tokenizer that is no byte-level BPE."""
    fields = GGUFReader(gguf).fields
    kind = fields["tokenizer.ggml.model"].contents()
    return str(fields["tokenizer.ggml.pre"].contents()) if kind == "gpt2" and "tokenizer.ggml.pre" in fields else None


def _restore_pre_tokenizer(path: Path, name: str | None, gguf: Path) -> None:
    if name is None:
        return
    if name not in GGUF_PRE_TOKENIZERS:
        raise JpAdaptError(
            f"{gguf}: its tokenizer splits text in the way '{name}', which transformers does not restore from a GGUF file; "
            f"use the original model folder (known here: {', '.join(GGUF_PRE_TOKENIZERS)})"
        )
    if GGUF_PRE_TOKENIZERS[name]:
        spec = json.loads(path.read_text(encoding="utf-8"))
        spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*GGUF_PRE_TOKENIZERS[name], spec["pre_tokenizer"]]}
        path.write_text(json.dumps(spec, ensure_ascii=False, indent=2), encoding="utf-8")
