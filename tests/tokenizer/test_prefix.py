"""A shorter extension cut from a longer one is the one that would have been learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.core.errors import GateError, InputError, UsageError
from jp_adapt.core.files import read_json, write_json
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.prefix import prefix_tokenizer, read_record, shorten, tokens_by_size
from jp_adapt.tokenizer.save import save_tokenizer
from tests.tokenizer.conftest import Trio


def write(trio: Trio, texts: list[str], number: int, folder: Path) -> Path:
    folder.mkdir()
    save_tokenizer(trio.base, extend_tokenizer(trio.base.tokenizer, texts, number), None, folder)
    return folder


@pytest.fixture(scope="module")
def longer(trio: Trio, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the extension that many tests read."""
    folder = tmp_path_factory.mktemp("longer")
    save_tokenizer(trio.base, trio.extension, None, folder)
    return folder


def test_it_is_the_one_that_would_have_been_learned(trio: Trio, longer: Path, japanese: list[str], tmp_path: Path) -> None:
    shorter = write(trio, japanese[:60], 180, tmp_path / "shorter")
    extension, criteria = prefix_tokenizer(longer, 180, tmp_path / "cut", texts=japanese[:3])
    assert all(criterion.holds for criterion in criteria)
    assert extension.vocab_size == load_tokenizer(shorter).tokenizer.vocab_size
    assert {path.relative_to(tmp_path / "cut") for path in (tmp_path / "cut").rglob("*")} == {path.relative_to(shorter) for path in shorter.rglob("*")}
    for path in (path for path in shorter.rglob("*") if path.is_file()):
        cut = tmp_path / "cut" / path.relative_to(shorter)
        if path.suffix == ".json":
            assert json.loads(cut.read_bytes()) == json.loads(path.read_bytes()), path.name
        else:
            assert cut.read_bytes() == path.read_bytes(), path.name


def test_all_of_it_is_the_whole(small_trio: Trio, japanese: list[str], tmp_path: Path) -> None:
    longer = write(small_trio, japanese[:20], 100, tmp_path / "longer")
    prefix_tokenizer(longer, 100, tmp_path / "cut")
    assert read_json(tmp_path / "cut" / "tokenizer.json") == read_json(longer / "tokenizer.json")


def test_the_tokens_of_a_shorter_one_are_counted_without_it(trio: Trio, longer: Path, japanese: list[str]) -> None:
    """Of SentencePiece, tiktoken and GPT-2 BPE: as many as the shorter extension itself gives, text by text."""
    extended, record = trio.extension.tokenizer, read_record(longer)
    sizes = (0, 1, 60, 300, len(trio.extension.tokens) - len(trio.base.tokenizer.missing_bytes))
    short = [shorten(trio.base.tokenizer, record, size).tokenizer for size in sizes[1:]]
    for text in [*japanese[40:46], "It rains. 雨が　降る\n\n😀 é"]:
        wanted = [len(tokenizer.encode(text)) for tokenizer in (trio.base.tokenizer, *short)]
        assert tokens_by_size(extended, record, extended.encode(text), sizes) == wanted


@pytest.mark.parametrize("number", [0, 101])
def test_more_than_there_are_is_refused(small_trio: Trio, japanese: list[str], tmp_path: Path, number: int) -> None:
    longer = write(small_trio, japanese[:20], 100, tmp_path / "longer")
    with pytest.raises(UsageError, match=rf"{number} new tokens are asked for, and the extension has 100; ask for 1 to that many"):
        prefix_tokenizer(longer, number, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


def test_a_folder_that_tells_of_no_new_tokens_is_refused(small_trio: Trio, japanese: list[str], tmp_path: Path) -> None:
    longer = write(small_trio, japanese[:20], 100, tmp_path / "longer")
    write_json(longer / "extension.json", {"tokens": [{"id": 3}]})
    with pytest.raises(InputError, match=r"extension\.json: does not tell of new tokens"):
        prefix_tokenizer(longer, 10, tmp_path / "cut")
    (longer / "extension.json").unlink()
    with pytest.raises(InputError, match=r"no extension\.json here; give a folder that `tokenizer extend` wrote"):
        prefix_tokenizer(longer, 10, tmp_path / "cut")


def test_tokens_in_another_order_fail_the_gate_and_leave_no_folder(sp_trio: Trio, japanese: list[str], tmp_path: Path) -> None:
    """As a version wrote them that put characters last: a word comes out by no token before it."""
    longer = write(sp_trio, japanese[:20], 100, tmp_path / "longer")
    record = read_json(longer / "extension.json")
    record["tokens"].reverse()
    write_json(longer / "extension.json", record)
    with pytest.raises(GateError, match="unreachable_new_tokens"):
        prefix_tokenizer(longer, 20, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
