"""What reads a folder by AutoTokenizer gets the ids of its tokenizer.json, whatever class the base's configuration names."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tokenizers import Tokenizer

from jp_adapt.tokenizer import auto
from jp_adapt.tokenizer.auto import PROMPTS, disagreements, load_auto
from jp_adapt.tokenizer.extend import Extension, extend_tokenizer
from jp_adapt.tokenizer.fuzz import fuzz_strings
from jp_adapt.tokenizer.hub_config import CLASS_DEFAULTS, KEEPING_CLASS, MODEL_INPUTS, ROLES
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.save import copy_tokenizer, save_tokenizer
from jp_adapt.tokenizer.verify import verify_tokenizer
from tests.tokenizer.hub_folders import HUB, small_base, write_hub_folder

every_folder = pytest.mark.parametrize("name", HUB)
every_rebuilt = pytest.mark.parametrize("name", [name for name, hub in HUB.items() if hub.rebuilt])


class Pair(NamedTuple):
    """The folder of a base, and that of its extension with the base's config.json beside it."""

    base: LoadedTokenizer
    extension: Extension
    before: Path
    after: Path


@pytest.fixture(scope="module")
def extensions(japanese: list[str]) -> dict[str, tuple[LoadedTokenizer, Extension]]:
    bases = {kind: small_base(kind) for kind in ("SentencePiece", "Llama-3", "SmolLM2")}
    return {kind: (base, extend_tokenizer(base.tokenizer, japanese[:30], 300)) for kind, base in bases.items()}


@pytest.fixture(scope="module")
def pairs(extensions: dict[str, tuple[LoadedTokenizer, Extension]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    root, pairs = tmp_path_factory.mktemp("hub"), {}
    for place, (name, hub) in enumerate(HUB.items()):
        base, extension = extensions[hub.kind]
        before, after = write_hub_folder(root / f"base{place}", hub, base.tokenizer.spec), root / f"extended{place}"
        after.mkdir()
        save_tokenizer(base, extension, before, after)
        shutil.copy(before / "config.json", after)
        pairs[name] = Pair(base, extension, before, after)
    return pairs


def texts_for(spec: dict[str, Any]) -> list[str]:
    special = [token["content"] for token in spec["added_tokens"]]
    return [
        *PROMPTS,
        *(f"{before}{token}{after}" for token in special for before in ("", " ", "a") for after in ("", " ", "日本")),
        *fuzz_strings(400, special),
    ]


@every_folder
def test_an_extended_folder_gives_the_ids_of_its_tokenizer_json(pairs: dict[str, Pair], name: str, japanese: list[str], english: list[str]) -> None:
    from transformers import AutoTokenizer

    folder = pairs[name].after
    tokenizer, plain = AutoTokenizer.from_pretrained(str(folder)), Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [*texts_for(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))), *japanese[55:60], *english[:3]]
    for special in (False, True):
        expected = [encoding.ids for encoding in plain.encode_batch(texts, add_special_tokens=special)]
        assert tokenizer(texts, add_special_tokens=special)["input_ids"] == expected
    assert len(tokenizer) == pairs[name].extension.vocab_size, "no token was added to the vocabulary"


