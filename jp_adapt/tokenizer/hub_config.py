"""The `tokenizer_config.json` of a folder whose tokenizer.json is run as it is, by whatever reads the folder.

A tokenizer class of transformers 5 with an `__init__` of its own (LlamaTokenizer, GPT2Tokenizer, Qwen2Tokenizer) takes the vocabulary and the merges out of
tokenizer.json and builds normalizer, pre-tokenizer and decoder anew; what the file says of them is ignored (tokenization_utils_tokenizers.py,
`convert_to_native_format`). `PreTrainedTokenizerFast` runs the file as it is. transformers 4 and 5 and vLLM know that name (`TokenizersBackend`, the name that
transformers 5 writes for it, is unknown to transformers 4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json

CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
KEEPING_CLASS = "PreTrainedTokenizerFast"
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
OPTIONAL_ROLES = ROLES[2:]  # a model can do without; one that names a token outside of the vocabulary is left empty
LISTS = ("additional_special_tokens", "extra_special_tokens")
FLAGS = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
# What the classes of the Llama family set where the file says nothing; `PreTrainedTokenizerFast` does not, so it is written out.
CLASS_DEFAULTS: dict[str, dict[str, str]] = {
    "LlamaTokenizer": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "padding_side": "left"},
    "GPT2Tokenizer": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
    "Qwen2Tokenizer": {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
}
MODEL_INPUTS = ["input_ids", "attention_mask"]  # of a decoder; the default of PreTrainedTokenizerFast in transformers 4 has token_type_ids, which Llama refuses
# Settings by which a loader builds the tokenizer from something else than tokenizer.json, patches it, or looks for code.
REBUILDING = ("from_slow", "fast_tokenizer_files", "tokenizer_file", "vocab_file", "merges_file", "fix_mistral_regex", "auto_map")


@dataclass
class HubConfig:
    """A tokenizer_config.json.

    Attributes:
        fields: what the file holds.
        changes: what was changed in the one that it was made from, a line for each setting; none where nothing had to be.
        conflicts: tokens that the configuration names and tokenizer.json lacks, or has at another id: a loader would give them ids of their own.
    """

    fields: dict[str, Any]
    changes: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any] | None:
    """A JSON object of a tokenizer's folder, None where there is no such file. InputError where it is something else."""
    if not (folder / name).is_file():
        return None
    config = read_json(folder / name)
    if not isinstance(config, dict):
        raise InputError(f"{folder / name}: not a JSON object; fetch the file again")
    return config


def keeping_config(folder: Path, spec: Mapping[str, Any]) -> HubConfig | None:
    """The configuration of `folder` with what lets a loader run `spec` (the parsed tokenizer.json) as it is. None where the folder has none.

    Special tokens, chat template, lengths and all other settings stay. Flags of added tokens are those of tokenizer.json.
    """
    given = read_config(folder)
    if given is None:
        return None
    # transformers reads special_tokens_map.json where the configuration has no `added_tokens_decoder`; it counts for more then.
    legacy = {} if "added_tokens_decoder" in given else read_config(folder, SPECIAL_TOKENS_MAP) or {}
    roles = {role: text_of_token(legacy.get(role, given.get(role))) or None for role in ROLES if role in given or role in legacy}
    ids = {token["content"]: int(token["id"]) for token in spec.get("added_tokens") or ()}
    config = HubConfig(dict(given))
    _set_class(config, roles, ids)
    _drop_rebuilding(config)
    _set_prefix_space(config, spec)
    absent = _drop_absent_roles(config, roles, ids)
    _find_conflicts(config, roles, [*_pairs(given.get("added_tokens_decoder")), *_pairs(read_config(folder, ADDED_TOKENS))], legacy, ids, absent)
    decoder = {str(token["id"]): {flag: token.get(flag, False) for flag in FLAGS} for token in spec.get("added_tokens") or ()}
    if given.get("added_tokens_decoder", decoder) != decoder:
        config.changes.append("added_tokens_decoder: tokens and flags as tokenizer.json has them")
    if config.changes:  # with them special_tokens_map.json is no longer read
        config.fields |= {**roles, "added_tokens_decoder": decoder}
    return config


def refuse_conflicts(config: HubConfig, folder: Path) -> None:
    """InputError where the configuration and tokenizer.json are of two different tokenizers."""
    if config.conflicts:
        raise InputError(
            f"{folder}: {CONFIG} (or {SPECIAL_TOKENS_MAP}, {ADDED_TOKENS}) and tokenizer.json differ: {'; '.join(config.conflicts[:5])}; AutoTokenizer "
            "would give ids that tokenizer.json does not have. Add the tokens to tokenizer.json with the ids that the model knows, or take them out of "
            "the configuration"
        )


