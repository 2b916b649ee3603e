"""tiktoken rank files, and the `tokenizer.json` made from Llama-3's."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.runtimes import runtimes_of
from jp_adapt.tokenizer.save import native_model
from jp_adapt.tokenizer.tiktoken import LLAMA3_PATTERN, pattern_of, read_ranks, spec_of, write_ranks
from tests.properties import examples
from tests.tokenizer.conftest import Trio, small_ranks, tiktoken_spec


@examples(100)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.integers(0, 10**6)), min_size=1, max_size=20, unique_by=(lambda t: t[0], lambda t: t[1])))
def test_ranks_round_trip(pairs: list[tuple[bytes, int]]) -> None:
    ranks = dict(pairs)
    written = write_ranks(ranks)
    assert read_ranks(written, "x") == ranks
    numbers = [int(line.split()[1]) for line in written.splitlines()]
    assert numbers == sorted(numbers)


def test_the_format_is_a_line_for_each_token() -> None:
    assert write_ranks({b"b": 1, b" \xe3": 0}) == b"IOM= 0\nYg== 1\n"
    assert read_ranks(b"IOM= 0\r\n\nYg== 1", "x") == {b" \xe3": 0, b"b": 1}


@pytest.mark.parametrize("bad", [b"Yg==", b"Yg== x", b"Yg== 1 2", b"Y!== 1", b"\xff\xfe 1", b"Yg 1", b"Yg== 1.5", b"Yg== -1"])
def test_a_bad_line_is_named(bad: bytes) -> None:
    with pytest.raises(InputError, match=r"^the/place:3: no line of a tiktoken rank file"):
        read_ranks(b"IOM= 0\nYQ== 1\n" + bad + b"\nZA== 4\n", "the/place")


@pytest.mark.parametrize("lines", [b"YQ== 0\nYQ== 1\n", b"YQ== 0\nYg== 0\n"])
def test_a_token_or_a_rank_that_stands_twice_is_named(lines: bytes) -> None:
    with pytest.raises(InputError, match=r"^the/place:2: .* stands twice"):
        read_ranks(lines, "the/place")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"   "])
def test_an_empty_file_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^the/place: holds no token"):
        read_ranks(data, "the/place")


def test_a_rank_file_of_another_size_tells_no_pattern() -> None:
    with pytest.raises(InputError, match=r"^the/place: a tiktoken rank file of 598 tokens; only Llama-3's \(128000\) tells its pattern"):
        spec_of(small_ranks(), "the/place")


def test_pattern_is_that_of_the_split(tik: LoadedTokenizer, small: BpeTokenizer, smollm2: BpeTokenizer) -> None:
    assert pattern_of(tik.tokenizer.spec) == LLAMA3_PATTERN
    assert pattern_of(small.spec) is None
    assert pattern_of(smollm2.spec) is None
    assert pattern_of({}) is None
    spec: Any = copy.deepcopy(tik.tokenizer.spec)
    spec["pre_tokenizer"]["pretokenizers"].insert(0, {"type": "Digits", "individual_digits": True})
    assert pattern_of(spec) is None, "more than one rule: tiktoken cannot say it"
    spec = copy.deepcopy(tik.tokenizer.spec)
    spec["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"String": " "}
    assert pattern_of(spec) is None


def test_both_runtimes_read_the_small_one(tik: LoadedTokenizer, english: list[str], japanese: list[str]) -> None:
    first, second = runtimes_of(tik)
    assert (first.name, second.name) == ("tokenizers", "tiktoken")
    texts = [*english, *japanese[:10], "", "<|special_3|>a<|special_255|>", "\x00\x04"]
    assert first.encode(texts) == second.encode(texts)
    assert [second.decode(ids) for ids in second.encode(texts)] == texts


def test_new_ranks_begin_after_the_special_tokens(tik_trio: Trio) -> None:
    base, extension, extended = tik_trio
    assert base.ranks is not None
    assert extended.ranks is not None
    assert extension.first_new_id == len(base.ranks) + 256
    assert extended.ranks == base.ranks | {token: extension.first_new_id + place for place, token in enumerate(extension.tokens)}
    assert native_model(base, extension) == write_ranks(extended.ranks)


def test_special_tokens_keep_their_ids_in_both_runtimes(tik_trio: Trio) -> None:
    special = {token["content"]: token["id"] for token in tik_trio.base.tokenizer.spec["added_tokens"]}
    assert len(special) == 256
    for runtime in runtimes_of(tik_trio.extended):
        assert runtime.encode(list(special)) == [[token_id] for token_id in special.values()]


def test_first_line_of_a_file_with_a_long_base64(tmp_path: Path) -> None:
    """A folder of another tiktoken tokenizer is told to be a rank file, and its size is named."""
    (tmp_path / "x.tiktoken").write_bytes(write_ranks({b"a" * 90: 0, b"b": 1}))
    with pytest.raises(InputError, match="a tiktoken rank file of 2 tokens"):
        load_tokenizer(tmp_path / "x.tiktoken")


def test_the_spec_from_llama3s_ranks_is_that_of_its_folder(llama3: LoadedTokenizer) -> None:
    spec = load_tokenizer(llama3.files[1]).tokenizer.spec
    published = llama3.tokenizer.spec
    assert spec["model"]["vocab"] == published["model"]["vocab"]
    assert spec["model"]["merges"] == [list(pair) for pair in BpeTokenizer(published).merges]
    assert [(token["id"], token["content"]) for token in spec["added_tokens"]][:10] == [
        (128000 + place, text)
        for place, text in enumerate(
            (
                *("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"),
                *("<|reserved_special_token_2|>", "<|reserved_special_token_3|>", "<|start_header_id|>", "<|end_header_id|>"),
                *("<|reserved_special_token_4|>", "<|eot_id|>"),
            )
        )
    ]
    assert pattern_of(spec) == pattern_of(published) == LLAMA3_PATTERN
    assert spec["pre_tokenizer"] == published["pre_tokenizer"]


def test_the_test_base_is_shaped_like_llama3() -> None:
    spec = tiktoken_spec(small_ranks())
    assert spec["model"]["vocab"].keys().isdisjoint(token["content"] for token in spec["added_tokens"])
    assert spec["added_tokens"][0]["id"] == len(spec["model"]["vocab"])
    assert base64.b64decode(b"IOM=") == b" \xe3"