@every_folder
def test_what_the_configuration_says_is_kept(pairs: dict[str, Pair], name: str) -> None:
    """Special tokens, what stands around a text, chat template, lengths, sides, inputs: as of the base, loaded by the class that it names."""
    before, after = (load_auto(folder) for folder in (pairs[name].before, pairs[name].after))
    assert {role: getattr(after, role) for role in ROLES} == {role: getattr(before, role) for role in ROLES}
    assert {role: getattr(after, f"{role}_id") for role in ROLES} == {role: getattr(before, f"{role}_id") for role in ROLES}
    if HUB[name].model_type != "mistral":  # padded on the right by transformers 5, on the left by the class that it names and by transformers 4
        assert after.padding_side == before.padding_side
    for attribute in ("truncation_side", "model_max_length", "model_input_names", "chat_template", "clean_up_tokenization_spaces"):
        assert getattr(after, attribute) == getattr(before, attribute), attribute
    assert after.encode("") == before.encode(""), "the tokens that stand around a text"
    assert set(after.all_special_tokens) == set(before.all_special_tokens)
    if after.chat_template is not None:
        message = [{"role": "user", "content": "日本"}]
        assert after.apply_chat_template(message, tokenize=False) == before.apply_chat_template(message, tokenize=False)
    given = json.loads((pairs[name].before / "tokenizer_config.json").read_text(encoding="utf-8"))
    written = json.loads((pairs[name].after / "tokenizer_config.json").read_text(encoding="utf-8"))
    changed = {"tokenizer_class", "added_tokens_decoder", "from_slow", "vocab_size", "extra_special_tokens", *ROLES}
    changed |= {"add_prefix_space"} if name == "add_prefix_space false" else set()  # tokenizer.json has one
    assert {key: value for key, value in written.items() if key in given.keys() - changed} == {key: value for key, value in given.items() if key not in changed}


@every_folder
def test_flags_of_added_tokens_are_those_of_tokenizer_json(pairs: dict[str, Pair], name: str) -> None:
    folder = pairs[name].after
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert {number: repr(token) for number, token in load_auto(folder).added_tokens_decoder.items()} == {
        number: repr(token) for number, token in plain.get_added_tokens_decoder().items()
    }


@every_folder
def test_only_folders_that_are_built_anew_disagree(pairs: dict[str, Pair], name: str) -> None:
    """The tests above could not fail otherwise."""
    failures, checked = disagreements(pairs[name].before, None, [])
    assert bool(failures) == HUB[name].rebuilt
    assert checked > auto.NUM_FUZZ
    assert disagreements(pairs[name].after, None, []) == ([], checked)


@pytest.mark.parametrize("model_type", ["llama", "mistral", "mixtral", "gpt2", "qwen3", None])
@pytest.mark.parametrize("name", ["Llama-2", "SmolLM2"])
def test_the_model_type_beside_it_makes_no_difference(pairs: dict[str, Pair], name: str, model_type: str | None, tmp_path: Path) -> None:
    folder = shutil.copytree(pairs[name].after, tmp_path / "model")
    (folder / "config.json").unlink()
    assert disagreements(folder, None if model_type is None else {"model_type": model_type}, [])[0] == []


