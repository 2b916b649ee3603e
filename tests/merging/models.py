"""Small models that were tuned from one base, for tests of merging."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from tests.conftest import documents


def tuned(base: Path, folder: Path, seed: int, *, spread: float = 0.02, dtype: torch.dtype = torch.float32) -> Path:
    """A copy of a model folder with other weights near the base's."""
    shutil.copytree(base, folder)
    generator = torch.Generator().manual_seed(seed)
    change_weights(folder, lambda name, weight: (weight + spread * torch.randn(weight.shape, generator=generator)).to(dtype))
    return folder


def extended(base: Path, folder: Path, seed: int, *, new_tokens: int = 40) -> Path:
    """A tuned copy with Japanese tokens of its own, and a row of its own for each."""
    tuned(base, folder, seed)
    tokenizer = load_tokenizer(base)
    extension = extend_tokenizer(tokenizer.tokenizer, documents("ja_train.jsonl")[seed : seed + 30], new_tokens)
    save_tokenizer(tokenizer, extension, base, folder)
    generator = torch.Generator().manual_seed(seed + 100)

    def more_rows(name: str, weight: torch.Tensor) -> torch.Tensor:
        if name not in ("model.embed_tokens.weight", "lm_head.weight"):
            return weight
        return torch.cat([weight, 0.02 * torch.randn(len(extension.tokens), weight.shape[1], generator=generator)])

    change_weights(folder, more_rows)
    change_config(folder, vocab_size=extension.vocab_size)
    return folder


def change_weights(folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: change(name, weight).contiguous() for name, weight in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a folder, of however many files."""
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}
