"""Documents of every format come back as they were written, and the first one that cannot be read is named with its file and line."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.corpus import lines
from jp_adapt.corpus.hub import iter_hub_documents
from jp_adapt.corpus.sources import expand_paths, iter_documents, read_documents
from tests.properties import examples

LINE = '{"text": "日本"}\n'.encode()


def _jsonl(texts: list[str], *, ascii_only: bool = False) -> bytes:
    return "".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + "\n" for text in texts).encode("utf-8")


def _write(path: Path, data: bytes) -> Path:
    """`data` as a file, packed as its name says."""
    pack = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}.get(path.suffix.lower(), bytes)
    path.write_bytes(pack(data))
    return path


def _parquet(path: Path, texts: list[str | None], kind: pa.DataType | None = None, **more: object) -> Path:
    pq.write_table(pa.table({"text": pa.array(texts, kind or pa.string())}), path, **more)
    return path


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "X.JSONL", "x.JSONL.GZ", "x.Jsonl.Zst"])
def test_a_line_is_a_document(tmp_path: Path, name: str) -> None:
    texts = ["日本", "two\nlines\r\n", "前\u2028後\u0085末", " padded "]
    path = _write(tmp_path / name, _jsonl(texts))
    assert list(iter_documents(path)) == read_documents(path) == texts


@examples(100)
@given(
    st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5), st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"]), st.booleans()
)
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str], kind: str, ascii_only: bool) -> None:
    path = tmp_path_factory.getbasetemp() / f"all{kind}"
    if kind == ".parquet":
        _parquet(path, texts)
    else:
        _write(path, _jsonl(texts, ascii_only=ascii_only))
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
    assert list(iter_documents(_write(tmp_path / name, text.encode()))) == [f"　一{end}二  ", "三", "四"]


def test_a_compressed_txt_is_read_as_paragraphs_too(tmp_path: Path) -> None:
    assert read_documents(_write(tmp_path / "x.txt.gz", b"a\n\nb\n")) == ["a", "b"]


@pytest.mark.parametrize("name", ["x.jsonl", "x.txt", "x.jsonl.gz", "x.jsonl.zst", "x.txt.gz", "x.txt.zst"])
def test_a_byte_order_mark_is_dropped(tmp_path: Path, name: str) -> None:
    data = LINE if ".jsonl" in name else "日本".encode()
    path = _write(tmp_path / name, b"\xef\xbb\xbf" + data)
    assert list(iter_documents(path)) == read_documents(path) == ["日本"]


def test_documents_are_streamed(tmp_path: Path) -> None:
    """What comes later in the file is not looked at before it is asked for."""
    path = _write(tmp_path / "x.jsonl", LINE * 3 + b"broken\n")
    documents = iter_documents(path)
    assert list(islice(documents, 3)) == ["日本"] * 3
    with pytest.raises(InputError, match=r"x\.jsonl:4: not valid JSON"):
        next(documents)


@pytest.mark.parametrize(("name", "data"), [("x.jsonl", LINE), ("x.jsonl", b"\n" + LINE * 2), ("x.txt", "あ\nい\nう\n".encode()), ("x.txt.zst", b"a" * 30)])
def test_a_document_that_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes) -> None:
    path = _write(tmp_path / name, data)
    monkeypatch.setattr(lines, "MAX_DOCUMENT_BYTES", 10)
    with pytest.raises(InputError, match=r":[12]: the document that begins here has more than 10 bytes; put empty lines between"):
        list(iter_documents(path))


def test_the_limit_is_for_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "x.txt", b"12345678\n\n" * 5)
    monkeypatch.setattr(lines, "MAX_DOCUMENT_BYTES", 10)
    assert list(iter_documents(path)) == ["12345678"] * 5


WRONG = [
    ("bad UTF-8", LINE + b'{"text": "\x93\xfa"}\n', "2: byte 0x93 is not UTF-8; convert the file"),
    ("broken JSON", LINE + LINE + b'{"text": \n', "3: not valid JSON (Expecting value)"),
    ("two values in a line", b'{"text": "a"} {"text": "b"}\n', "1: not valid JSON (Extra data)"),
    ("byte order mark", LINE + b"\xef\xbb\xbf" + LINE, "2: not valid JSON (Unexpected UTF-8 BOM"),
    ("nesting without end", b"[" * 200_000, "1: not valid JSON (maximum recursion depth exceeded"),
    ("a number of 5000 digits", b'{"n": ' + b"1" * 5000 + b"}", "1: not valid JSON (Exceeds the limit"),
    ("binary", LINE + b"a\0b\n", "2: holds a NUL byte, so this is no UTF-8 text but a binary file or UTF-16; convert it"),
    ("no such field", LINE + b'\n{"txt": "a"}\n', "3: no text in field 'text'; name the right one with 'field:' in the source"),
    ("text that is a number", b'{"text": 1}\n', "1: no text in field 'text'"),
    ("text that is null", b'{"text": null}\n', "1: no text in field 'text'"),
    ("a line that is a list", b'["a"]\n', "1: no text in field 'text'"),
    ("empty text", LINE + b'{"text": ""}\n', "2: field 'text' is empty; take the line out"),
    ("white text", '{"text": " \\n\u3000"}\n'.encode(), "1: field 'text' is empty"),
    ("lone surrogate", LINE + b'{"text": "a\\ud800b"}\n', "2: holds a lone surrogate (U+D800), which is no text; mend the line"),
    ("lone low surrogate", b'{"text": "\\udc00"}\n', "1: holds a lone surrogate (U+DC00)"),
]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"])
@pytest.mark.parametrize(("data", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_line_is_named(tmp_path: Path, data: bytes, message: str, name: str) -> None:
    path = _write(tmp_path / name, data)
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
    path = _write(tmp_path / "x.jsonl.zst", LINE)
    whole = path.read_bytes()
    path.write_bytes({"junk at the end": whole + b"junk!", "wrong checksum": whole[:-1] + bytes([whole[-1] ^ 1]), "no zstd": LINE}[change])
    with pytest.raises(InputError, match=r"x\.jsonl\.zst:\d: the zstd file is damaged or cut short here \(.*\); fetch it again"):
        list(iter_documents(path))


@pytest.mark.parametrize(("real", "wrong", "suffix"), [("x.jsonl.gz", "y.jsonl", ".gz"), ("x.txt.zst", "y.txt", ".zst"), ("x.parquet", "y.jsonl", ".parquet")])
def test_a_packed_file_under_a_wrong_name_is_told(tmp_path: Path, real: str, wrong: str, suffix: str) -> None:
    path = _parquet(tmp_path / real, ["a"]) if suffix == ".parquet" else _write(tmp_path / real, LINE)
    path.rename(tmp_path / wrong)
    with pytest.raises(InputError, match=rf"{wrong}: holds \w+ data and not text; give the file its right name, which ends in \{suffix}"):
        list(iter_documents(tmp_path / wrong))


TEXT_NAMES = ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.txt", "x.txt.gz", "x.txt.zst"]


@pytest.mark.parametrize("name", TEXT_NAMES)
@pytest.mark.parametrize("data", [b"", b"\n  \n", b"\xef\xbb\xbf"], ids=["empty", "white", "mark"])
def test_a_file_without_a_document_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = _write(tmp_path / name, data)
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
    path = _write(tmp_path / name, "abc\n\n日本\n".encode("cp932"))
    with pytest.raises(InputError, match=rf"{name}:3: byte 0x93 is not UTF-8; convert the file"):
        list(iter_documents(path))


def test_a_txt_in_utf_16_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.txt", "abc\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"x\.txt:1: holds a NUL byte, .* UTF-16; convert it \(iconv -f UTF-16LE -t UTF-8\)"):
        read_documents(path)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_row_of_a_parquet_is_a_document(tmp_path: Path, kind: pa.DataType) -> None:
    texts = [f"文書 {n % 300}\n二行目" for n in range(1000)]
    path = _parquet(tmp_path / "x.parquet", texts, kind, row_group_size=400)
    assert list(iter_documents(path)) == read_documents(path) == texts


def test_another_column(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"n": [1, 2], "a.b": ["一", "二"], "a": ["x", "y"]}), path)
    assert list(iter_documents(path, "a.b")) == ["一", "二"]
    assert list(iter_documents(path, "a")) == ["x", "y"]


def test_a_parquet_without_the_column_names_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"body": ["a"], "id": [1]}), path)
    with pytest.raises(InputError, match=r"x\.parquet: no column 'text'; there are: body, id; name the right one with 'field:'"):
        list(iter_documents(path))


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), path)
    with pytest.raises(InputError, match=r"x\.parquet: more than one column 'text'; there are: text, text"):
        list(iter_documents(path))


@pytest.mark.parametrize(
    ("values", "kind"), [([1], "int64"), ([b"a"], "binary"), ([["a"]], "list<element: string>"), ([{"a": "b"}], "struct<a: string>"), ([None], "null")]
)
def test_a_column_of_another_type_is_refused(tmp_path: Path, values: list[object], kind: str) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": values}), path)
    with pytest.raises(InputError) as caught:
        list(iter_documents(path))
    assert str(caught.value) == f"{path}: column 'text' holds {kind} and not string; name the right one with 'field:' in the source, or convert the column"


@pytest.mark.parametrize(("wrong", "message"), [(None, "is null, and text is needed; take the row out"), (" \n", "is empty; take the row out")])
@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_row_without_text_is_named(tmp_path: Path, wrong: str | None, message: str, kind: pa.DataType) -> None:
    path = _parquet(tmp_path / "x.parquet", ["a"] * 700 + [wrong, "b"], kind)
    documents = iter_documents(path)
    assert list(islice(documents, 700)) == ["a"] * 700
    with pytest.raises(InputError, match=rf"x\.parquet:row 701: column 'text' {message}"):
        next(documents)


def test_a_row_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": pa.array([b"a", "日本".encode("cp932")]).view(pa.string())}), path)
    with pytest.raises(InputError, match=r"x\.parquet:row 2: byte 0x93 is not UTF-8; write the file again"):
        list(iter_documents(path))


def test_a_parquet_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.parquet: holds no document; give a file with text"):
        list(iter_documents(_parquet(tmp_path / "x.parquet", [])))


@pytest.mark.parametrize("part", ["none", "text", "cut short", "torn inside", "one letter"])
def test_a_damaged_parquet_is_refused(tmp_path: Path, part: str) -> None:
    path = _parquet(tmp_path / "x.parquet", [f"{n} {hash_text(n)}" for n in range(2000)], write_page_checksum=True, compression="none", use_dictionary=False)
    whole = path.read_bytes()
    torn = whole[:3000] + bytes(200) + whole[3200:]
    letter = whole.replace(b"1000 ", b"1001 ")  # only the checksum of the page can tell
    path.write_bytes({"none": b"", "text": LINE, "cut short": whole[:-100], "torn inside": torn, "one letter": letter}[part])
    with pytest.raises(InputError, match=r"x\.parquet: not a parquet file, or damaged \(.+\); fetch it again, or write it again") as caught:
        list(iter_documents(path))
    assert "\n" not in str(caught.value)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, and the cache of `datasets` in the test's own folder."""
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
class TestHub:
    def test_a_folder_of_jsonl(self, tmp_path: Path) -> None:
        for split, texts in (("train", ["一", "二\n", " ", "", "三"]), ("test", ["四"])):
            _write(tmp_path / f"{split}.jsonl", _jsonl(texts))
        assert list(iter_hub_documents(str(tmp_path), "any")) == ["一", "二\n", "三"]
        assert list(iter_hub_documents(str(tmp_path), "any", "test")) == ["四"]

    def test_a_folder_of_parquet_and_another_column(self, tmp_path: Path) -> None:
        for number in range(2):
            pq.write_table(pa.table({"id": [number], "body": [f"文書{number}"]}), tmp_path / f"train-{number}.parquet")
        assert list(iter_hub_documents(str(tmp_path), "any", field="body")) == ["文書0", "文書1"]

    def test_a_config(self, tmp_path: Path) -> None:
        for name in ("ja", "en"):
            (tmp_path / name).mkdir()
            _write(tmp_path / name / "train.jsonl", _jsonl([name]))
        configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.jsonl\n" for name in ("ja", "en"))
        (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n", encoding="utf-8")
        assert list(iter_hub_documents(str(tmp_path), "any", config="ja")) == ["ja"]
        with pytest.raises(InputError, match=r"ValueError: BuilderConfig 'fr' not found\. Available: \['ja', 'en'\]\); check name, config and split"):
            list(iter_hub_documents(str(tmp_path), "any", config="fr"))

    def test_it_is_streamed(self, tmp_path: Path) -> None:
        _write(tmp_path / "train-0.jsonl", _jsonl(["一", "二"]))
        _write(tmp_path / "train-1.jsonl", b"broken\n")
        documents = iter_hub_documents(str(tmp_path), "any")
        assert list(islice(documents, 2)) == ["一", "二"]
        with pytest.raises(
            InputError, match=r"at any: split 'train' cannot be read .*; check name, config and split, or give the folder of a local copy"
        ) as caught:
            next(documents)
        assert "\n" not in str(caught.value)

    def test_an_unknown_split(self, tmp_path: Path) -> None:
        _write(tmp_path / "train.jsonl", LINE)
        with pytest.raises(InputError, match=r"split 'dev' cannot be read \(ValueError: Bad split: dev\. Available splits: \['train'\]\)"):
            list(iter_hub_documents(str(tmp_path), "any", "dev"))

    def test_no_such_column(self, tmp_path: Path) -> None:
        _write(tmp_path / "train.jsonl", b'{"body": "a", "id": 1}\n')
        with pytest.raises(InputError, match=r":row 1: no column 'text'; there are: body, id; name the right one with 'field:'"):
            list(iter_hub_documents(str(tmp_path), "any"))

    @pytest.mark.parametrize(("value", "found"), [("null", "null"), ("1", "of type int")])
    def test_a_row_that_is_no_text(self, tmp_path: Path, value: str, found: str) -> None:
        _write(tmp_path / "train.jsonl", f'{{"text": {value}}}\n'.encode())
        with pytest.raises(InputError, match=f":row 1: column 'text' is {found}, and text is needed; name the right one"):
            list(iter_hub_documents(str(tmp_path), "any"))

    def test_only_empty_texts(self, tmp_path: Path) -> None:
        _write(tmp_path / "train.jsonl", _jsonl(["", " "]))
        with pytest.raises(InputError, match="split 'train' holds no document; choose another split"):
            list(iter_hub_documents(str(tmp_path), "any"))

    def test_a_hub_out_of_reach(self) -> None:
        with pytest.raises(InputError, match=r"some/thing at abc: the hub cannot be reached \(.*\); check the network, or give the folder of a local copy"):
            list(iter_hub_documents("some/thing", "abc"))


def test_an_unknown_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on this machine answers as the hub does for a name that it does not have."""
    import datasets
    from huggingface_hub import close_session, constants

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # `make test` sets it for the process
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        close_session()  # an open one was made for offline use
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", url)
        with pytest.raises(
            InputError, match=r"some/thing at abc: no such dataset, or it is closed to you \(.*\); check name and revision, or run: hf auth login"
        ):
            list(iter_hub_documents("some/thing", "abc"))
        server.shutdown()


def test_patterns_become_files_in_order_and_once(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b1.jsonl", "b2.jsonl", "a.txt", "c[1].txt", "deep/d.txt", "deep/er/e.txt"):
        (tmp_path / name).touch()

    def found(*patterns: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in expand_paths([str(tmp_path / pattern) for pattern in patterns])]

    assert found("b2.jsonl", "a.txt") == ["b2.jsonl", "a.txt"]
    assert found("b?.jsonl", "a.txt") == ["b1.jsonl", "b2.jsonl", "a.txt"]
    assert found("b2.jsonl", "b*", "deep/../b1.jsonl") == ["b2.jsonl", "b1.jsonl"]
    assert found("*") == ["a.txt", "b1.jsonl", "b2.jsonl", "c[1].txt"]
    assert found("[ab].txt", "c[1].txt") == ["a.txt", "c[1].txt"]
    assert found("**/*.txt") == ["a.txt", "c[1].txt", "deep/d.txt", "deep/er/e.txt"]
    assert expand_paths([]) == []


def test_a_relative_pattern_stays_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert expand_paths(["*.txt", "x.txt"]) == [Path("x.txt")]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("none.txt", r"none\.txt: no such file; check the path"),
        ("*.parquet", r"\*\.parquet: no file matches this pattern; check it"),
        ("fold*", r"fold\*: no file matches this pattern"),
        ("folder", r"folder: is a folder; give its files, or a pattern such as .*folder/\*\.jsonl"),
        ("link*", r"link\.txt: no such file; check the path"),
        ("a" * 300, r"a: cannot be read \(File name too long\)"),
    ],
)
def test_a_pattern_that_names_no_file_is_refused(tmp_path: Path, pattern: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "gone.txt")
    with pytest.raises(InputError, match=message):
        expand_paths([str(tmp_path / pattern)])