def test_the_reported_case(shared_data: Path, japanese: list[str], tmp_path: Path) -> None:
    """The real Llama-2 with its hub's fields: chat prompts and leading spaces, for the base's model type."""
    folder = shared_data / "tokenizers" / "llama2"
    base = load_tokenizer(folder)
    save_tokenizer(base, extend_tokenizer(base.tokenizer, japanese[:30], 200), folder, tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    tokenizer = load_auto(tmp_path)
    assert tokenizer.tokenize("<s>[INST] 日本")[:2] == ["<s>", "▁["]
    assert tokenizer.tokenize(" 日本")[0] == "▁▁"
    assert tokenizer.decode(tokenizer.encode(" one", add_special_tokens=False)) == " one"
    assert tokenizer.encode("日本")[0] == tokenizer.bos_token_id == 1
    assert disagreements(tmp_path, None, [])[0] == []
    shutil.copy(folder / "tokenizer_config.json", tmp_path)
    assert load_auto(tmp_path).tokenize("<s>[INST] 日本")[:2] == ["<s>", "["], "what it was with the base's configuration"


@every_rebuilt
def test_the_gate_sees_a_class_that_builds_the_tokenizer_anew(pairs: dict[str, Pair], name: str, tmp_path: Path) -> None:
    """What earlier versions wrote: the base's configuration, copied."""
    folder = shutil.copytree(pairs[name].after, tmp_path / "old")
    shutil.copy(pairs[name].before / "tokenizer_config.json", folder)
    for tokenizer, holds in ((pairs[name].after, True), (folder, False)):
        criteria = verify_tokenizer(pairs[name].base, load_tokenizer(tokenizer), japanese=["日本の 東京"], unchanged=["a  12 and \t\t5"])
        (criterion,) = (criterion for criterion in criteria if criterion.name == "auto_tokenizer_disagrees")
        assert criterion.holds == holds
        assert (criterion.failures > 0) == (not holds)
        assert [other.label for other in criteria if not other.holds and other is not criterion] == []


def test_the_config_json_of_the_base_is_tried(pairs: dict[str, Pair], tmp_path: Path) -> None:
    """transformers chooses the class by the model type too; for qwen2 it always builds its own."""
    base, folder = shutil.copytree(pairs["SmolLM2"].before, tmp_path / "base"), shutil.copytree(pairs["SmolLM2"].after, tmp_path / "extended")
    (folder / "config.json").unlink()
    (base / "config.json").write_text('{"model_type": "qwen2"}', encoding="utf-8")
    (criterion,) = (entry for entry in verify_tokenizer(load_tokenizer(base), load_tokenizer(folder)) if entry.name == "auto_tokenizer_disagrees")
    assert not criterion.holds


def test_a_class_that_cannot_load_the_folder_is_said(pairs: dict[str, Pair], tmp_path: Path) -> None:
    folder = shutil.copytree(pairs["SmolLM2"].after, tmp_path / "broken")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": 7}', encoding="utf-8")
    failures, _ = disagreements(folder, None, [])
    assert failures[0].startswith("AutoTokenizer cannot load the folder (TypeError: Special token bos_token has to be")


@pytest.mark.parametrize("named", CLASS_DEFAULTS)
def test_the_defaults_of_classes_are_those_of_transformers(named: str) -> None:
    import transformers

    kind = getattr(transformers, named)
    parameters = inspect.signature(kind.__init__).parameters
    results = {role: str(parameters[role].default) for role in ROLES if role in parameters and parameters[role].default is not None}
    if kind.padding_side != transformers.PreTrainedTokenizerFast.padding_side:
        results["padding_side"] = kind.padding_side
    assert results == CLASS_DEFAULTS[named]
    assert list(kind.model_input_names) == MODEL_INPUTS


@pytest.mark.parametrize("name", ["Llama-1", "SmolLM2", "Llama-3"])
def test_a_copied_tokenizer_is_run_as_it_is_too(pairs: dict[str, Pair], name: str, tmp_path: Path) -> None:
    """An export without an extension, an adapter's folder."""
    copy_tokenizer(pairs[name].before, tmp_path)
    shutil.copy(pairs[name].before / "config.json", tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (pairs[name].before / "tokenizer.json").read_bytes()
    assert disagreements(tmp_path, None, [])[0] == []
    same = (tmp_path / "tokenizer_config.json").read_bytes() == (pairs[name].before / "tokenizer_config.json").read_bytes()
    assert same == (name == "Llama-3"), "a configuration that is right stays as it is, to the byte"


def test_the_kept_class_is_known_to_transformers_4(pairs: dict[str, Pair]) -> None:
    for pair in pairs.values():
        config = json.loads((pair.after / "tokenizer_config.json").read_text(encoding="utf-8"))
        assert config["tokenizer_class"] == KEEPING_CLASS == "PreTrainedTokenizerFast"
        assert not {"from_slow", "auto_map", "tokenizer_file"} & config.keys()


def test_a_setting_of_split_special_tokens_is_the_folders_own(pairs: dict[str, Pair], tmp_path: Path) -> None:
    folder = shutil.copytree(pairs["Llama-3"].after, tmp_path / "split")
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"split_special_tokens": True}), encoding="utf-8")
    assert disagreements(folder, None, [])[0] == []
