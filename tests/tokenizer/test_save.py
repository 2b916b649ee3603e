"""The folder that an extension is written to: whole, and the same tokenizer in every program that reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.runtimes import runtimes_of
from jp_adapt.tokenizer.save import COPIED, copy_tokenizer, extension_record, save_tokenizer
from jp_adapt.tokenizer.tiktoken import write_ranks
from tests.tokenizer.conftest import Trio

TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}\n{% endfor %}"
CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 4096, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE}


def base_folder(trio: Trio, folder: Path, template_file: bool = False) -> Path:
    """The base as a Hugging Face folder, with its native model and a chat template in the configuration or in a file of its own."""
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(trio.base.tokenizer.spec), encoding="utf-8")
    if trio.base.ranks is not None:
        (folder / "original").mkdir()
        (folder / "original" / "tokenizer.model").write_bytes(write_ranks(trio.base.ranks))
    if trio.base.sentencepiece is not None:
        (folder / "tokenizer.model").write_bytes(trio.base.sentencepiece.SerializeToString())
    config = {key: value for key, value in CONFIG.items() if not template_file or key != "chat_template"}
    first = trio.base.tokenizer.spec["added_tokens"][0]["content"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": first, "eos_token": first}), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": first, "eos_token": first}), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights stay where they are")
    if template_file:
        (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def save(trio: Trio, base: Path | None, folder: Path) -> Path:
    folder.mkdir()
    save_tokenizer(trio.base, trio.extension, base, folder)
    return folder


def test_the_folder_is_complete(trio: Trio, tmp_path: Path) -> None:
    folder = save(trio, base_folder(trio, tmp_path / "base"), tmp_path / "out")
    native = {"original/tokenizer.model"} if trio.base.ranks else {"tokenizer.model"} if trio.base.sentencepiece else set()
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "extension.json"} | native
    assert "model.safetensors" not in COPIED
    assert json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"] == TEMPLATE


def test_the_folder_loads_again_and_gives_the_same_ids(trio: Trio, tmp_path: Path, japanese: list[str], english: list[str]) -> None:
    folder = save(trio, base_folder(trio, tmp_path / "base"), tmp_path / "out")
    loaded = load_tokenizer(folder)
    texts = [*japanese[55:75], *english[:5], "日本 a", "<|im_start|>x"]
    assert loaded.tokenizer.spec == trio.extended.tokenizer.spec
    assert (loaded.ranks, loaded.sentencepiece) == (trio.extended.ranks, trio.extended.sentencepiece)
    ids = [runtime.encode(texts) for runtime in runtimes_of(loaded)]
    assert len(ids) == (2 if trio.base.ranks or trio.base.sentencepiece else 1)
    assert all(results == ids[0] for results in ids)


@pytest.mark.parametrize("template_file", [False, True])
def test_transformers_gives_the_same_ids(trio: Trio, tmp_path: Path, japanese: list[str], english: list[str], template_file: bool) -> None:
    from transformers import AutoTokenizer

    folder = save(trio, base_folder(trio, tmp_path / "base", template_file), tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    texts = [*japanese[55:65], *english[:5], "  日本 を ", "\n\n", "𠮷野家"]
    assert tokenizer(texts, add_special_tokens=False)["input_ids"] == trio.extended.tokenizer.encode_batch(texts)
    assert len(tokenizer) == trio.extension.vocab_size
    assert tokenizer.model_max_length == 4096
    message = [{"role": "user", "content": "日本"}]
    assert tokenizer.apply_chat_template(message, tokenize=False) == "<|im_start|>user\n日本\n"
    for text in texts:
        assert tokenizer.decode(trio.extended.tokenizer.encode(text)) == text
    tokens = tokenizer.convert_ids_to_tokens(range(trio.extension.first_new_id, trio.extension.vocab_size))
    assert tokens == [trio.base.tokenizer.to_text(token) for token in trio.extension.tokens]


def test_a_base_without_configuration_gets_one(sp_trio: Trio, tmp_path: Path) -> None:
    """From a `tokenizer.model` alone: transformers needs to be told the class and the special tokens."""
    from transformers import AutoTokenizer

    folder = save(sp_trio, None, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token) == ("<s>", "</s>", "<unk>")
    assert tokenizer("日本", add_special_tokens=False)["input_ids"] == sp_trio.extended.tokenizer.encode("日本")
    assert tokenizer("日本")["input_ids"][0] == 1


def test_sentencepiece_reads_the_model_from_the_disk(sp_trio: Trio, tmp_path: Path, japanese: list[str]) -> None:
    from sentencepiece import SentencePieceProcessor

    folder = save(sp_trio, None, tmp_path / "out")
    processor = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    assert processor.vocab_size() == sp_trio.extension.vocab_size
    assert processor.encode(japanese[55:75]) == sp_trio.extended.tokenizer.encode_batch(japanese[55:75])
    assert (processor.unk_id(), processor.bos_id(), processor.eos_id()) == (0, 1, 2)


def test_tiktoken_reads_the_ranks_from_the_disk(tik_trio: Trio, tmp_path: Path, japanese: list[str]) -> None:
    """With Meta's own loader, told the ids of the special tokens."""
    from tiktoken import Encoding
    from tiktoken.load import load_tiktoken_bpe

    from jp_adapt.tokenizer.tiktoken import LLAMA3_PATTERN

    folder = save(tik_trio, None, tmp_path / "out")
    special = {token["content"]: token["id"] for token in tik_trio.base.tokenizer.spec["added_tokens"]}
    encoding = Encoding("x", pat_str=LLAMA3_PATTERN, mergeable_ranks=load_tiktoken_bpe(str(folder / "original" / "tokenizer.model")), special_tokens=special)
    assert encoding.encode_batch(japanese[55:75]) == tik_trio.extended.tokenizer.encode_batch(japanese[55:75])
    assert encoding.n_vocab == tik_trio.extension.vocab_size


def test_the_record_names_every_new_token(trio: Trio, tmp_path: Path) -> None:
    folder = save(trio, None, tmp_path / "out")
    record = json.loads((folder / "extension.json").read_text(encoding="utf-8"))
    assert record == json.loads(json.dumps(extension_record(trio.extension)))
    assert record["first_new_id"] == trio.base.tokenizer.vocab_size
    assert [token["id"] for token in record["tokens"]] == list(range(trio.extension.first_new_id, trio.extension.vocab_size))
    for entry, token in zip(record["tokens"], trio.extension.tokens, strict=True):
        assert bytes.fromhex(entry["bytes"]) == token
        assert b"".join(trio.base.tokenizer.token_bytes[source] for source in entry["sources"]) in (token, b"")


def test_the_files_are_the_same_each_time(trio: Trio, tmp_path: Path) -> None:
    first, second = (save(trio, None, tmp_path / name) for name in ("a", "b"))
    for path in (path for path in first.rglob("*") if path.is_file()):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


def test_a_base_from_a_file_alone_has_no_configuration_to_copy(small_trio: Trio, tmp_path: Path) -> None:
    assert isinstance(small_trio.base, LoadedTokenizer)
    folder = save(small_trio, None, tmp_path / "out")
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["bos_token"] is None


def test_a_copy_gives_a_rank_file_the_place_that_llama3_has_and_keeps_other_files(tik_trio: Trio, sp_trio: Trio, tmp_path: Path) -> None:
    """Beside tokenizer.json llama.cpp's converter takes a rank file for a SentencePiece model (llama.cpp b11434)."""
    for trio, name, place in ((tik_trio, "ranks", "original/tokenizer.model"), (sp_trio, "pieces", "tokenizer.model")):
        source, target = tmp_path / name, tmp_path / f"{name}-copy"
        source.mkdir()
        target.mkdir()
        base = trio.base
        data = write_ranks(base.ranks) if base.ranks is not None else base.sentencepiece.SerializeToString()
        (source / "tokenizer.json").write_text(json.dumps(base.tokenizer.spec), encoding="utf-8")
        (source / "tokenizer.model").write_bytes(data)
        (source / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
        copy_tokenizer(source, target)
        files = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
        assert files == {"tokenizer.json": (source / "tokenizer.json").read_bytes(), place: data, "chat_template.jinja": b"{{ messages }}"}
