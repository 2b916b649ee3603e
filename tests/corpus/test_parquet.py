"""Rows of .parquet files come back as they were written, and the first one that cannot be read is named with its number."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.corpus import lines
from jp_adapt.corpus.sources import iter_documents, iter_placed, read_documents
from tests.corpus.files import LINE, hash_text, parquet


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_row_of_a_parquet_is_a_document(tmp_path: Path, kind: pa.DataType) -> None:
    texts = [f"文書 {n % 300}\n二行目" for n in range(1000)]
    path = parquet(tmp_path / "x.parquet", texts, kind, row_group_size=400)
    assert list(iter_documents(path)) == read_documents(path) == texts


def test_another_column(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"n": [1, 2], "a.b": ["一", "二"], "a": ["x", "y"]}), path)
    assert list(iter_documents(path, "a.b")) == ["一", "二"]
    assert list(iter_documents(path, "a")) == ["x", "y"]


def test_a_parquet_without_the_column_names_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"body": ["a"], "id": [1]}), path)
    with pytest.raises(InputError, match=r"x\.parquet: no column 'text'; there are: body, id; name the right one: 'field: NAME' in a recipe's source"):
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
    way_out = "name the right one: 'field: NAME' in a recipe's source, --field NAME on the command line, or convert the column"
    assert str(caught.value) == f"{path}: column 'text' holds {kind} and not string; {way_out}"


@pytest.mark.parametrize(("wrong", "message"), [(None, "is null, and text is needed; take the row out"), (" \n", "is empty; take the row out")])
@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_row_without_text_is_named(tmp_path: Path, wrong: str | None, message: str, kind: pa.DataType) -> None:
    path = parquet(tmp_path / "x.parquet", ["a"] * 700 + [wrong, "b"], kind)
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
        list(iter_documents(parquet(tmp_path / "x.parquet", [])))


@pytest.mark.parametrize("part", ["none", "text", "cut short", "torn inside", "one letter"])
def test_a_damaged_parquet_is_refused(tmp_path: Path, part: str) -> None:
    path = parquet(tmp_path / "x.parquet", [f"{n} {hash_text(n)}" for n in range(2000)], write_page_checksum=True, compression="none", use_dictionary=False)
    whole = path.read_bytes()
    torn = whole[:3000] + bytes(200) + whole[3200:]
    letter = whole.replace(b"1000 ", b"1001 ")  # only the checksum of the page can tell
    path.write_bytes({"none": b"", "text": LINE, "cut short": whole[:-100], "torn inside": torn, "one letter": letter}[part])
    with pytest.raises(InputError, match=r"x\.parquet: not a parquet file, or damaged \(.+\); fetch it again, or write it again") as caught:
        list(iter_documents(path))
    assert "\n" not in str(caught.value)


MEASURE = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
import pyarrow.parquet
from jp_adapt.corpus.sources import iter_placed
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
errors = []
read = sum(len(text) for _, text in iter_placed(Path(sys.argv[1]), on_error=lambda error: errors.append(str(error))))
print(read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *errors)
"""


def read_apart(path: Path) -> tuple[int, int, str]:
    """In a process of its own: characters that were read, KiB that it grew by, and the errors."""
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, cwd=root, timeout=60, check=True)
    read, grown, *errors = ended.stdout.split(" ", 2)
    return int(read), int(grown), "".join(errors).strip()


def test_rows_that_share_one_long_value_are_in_memory_a_few_at_a_time(tmp_path: Path) -> None:
    """A dictionary-coded column: 1 MB in the file for 250 MB of text."""
    table = pa.table({"text": pa.DictionaryArray.from_arrays(pa.array([0] * 250, pa.int32()), pa.array(["a" * 1_000_000]))})
    pq.write_table(table.cast(pa.schema([("text", pa.string())])), tmp_path / "x.parquet", dictionary_pagesize_limit=2**30)
    read, grown, errors = read_apart(tmp_path / "x.parquet")
    assert (read, errors) == (250_000_000, "")
    assert grown < 100_000


def test_a_column_that_unpacks_to_far_more_than_text_does_is_refused(tmp_path: Path) -> None:
    table = pa.table({"meta": [{"text": "x", "more": 1}], "text": ["a" * 80_000_000]})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    read, grown, errors = read_apart(path)
    assert read == 0
    assert re.fullmatch(rf"{path}: column 'text' unpacks to [0-9,]+ times its size, and no text does; fetch the file again", errors)
    assert grown < 100_000


def test_a_row_of_more_bytes_than_a_document_may_have_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_DOCUMENT_BYTES", 10)
    errors: list[str] = []
    path = parquet(tmp_path / "x.parquet", ["a" * 10, "b" * 11, "c"], compression="none")
    assert [text for _, text in iter_placed(path, on_error=lambda error: errors.append(str(error)))] == ["a" * 10, "c"]
    assert errors == [f"{path}:row 2: column 'text' has 11 bytes, and a document at most 10; take the row out, or cut it"]
