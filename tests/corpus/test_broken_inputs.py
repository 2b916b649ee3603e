"""A broken input is named with its file and line and refused, or counted while everything around it is read: nothing is lost silently."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.corpus import lines
from jp_adapt.corpus.hub import iter_placed_rows
from jp_adapt.corpus.sources import iter_documents, iter_placed
from tests.properties import examples

GOOD = '{"text": "日本"}\n'.encode()
PACK = {
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".xz": lzma.compress,
}


def read(path: Path, field: str = "text") -> tuple[list[tuple[str, str]], list[str]]:
    """What was read, as (place without folder, text), and the errors without the folder."""
    errors: list[str] = []
    read = list(iter_placed(path, field, lambda error: errors.append(str(error))))
    folder = f"{path.parent}/"
    return [(place.removeprefix(folder), text) for place, text in read], [error.removeprefix(folder) for error in errors]


BROKEN_LINES = {
    "invalid UTF-8 inside a line": (b'{"text": "\x93\xfa"}\n', "x.jsonl:2: byte 0x93 is not UTF-8"),
    "a missing field": (b'{"txt": "a"}\n', "x.jsonl:2: no text in field 'text'"),
    "a wrong type": (b'{"text": ["a"]}\n', "x.jsonl:2: field 'text' is "),
    "no JSON": (b'{"text": "a\n', "x.jsonl:2: not valid JSON"),
    "an empty text": (b'{"text": ""}\n', "x.jsonl:2: field 'text' is empty"),
    "binary": (b"\0\0\n", "x.jsonl:2: holds a NUL byte"),
    "a lone surrogate": (b'{"text": "\\ud800"}\n', "x.jsonl:2: holds a lone surrogate"),
}


@pytest.mark.parametrize("name", BROKEN_LINES)
def test_a_broken_line_is_counted_and_the_lines_around_it_are_read(tmp_path: Path, name: str) -> None:
    line, message = BROKEN_LINES[name]
    (tmp_path / "x.jsonl").write_bytes(GOOD + line + GOOD)
    documents, errors = read(tmp_path / "x.jsonl")
    assert documents == [("x.jsonl:1", "日本"), ("x.jsonl:3", "日本")]
    assert len(errors) == 1
    assert errors[0].startswith(message)
    with pytest.raises(InputError, match=message):
        list(iter_documents(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_file_cut_short_gives_what_it_has_and_says_where_it_ends(tmp_path: Path, suffix: str) -> None:
    texts = [f"{n} {n * 2654435761 % 2**32 * 40503}" for n in range(20_000)]
    whole = PACK[suffix]("".join(json.dumps({"text": text}) + "\n" for text in texts).encode())
    path = tmp_path / f"x.jsonl{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    documents, errors = read(path)
    assert [text for _, text in documents] == texts[: len(documents)]
    assert len(documents) > 1000
    assert len(errors) == 1
    assert f"x.jsonl{suffix}:{len(documents) + 1}: the {lines.PACKINGS[suffix]} file is damaged or cut short here" in errors[0]


def test_a_line_of_200_mb_is_named_and_never_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "x.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b'{"text": "')
        for _ in range(200):
            file.write(b"a" * 1_000_000)
        file.write(b'"}\n' + GOOD)
    tracemalloc.start()
    documents, errors = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert documents == [("x.jsonl:1", "日本"), ("x.jsonl:3", "日本")]
    assert errors == [
        "x.jsonl:2: the document that begins here has more than 67,108,864 bytes; put empty lines between the documents of .txt, or give .jsonl, a line each"
    ]
    assert peak < 200_000_000


@pytest.mark.parametrize("name", ["x.jsonl", "x.txt", "x.csv", "x.jsonl.gz", "x.jsonl.xz"])
def test_an_empty_file_is_counted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert read(tmp_path / name) == ([], [f"{name}: holds no document; give a file with text"])


def test_a_paragraph_with_a_bad_byte_is_left_out_whole(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("一\n二\n\n三\n".encode() + b"\x93\xfa\n" + "四\n\n五".encode())
    documents, errors = read(tmp_path / "x.txt")
    assert documents == [("x.txt:1", "一\n二"), ("x.txt:8", "五")]
    assert [error.split(";")[0] for error in errors] == ["x.txt:5: byte 0x93 is not UTF-8"]


def test_a_paragraph_without_end_is_left_out_and_the_next_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_DOCUMENT_BYTES", 10)
    (tmp_path / "x.txt").write_bytes(b"abcdef\nabcdef\nabcdef\nabc\n\nzz\n")
    documents, errors = read(tmp_path / "x.txt")
    assert documents == [("x.txt:6", "zz")]
    assert [error.split(";")[0] for error in errors] == ["x.txt:1: the document that begins here has more than 10 bytes"]


CSV = 'id,text\n1,"一行目\n二行目, ""引用"""\n2,b\n'


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.csv.zst", "x.csv.xz"])
def test_a_row_of_a_csv_is_a_document(tmp_path: Path, name: str) -> None:
    data = CSV.encode()
    (tmp_path / name).write_bytes(PACK.get(Path(name).suffix, bytes)(data))
    assert read(tmp_path / name) == ([(f"{name}:2", '一行目\n二行目, "引用"'), (f"{name}:4", "b")], [])


