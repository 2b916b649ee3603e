"""Documents of text files, packed or not, come back as they were written, and the first one that cannot be read is named with its file and line."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.corpus import lines
from jp_adapt.corpus.sources import expand_paths, iter_documents, read_documents
from tests.corpus.files import LINE, hash_text, jsonl, parquet, write
from tests.properties import examples


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "X.JSONL", "x.JSONL.GZ", "x.Jsonl.Zst"])
def test_a_line_is_a_document(tmp_path: Path, name: str) -> None:
    texts = ["日本", "two\nlines\r\n", "前\u2028後\u0085末", " padded "]
    path = write(tmp_path / name, jsonl(texts))
    assert list(iter_documents(path)) == read_documents(path) == texts


@examples(100)
@given(
    st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5), st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"]), st.booleans()
)
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str], kind: str, ascii_only: bool) -> None:
    path = tmp_path_factory.getbasetemp() / f"all{kind}"
    if kind == ".parquet":
        parquet(path, texts)
    else:
        write(path, jsonl(texts, ascii_only=ascii_only))
    assert list(iter_documents(path)) == texts


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


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.txt.zst", "X.TXT"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_a_paragraph_of_a_txt_is_a_document(tmp_path: Path, name: str, end: str) -> None:
    text = end.join(["", "　一", "二  ", "", "\u3000 ", "", "三", "", "四"])
    assert list(iter_documents(write(tmp_path / name, text.encode()))) == [f"　一{end}二  ", "三", "四"]


def test_a_compressed_txt_is_read_as_paragraphs_too(tmp_path: Path) -> None:
    assert read_documents(write(tmp_path / "x.txt.gz", b"a\n\nb\n")) == ["a", "b"]


@pytest.mark.parametrize("name", ["x.jsonl", "x.txt", "x.jsonl.gz", "x.jsonl.zst", "x.txt.gz", "x.txt.zst"])
def test_a_byte_order_mark_is_dropped(tmp_path: Path, name: str) -> None:
    data = LINE if ".jsonl" in name else "日本".encode()
    path = write(tmp_path / name, b"\xef\xbb\xbf" + data)
    assert list(iter_documents(path)) == read_documents(path) == ["日本"]


def test_documents_are_streamed(tmp_path: Path) -> None:
    """What comes later in the file is not looked at before it is asked for."""
    path = write(tmp_path / "x.jsonl", LINE * 3 + b"broken\n")
    documents = iter_documents(path)
    assert list(islice(documents, 3)) == ["日本"] * 3
    with pytest.raises(InputError, match=r"x\.jsonl:4: not valid JSON"):
        next(documents)


@pytest.mark.parametrize(("name", "data"), [("x.jsonl", LINE), ("x.jsonl", b"\n" + LINE * 2), ("x.txt", "あ\nい\nう\n".encode()), ("x.txt.zst", b"a" * 30)])
def test_a_document_that_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes) -> None:
    path = write(tmp_path / name, data)
    monkeypatch.setattr(lines, "MAX_DOCUMENT_BYTES", 10)
    with pytest.raises(InputError, match=r":[12]: the document that begins here has more than 10 bytes; put empty lines between"):
        list(iter_documents(path))


def test_the_limit_is_for_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.txt", b"12345678\n\n" * 5)
    monkeypatch.setattr(lines, "MAX_DOCUMENT_BYTES", 10)
    assert list(iter_documents(path)) == ["12345678"] * 5


WRONG = [
    ("bad UTF-8", LINE + b'{"text": "\x93\xfa"}\n', "2: byte 0x93 is not UTF-8; convert the file"),
    ("broken JSON", LINE + LINE + b'{"text": \n', "3: not valid JSON (Expecting value)"),
    ("two values in a line", b'{"text": "a"} {"text": "b"}\n', "1: not valid JSON (Extra data)"),
    ("byte order mark", LINE + b"\xef\xbb\xbf" + LINE, "2: not valid JSON (Unexpected UTF-8 BOM"),
    ("nesting without end", b'{"a": ' + b"[" * 200_000, "1: JSON nested deeper than 100 levels; mend the line"),
    ("a number of 5000 digits", b'{"n": ' + b"1" * 5000 + b"}", "1: a number of 5,000 digits; at most 300 are read; mend the line"),
    ("binary", LINE + b"a\0b\n", "2: holds a NUL byte, so this is no UTF-8 text but a binary file or UTF-16; convert it"),
    ("no such field", LINE + b'\n{"txt": "a"}\n', "3: no text in field 'text'; there are: txt; name the right one: 'field: NAME' in a recipe's source"),
    ("text that is a number", b'{"text": 1}\n', "1: field 'text' is 1, and text is needed"),
    ("text that is null", b'{"text": null}\n', "1: field 'text' is null, and text is needed"),
    ("a line that is a list", LINE + b'["a"]\n', "2: a list, and an object is needed; mend the line"),
    ("a line that is a text", b'"a"\n', "1: a str, and an object is needed; mend the line"),
    ("empty text", LINE + b'{"text": ""}\n', "2: field 'text' is empty; take the line out"),
    ("white text", '{"text": " \\n\u3000"}\n'.encode(), "1: field 'text' is empty"),
    ("lone surrogate", LINE + b'{"text": "a\\ud800b"}\n', "2: holds a lone surrogate (\\ud800), which is not a text; mend the line"),
    ("lone low surrogate", b'{"text": "\\udc00"}\n', "1: holds a lone surrogate (\\udc00)"),
]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"])
@pytest.mark.parametrize(("data", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_line_is_named(tmp_path: Path, data: bytes, message: str, name: str) -> None:
    path = write(tmp_path / name, data)
    with pytest.raises(InputError) as caught:
        list(iter_documents(path))
    assert str(caught.value).startswith(f"{path}:{message}")
    assert "\n" not in str(caught.value)


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


def test_a_zst_cut_short_anywhere_is_named_with_the_line_it_ends_in(tmp_path: Path) -> None:
    """The reader of the library itself ends without an error here."""
    data = b"".join(json.dumps({"text": f"{n} {hash_text(n)}"}).encode() + b"\n" for n in range(20_000))
    whole = zstandard.ZstdCompressor().compress(data)
    path = tmp_path / "x.jsonl.zst"
    for size in (1, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"x\.jsonl\.zst:(\d+): the zstd file is damaged or cut short here \(.*\); fetch it again") as caught:
            list(iter_documents(path))
        number = int(str(caught.value).split(".zst:")[1].split(":")[0])
        assert number == 1 if size < 10 else 2 <= number <= 20_000


def test_a_zst_of_many_frames_is_read_to_its_end(tmp_path: Path) -> None:
    pack = zstandard.ZstdCompressor().compress
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # a frame without text, as pzstd writes it
    path = tmp_path / "x.jsonl.zst"
    path.write_bytes(skipped + pack(LINE[:5]) + skipped + pack(b"") + pack(LINE[5:] + LINE) + skipped)
    assert list(iter_documents(path)) == ["日本", "日本"]


def test_a_zst_with_a_long_window_is_read(tmp_path: Path) -> None:
    """A frame of `zstd --long=28`, by hand: more than the library reads by default."""
    block = (len(LINE) << 3 | 1).to_bytes(3, "little") + LINE
    path = tmp_path / "x.jsonl.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00" + bytes([(28 - 10) << 3]) + block)
    assert list(iter_documents(path)) == ["日本"]


@pytest.mark.parametrize("change", ["junk at the end", "wrong checksum", "no zstd"])
def test_a_damaged_zst_is_refused(tmp_path: Path, change: str) -> None:
    path = write(tmp_path / "x.jsonl.zst", LINE)
    whole = path.read_bytes()
    path.write_bytes({"junk at the end": whole + b"junk!", "wrong checksum": whole[:-1] + bytes([whole[-1] ^ 1]), "no zstd": LINE}[change])
    with pytest.raises(InputError, match=r"x\.jsonl\.zst:\d: the zstd file is damaged or cut short here \(.*\); fetch it again"):
        list(iter_documents(path))


@pytest.mark.parametrize(("real", "wrong", "suffix"), [("x.jsonl.gz", "y.jsonl", ".gz"), ("x.txt.zst", "y.txt", ".zst"), ("x.parquet", "y.jsonl", ".parquet")])
def test_a_packed_file_under_a_wrong_name_is_told(tmp_path: Path, real: str, wrong: str, suffix: str) -> None:
    path = parquet(tmp_path / real, ["a"]) if suffix == ".parquet" else write(tmp_path / real, LINE)
    path.rename(tmp_path / wrong)
    with pytest.raises(InputError, match=rf"{wrong}: holds \w+ data and not text; give the file its right name, which ends in \{suffix}"):
        list(iter_documents(tmp_path / wrong))


TEXT_NAMES = ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.txt", "x.txt.gz", "x.txt.zst"]


@pytest.mark.parametrize("name", TEXT_NAMES)
@pytest.mark.parametrize("data", [b"", b"\n  \n", b"\xef\xbb\xbf"], ids=["empty", "white", "mark"])
def test_a_file_without_a_document_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = write(tmp_path / name, data)
    for read in (read_documents, lambda path: list(iter_documents(path))):
        with pytest.raises(InputError, match="holds no document; give a file with text"):
            read(path)


@pytest.mark.parametrize("name", TEXT_NAMES[1:3])
def test_a_packed_file_of_no_bytes_holds_no_document(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="holds no document; give a file with text"):
        list(iter_documents(tmp_path / name))


@pytest.mark.parametrize("name", ["x.tsv", "x.parquet.gz", "x.jsonl.bz2", "x.gz", "x.txt.gz.zst", "jsonl"])
def test_an_unknown_extension_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LINE)
    with pytest.raises(InputError, match=r"texts are read from \.jsonl, \.csv and \.txt \(also as \.gz, \.zst or \.xz\) and from \.parquet; convert this file"):
        read_documents(tmp_path / name)


@pytest.mark.parametrize("name", [*TEXT_NAMES, "x.parquet"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: no such file; check the path"):
        read_documents(tmp_path / name)


@pytest.mark.parametrize("name", [*TEXT_NAMES, "x.parquet"])
def test_a_folder_with_the_name_of_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=rf"{name}: cannot be read \(Is a directory\); give its files, or a pattern"):
        read_documents(tmp_path / name)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be entered, by the user who runs the tests or, for root, by nobody."""
    folder = tmp_path / "closed"
    folder.mkdir()
    for name in (*TEXT_NAMES, "x.parquet"):
        (folder / name).touch()
    folder.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o700)


@pytest.mark.parametrize("name", [*TEXT_NAMES, "x.parquet"])
def test_a_file_that_may_not_be_read(closed: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: cannot be read \(Permission denied\); allow it, for example: chmod u\+r {name}"):
        list(iter_documents(closed / name))


def test_a_path_that_may_not_be_looked_at(closed: Path) -> None:
    with pytest.raises(InputError, match=r"x\.txt: cannot be read \(Permission denied\)"):
        expand_paths([str(closed / "x.txt")])


def test_a_txt_in_shift_jis_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("abc\n日本\n".encode("cp932"))
    with pytest.raises(InputError, match=r"x\.txt:2: byte 0x93 is not UTF-8"):
        read_documents(path)


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.txt.zst"])
def test_a_paragraph_in_shift_jis_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "abc\n\n日本\n".encode("cp932"))
    with pytest.raises(InputError, match=rf"{name}:3: byte 0x93 is not UTF-8; convert the file"):
        list(iter_documents(path))


def test_a_txt_in_utf_16_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", "abc\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"x\.txt:1: holds a NUL byte, .* UTF-16; convert it \(iconv -f UTF-16LE -t UTF-8\)"):
        read_documents(path)
