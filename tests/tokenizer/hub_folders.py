"""`tokenizer_config.json` as folders of the hub have it, field by field, on small tokenizers of the same kind."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jp_adapt.tokenizer import tiktoken
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer
from tests.tokenizer.conftest import load_sentencepiece, small_ranks, train_sentencepiece, train_small

CHAT = "{{ bos_token }}{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}"
NO_LIMIT = 1000000000000000019884624838656


def _token(text: str, *, normalized: bool, kind: bool = True) -> dict[str, Any]:
    """A special token as transformers 4.2x to 4.33 wrote it into the configuration."""
    return {**({"__type": "AddedToken"} if kind else {}), "content": text, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False}


def _decoder(tokens: dict[int, str], *, normalized: bool = False) -> dict[str, Any]:
    return {str(number): {**_token(text, normalized=normalized, kind=False), "special": True} for number, text in tokens.items()}


LLAMA_TOKENS = {0: "<unk>", 1: "<s>", 2: "</s>"}
LLAMA3_NAMES = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


@dataclass(frozen=True)
class HubFolder:
    """A tokenizer folder of the hub: the kind of its tokenizer.json, its model type, the fields of its configuration, and what lies beside it.

    Attributes:
        rebuilt: whether transformers 5 builds the tokenizer anew, with other ids.
    """

    kind: str
    model_type: str
    config: dict[str, Any]
    rebuilt: bool
    files: dict[str, Any] = field(default_factory=dict)


SMOLLM2_TOKENS = {0: "<|endoftext|>", 1: "<|im_start|>"}
HUB: dict[str, HubFolder] = {
    "Llama-1": HubFolder(
        "SentencePiece",
        "llama",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": _token("<s>", normalized=True),
            "clean_up_tokenization_spaces": False,
            "eos_token": _token("</s>", normalized=True),
            "model_max_length": 2048,
            "pad_token": None,
            "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": _token("<unk>", normalized=True),
        },
        True,
        {
            "special_tokens_map.json": {
                name: _token(text, normalized=True, kind=False) for name, text in (("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"))
            }
        },
    ),
    "Llama-2": HubFolder(
        "SentencePiece",
        "llama",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": _token("<s>", normalized=False),
            "chat_template": CHAT,
            "clean_up_tokenization_spaces": False,
            "eos_token": _token("</s>", normalized=False),
            "legacy": False,
            "model_max_length": NO_LIMIT,
            "pad_token": None,
            "padding_side": "right",
            "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": _token("<unk>", normalized=False),
        },
        True,
    ),
    "Mistral": HubFolder(
        "SentencePiece",
        "mistral",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "added_tokens_decoder": _decoder(LLAMA_TOKENS),
            "additional_special_tokens": [],
            "bos_token": "<s>",
            "chat_template": CHAT,
            "clean_up_tokenization_spaces": False,
            "eos_token": "</s>",
            "legacy": True,
            "model_max_length": NO_LIMIT,
            "pad_token": None,
            "sp_model_kwargs": {},
            "spaces_between_special_tokens": False,
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": "<unk>",
            "use_default_system_prompt": False,
        },
        False,  # transformers 5 loads Mistral's model types by a class that keeps the file
    ),
    "TinyLlama": HubFolder(
        "SentencePiece",
        "llama",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": "<s>",
            "chat_template": CHAT,
            "clean_up_tokenization_spaces": False,
            "eos_token": "</s>",
            "legacy": True,
            "model_max_length": 2048,
            "pad_token": "</s>",
            "padding_side": "right",
            "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": "<unk>",
            "use_default_system_prompt": False,
        },
        True,
    ),
    "LlamaTokenizerFast, flags of its own": HubFolder(
        "SentencePiece",
        "llama",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "add_prefix_space": None,
            "added_tokens_decoder": _decoder(LLAMA_TOKENS, normalized=True),
            "bos_token": "<s>",
            "clean_up_tokenization_spaces": False,
            "eos_token": "</s>",
            "from_slow": True,
            "legacy": False,
            "model_max_length": 4096,
            "pad_token": "</s>",
            "padding_side": "left",
            "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizerFast",
            "unk_token": "<unk>",
        },
        True,
    ),
    "add_prefix_space false": HubFolder(
        "SentencePiece",
        "llama",
        {"add_prefix_space": False, "bos_token": "<s>", "eos_token": "</s>", "legacy": False, "tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>"},
        True,
    ),
    "Llama-3": HubFolder(
        "Llama-3",
        "llama",
        {
            "added_tokens_decoder": _decoder({598 + place: text for place, text in enumerate(LLAMA3_NAMES)}),
            "bos_token": "<|begin_of_text|>",
            "chat_template": CHAT,
            "clean_up_tokenization_spaces": True,
            "eos_token": "<|eot_id|>",
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": 131072,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
        False,
    ),
    "SmolLM2": HubFolder(
        "SmolLM2",
        "llama",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": _decoder(SMOLLM2_TOKENS),
            "additional_special_tokens": ["<|endoftext|>", "<|im_start|>"],
            "bos_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|endoftext|>",
            "model_max_length": 8192,
            "tokenizer_class": "GPT2Tokenizer",
            "unk_token": "<|endoftext|>",
            "vocab_size": 603,
        },
        True,
    ),
    "GPT2TokenizerFast": HubFolder("SmolLM2", "llama", {"model_max_length": 1024, "tokenizer_class": "GPT2TokenizerFast"}, True),
    "Qwen2.5": HubFolder(
        "SmolLM2",
        "llama",
        {
            "add_bos_token": False,
            "add_prefix_space": False,
            "added_tokens_decoder": _decoder(SMOLLM2_TOKENS),
            "additional_special_tokens": ["<|im_start|>"],
            "bos_token": None,
            "chat_template": CHAT.replace("bos_token", "''"),
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|endoftext|>",
            "errors": "replace",
            "model_max_length": 131072,
            "pad_token": "<|endoftext|>",
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
        True,
    ),
    "Qwen3, saved by transformers 5": HubFolder(
        "SmolLM2",
        "qwen3",
        {
            "add_prefix_space": False,
            "backend": "tokenizers",
            "bos_token": None,
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_start|>",
            "errors": "replace",
            "extra_special_tokens": ["<|im_start|>"],
            "is_local": False,
            "model_max_length": 131072,
            "pad_token": "<|endoftext|>",
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
        True,
    ),
    "TokenizersBackend": HubFolder(
        "SmolLM2", "llama", {"backend": "tokenizers", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "tokenizer_class": "TokenizersBackend"}, False
    ),
}


def small_base(kind: str) -> LoadedTokenizer:
    """A small tokenizer of the kind that the folder's own is of."""
    if kind == "SentencePiece":
        return load_sentencepiece(train_sentencepiece())
    if kind == "Llama-3":
        spec = tiktoken.spec_with(small_ranks(), LLAMA3_NAMES)
        return LoadedTokenizer(BpeTokenizer(spec), [], ranks=small_ranks())
    spec = copy.deepcopy(train_small().spec)
    for left, right in (("Ġ", "Ġ"), ("Ġ", "1"), ("1", "2")):  # white space and digits that tell the pre-tokenizers apart
        spec["model"]["vocab"].setdefault(left + right, len(spec["model"]["vocab"]))
        spec["model"]["merges"].append([left, right])
    spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, spec["pre_tokenizer"]]}
    return LoadedTokenizer(BpeTokenizer(spec), [])


def write_hub_folder(folder: Path, hub: HubFolder, spec: dict[str, Any]) -> Path:
    """`spec` with the configuration of `hub`, and its config.json."""
    folder.mkdir(parents=True)
    for name, value in {"tokenizer.json": spec, "tokenizer_config.json": hub.config, "config.json": {"model_type": hub.model_type}, **hub.files}.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder
