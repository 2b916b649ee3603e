"""The tensors of a Llama in a GGUF file: names, shapes, the order of query and key rows, and the factors of its rotary embedding.

llama.cpp rotates neighbouring pairs of a head's features (2i, 2i + 1), transformers the halves (i, i + d/2); so the rows of the query and key projections
stand in another order (conversion/llama.py of llama.cpp, `permute`). The factors of Llama-3's long context are a tensor of their own there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, get_tensor_name_map

from jp_adapt.core.errors import InputError
from jp_adapt.model.architectures import Architecture, from_config

ROPE_FACTORS = "rope_freqs.weight"
MODEL_TYPES = ("llama", "mistral")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LlamaTensor:
    """A tensor by its name in a Hugging Face folder and in a GGUF file; `heads` where its rows stand in another order there."""

    name: str
    gguf: str
    shape: tuple[int, ...]
    heads: int | None = None
    layer: int | None = None

    def rows_to_gguf(self, rows: Array) -> Array:
        """Whole heads of rows [n, ...], put into the order of llama.cpp."""
        return rows if self.heads is None else _swapped(rows, 2, self._head_rows // 2)

    def rows_from_gguf(self, rows: Array) -> Array:
        """Inverse of `rows_to_gguf`."""
        return rows if self.heads is None else _swapped(rows, self._head_rows // 2, 2)

    @property
    def _head_rows(self) -> int:
        assert self.heads is not None
        return self.shape[0] // self.heads

    @property
    def row_step(self) -> int:
        """Rows are taken in multiples of this."""
        return 1 if self.heads is None else self._head_rows


def _swapped(rows: Array, outer: int, inner: int) -> Array:
    swapped: Array = rows.reshape(-1, outer, inner, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
    return swapped


def llama_tensors(config: Mapping[str, Any], place: str) -> list[LlamaTensor]:
    """Every tensor of the model that a parsed config.json describes, the embedding first. InputError where it is not a Llama that llama.cpp runs as one."""
    _check_config(config, place)
    sizes = from_config(config, place)
    if sizes.num_layers * 9 > 2**20:
        raise InputError(f"{place}: {sizes.num_layers:,} layers; this is not a config of a language model")
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, sizes.num_layers)
    results: list[tuple[str, tuple[int, ...], int | None, int | None]] = [("model.embed_tokens.weight", (sizes.vocab_size, sizes.hidden_size), None, None)]
    for layer in range(sizes.num_layers):
        results += [(f"model.layers.{layer}.{name}", shape, heads, layer) for name, shape, heads in _block(sizes, config)]
    results.append(("model.norm.weight", (sizes.hidden_size,), None, None))
    if not sizes.tied:
        results.append(("lm_head.weight", (sizes.vocab_size, sizes.hidden_size), None, None))
    tensors = []
    for name, shape, heads, block in results:
        gguf_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert gguf_name is not None, name
        tensors.append(LlamaTensor(name, gguf_name, shape, heads, block))
    return tensors


def _block(sizes: Architecture, config: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...], int | None]]:
    """(name within the block, shape, heads whose rows are reordered) of one block's tensors."""
    hidden, inner, query, key = sizes.hidden_size, sizes.intermediate_size, sizes.query_size, sizes.key_size
    linear: list[tuple[str, int, int, int | None, str]] = [
        ("self_attn.q_proj", query, hidden, sizes.num_heads, "attention_bias"),
        ("self_attn.k_proj", key, hidden, sizes.num_kv_heads, "attention_bias"),
        ("self_attn.v_proj", key, hidden, None, "attention_bias"),
        ("self_attn.o_proj", hidden, query, None, "attention_bias"),
        ("mlp.gate_proj", inner, hidden, None, "mlp_bias"),
        ("mlp.up_proj", inner, hidden, None, "mlp_bias"),
        ("mlp.down_proj", hidden, inner, None, "mlp_bias"),
    ]
    tensors: list[tuple[str, tuple[int, ...], int | None]] = [("input_layernorm.weight", (hidden,), None), ("post_attention_layernorm.weight", (hidden,), None)]
    for name, rows, columns, heads, bias in linear:
        tensors.append((f"{name}.weight", (rows, columns), heads))
        if config.get(bias):
            tensors.append((f"{name}.bias", (rows,), heads))
    return tensors


def _check_config(config: Mapping[str, Any], place: str) -> None:
    kind = config.get("model_type")
    if kind not in MODEL_TYPES:
        raise InputError(f"{place}: a model of the kind {kind!r}; exported are {' and '.join(MODEL_TYPES)}, for others llama.cpp has its own converter")
    if config.get("quantization_config"):
        raise InputError(f"{place}: its weights are quantised already; give the folder with the weights that it was made from")
    if config.get("hidden_act", "silu") != "silu":
        raise InputError(f"{place}: hidden_act is {config['hidden_act']!r}, and llama.cpp computes a Llama with silu")
    head_dim = from_config(config, place).head_dim
    if head_dim % 2:
        raise InputError(f"{place}: {head_dim} features in a head, and rotary embeddings need pairs")
    rope_parameters(config, place)


def rope_parameters(config: Mapping[str, Any], place: str) -> dict[str, Any]:
    """`rope_theta`, `rope_type` and its parameters, from a config.json as transformers 5 (`rope_parameters`) or 4 (`rope_scaling`) writes it.

    InputError for a kind of scaling that llama.cpp does not compute, or for a parameter that is missing.
    """
    given = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = given.pop("type", None)
    rope = {"rope_theta": config.get("rope_theta", 10000.0), "rope_type": kind or "default"} | given
    needed = {
        "default": (),
        "linear": ("factor",),
        "yarn": ("factor", "original_max_position_embeddings"),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    }
    if rope["rope_type"] not in needed:
        raise InputError(f"{place}: rope scaling of the kind {rope['rope_type']!r}; llama.cpp computes {', '.join(needed)} for a Llama")
    numbers = ("rope_theta", *needed[rope["rope_type"]])
    missing = [name for name in numbers if not isinstance(rope.get(name), int | float)]
    if missing:
        raise InputError(f"{place}: rope scaling {rope['rope_type']} without {', '.join(missing)}; complete it")
    if rope.get("partial_rotary_factor", 1.0) != 1.0 or rope.get("truncate", True) is not True or rope.get("mscale") or rope.get("mscale_all_dim"):
        raise InputError(f"{place}: rope parameters {rope}, of which llama.cpp does not know partial_rotary_factor, truncate and mscale for a Llama")
    return rope


def rope_factors(rope: Mapping[str, Any], head_dim: int) -> Array:
    """[head_dim / 2] what the frequencies of a Llama-3 with long context are divided by (conversion/llama.py of llama.cpp; transformers computes the same).

    In torch, as both do: numpy's powers differ in the last bit.
    """
    import torch

    frequencies = 1.0 / (rope["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim))
    low, high, factor, context = (float(rope[name]) for name in ("low_freq_factor", "high_freq_factor", "factor", "original_max_position_embeddings"))
    factors = []
    for frequency in frequencies:
        wavelength = 2 * math.pi / frequency
        if wavelength < context / high:
            factors.append(1.0)
        elif wavelength > context / low:
            factors.append(factor)
        else:
            smooth = (context / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    vector: Array = torch.tensor(factors, dtype=torch.float32).numpy()
    return vector