def _set_class(config: HubConfig, roles: dict[str, str | None], ids: Mapping[str, int]) -> None:
    named = config.fields.get("tokenizer_class")
    if named == KEEPING_CLASS:
        return
    config.fields["tokenizer_class"] = KEEPING_CLASS
    config.changes.append(f"tokenizer_class: {named or 'none'} -> {KEEPING_CLASS}, which runs tokenizer.json as it is")
    defaults: dict[str, Any] = {"model_input_names": MODEL_INPUTS, **CLASS_DEFAULTS.get(str(named).removesuffix("Fast"), {})}
    for key, value in defaults.items():
        if key in (roles if key in ROLES else config.fields) or (key in ROLES and value not in ids):
            continue
        (roles if key in ROLES else config.fields)[key] = value
        config.changes.append(
            f"{key}: {_shown(value)}, the default of {named if isinstance(named, str) and named else 'a tokenizer without a class'}, written out"
        )
    if isinstance(config.fields.get("extra_special_tokens"), list):  # transformers 4 takes only an object for it, and fails
        tokens = _texts(config.fields.get("additional_special_tokens")) + _texts(config.fields.pop("extra_special_tokens"))
        config.fields["additional_special_tokens"] = list(dict.fromkeys(tokens))
        config.changes.append("extra_special_tokens: under additional_special_tokens, the name that transformers 4 and 5 know")


def _drop_rebuilding(config: HubConfig) -> None:
    for key in REBUILDING:
        if key in config.fields:
            config.changes.append(f"{key}: {_shown(config.fields.pop(key))} removed, as tokenizer.json is run as it is")


def _set_prefix_space(config: HubConfig, spec: Mapping[str, Any]) -> None:
    """`add_prefix_space` as tokenizer.json has it.

    transformers 4 makes a pre-tokenizer anew that says otherwise than the configuration (false where that says nothing), and llama.cpp's converter writes
    what the configuration says into a SentencePiece tokenizer.
    """
    outer, given = spec.get("pre_tokenizer"), config.fields.get("add_prefix_space")
    prefix = outer.get("add_prefix_space") if isinstance(outer, dict) else None
    if prefix is None and given is not None and spec["model"].get("byte_fallback"):
        metaspace = isinstance(outer, dict) and outer.get("type") == "Metaspace" and outer.get("prepend_scheme", "always") != "never"
        prefix = metaspace or '"Prepend"' in json.dumps(spec.get("normalizer"))
    if prefix is not None and bool(given) != prefix:
        config.fields["add_prefix_space"] = prefix
        config.changes.append(f"add_prefix_space: {_shown(given)} -> {_shown(prefix)}, as tokenizer.json has it")


def _drop_absent_roles(config: HubConfig, roles: dict[str, str | None], ids: Mapping[str, int]) -> set[str]:
    """Leave optional roles empty whose token is not an added token of tokenizer.json, and give those tokens: a loader would append them to the vocabulary."""
    absent = {}
    for role in OPTIONAL_ROLES:
        text = roles.get(role)
        if text is not None and text not in ids:
            absent[role] = text
            roles[role] = None
            config.changes.append(f"{role}: {_shown(text)} removed, as tokenizer.json has no such added token")
    return set(absent.values())


def _find_conflicts(
    config: HubConfig, roles: Mapping[str, str | None], pairs: list[tuple[str, int]], legacy: Mapping[str, Any], ids: Mapping[str, int], absent: set[str]
) -> None:
    named = [(role, text) for role, text in roles.items() if text]
    named += [(key, text) for source in (config.fields, legacy) for key in LISTS for text in _texts(source.get(key))]
    config.conflicts += [f"{key} names {_shown(text)}, and tokenizer.json has no such added token" for key, text in dict.fromkeys(named) if text not in ids]
    for text, token_id in pairs:
        if ids.get(text) != token_id and text not in absent:
            config.conflicts.append(f"{_shown(text)} has the id {token_id}, and in tokenizer.json {ids.get(text, 'it is not an added token')}")


def token_ids(spec: Mapping[str, Any]) -> dict[str, int]:
    """Token -> id of a tokenizer.json of any kind, added tokens included."""
    vocab = spec["model"]["vocab"]
    ordinary = vocab if isinstance(vocab, dict) else {piece: number for number, (piece, _) in enumerate(vocab)}  # Unigram lists pieces with their scores
    return {**ordinary, **{token["content"]: token["id"] for token in spec.get("added_tokens") or ()}}


def text_of_token(token: Any) -> str | None:
    """The text of a special token, which configurations write as a string or as an object with `content`."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _texts(tokens: Any) -> list[str]:
    values: Iterable[Any] = tokens.values() if isinstance(tokens, dict) else tokens if isinstance(tokens, list) else ()
    return [text for text in map(text_of_token, values) if text]


def _pairs(tokens: Any) -> list[tuple[str, int]]:
    """(text, id) of `added_tokens_decoder` (id -> token) or of added_tokens.json (text -> id)."""
    if not isinstance(tokens, dict):
        return []
    pairs = [(text_of_token(value), key) if isinstance(value, dict) else (key, value) for key, value in tokens.items()]
    return [(str(text), int(number) if str(number).isdecimal() else -1) for text, number in pairs]


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
