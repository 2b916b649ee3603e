"""The body of a Llama or Mistral in training steps on a CPU that leave all of it frozen but LoRA."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.models.llama import modeling_llama as llama
from transformers.models.mistral import modeling_mistral as mistral

from jp_adapt.model.attention import documents_in
from jp_adapt.model.lean.layer import AttentionPart, FeedForwardPart, Norm, Rows, attention, feed_forward
from jp_adapt.model.lean.projection import Projection, Update
from jp_adapt.model.lora import ADAPTER

# body -> the classes of a layer and of its parts that are computed here as transformers does
KNOWN = {
    llama.LlamaModel: (llama.LlamaDecoderLayer, llama.LlamaAttention, llama.LlamaMLP, llama.LlamaRMSNorm),
    mistral.MistralModel: (mistral.MistralDecoderLayer, mistral.MistralAttention, mistral.MistralMLP, mistral.MistralRMSNorm),
}
LINEAR = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


class LeanBody:
    """Gives what the transformers body that it was made of gives, to rounding; of what trains, the parameters are the same."""

    def __init__(self, body: Any) -> None:
        self.body = body
        self.parts = [_parts(layer, body.config) for layer in body.layers]

    def __call__(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """Last hidden states [B, T, H] of embedded [B, T, H]. Where positions [B, T] restart, a new document begins that sees nothing before it."""
        rows = self._rows(positions, embedded.dtype)
        hidden = embedded
        for parts in self.parts:
            again = self.body.gradient_checkpointing and self.body.training
            hidden = checkpoint(_layer, hidden, parts, rows, use_reentrant=False) if again else _layer(hidden, parts, rows)
        normed: Tensor = self.body.norm(hidden)
        return normed

    def _rows(self, positions: Tensor, dtype: torch.dtype) -> Rows:
        wide = torch.empty(0, dtype=torch.promote_types(dtype, torch.float32))
        cos, sin = (table[:, None] for table in self.body.rotary_emb(wide, positions))
        sin = sin[..., : sin.shape[-1] // 2]
        scaling = self.body.layers[0].self_attn.scaling
        return Rows(documents_in(positions), *(table.to(dtype) for table in (cos, sin, cos * scaling, sin * scaling)))


def _layer(hidden: Tensor, parts: tuple[AttentionPart, FeedForwardPart], rows: Rows) -> Tensor:
    return feed_forward(attention(hidden, parts[0], rows), parts[1])


def lean_body(body: Any) -> LeanBody | None:
    """None where it is another architecture, or where more trains, or otherwise, than plain LoRA; transformers' own modules compute then."""
    classes, config = KNOWN.get(type(body)), body.config
    if classes is None or config.hidden_act not in ("silu", "swish") or config.attention_dropout or getattr(config, "sliding_window", None) is not None:
        return None
    for layer in body.layers:
        found = (type(layer), type(layer.self_attn), type(layer.mlp), type(layer.input_layernorm))
        if found != classes or type(layer.post_attention_layernorm) is not classes[-1] or not all(_is_plain(layer.get_submodule(name)) for name in LINEAR):
            return None
    frozen = [parameter for name, parameter in body.named_parameters() if ".lora_" not in name]
    kinds = {(parameter.dtype, parameter.device.type, parameter.requires_grad) for parameter in frozen if parameter is not body.embed_tokens.weight}
    return LeanBody(body) if len(kinds) == 1 and kinds.pop()[1:] == ("cpu", False) else None


def _is_plain(module: nn.Module) -> bool:
    """Whether it is a linear layer without bias, with LoRA or without, and not with DoRA or in 4 bits."""
    plain = module.get_base_layer() if hasattr(module, "lora_A") else module
    return type(plain) is nn.Linear and plain.bias is None and not getattr(module, "lora_magnitude_vector", None)


def _parts(layer: Any, config: Any) -> tuple[AttentionPart, FeedForwardPart]:
    attention, mlp = layer.self_attn, layer.mlp
    first, second = (Norm(norm.weight.detach(), norm.variance_epsilon) for norm in (layer.input_layernorm, layer.post_attention_layernorm))
    heads = _projection(attention.q_proj, attention.k_proj, attention.v_proj)
    return (
        AttentionPart(first, heads, _projection(attention.o_proj), config.num_key_value_heads, attention.head_dim),
        FeedForwardPart(second, _projection(mlp.gate_proj, mlp.up_proj), _projection(mlp.down_proj)),
    )


def _projection(*modules: Any) -> Projection:
    lora = [hasattr(module, "lora_A") for module in modules]
    layers = [module.get_base_layer() if has else module for module, has in zip(modules, lora, strict=True)]
    return Projection(layers, [_update(module) if has else None for module, has in zip(modules, lora, strict=True)])


def _update(module: Any) -> Update:
    return Update(module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight, module.scaling[ADAPTER])
