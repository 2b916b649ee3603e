"""The sizes of a Llama-family model: from a config.json, from a GGUF's header, or of published models by hub id. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.model.vision import plain_config


@dataclass(frozen=True)
class Architecture:
    """What decides the size of a Llama: sizes in features, `vocab_size` in tokens. `plain`: model/lean has its layers (no bias, no window). `positions`: tokens
    of the longest text that it was trained for, where that is known."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    tied: bool
    plain: bool = True
    positions: int | None = None

    @property
    def query_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def key_size(self) -> int:
        return self.num_kv_heads * self.head_dim

    @property
    def linear_shapes(self) -> list[tuple[int, int]]:
        """(input, output) of the seven linear layers of a block."""
        h, i, q, k = self.hidden_size, self.intermediate_size, self.query_size, self.key_size
        return [(h, q), (h, k), (h, k), (q, h), (h, i), (h, i), (i, h)]

    @property
    def linear_parameters(self) -> int:
        """Of all blocks, embeddings and norms left out."""
        return self.num_layers * sum(rows * columns for rows, columns in self.linear_shapes)

    @property
    def embedding_parameters(self) -> int:
        """Input rows, and output rows where they are not tied."""
        return self.vocab_size * self.hidden_size * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        return self.linear_parameters + self.embedding_parameters + (2 * self.num_layers + 1) * self.hidden_size

    def lora_parameters(self, rank: int) -> int:
        """Of LoRA on all linear layers of the blocks."""
        return self.num_layers * sum(rank * (rows + columns) for rows, columns in self.linear_shapes)


PLAIN = ("llama", "mistral")  # the kinds of which model/lean knows the layers

# The figures of each model's config.json on the hub.
KNOWN = {
    "meta-llama/Llama-2-7b-hf": Architecture(4096, 11008, 32, 32, 32, 128, 32_000, False, positions=4_096),
    "meta-llama/Llama-2-13b-hf": Architecture(5120, 13824, 40, 40, 40, 128, 32_000, False, positions=4_096),
    "meta-llama/Llama-2-70b-hf": Architecture(8192, 28672, 80, 64, 8, 128, 32_000, False, positions=4_096),
    "meta-llama/Meta-Llama-3-8B": Architecture(4096, 14336, 32, 32, 8, 128, 128_256, False, positions=8_192),
    "meta-llama/Meta-Llama-3-8B-Instruct": Architecture(4096, 14336, 32, 32, 8, 128, 128_256, False, positions=8_192),
    "meta-llama/Llama-3.1-8B": Architecture(4096, 14336, 32, 32, 8, 128, 128_256, False, positions=131_072),
    "meta-llama/Llama-3.1-8B-Instruct": Architecture(4096, 14336, 32, 32, 8, 128, 128_256, False, positions=131_072),
    "meta-llama/Llama-3.1-70B": Architecture(8192, 28672, 80, 64, 8, 128, 128_256, False, positions=131_072),
    "meta-llama/Llama-3.1-70B-Instruct": Architecture(8192, 28672, 80, 64, 8, 128, 128_256, False, positions=131_072),
    "HuggingFaceTB/SmolLM2-135M": Architecture(576, 1536, 30, 9, 3, 64, 49_152, True, positions=8_192),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Architecture(576, 1536, 30, 9, 3, 64, 49_152, True, positions=8_192),
}


def from_config(config: Mapping[str, Any], place: str) -> Architecture:
    """The sizes in a parsed config.json. InputError names the key that is missing."""
    try:
        heads = int(config["num_attention_heads"])
        return Architecture(
            hidden_size=int(config["hidden_size"]),
            intermediate_size=int(config["intermediate_size"]),
            num_layers=int(config["num_hidden_layers"]),
            num_heads=heads,
            num_kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or config["hidden_size"] // heads),
            vocab_size=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
            positions=_positions(config),
            plain=config.get("model_type", "llama") in PLAIN and not config.get("sliding_window") and not config.get("attention_bias"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{place}: no size of a Llama-family model in it ({error}); known are transformers with gated MLP and RMSNorm, as Llama and Mistral"
        ) from error


def _positions(config: Mapping[str, Any]) -> int | None:
    """As many as `max_position_embeddings` says, or as the scaling of positions makes of those before it."""
    most, scaling = int(config.get("max_position_embeddings") or 0), config.get("rope_scaling") or config.get("rope_parameters") or {}
    original = int(scaling.get("original_max_position_embeddings") or most)
    return max(most, int(original * float(scaling.get("factor") or 1))) or None


def from_folder(folder: Path) -> Architecture:
    """The sizes of a model folder, of a vision-language model those of its language part; only its config.json is read."""
    place = str(folder / "config.json")
    return from_config(plain_config(read_json(folder / "config.json"), place), place)


def from_gguf(path: Path) -> Architecture:
    """The sizes in the header of a GGUF file."""
    from jp_adapt.model.gguf_file import GgufFile  # numpy comes with it

    file = GgufFile(path)
    heads, hidden = file.get("llama.attention.head_count", int), file.get("llama.embedding_length", int)
    return Architecture(
        hidden_size=hidden,
        intermediate_size=file.get("llama.feed_forward_length", int),
        num_layers=file.get("llama.block_count", int),
        num_heads=heads,
        num_kv_heads=file.get("llama.attention.head_count_kv", int, heads),
        head_dim=file.get("llama.attention.key_length", int, hidden // max(heads, 1)),
        vocab_size=len(file.get("tokenizer.ggml.tokens", list)),
        tied="output.weight" not in file.tensors,
        positions=_positions(
            {
                "max_position_embeddings": file.get("llama.context_length", int, 0),
                "rope_scaling": {"factor": file.get("llama.rope.scaling.factor", float, 1.0)},
            }
        ),
    )
