"""Documents are read whole, and the first one that cannot be read is named with its file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.sources import read_documents
from tests.properties import examples

LINE = '{"text": "日本"}\n'.encode()


def _jsonl(texts: list[str], *, ascii_only: bool = False) -> bytes:
    return "".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + "\n" for text in texts).encode("utf-8")


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "X.JSONL", "x.JSONL.GZ"])
def test_a_line_is_a_document(tmp_path: Path, name: str) -> None:
    texts = ["日本", "two\nlines\r\n", "前\u2028後\u0085末", " padded "]
    data = _jsonl(texts)
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.lower().endswith("gz") else data)
    assert read_documents(path) == texts


@examples(100)
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str], zipped: bool, ascii_only: bool) -> None:
    path = tmp_path_factory.getbasetemp() / ("all.jsonl.gz" if zipped else "all.jsonl")
    data = _jsonl(texts, ascii_only=ascii_only)
    path.write_bytes(gzip.compress(data, 1) if zipped else data)
    assert read_documents(path) == texts


def test_blank_lines_and_a_missing_last_newline_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n" + LINE + b"  \r\n" + '{"text": "本"}'.encode())
    assert read_documents(path) == ["日本", "本"]


def test_another_field(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"body": "a", "text": "b"}\n', encoding="utf-8")
    assert read_documents(path, "body") == ["a"]


def test_a_txt_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("一\r\n二\n".encode())
    assert read_documents(path) == ["一\r\n二\n"]


WRONG = [
    ("bad UTF-8", LINE + b'{"text": "\x93\xfa"}\n', "2: byte 0x93 is not UTF-8; convert the file"),
    ("broken JSON", LINE + LINE + b'{"text": \n', "3: not valid JSON (Expecting value)"),
    ("two values in a line", b'{"text": "a"} {"text": "b"}\n', "1: not valid JSON (Extra data)"),
    ("byte order mark", b"\xef\xbb\xbf" + LINE, "1: not valid JSON (Unexpected UTF-8 BOM"),
    ("no such field", LINE + b'\n{"txt": "a"}\n', "3: no text in field 'text'; name the right one with 'field:' in the source"),
    ("text that is a number", b'{"text": 1}\n', "1: no text in field 'text'"),
    ("text that is null", b'{"text": null}\n', "1: no text in field 'text'"),
    ("a line that is a list", b'["a"]\n', "1: no text in field 'text'"),
    ("empty text", LINE + b'{"text": ""}\n', "2: field 'text' is empty; take the line out"),
    ("white text", '{"text": " \\n\u3000"}\n'.encode(), "1: field 'text' is empty"),
    ("lone surrogate", LINE + b'{"text": "a\\ud800b"}\n', "2: holds a lone surrogate (U+D800), which is no text; mend the line"),
    ("lone low surrogate", b'{"text": "\\udc00"}\n', "1: holds a lone surrogate (U+DC00)"),
]


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(("data", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_line_is_named(tmp_path: Path, data: bytes, message: str, zipped: bool) -> None:
    path = tmp_path / ("x.jsonl.gz" if zipped else "x.jsonl")
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(InputError) as caught:
        read_documents(path)
    assert str(caught.value).startswith(f"{path}:{message}")


def test_a_pair_of_surrogates_is_one_character(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"text": "\\ud842\\udfb7"}\n')
    assert read_documents(path) == ["𠮷"]


def test_a_gz_cut_short_is_named_with_the_line_it_ends_in(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress(b"".join(json.dumps({"text": f"{n} {hash_text(n)}"}).encode() + b"\n" for n in range(2000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        InputError, match=r"x\.jsonl\.gz:(\d+): the gzip file is damaged or cut short here \(Compressed file ended.*\); fetch it again"
    ) as caught:
        read_documents(path)
    assert 2 <= int(str(caught.value).split(".gz:")[1].split(":")[0]) <= 2000


def hash_text(number: int) -> str:
    """Text that does not compress away."""
    return str(number * 2654435761 % 2**32 * 40503)


def test_a_gz_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(LINE))
    data[-8] ^= 0xFF
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"x\.jsonl\.gz:\d: the gzip file is damaged or cut short here \(CRC check failed"):
        read_documents(path)


def test_a_gz_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(LINE)
    with pytest.raises(InputError, match=r"x\.jsonl\.gz:1: the gzip file is damaged .*Not a gzipped file"):
        read_documents(path)


@pytest.mark.parametrize("name", ["x.jsonl", "x.txt", "x.jsonl.gz"])
@pytest.mark.parametrize("data", [b"", b"\n  \n"], ids=["empty", "white"])
def test_a_file_without_a_document_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.raises(InputError, match="holds no document; give a file with text"):
        read_documents(path)


@pytest.mark.parametrize("name", ["x.json", "x.csv", "x.parquet", "x.txt.gz", "jsonl"])
def test_an_unknown_extension_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LINE)
    with pytest.raises(InputError, match=r"texts are read from \.jsonl, \.jsonl\.gz and \.txt; convert this file"):
        read_documents(tmp_path / name)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.txt"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: no such file"):
        read_documents(tmp_path / name)


def test_a_folder_with_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(InputError, match=r"x\.jsonl: cannot be read \(Is a directory\)"):
        read_documents(tmp_path / "x.jsonl")


def test_a_txt_in_shift_jis_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("abc\n日本\n".encode("cp932"))
    with pytest.raises(InputError, match=r"x\.txt:2: byte 0x93 is not UTF-8"):
        read_documents(path)
