"""Small random Llamas with a tokenizer of each family, extended or not, as Hugging Face folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from jp_adapt.tokenizer.tiktoken import write_ranks
from tests.tokenizer.conftest import Trio

ROPE_LLAMA3 = {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
ROPE_LINEAR = {"rope_theta": 1e4, "rope_type": "linear", "factor": 4.0}
ROPE_YARN = {"rope_theta": 1e4, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
TEMPLATE = (
    "{% for m in messages %}{{ '### ' + m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '### assistant: ' }}{% endif %}"
)


def write_base_tokenizer(loaded: LoadedTokenizer, folder: Path) -> None:
    """A tokenizer's files as a Hugging Face folder has them."""
    (folder / "tokenizer.json").write_text(json.dumps(loaded.tokenizer.spec), encoding="utf-8")
    if loaded.ranks is not None:
        (folder / "tokenizer.model").write_bytes(write_ranks(loaded.ranks))
    if loaded.sentencepiece is not None:
        (folder / "tokenizer.model").write_bytes(loaded.sentencepiece.SerializeToString())
    special = [token["content"] for token in loaded.tokenizer.spec["added_tokens"]]
    begin, end = ("<s>", "</s>") if "<s>" in special else special[:2]
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": begin, "eos_token": end, "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def write_extended_tokenizer(trio: Trio, folder: Path) -> None:
    """The files that an extension of jp-adapt writes."""
    base = folder / "base"
    base.mkdir()
    write_base_tokenizer(trio.base, base)
    save_tokenizer(trio.base, trio.extension, base, folder)
    for path in base.iterdir():
        path.unlink()
    base.rmdir()


def add_llama(
    folder: Path, vocab_size: int, *, tied: bool = False, rope: Mapping[str, Any] | None = None, dtype: str = "float32", seed: int = 0, **config: Any
) -> Path:
    """Add a random Llama of 2 layers and 64 dimensions to a folder that holds a tokenizer; `config` goes over its sizes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    names = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids = {token["content"]: token["id"] for token in spec["added_tokens"]}
    torch.manual_seed(seed)
    settings = LlamaConfig(
        vocab_size=vocab_size,
        tie_word_embeddings=tied,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=ids[names["bos_token"]],
        eos_token_id=ids[names["eos_token"]],
        **({} if rope is None else {"rope_parameters": dict(rope)}),
        **(sizes | config),
    )
    model = LlamaForCausalLM(settings)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))  # norms of one, biases of zero would hide a mistake
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder
