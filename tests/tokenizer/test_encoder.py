"""The encoder of corpora gives the ids of `tokenizers`, whichever runtime it takes, and loses nothing of a text."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import write_json
from jp_adapt.tokenizer import encoder
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.byte_level import to_bytes
from jp_adapt.tokenizer.encoder import _PLAIN_REGEX, FileEncoder, load_encoder, plain_tokenizer
from jp_adapt.tokenizer.tiktoken import spec_with
from tests.conftest import documents
from tests.properties import examples
from tests.tokenizer.conftest import Trio

SPECIAL = ["<|begin_of_text|>", "</s>"]


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    """A tokenizer of Llama-3's kind, of 600 tokens."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    trained.train_from_iterator(documents("ja_train.jsonl")[:40] + documents("en_train.jsonl")[:10], trainer)
    return spec_with({to_bytes(text): token_id for text, token_id in trained.get_vocab().items()}, SPECIAL)


@pytest.fixture(scope="module")
def folder(spec: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    (path / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    return path


@cache
def plain(path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def reference(path: Path, texts: list[str]) -> list[list[int]]:
    return [plain(path).encode(text, add_special_tokens=False).ids for text in texts]


cached_encoder = cache(load_encoder)


def blocks() -> Iterator[str]:
    """Code points of all of Unicode, each where the pattern of a tokenizer may take it for a letter, a digit, a space or none of them."""
    return (f"a{chr(code)}1 {chr(code)}b\n" for code in range(0, 0x110000, 61) if not 0xD800 <= code < 0xE000)


def test_the_ids_are_those_of_tokenizers_on_all_of_unicode(folder: Path) -> None:
    made = load_encoder(folder)
    assert made.is_fast
    texts = [*documents("ja_train.jsonl")[:60], *documents("en_train.jsonl")[:20], *blocks(), "", "</s>あ<|begin_of_text|>"]
    assert made(texts) == reference(folder, texts)


@examples(200)
@given(st.lists(st.text(st.sampled_from("あ漢a B1９。,'s\n\r\t\u3000</s>"), max_size=40) | st.text(max_size=20), max_size=4))
def test_the_ids_are_those_of_tokenizers_on_any_text(folder: Path, texts: list[str]) -> None:
    assert cached_encoder(folder)(texts) == reference(folder, texts)


def test_extended_tokenizers_of_every_family_are_read_as_tokenizers_does(trio: Trio, tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json", trio.extension.tokenizer.spec)
    made = load_encoder(tmp_path)
    texts = [*documents("ja_train.jsonl")[:60], *documents("en_train.jsonl")[:20], *blocks(), "<unk></s><|endoftext|><0x41>"]
    # fastokens makes one token of "<0x41>" where the vocabulary lacks "<", as the small one of SentencePiece does: its probes tell
    assert made.is_fast == (trio.base.sentencepiece is None)
    assert made(texts) == reference(tmp_path, texts)


def test_long_texts_go_another_way_and_come_back_in_their_places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "MAX_CHARS", 30)
    texts = [text for short in ("一", "two") for text in (short, documents("ja_train.jsonl")[0], short)]
    made = load_encoder(folder)
    assert made(texts) == pickle.loads(pickle.dumps(made))(texts) == reference(folder, texts)  # noqa: S301


def test_a_text_that_fastokens_refuses_is_left_to_tokenizers(smollm2: BpeTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "tokenizer.json", smollm2.spec)
    made = load_encoder(tmp_path)
    monkeypatch.setattr(encoder, "MAX_CHARS", 10**9)
    texts = ["あ", " " * 1_000_000]  # its regular expressions run out of stack
    assert made.is_fast
    assert made._fast(texts) is None
    assert made(texts) == reference(tmp_path, texts)


def test_a_tokenizer_that_fastokens_refuses_is_left_to_tokenizers(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("▁", -1.0), *((char, -2.0) for char in "abcあいう"), ("あい", -2.5)]
    made = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.save(str(tmp_path / "tokenizer.json"))
    loaded = load_encoder(tmp_path)
    assert not loaded.is_fast
    assert loaded(["あいう abc", ""]) == reference(tmp_path, ["あいう abc", ""])


def test_no_text_is_cut_or_padded_and_none_makes_a_special_token(folder: Path, pico: Path, tmp_path: Path) -> None:
    for place in (folder, pico):
        spec = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))
        special = {token["id"]: token["content"] for token in spec["added_tokens"] if token["special"]}
        spec["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
        padding = {"strategy": {"Fixed": 4}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
        (tmp_path / "tokenizer.json").write_text(json.dumps(spec | {"padding": padding}), encoding="utf-8")
        texts = ["".join(special.values()), documents("ja_train.jsonl")[0], "a"]
        ids = load_encoder(tmp_path)(texts)
        assert ids == reference(place, texts)
        assert not set(ids[0]) & set(special)
        assert len(ids[1]) > 5


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "whole words are not looked up": lambda spec: spec["model"].update(ignore_merges=False),
    "texts are normalised": lambda spec: spec.update(normalizer={"type": "NFC"}),
    "a token is added that is no special one": lambda spec: spec["added_tokens"][0].update(special=False),
    "a pair is not merged": lambda spec: spec["model"]["merges"].pop(),
    "pairs are merged in another order": lambda spec: spec["model"]["merges"].reverse(),
    "a space is put before": lambda spec: spec["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True),
    "matches are thrown away": lambda spec: spec["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_tokenizer_of_another_kind_gives_the_ids_of_tokenizers(spec: dict[str, Any], tmp_path: Path, change: str) -> None:
    changed = json.loads(json.dumps(spec))
    CHANGES[change](changed)
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), encoding="utf-8")
    made = load_encoder(tmp_path)
    texts = [documents("ja_train.jsonl")[0], "</s> a"]
    assert made(texts) == reference(tmp_path, texts)


def test_patterns_that_the_engines_read_otherwise_are_left_to_tokenizers(spec: dict[str, Any], tmp_path: Path) -> None:
    """1234① is cut "1|234①" by one, "123|4①" by the other, and no probe need show it."""
    changed = json.loads(json.dumps(spec))
    changed["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\d{1,3}(?=(?:\d{3})*\b)|\D"
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), encoding="utf-8")
    made = load_encoder(tmp_path)
    assert not made.is_fast
    texts = ["12345①", "1234①", "12345Ⅷ"]
    assert made(texts) == reference(tmp_path, texts)


@pytest.mark.parametrize("pattern", [r"\w+", r"[^\d]+", r".+?(?=\d|$)", r"\bx", "a.b", "^a", r"\A", r"\h"])
def test_no_such_pattern_is_plain(pattern: str) -> None:
    assert not _PLAIN_REGEX.fullmatch(pattern)


def test_a_tokenizer_that_draws_is_left_to_tokenizers(spec: dict[str, Any], tmp_path: Path) -> None:
    changed = spec | {"model": spec["model"] | {"dropout": 1e-6}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), encoding="utf-8")
    assert not load_encoder(tmp_path).is_fast


def test_the_size_of_a_vocabulary_with_holes_is_its_highest_id(spec: dict[str, Any], folder: Path) -> None:
    added = [spec["added_tokens"][0] | {"id": 70_000}]
    assert FileEncoder(folder / "tokenizer.json", spec | {"added_tokens": added}).vocab_size == 70_001


@pytest.mark.parametrize("text", ["{}", "[]", '{"model": {"type": "BPE"}}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"tokenizer\.json: holds no tokenizer \(.*\); fetch the file again"):
        load_encoder(tmp_path)


def test_a_stage_reads_plain_text_too(spec, tmp_path):
    """Of the text that a stage trains on or is measured by, as of a corpus that was prepared: nothing makes a special token, and nothing is cut."""
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec | {"truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}}), encoding="utf-8")
    text = "日本語</s>の文<|begin_of_text|>" * 9
    ids = encoder.encoder(plain_tokenizer(tmp_path))(text)
    special = {Tokenizer.from_file(str(path)).token_to_id(token) for token in SPECIAL}
    assert not special & set(ids)
    assert load_encoder(tmp_path)([text]) == [ids]
    assert Tokenizer.from_file(str(path)).decode(ids, skip_special_tokens=False) == text
