"""From a GGUF file to the configuration and the weights of a plain model folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from jp_adapt.core.errors import InputError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.model.gguf_tensors import ROPE_FACTORS, Array, LlamaTensor, llama_tensors, rope_factors

ROPE_FIELD = "jp_adapt.rope_parameters"  # JSON; a GGUF file holds Llama-3's factors, and not what they were made from
LLAMA3_ROPE = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}  # of Llama-3.1, 3.2 and 3.3


def model_config(file: GgufFile) -> dict[str, Any]:
    """The config.json of the model in a GGUF file, without the ids of special tokens. InputError where it is no Llama, or a part of one."""
    architecture = file.get("general.architecture", str)
    if architecture != "llama":
        raise InputError(f"{file.path}: a model of the architecture '{architecture}'; only 'llama' is read")
    if file.get("split.count", int, 1) > 1:
        raise InputError(f"{file.path}: one of {file.get('split.count', int)} parts of a model; join them with llama-gguf-split --merge")
    if file.get("llama.expert_count", int, 0):
        raise InputError(f"{file.path}: a mixture of {file.get('llama.expert_count', int)} experts; only dense models are read")
    heads, hidden = file.get("llama.attention.head_count", int), file.get("llama.embedding_length", int)
    if heads < 1:
        raise InputError(f"{file.path}: 'llama.attention.head_count' is {heads}; fetch the file again")
    layers = file.get("llama.block_count", int)
    if layers > len(file.tensors):
        raise InputError(f"{file.path}: tells of {layers:,} layers and holds {len(file.tensors):,} tensors; fetch the file again")
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(file.get("tokenizer.ggml.tokens", list)),
        "hidden_size": hidden,
        "intermediate_size": file.get("llama.feed_forward_length", int),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": file.get("llama.attention.head_count_kv", int, heads),
        "head_dim": file.get("llama.attention.key_length", int, file.get("llama.rope.dimension_count", int, hidden // heads)),
        "max_position_embeddings": file.get("llama.context_length", int),
        "rms_norm_eps": _short(file.get("llama.attention.layer_norm_rms_epsilon", float)),
        "hidden_act": "silu",
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_down.bias" in file.tensors,
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "dtype": "float32",
    }
    return config | {"rope_parameters": _rope(file, config)}


def _short(value: float) -> float:
    """The shortest number that is the same float32: 1e-05, and not 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def _rope(file: GgufFile, config: Mapping[str, Any]) -> dict[str, Any]:
    rope: dict[str, Any] = {"rope_theta": _short(file.get("llama.rope.freq_base", float, 10000.0)), "rope_type": "default"}
    kind = file.get("llama.rope.scaling.type", str, "none")
    if kind in ("linear", "yarn") and "llama.rope.scaling.factor" in file.fields:
        factor = _short(file.get("llama.rope.scaling.factor", float))
        rope |= {"rope_type": kind, "factor": factor}
        if kind == "yarn":
            rope["original_max_position_embeddings"] = file.get("llama.rope.scaling.original_context_length", int)
            for name in ("beta_fast", "beta_slow"):
                if (field := f"llama.rope.scaling.yarn_{name}") in file.fields:
                    rope[name] = _short(file.get(field, float))
            if "llama.rope.scaling.attn_factor" in file.fields:
                rope["attention_factor"] = _short(file.get("llama.rope.scaling.attn_factor", float)) * (0.1 * float(np.log(factor)) + 1.0)
    elif kind not in ("none", "linear"):
        raise InputError(f"{file.path}: rope scaling of the kind '{kind}', which is not read")
    return rope if ROPE_FACTORS not in file.tensors else _llama3_rope(file, rope["rope_theta"], config)


def _llama3_rope(file: GgufFile, theta: float, config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters from which the file's rope factors come: those that it tells, else those of the published Llama-3.x if they give the same factors."""
    tensor = file.tensors[ROPE_FACTORS]
    if tensor.kind != GGMLQuantizationType.F32 or tensor.shape != (config["head_dim"] // 2,):
        raise InputError(f"{file.path}: '{ROPE_FACTORS}' is not a vector of {config['head_dim'] // 2} float32; fetch the file again")
    stored = file.rows(tensor).view("<f4")[0]
    rope = {"rope_theta": theta, "rope_type": "llama3", "factor": float(stored.max())} | LLAMA3_ROPE
    if ROPE_FIELD in file.fields:
        try:
            rope |= parse_json(file.get(ROPE_FIELD, str), f"{file.path}: '{ROPE_FIELD}'")
            same = np.allclose(rope_factors(rope, config["head_dim"]), stored, rtol=1e-6)
        except (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError) as error:
            raise InputError(f"{file.path}: '{ROPE_FIELD}' holds no rope parameters ({error}); fetch the file again") from error
    else:
        same = np.allclose(rope_factors(rope, config["head_dim"]), stored, rtol=1e-5)
    if not same:
        raise InputError(
            f"{file.path}: its rope factors are not those of a published Llama-3, and the file does not tell what they were made from; use the original folder"
        )
    return rope


def dequantized_rows(file: GgufFile, name: str, start: int = 0, end: int | None = None) -> Array:
    """Rows [start, end) of a tensor as float32. InputError for a type that the package gguf cannot expand."""
    tensor = file.tensors[name]
    kind = GGMLQuantizationType(tensor.kind)
    stored = file.rows(tensor, start, end)
    try:
        numbers: Array = dequantize(stored, kind)
    except NotImplementedError:
        raise InputError(
            f"{file.path}: tensor '{name}' is of type {kind.name}, which the package gguf does not expand; use another file of the model"
        ) from None
    return numbers.reshape(-1, *tensor.shape[1:]) if len(tensor.shape) > 1 else numbers.reshape(-1)


def expected_tensors(file: GgufFile, config: Mapping[str, Any]) -> list[LlamaTensor]:
    """The tensors of the model, each of which the file holds in its shape. InputError for one that is missing, of another shape, or unknown."""
    tensors = llama_tensors(config, str(file.path))
    for tensor in tensors:
        stored = file.tensors.get(tensor.gguf)
        if stored is None or stored.shape != tensor.shape:
            shape = "missing" if stored is None else f"of shape {list(stored.shape)}"
            raise InputError(
                f"{file.path}: tensor '{tensor.gguf}' is {shape}, and its header tells of a model that has {list(tensor.shape)} there; fetch the file again"
            )
    unknown = file.tensors.keys() - {tensor.gguf for tensor in tensors} - {ROPE_FACTORS}
    if unknown:
        raise InputError(f"{file.path}: holds {len(unknown)} tensors that a Llama has not, '{min(unknown)}' for example; use the original folder")
    return tensors
