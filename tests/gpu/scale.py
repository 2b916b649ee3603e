"""How large the model of the checks is, random weights and all, and where they run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from jp_adapt.model.architectures import Architecture
from jp_adapt.model.attention import DOCUMENT_ATTENTION
from jp_adapt.model.causal import CausalModel, NewRows
from jp_adapt.model.lora import LoraSettings


@dataclass(frozen=True)
class Scale:
    """`documents`: lengths of the documents of a row; they fill `length` tokens together."""

    device: str
    dtype: torch.dtype
    architecture: Architecture
    new_tokens: int
    lora_rank: int
    documents: tuple[int, ...]
    rows: int
    steps: int

    @property
    def length(self) -> int:
        return sum(self.documents)

    def positions(self) -> torch.Tensor:
        """[rows, length]; the second row has its documents the other way round, and so on."""
        orders = [self.documents if row % 2 == 0 else self.documents[::-1] for row in range(self.rows)]
        return torch.tensor([[place for size in order for place in range(size)] for order in orders], device=self.device)

    def ids(self) -> torch.Tensor:
        """[rows, length] random ids, those of new tokens among them."""
        top = self.architecture.vocab_size + self.new_tokens
        return torch.randint(0, top, (self.rows, self.length), generator=torch.Generator().manual_seed(0)).to(self.device)


LLAMA_1B = Architecture(2048, 8192, 16, 32, 8, 64, 128_256, True)  # the shape of Llama-3.2-1B
REAL = Scale("cuda", torch.bfloat16, LLAMA_1B, 10_000, 64, (1500, 70, 900, 1226, 400), 4, 6)
TOY = Scale("cpu", torch.float32, Architecture(64, 128, 2, 4, 2, 16, 500, True), 60, 4, (40, 3, 21), 2, 3)


def llama_config(shape: Architecture, layers: int | None = None) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=layers or shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=8192,
    )


def random_base(scale: Scale, dtype: torch.dtype, *, layers: int | None = None) -> Any:
    """A Llama with the same random weights each time, on the device."""
    torch.manual_seed(0)
    with torch.device(scale.device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            return LlamaForCausalLM._from_config(llama_config(scale.architecture, layers), attn_implementation=DOCUMENT_ATTENTION)
        finally:
            torch.set_default_dtype(before)


def extended(base: Any, scale: Scale) -> CausalModel:
    """The base with random new rows and LoRA, whose second half is not zero as at the start of a training."""
    generator = torch.Generator().manual_seed(1)
    model = CausalModel(base, NewRows((torch.randn(scale.new_tokens, scale.architecture.hidden_size, generator=generator) * 0.02).to(scale.device), None))
    model.add_lora(LoraSettings(scale.lora_rank, 2.0 * scale.lora_rank), seed=0)
    model.to(torch.device(scale.device))
    for name, parameter in model.named_parameters():
        if ".lora_B" in name:
            parameter.data.normal_(std=0.01, generator=torch.Generator(scale.device).manual_seed(len(name)))
    return model


def write_base(scale: Scale, folder: Path) -> Path:
    """The random base as a folder that transformers, vLLM and bitsandbytes load."""
    random_base(scale, scale.dtype).save_pretrained(folder)
    return folder
