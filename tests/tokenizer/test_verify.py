"""Careless extensions are caught, each by the criterion that names its fault."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer import verify
from jp_adapt.tokenizer.bpe import BpeTokenizer, text_of
from jp_adapt.tokenizer.byte_level import to_bytes, to_text
from jp_adapt.tokenizer.extend import Extension, append_tokens
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.verify import HOSTILE_TEXTS, MAX_EXAMPLES, Criterion, verify_tokenizer
from tests.tokenizer.conftest import Trio, extend_loaded, load_sentencepiece, naive_merge, tiktoken_spec, train_sentencepiece

WORDS = ["日本", "東京", "言葉", "新しい"]


def _broken(base: BpeTokenizer | LoadedTokenizer, extended: BpeTokenizer | LoadedTokenizer | dict[str, Any], texts: list[str]) -> dict[str, int]:
    new = BpeTokenizer(extended) if isinstance(extended, dict) else extended
    criteria = verify_tokenizer(base, new, japanese=["日本の東京で新しい言葉を"], unchanged=texts)
    for criterion in criteria:
        assert len(criterion.examples) == min(criterion.failures, MAX_EXAMPLES)
        assert criterion.failures <= criterion.checked
        assert all(len(text) <= 80 for text in criterion.examples)
    return {criterion.label: criterion.failures for criterion in criteria if not criterion.holds}


def test_the_base_itself_breaks_nothing(trio: Trio, english: list[str]) -> None:
    assert _broken(trio.base, trio.base, english) == {}


def test_tokens_without_merge_rules_are_unreachable(small: BpeTokenizer, english: list[str]) -> None:
    spec = copy.deepcopy(small.spec)
    spec["model"]["vocab"] |= {to_text(word.encode()): small.vocab_size + place for place, word in enumerate(WORDS)}
    assert _broken(small, spec, english) == {"unreachable_new_tokens": len(WORDS)}


def test_ignore_merges_hides_no_unreachable_token(tik: LoadedTokenizer, english: list[str]) -> None:
    """A whole pre-token is looked up in Llama-3's vocabulary, so that a token without rules seems to work until it stands inside a longer word."""
    spec = copy.deepcopy(tik.tokenizer.spec)
    spec["model"]["vocab"] |= {token["content"]: token["id"] for token in spec["added_tokens"]}
    spec["model"]["vocab"] |= {to_text(word.encode()): 854 + place for place, word in enumerate(WORDS)}
    assert BpeTokenizer(spec).encode("日本") == [854]
    assert _broken(tik, spec, english) == {"unreachable_new_tokens": len(WORDS)}


def test_an_id_without_a_token_is_unreachable(small: BpeTokenizer, small_extension: Extension, english: list[str]) -> None:
    spec = copy.deepcopy(small_extension.tokenizer.spec)
    last = to_text(small_extension.tokens[-1])
    spec["model"]["vocab"][last] += 1
    assert _broken(small, spec, english) == {"unreachable_new_tokens": 1}


def test_special_tokens_that_a_naive_extension_moves_are_caught(tik: LoadedTokenizer, english: list[str]) -> None:
    """Llama-3's special tokens stand outside the vocabulary: appended tokens push them on, which is the pitfall."""
    spec = copy.deepcopy(tik.tokenizer.spec)
    spec["model"]["vocab"] |= {to_text(b"\xe6\x97"): 598, to_text("日".encode()): 599}
    assert _broken(tik, spec, english)["base_ids_changed"] == 256


def test_a_moved_base_id_is_caught(small: BpeTokenizer, small_extension: Extension) -> None:
    spec = copy.deepcopy(small_extension.tokenizer.spec)
    vocab = spec["model"]["vocab"]
    vocab["Ġthe"], vocab["Ġand"] = vocab["Ġand"], vocab["Ġthe"]
    moved = {"base_ids_changed": 2, "dead_base_tokens": 2}
    assert _broken(small, spec, ["nothing here"]) == moved
    assert _broken(small, spec, ["the cat and the dog", "no such word"]) == moved | {"changed_lines": 1}


