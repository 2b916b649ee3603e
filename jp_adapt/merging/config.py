"""What the configurations of models say of how they compute: models that compute differently do not merge. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jp_adapt.core.errors import InputError

# Keys of a config.json that change what a Llama computes from the same weights, with what a missing one means. Shapes need no check here.
COMPUTES: dict[str, Any] = {
    "model_type": None,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "num_attention_heads": None,
    "num_key_value_heads": None,
    "head_dim": None,
    "sliding_window": None,
    "rope": None,
}

SIZES = ("hidden_size", "intermediate_size")


def check_configs(configs: Mapping[str, Mapping[str, Any]], chosen: str | None) -> None:
    """InputError where the models are of different sizes, where they compute differently and no configuration was chosen, and where weights are quantised."""
    for model, config in configs.items():
        if "quantization_config" in config:
            raise InputError(
                f"'{model}' holds quantised weights ({config['quantization_config'].get('quant_method', 'unknown')}); merge it before it is quantised"
            )
    for key in SIZES:
        sizes = {model: config[key] for model, config in configs.items() if key in config}
        if len(set(sizes.values())) > 1:
            raise InputError(
                f"the models are of different sizes: {key} is {', '.join(f'{size} in {model!r}' for model, size in sizes.items())}; take models of one size"
            )
    (first, known), *others = ((model, _computes(config)) for model, config in configs.items())
    for model, own in others:
        differing = [key for key in COMPUTES if own[key] != known[key]]
        if differing and (chosen is None or "model_type" in differing):
            given = "; ".join(f"{key} is {known[key]!r} in '{first}' and {own[key]!r} in '{model}'" for key in differing)
            way = "take models of one base" if "model_type" in differing else f"if that is meant, say whose configuration is kept: config: {first}"
            raise InputError(f"the models compute differently: {given}; {way}")


def _computes(config: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: config.get(key, default) for key, default in COMPUTES.items()}
    heads = config.get("num_attention_heads")
    own["num_key_value_heads"] = config.get("num_key_value_heads") or heads
    own["head_dim"] = config.get("head_dim") or (config["hidden_size"] // heads if heads and "hidden_size" in config else None)
    own["rope"] = _rope(config)
    return own


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary embedding, as transformers 5 (rope_parameters) and earlier ones (rope_theta, rope_scaling) write it down."""
    scaling = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = scaling.pop("rope_type", None) or scaling.pop("type", None) or "default"
    scaling.pop("type", None)
    theta = scaling.pop("rope_theta", None) or config.get("rope_theta") or 10_000.0
    return {"theta": float(theta), "type": kind} | scaling


def is_tied(config: Mapping[str, Any], *, has_head: bool) -> bool:
    """Whether the head is the embedding. Llama's default is that it is not; a file without a head cannot mean anything else."""
    return bool(config.get("tie_word_embeddings", False)) or not has_head


def merged_config(config: Mapping[str, Any], *, rows: int, layers: int, tied: bool, dtype: str) -> dict[str, Any]:
    """The configuration of the merged model."""
    merged = {key: value for key, value in config.items() if key not in ("torch_dtype", "_name_or_path")}
    return merged | {"vocab_size": rows, "num_hidden_layers": layers, "tie_word_embeddings": tied, "dtype": dtype}