def test_broken_rows_of_a_csv_are_named_with_the_line_they_begin_in(tmp_path: Path) -> None:
    rows = [b"id,text", '1,"あ\nい"'.encode(), b"2,a,b", b"3,", '4,"a\n\x93"'.encode("latin-1"), b'5,"a"b', b"6,z"]
    (tmp_path / "x.csv").write_bytes(b"\r\n".join(rows))
    documents, errors = read(tmp_path / "x.csv")
    assert documents == [("x.csv:2", "あ\nい"), ("x.csv:9", "z")]
    starts = [
        "x.csv:4: the row has 3 columns and the header 2",
        "x.csv:5: column 'text' is empty",
        "x.csv:7: byte 0x93 is not UTF-8",
        "x.csv:8: not valid CSV",
    ]
    assert [error.startswith(start) for error, start in zip(errors, starts, strict=True)] == [True] * 4


def test_a_csv_without_the_column_names_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,body\n1,a\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.csv:1: no column 'text'; there are: id, body; name the right one"):
        list(iter_documents(tmp_path / "x.csv"))


def test_a_csv_whose_names_are_no_utf8_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("番号,本文\n1,a\n".encode("cp932"))
    with pytest.raises(InputError, match=r"x\.csv:1: byte 0x94 is not UTF-8; convert the file \(for example: iconv -f CP932 -t UTF-8\)"):
        list(iter_documents(tmp_path / "x.csv"))


def test_json_lines_under_the_name_json(tmp_path: Path) -> None:
    (tmp_path / "c4-ja.json.gz").write_bytes(gzip.compress(GOOD * 2))
    assert list(iter_documents(tmp_path / "c4-ja.json.gz")) == ["日本", "日本"]


def test_rows_of_a_parquet_without_text_are_counted(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None, " ", "b"]}), tmp_path / "x.parquet")
    documents, errors = read(tmp_path / "x.parquet")
    assert documents == [("x.parquet:row 1", "a"), ("x.parquet:row 4", "b")]
    assert [error.split(":")[1] for error in errors] == ["row 2", "row 3"]


def test_rows_of_a_dataset_without_text_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_bytes(GOOD + b'{"text": null}\n' + GOOD)
    errors: list[str] = []
    rows = list(iter_placed_rows(str(tmp_path / "data"), "any", on_error=lambda error: errors.append(str(error))))
    assert [place.rsplit(":", 1)[1] for place, _ in rows] == ["row 1", "row 3"]
    assert [":row 2: column 'text' is null" in error for error in errors] == [True]


@examples(100)
@given(st.lists(st.sampled_from([GOOD, *(line for line, _ in BROKEN_LINES.values())]), min_size=1, max_size=12))
def test_every_line_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "x.jsonl"
    path.write_bytes(b"".join(parts))
    documents, errors = read(path)
    named = [int(error.split(":")[1]) for error in errors if error.startswith("x.jsonl:") and error.split(":")[1].isdigit()]
    assert sorted([int(place.split(":")[1]) for place, _ in documents] + named) == list(range(1, len(parts) + 1))