def test_a_lost_special_token_is_caught(small: BpeTokenizer, english: list[str]) -> None:
    spec = copy.deepcopy(small.spec)
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] != "<|im_start|>"]
    del spec["model"]["vocab"]["<|im_start|>"]
    assert _broken(small, spec, english) == {"base_ids_changed": 1}


def test_an_english_token_changes_english(small: BpeTokenizer, english: list[str]) -> None:
    text = english[0]
    word = next(word for word in text.split() if word.isascii() and word.isalpha() and len(small.encode(" " + word)) == 2)
    lines = [line for line in text.splitlines() if line.strip()]
    results = _broken(small, append_tokens(small, [], [(" " + word).encode()]).spec, [f"a {word}", "1 2 3", *lines])
    assert results["changed_lines"] >= 1


def test_rules_before_the_base_rules_make_inputs_longer(small: BpeTokenizer) -> None:
    """A rule ahead of the base's that joins the end of one half of a word with the start of the other leaves the word in pieces (prepended merges)."""
    spec = copy.deepcopy(small.spec)
    vocab = spec["model"]["vocab"]
    left, right = next((a, b) for a, b in spec["model"]["merges"] if len(a) > 2 and a[0] == "Ġ" and a[-1] + b[0] not in vocab)
    vocab[left[-1] + right[0]] = small.vocab_size
    spec["model"]["merges"].insert(0, [left[-1], right[0]])
    word = to_bytes(left + right).decode("utf-8")
    assert len(small.encode(word)) == 1
    results = _broken(small, spec, [word])
    assert results.keys() == {"dead_base_tokens", "changed_lines", "longer_inputs"}


def test_rules_that_rebuild_base_tokens_are_needed(tik: LoadedTokenizer) -> None:
    """The base's 日本語 is reached by look-up alone; the new 日本 spells it with 語. Without a rule for that, `tokenizers` and tiktoken disagree."""
    ranks = dict(tik.ranks or {})
    for token in (b"\xe6\x97", b"\xe6\x9c", b"\xe8\xaa", "日".encode(), "本".encode(), "語".encode(), "日本語".encode()):
        ranks[token] = len(ranks)
    base = LoadedTokenizer(BpeTokenizer(tiktoken_spec(ranks)), [], ranks=ranks)
    assert base.tokenizer.family == "tiktoken BPE"
    right = append_tokens(base.tokenizer, [], ["日本".encode()])
    grown = ranks | {"日本".encode(): base.tokenizer.vocab_size}
    assert _broken(base, LoadedTokenizer(right, [], ranks=grown), ["x日本語を"]) == {}
    spec = copy.deepcopy(right.spec)
    spec["model"]["merges"].remove([to_text("日本".encode()), to_text("語".encode())])
    results = _broken(base, LoadedTokenizer(BpeTokenizer(spec), [], ranks=grown), ["x日本語を"])
    assert results.keys() == {"runtimes_disagree (tiktoken)"}


def test_equal_scores_are_caught(sp_trio: Trio, japanese: list[str]) -> None:
    model = copy.deepcopy(sp_trio.extended.sentencepiece)
    for piece in model.pieces[sp_trio.extension.first_new_id :]:
        piece.score = -1e6
    spoilt = LoadedTokenizer(sp_trio.extended.tokenizer, [], sentencepiece=model)
    failed = {c.label for c in verify_tokenizer(sp_trio.base, spoilt, japanese=japanese) if not c.holds}
    assert "runtimes_disagree (sentencepiece)" in failed


