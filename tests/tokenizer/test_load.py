"""Loading a tokenizer from whatever a user has; the content tells the family, never the name."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from jp_adapt.tokenizer.tiktoken import write_ranks
from tests.tokenizer.conftest import extend_loaded, small_ranks, tiktoken_spec, train_sentencepiece
from tests.tokenizer.test_bpe import FAMILIES


def write_spec(folder: Path, spec: object, name: str = "tokenizer.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(spec), encoding="utf-8")
    return folder / name


def test_a_folder_and_a_file_give_the_same_tokenizer(small: BpeTokenizer, tmp_path: Path) -> None:
    file = write_spec(tmp_path, small.spec)
    for path in (tmp_path, file):
        loaded = load_tokenizer(path)
        assert loaded.files == [file]
        assert loaded.sentencepiece is None
        assert loaded.ranks is None
        assert loaded.tokenizer.ids == small.ids
        assert loaded.tokenizer.encode("The same, 日本") == small.encode("The same, 日本")


@pytest.mark.parametrize("name", ["tokenizer.model", "anything.bin", "tokenizer.json"])
def test_the_family_is_told_by_content(small: BpeTokenizer, sp: LoadedTokenizer, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(sp.sentencepiece.SerializeToString())
    assert load_tokenizer(tmp_path / name).tokenizer.family == "SentencePiece BPE"
    (tmp_path / name).write_text("\n " + json.dumps(small.spec), encoding="utf-8")
    assert load_tokenizer(tmp_path / name).tokenizer.family == "byte-level BPE"
    (tmp_path / name).write_bytes(write_ranks(small_ranks()))
    with pytest.raises(InputError, match="a tiktoken rank file of 598 tokens"):
        load_tokenizer(tmp_path / name)


@pytest.mark.parametrize("name", ["tokenizer.model", "original/tokenizer.model"])
def test_native_models_beside_the_json_are_found(sp: LoadedTokenizer, tik: LoadedTokenizer, tmp_path: Path, name: str) -> None:
    for number, base in enumerate((sp, tik)):
        folder = tmp_path / str(number)
        write_spec(folder, base.tokenizer.spec)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(write_ranks(base.ranks) if base.ranks else base.sentencepiece.SerializeToString())
        loaded = load_tokenizer(folder)
        assert loaded.files == [folder / "tokenizer.json", folder / name]
        assert loaded.ranks == base.ranks
        assert loaded.sentencepiece == base.sentencepiece
        assert loaded.tokenizer.spec == base.tokenizer.spec


def test_a_folder_with_a_native_model_alone(sp: LoadedTokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(sp.sentencepiece.SerializeToString())
    loaded = load_tokenizer(tmp_path)
    assert loaded.files == [tmp_path / "tokenizer.model"]
    assert loaded.tokenizer.spec == sp.tokenizer.spec


def test_two_different_tokenizers_in_a_folder_are_refused(sp: LoadedTokenizer, tmp_path: Path) -> None:
    write_spec(tmp_path, sp.tokenizer.spec)
    (tmp_path / "tokenizer.model").write_bytes(train_sentencepiece(700, split_digits=False))
    with pytest.raises(InputError, match=r"tokenizer\.json and tokenizer\.model are two different tokenizers \(\d+ of [\d,]+ tokens stand at another id"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(write_ranks(small_ranks()))
    with pytest.raises(InputError, match="are two different tokenizers") as error:
        load_tokenizer(tmp_path)
    numbers = re.search(r"\(([\d,]+) of ([\d,]+) tokens", str(error.value))
    assert numbers is not None
    differing, every = (int(number.replace(",", "")) for number in numbers.groups())
    assert len(sp.tokenizer.ids) < differing <= every, "tokens of both sides, and no more than there are"


def test_ranks_that_are_another_tokenizer_are_refused(tmp_path: Path) -> None:
    ranks = small_ranks()
    write_spec(tmp_path, tiktoken_spec(ranks))
    last, before = list(ranks)[-1], list(ranks)[-2]
    (tmp_path / "tokenizer.model").write_bytes(write_ranks(ranks | {last: ranks[before], before: ranks[last]}))
    with pytest.raises(InputError, match=r"are two different tokenizers \(2 of 854 tokens"):
        load_tokenizer(tmp_path)


def test_added_tokens_may_stand_in_the_json_alone(sp: LoadedTokenizer, tmp_path: Path) -> None:
    spec = copy.deepcopy(sp.tokenizer.spec)
    spec["added_tokens"].append({**spec["added_tokens"][0], "id": 800, "content": "<|user|>"})
    write_spec(tmp_path, spec)
    (tmp_path / "tokenizer.model").write_bytes(sp.sentencepiece.SerializeToString())
    assert load_tokenizer(tmp_path).tokenizer.vocab_size == 801


def test_a_rank_file_that_lacks_a_token_is_refused(tmp_path: Path) -> None:
    """tiktoken would then cut otherwise than `tokenizers`, in the base already."""
    ranks = small_ranks()
    write_spec(tmp_path, tiktoken_spec(ranks))
    (tmp_path / "tokenizer.model").write_bytes(write_ranks({token: rank for token, rank in ranks.items() if rank < len(ranks) - 1}))
    with pytest.raises(InputError, match=r"are two different tokenizers \(1 of 854 tokens"):
        load_tokenizer(tmp_path)


def test_an_extension_whose_base_had_holes_between_its_ids_loads_again(sp: LoadedTokenizer, japanese: list[str], tmp_path: Path) -> None:
    spec = copy.deepcopy(sp.tokenizer.spec)
    spec["added_tokens"].append({**spec["added_tokens"][0], "id": 807, "content": "<|user|>"})
    base = LoadedTokenizer(BpeTokenizer(spec), [], sentencepiece=sp.sentencepiece)
    trio = extend_loaded(base, japanese[:10], 40)
    save_tokenizer(base, trio.extension, None, tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.tokenizer.vocab_size == 848
    assert loaded.sentencepiece == trio.extended.sentencepiece


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tokenizer\.json and no tokenizer\.model here"):
        load_tokenizer(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(small: BpeTokenizer, tmp_path: Path) -> None:
    file = write_spec(tmp_path, small.spec)
    file.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        load_tokenizer(file)


@pytest.mark.parametrize("data", [b'{"model": ', b"{" + b"\xff" * 10, b'{"model": {}}trailing', b"{" * 5000 + b"[" * 100_000])
def test_a_broken_tokenizer_json(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(InputError, match=r"not a readable tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("data", [b"", b"[1, 2]", b'"text"', b"\x89PNG\r\n\x1a\n", b"null"])
def test_a_tokenizer_json_that_is_no_object(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(InputError, match=r"tokenizer\.json: (not a readable|holds no tokenizer)"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("family", ["Unigram", "WordPiece", "BPE without bytes"])
def test_loading_another_family_names_it(family: str, tmp_path: Path) -> None:
    write_spec(tmp_path, FAMILIES[family]())
    with pytest.raises(InputError, match=f"a {family} tokenizer; only BPE tokenizers with bytes"):
        load_tokenizer(tmp_path)


def test_a_unigram_model_is_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(train_sentencepiece(400, model_type="unigram"))
    with pytest.raises(InputError, match="a SentencePiece Unigram tokenizer"):
        load_tokenizer(tmp_path)


def test_a_folder_with_the_files_of_two_tokenizers_is_refused(shared_data: Path, tmp_path: Path) -> None:
    """The share that differs is one of all tokens of both, however many those are."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    shutil.copy(shared_data / "tokenizers" / "llama2" / "tokenizer.model", folder)
    shutil.copy(shared_data / "tokenizers" / "mistral-json" / "tokenizer.json", folder)
    with pytest.raises(InputError, match=r"two different tokenizers \([\d,]+ of [\d,]+ tokens stand at another id or in one of them only") as caught:
        load_tokenizer(folder)
    differing, every = (int(number.replace(",", "")) for number in re.findall(r"([\d,]+) of ([\d,]+) tokens", str(caught.value))[0])
    model, spec = (load_tokenizer(folder / name).tokenizer for name in ("tokenizer.model", "tokenizer.json"))
    assert every == len(model.spec["model"]["vocab"].keys() | spec.spec["model"]["vocab"].keys())
    assert 32_000 < differing < every
    assert model.vocab_size == spec.vocab_size == 32_000
    assert model.encode("Hello world") != spec.encode("Hello world")
    assert model.encode("Hello world") == [15043, 3186], "the ids that Llama-2 knows"


def test_llm_jp_is_another_family(shared_data: Path) -> None:
    for path in (shared_data / "tokenizers" / "llm-jp" / "models").rglob("*.model"):
        with pytest.raises(InputError, match="a SentencePiece Unigram tokenizer"):
            load_tokenizer(path)
