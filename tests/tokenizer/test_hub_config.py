"""The configuration of a folder whose tokenizer.json is to be run as it is: what changes, what stays, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.hub_config import HubConfig, keeping_config, refuse_conflicts, token_ids

TOKENS = {"<unk>": 0, "<s>": 1, "</s>": 2}


def spec_of(tokens: dict[str, int] = TOKENS, **parts: Any) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": number, "content": text, **flags} for text, number in tokens.items()]
    return {"added_tokens": added, "model": {"type": "BPE", "vocab": {**tokens, "a": 3}}, **parts}


def made_of(folder: Path, config: object, spec: dict[str, Any] | None = None, **files: object) -> HubConfig:
    for name, value in {"tokenizer_config": config, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    results = keeping_config(folder, spec or spec_of())
    assert results is not None
    return results


def test_a_configuration_that_keeps_the_file_stays_as_it_is(tmp_path: Path) -> None:
    given = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": {"__type": "AddedToken", "content": "<s>"}, "model_max_length": 7, "x": [1]}
    config = made_of(tmp_path, given)
    assert (config.fields, config.changes, config.conflicts) == (given, [], [])


def test_every_change_is_said(tmp_path: Path) -> None:
    given = {
        "tokenizer_class": "LlamaTokenizer",
        "from_slow": True,
        "auto_map": {"AutoTokenizer": ["x.Y", None]},
        "pad_token": "[PAD]",
        "chat_template": "{{ x }}",
        "added_tokens_decoder": {"1": {"content": "<s>", "normalized": True, "special": True}},
    }
    config = made_of(tmp_path, given)
    assert config.changes == [
        "tokenizer_class: LlamaTokenizer -> PreTrainedTokenizerFast, which runs tokenizer.json as it is",
        'model_input_names: ["input_ids", "attention_mask"], the default of LlamaTokenizer, written out',
        "bos_token: '<s>', the default of LlamaTokenizer, written out",
        "eos_token: '</s>', the default of LlamaTokenizer, written out",
        "unk_token: '<unk>', the default of LlamaTokenizer, written out",
        "padding_side: 'left', the default of LlamaTokenizer, written out",
        "from_slow: true removed, as tokenizer.json is run as it is",
        'auto_map: {"AutoTokenizer": ["x.Y", null]} removed, as tokenizer.json is run as it is',
        "pad_token: '[PAD]' removed, as tokenizer.json has no such added token",
        "added_tokens_decoder: tokens and flags as tokenizer.json has them",
    ]
    assert config.fields["chat_template"] == "{{ x }}"
    assert config.fields["pad_token"] is None
    assert [token["content"] for token in config.fields["added_tokens_decoder"].values()] == ["<unk>", "<s>", "</s>"]
    assert config.conflicts == []


def test_the_special_tokens_map_counts_where_transformers_reads_it(tmp_path: Path) -> None:
    tokens = {**TOKENS, "<eot>": 4}
    config = made_of(
        tmp_path, {"tokenizer_class": "LlamaTokenizer", "eos_token": "</s>"}, spec_of(tokens), special_tokens_map={"eos_token": {"content": "<eot>"}}
    )
    assert config.fields["eos_token"] == "<eot>"
    given: dict[str, object] = {"tokenizer_class": "LlamaTokenizer", "eos_token": "</s>", "added_tokens_decoder": {}}
    assert made_of(tmp_path, given, spec_of(tokens)).fields["eos_token"] == "</s>"


@pytest.mark.parametrize(("file", "given", "written"), [(True, None, True), (True, False, True), (False, True, False)])
def test_a_prefix_space_is_that_of_the_file(tmp_path: Path, file: bool, given: bool | None, written: bool) -> None:
    """transformers 4 makes a byte-level pre-tokenizer anew where the configuration says something else, or nothing."""
    fields = {"tokenizer_class": "PreTrainedTokenizerFast"} | ({} if given is None else {"add_prefix_space": given})
    config = made_of(tmp_path, fields, spec_of(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": file}))
    assert config.fields["add_prefix_space"] is written
    assert len(config.changes) == 1
    assert made_of(tmp_path, config.fields, spec_of(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": file})).changes == []


@pytest.mark.parametrize(
    ("parts", "given", "written"),
    [
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}]}}, False, True),
        ({"normalizer": None}, True, False),
        ({"normalizer": None}, None, None),
        ({"pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "first"}}, False, True),
        ({"pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "never"}}, True, False),
    ],
)
def test_a_prefix_space_of_a_sentencepiece_tokenizer_is_that_of_the_file(
    tmp_path: Path, parts: dict[str, Any], given: bool | None, written: bool | None
) -> None:
    """llama.cpp's converter believes the configuration."""
    spec = spec_of(**parts)
    spec["model"]["byte_fallback"] = True
    config = made_of(tmp_path, {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": given}, spec)
    assert config.fields["add_prefix_space"] is written


@pytest.mark.parametrize(
    ("config", "files", "message"),
    [
        ({"eos_token": "<end>"}, {}, "eos_token names '<end>', and tokenizer.json has no such added token"),
        ({"additional_special_tokens": ["<s>", "<|im_start|>"]}, {}, "additional_special_tokens names '<|im_start|>'"),
        ({"extra_special_tokens": {"image_token": "<image>"}}, {}, "extra_special_tokens names '<image>'"),
        ({"added_tokens_decoder": {"7": {"content": "<s>"}}}, {}, "'<s>' has the id 7, and in tokenizer.json 1"),
        ({"added_tokens_decoder": {"4": {"content": "<tool>"}}}, {}, "'<tool>' has the id 4, and in tokenizer.json it is not an added token"),
        ({}, {"added_tokens": {"<tool>": 4}}, "'<tool>' has the id 4"),
        ({}, {"special_tokens_map": {"bos_token": "<begin>"}}, "bos_token names '<begin>'"),
    ],
)
def test_a_configuration_of_another_tokenizer_is_refused(tmp_path: Path, config: dict[str, Any], files: dict[str, Any], message: str) -> None:
    results = made_of(tmp_path, {"tokenizer_class": "LlamaTokenizer", **config}, **files)
    with pytest.raises(InputError) as caught:
        refuse_conflicts(results, tmp_path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}: tokenizer_config.json (or special_tokens_map.json, added_tokens.json) and tokenizer.json differ: ")


def test_a_padding_token_that_only_the_configuration_knows_is_left_out(tmp_path: Path) -> None:
    """A loader would append it to the vocabulary, where the model has no row for it."""
    given = {"tokenizer_class": "LlamaTokenizer", "pad_token": "[PAD]", "added_tokens_decoder": {"32000": {"content": "[PAD]", "special": True}}}
    config = made_of(tmp_path, given, added_tokens={"[PAD]": 32000})
    assert config.conflicts == []
    assert config.fields["pad_token"] is None


def test_special_tokens_get_the_name_that_every_version_knows(tmp_path: Path) -> None:
    given = {"tokenizer_class": "Qwen2Tokenizer", "extra_special_tokens": ["<s>", "</s>"], "additional_special_tokens": ["<s>"]}
    config = made_of(tmp_path, given)
    assert "extra_special_tokens" not in config.fields
    assert config.fields["additional_special_tokens"] == ["<s>", "</s>"]
    assert made_of(tmp_path, given | {"extra_special_tokens": {"x_token": "<s>"}}).fields["extra_special_tokens"] == {"x_token": "<s>"}


def test_an_empty_special_token_is_none(tmp_path: Path) -> None:
    config = made_of(tmp_path, {"tokenizer_class": "LlamaTokenizer", "bos_token": "", "eos_token": ""})
    assert (config.fields["bos_token"], config.conflicts) == (None, [])


@pytest.mark.parametrize("content", ["[1]", '"x"', "{"])
def test_a_damaged_configuration(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"tokenizer_config\.json"):
        keeping_config(tmp_path, spec_of())


def test_a_folder_without_configuration(tmp_path: Path) -> None:
    assert keeping_config(tmp_path, spec_of()) is None


def test_ids_of_every_kind_of_model() -> None:
    assert token_ids(spec_of()) == {**TOKENS, "a": 3}
    assert token_ids({"model": {"vocab": [["<unk>", 0.0], ["b", -1.5]]}, "added_tokens": None}) == {"<unk>": 0, "b": 1}