def test_a_native_model_with_moved_ids_is_caught(sp_trio: Trio, tik_trio: Trio) -> None:
    model = copy.deepcopy(sp_trio.extended.sentencepiece)
    first = sp_trio.extension.first_new_id
    model.pieces[first].piece, model.pieces[first + 1].piece = model.pieces[first + 1].piece, model.pieces[first].piece
    results = _broken(sp_trio.base, LoadedTokenizer(sp_trio.extended.tokenizer, [], sentencepiece=model), ["x"])
    assert results["unreachable_new_tokens (sentencepiece)"] == 2
    shifted = {token: rank + (rank >= tik_trio.extension.first_new_id) for token, rank in (tik_trio.extended.ranks or {}).items()}
    results = _broken(tik_trio.base, LoadedTokenizer(tik_trio.extended.tokenizer, [], ranks=shifted), ["x"])
    assert results["runtimes_disagree (tiktoken)"] >= 1
    whole = [token for token in tik_trio.extension.tokens if text_of(token) is not None]
    assert results["unreachable_new_tokens (tiktoken)"] == len(whole)


def test_line_ends_belong_to_the_lines_that_are_compared(small: BpeTokenizer) -> None:
    """A rule that merges a carriage return with what follows changes CRLF text and no line cut before its end."""
    spec = copy.deepcopy(small.spec)
    pair = [to_text(b"\r"), to_text(b"\n")]
    spec["model"]["vocab"]["".join(pair)] = small.vocab_size
    spec["model"]["merges"].append(pair)
    assert _broken(small, spec, ["one\r\ntwo\r\n"])["changed_lines"] >= 1
    lines = verify._lines(["one\r\ntwo\n\nthree"])
    assert lines == ["one\r\n", "two\n", "\n", "three"]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("kind", "faults"), [("bpe", {"dead_base_tokens", "changed_lines"}), ("unigram", {"unreachable_new_tokens", "changed_lines"})])
def test_a_naive_merge_of_sentencepiece_models_fails_with_examples(japanese: list[str], english: list[str], native: bool, kind: str, faults: set[str]) -> None:
    """Pieces with score 0 push in before the base's, and those of a Unigram model have no parts."""
    data = train_sentencepiece()
    base, merged = load_sentencepiece(data), load_sentencepiece(naive_merge(data, [*japanese[:60], *english], model_type=kind))
    if not native:
        base, merged = LoadedTokenizer(base.tokenizer, []), LoadedTokenizer(merged.tokenizer, [])
    failed = {c.label: c for c in verify_tokenizer(base, merged, japanese=japanese, unchanged=english) if not c.holds}
    assert faults <= failed.keys()
    assert native == ("changed_lines (sentencepiece)" in failed)
    assert all(c.examples for c in failed.values())
    assert all(text.startswith("id ") for c in failed.values() if c.name in ("unreachable_new_tokens", "dead_base_tokens") for text in c.examples)
    assert failed["changed_lines"].examples[0].removesuffix("...") in "\n".join(english)


def test_added_tokens_instead_of_merges_fail(small: BpeTokenizer) -> None:
    """`add_tokens()`: matched before BPE, inside words."""
    spec = copy.deepcopy(small.spec)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    spec["added_tokens"] += [{"id": small.vocab_size + place, "content": word, **flags} for place, word in enumerate(WORDS)]
    spec["model"]["vocab"] |= {word: small.vocab_size + place for place, word in enumerate(WORDS)}
    assert _broken(small, spec, []) == {"unreachable_new_tokens": len(WORDS)}


def test_missing_bytes_that_stay_missing_are_the_bases_own(smollm2: BpeTokenizer, english: list[str]) -> None:
    """What the base loses is not a fault of the extension; where it is mended, the text comes back."""
    assert _broken(smollm2, smollm2, english[:1]) == {}


def test_a_byte_that_the_extension_loses_is_caught(small: BpeTokenizer, english: list[str]) -> None:
    spec = copy.deepcopy(small.spec)
    del spec["model"]["vocab"][to_text(b"\x04")]
    results = _broken(small, spec, english[:1])
    assert results["round_trip_failures"] >= 1
    assert results["base_ids_changed"] == results["dead_base_tokens"] == 1


