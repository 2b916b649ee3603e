"""SentencePiece models: how a piece is written, which models are refused, and the scores and ids of an extension."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer import sentencepiece
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Extension
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.runtimes import runtimes_of
from jp_adapt.tokenizer.save import native_model
from jp_adapt.tokenizer.sentencepiece import CONTROL, NORMAL, UNUSED, is_byte_piece, model_of, read_model, spec_of, to_bytes, to_text
from jp_adapt.tokenizer.verify import verify_tokenizer
from tests.properties import examples
from tests.tokenizer.conftest import Trio, extend_loaded, load_sentencepiece, train_sentencepiece


@pytest.mark.parametrize(
    ("token", "text"),
    [(b"a", "a"), (b" the", "▁the"), (b"  ", "▁▁"), ("日本".encode(), "日本"), (b"\xe3", "<0xE3>"), (b"\x80", "<0x80>"), (b"\n", "\n"), (b"", "")],
)
def test_how_a_token_is_written(token: bytes, text: str) -> None:
    assert to_text(token) == text
    assert to_bytes(text) == token


@pytest.mark.parametrize("token", [b"\xe3\x81", b"\xe6\x97\xa5\xe6", b"\x81\x82"])
def test_a_part_of_a_character_that_is_more_than_a_byte_has_no_piece(token: bytes) -> None:
    with pytest.raises(ValueError, match="holds whole characters and single bytes"):
        to_text(token)


@pytest.mark.parametrize(("text", "is_one"), [("<0x0A>", True), ("<0x0a>", False), ("<0x100>", False), ("a<0x0A>", False), ("<0x0A>\n", False), ("", False)])
def test_which_pieces_are_bytes(text: str, is_one: bool) -> None:
    assert is_byte_piece(text) is is_one


@examples(200)
@given(st.text(max_size=20).filter(lambda text: not is_byte_piece(text) and "▁" not in text))
def test_text_round_trip(text: str) -> None:
    assert to_bytes(to_text(text.encode("utf-8"))).decode("utf-8") == text


# Models of other kinds. Character models cannot be trained with byte fallback; the others are refused for their kind first.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unigram": ({"model_type": "unigram", "vocab_size": 400}, "a SentencePiece Unigram tokenizer; only BPE with byte fallback"),
    "char": ({"model_type": "char", "byte_fallback": False, "vocab_size": 60}, "a SentencePiece Char tokenizer; only BPE with byte fallback"),
    "word": ({"model_type": "word", "byte_fallback": False, "vocab_size": 100}, "a SentencePiece Word tokenizer; only BPE with byte fallback"),
    "no byte fallback": ({"byte_fallback": False, "vocab_size": 300}, "a SentencePiece BPE tokenizer without byte fallback"),
    "nfkc": ({"normalization_rule_name": "nfkc", "vocab_size": 500}, r"normalises its text \(nfkc\), which cannot be undone"),
    "nmt_nfkc_cf": ({"normalization_rule_name": "nmt_nfkc_cf", "vocab_size": 500}, r"normalises its text \(nmt_nfkc_cf\), which cannot be undone"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_model_of_another_kind_is_refused_and_named(kind: str) -> None:
    options, message = REFUSED[kind]
    with pytest.raises(InputError, match=f"^a/place: {message}"):
        read_model(train_sentencepiece(**options), "a/place")


def test_extra_white_space_removed_by_the_model_is_refused() -> None:
    """The spec has no rule for it, so the runtimes would disagree on every run of spaces."""
    with pytest.raises(InputError, match=r"^a/place: takes out repeated spaces"):
        read_model(train_sentencepiece(remove_extra_whitespaces=True), "a/place")


@pytest.mark.parametrize("data", [b"", b"\x0a\xff\xff", b"not a model at all, but text", b"\x00" * 100])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^a/place: (not a readable SentencePiece model|a SentencePiece model without pieces)"):
        read_model(data, "a/place")


def test_the_spec_cuts_as_the_model_does(sp: LoadedTokenizer, english: list[str], japanese: list[str]) -> None:
    texts = [*english, *japanese[:10], "", " ", "  a", "a  ", "\n", "\t\t", "1234 56", "é𠮷\x00", "▁a ▁", "<s> a </s><unk>x"[4:9]]
    first, second = runtimes_of(sp)
    assert (first.name, second.name) == ("tokenizers", "sentencepiece")
    assert first.encode(texts) == second.encode(texts)


@pytest.mark.parametrize(
    "options", [{"add_dummy_prefix": False}, {"split_digits": False}, {"allow_whitespace_only_pieces": False}, {"user_defined_symbols": ["<x>"]}]
)
def test_the_spec_cuts_as_the_model_does_with_other_settings(options: dict[str, Any], english: list[str]) -> None:
    base = load_sentencepiece(train_sentencepiece(**options))
    first, second = runtimes_of(base)
    texts = [*english[:8], "  a  b", "日本 12"]
    assert first.encode(texts) == second.encode(texts)
    assert [first.decode(ids) for ids in first.encode(texts)] == [second.decode(ids) for ids in second.encode(texts)] == texts


def test_the_spec_begins_a_text_with_bos(sp: LoadedTokenizer) -> None:
    tokenizer = sp.tokenizer.runtime
    assert tokenizer.encode("a").ids[0] == 1
    assert tokenizer.encode("a", "b").ids.count(1) == 2
    assert tokenizer.decode(tokenizer.encode("a b").ids) == "a b"


def scores(data: bytes, first: int) -> tuple[list[float], list[float]]:
    pieces = read_model(data, "x").pieces
    return [piece.score for piece in pieces[:first]], [piece.score for piece in pieces[first:]]


@pytest.mark.parametrize("lowest", [None, -1e9, -31740.0, -3e38 / 1e6])
def test_scores_of_new_pieces_are_their_own_and_below_the_bases(sp: LoadedTokenizer, lowest: float | None) -> None:
    """As float32, which is what the file holds. Llama-2's lowest is -1e9, where neighbours are 64 apart."""
    base = copy.deepcopy(sp.sentencepiece)
    if lowest is not None:
        base.pieces[-1].score = lowest
    first = len(base.pieces)
    new = [chr(0x4E00 + place) for place in range(13_000)]
    old_scores, new_scores = scores(model_of(base, first, [], new), first)
    assert old_scores == [piece.score for piece in base.pieces]
    as_float32 = np.array(new_scores, np.float32)
    assert (np.diff(as_float32) < 0).all()
    assert as_float32[0] < np.float32(min(old_scores))
    assert np.isfinite(as_float32).all()