def test_a_line_longer_than_the_limit_is_shortened_in_the_examples(small: BpeTokenizer) -> None:
    spec = copy.deepcopy(small.spec)
    del spec["model"]["vocab"][to_text(b"\x04")]
    criteria = verify_tokenizer(small, BpeTokenizer(spec), japanese=["\x04" + "あ" * 200])
    example = next(c for c in criteria if c.name == "round_trip_failures").examples[0]
    assert example == "\x04" + "あ" * 76 + "..."


@pytest.mark.parametrize("line", ["日本 and English", "a\u3000b"])
def test_a_line_with_japanese_may_change(small: BpeTokenizer, small_extension: Extension, line: str) -> None:
    assert small.encode("日本 and English") != small_extension.tokenizer.encode("日本 and English")
    assert _broken(small, small_extension.tokenizer.spec, [line]) == {}


@pytest.mark.parametrize("where", ["japanese", "unchanged"])
@pytest.mark.parametrize(("text", "place"), [("\ud800", "U+D800) at character 0"), ("日本\udfff語", "U+DFFF) at character 2")])
def test_a_lone_surrogate_is_refused_clearly(small: BpeTokenizer, where: str, text: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        verify_tokenizer(small, small, **{where: ["fine", text]})
    assert str(caught.value) == f"a text holds a lone surrogate ({place}, which is not a text; mend it"


def test_texts_may_be_more_than_a_block(small: BpeTokenizer, small_extension: Extension, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"line {number}" for number in range(30)]
    whole = verify_tokenizer(small, small_extension.tokenizer, unchanged=texts)
    monkeypatch.setattr(verify, "BLOCK", 7)
    assert verify_tokenizer(small, small_extension.tokenizer, unchanged=texts) == whole
    plain = sum(not verify._holds_japanese(text) for text in HOSTILE_TEXTS)
    assert next(c for c in whole if c.name == "changed_lines").checked == 30 + plain


def test_the_check_string_of_llama_cpp_is_said_and_no_reason_to_fail(small_trio: Trio, sp_trio: Trio, small: BpeTokenizer) -> None:
    """It holds 工作 and other kanji: where they are new tokens, the converter has to be told the pre-tokenizer."""
    changed = next(c for c in verify_tokenizer(small_trio.base, small_trio.extended) if c.name == "llama_cpp_check_string")
    assert changed.failures == 1
    assert changed.holds
    assert changed.examples == ["its ids differ: llama.cpp's own converter fails; use jp-adapt export gguf"], "whole, not cut short"
    kept = next(c for c in verify_tokenizer(small, append_tokens(small, [], [b"\xe3\x81"])) if c.name == "llama_cpp_check_string")
    assert (kept.failures, kept.examples) == (0, [])
    assert next(c for c in verify_tokenizer(sp_trio.base, sp_trio.extended) if c.name == "llama_cpp_check_string").failures == 0


def test_how_a_criterion_is_named() -> None:
    assert Criterion("longer_inputs", "tokenizers", 0, 1).label == "longer_inputs"
    assert Criterion("longer_inputs", "tiktoken", 0, 1).label == "longer_inputs (tiktoken)"
    assert Criterion("base_ids_changed", "all", 1, 1).label == "base_ids_changed"
    assert not Criterion("base_ids_changed", "all", 1, 1).holds
    assert Criterion("llama_cpp_check_string", "tokenizers", 1, 1).holds


def test_a_base_and_its_extension_the_other_way_round_are_told(sp: LoadedTokenizer, japanese: list[str]) -> None:
    base, _, extended = extend_loaded(sp, japanese, 20)
    failed = {criterion.name for criterion in verify_tokenizer(extended, base) if criterion.failures}
    assert "base_ids_changed" in failed