def test_added_tokens_between_base_and_extension_keep_their_ids(sp: LoadedTokenizer) -> None:
    first = len(sp.sentencepiece.pieces)
    data = model_of(sp.sentencepiece, first + 4, [(first, "<|a|>"), (first + 3, "<|b|>")], ["日", "本"])
    pieces = read_model(data, "x").pieces
    assert [(piece.piece, piece.type) for piece in pieces[first:]] == [
        ("<|a|>", CONTROL),
        (f"<unused_{first + 1}>", UNUSED),
        (f"<unused_{first + 2}>", UNUSED),
        ("<|b|>", CONTROL),
        ("日", NORMAL),
        ("本", NORMAL),
    ]
    assert read_model(data, "x").trainer_spec.vocab_size == first + 6


def test_an_extension_of_a_base_with_added_tokens_is_one_tokenizer_in_both_runtimes(sp: LoadedTokenizer, japanese: list[str]) -> None:
    """A chat model: special tokens in tokenizer.json after the pieces of tokenizer.model."""
    spec = copy.deepcopy(sp.tokenizer.spec)
    size = sp.tokenizer.vocab_size
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spec["added_tokens"] += [{"id": size + number, "content": f"<|{name}|>", **flags} for number, name in enumerate(("user", "assistant"))]
    base = LoadedTokenizer(BpeTokenizer(spec), [], sentencepiece=sp.sentencepiece)
    assert base.tokenizer.vocab_size == size + 2
    trio = extend_loaded(base, japanese[:30], 300)
    assert trio.extension.first_new_id == size + 2
    assert {c.label: c.failures for c in verify_tokenizer(base, trio.extended, japanese=japanese[:30], unchanged=["<|user|> Hi"]) if c.failures} == {}
    first, second = runtimes_of(trio.extended)
    text = "日本の言葉と料理。"
    assert first.encode([text]) == second.encode([text])
    assert first.encode(["<|user|>"]) == [[size]]
    assert second.encode(["<|user|>"]) == runtimes_of(base)[1].encode(["<|user|>"]), "SentencePiece takes it for text, as it did in the base"


def test_pieces_of_the_model_are_the_vocabulary_of_the_spec(sp_trio: Trio) -> None:
    vocab = sp_trio.extended.tokenizer.spec["model"]["vocab"]
    assert [vocab[piece.piece] for piece in sp_trio.extended.sentencepiece.pieces] == list(range(sp_trio.extended.tokenizer.vocab_size))


def test_the_model_is_written_the_same_each_time(sp_trio: Trio) -> None:
    assert native_model(sp_trio.base, sp_trio.extension) == native_model(sp_trio.base, sp_trio.extension)


def test_the_model_alone_gives_the_spec_of_the_extension(sp_trio: Trio, japanese: list[str]) -> None:
    """`tokenizer.model` and `tokenizer.json` come from the same list: made anew from the model, the spec cuts the same."""
    again = BpeTokenizer(spec_of(sp_trio.extended.sentencepiece))
    assert again.spec["model"]["vocab"] == sp_trio.extended.tokenizer.spec["model"]["vocab"]
    assert sorted(again.merges) == sorted(sp_trio.extended.tokenizer.merges)
    assert again.encode_batch(japanese) == sp_trio.extended.tokenizer.encode_batch(japanese)


def test_equal_scores_would_make_the_runtimes_disagree(sp_trio: Trio, japanese: list[str]) -> None:
    """What the unique scores are for: with score 0, as merge_tokenizers.py of Chinese-LLaMA-Alpaca has it, the model is another tokenizer."""
    model = copy.deepcopy(sp_trio.extended.sentencepiece)
    for piece in model.pieces[sp_trio.extension.first_new_id :]:
        piece.score = 0.0
    spoilt = LoadedTokenizer(sp_trio.extension.tokenizer, [], sentencepiece=model)
    failed = {c.label for c in verify_tokenizer(sp_trio.base, spoilt, japanese=japanese) if not c.holds}
    assert "runtimes_disagree (sentencepiece)" in failed


def test_a_piece_that_is_no_text_cannot_be_asked_for(sp: LoadedTokenizer) -> None:
    extension = Extension(sp.tokenizer, sp.tokenizer.vocab_size, [b"\xe3\x81"], [[]], [0])
    with pytest.raises(ValueError, match="whole characters"):
        native_model(sp, extension)


def test_the_space_of_the_module_is_that_of_the_runtime(sp: LoadedTokenizer) -> None:
    spec = json.loads(Tokenizer.from_str(json.dumps(sp.tokenizer.spec)).to_str())
    assert spec["normalizer"]["normalizers"][0] == {"type": "Prepend", "prepend": sentencepiece.SPACE}
