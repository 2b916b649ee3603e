"""Readers: every layout that upstream repositories have, and what is said of a file that is broken."""

from __future__ import annotations

import gzip
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from pydantic import ValidationError

from jp_adapt.benchmarks.benchmark import Split
from jp_adapt.benchmarks.files import read_split
from jp_adapt.benchmarks.items import load_benchmark, load_declaration
from jp_adapt.core.errors import InputError
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.shipped import shipped_benchmarks
from tests.data import SHARED

DATA = SHARED / "benchmarks"


def read(folder: Path, **fields: Any) -> list[dict[str, Any]]:
    """Records without the places that the reader adds."""
    return [{key: value for key, value in record.items() if not key.startswith("_")} for record in read_split(Split.model_validate(fields), folder).records]


def test_jsonl_plain_packed_and_zipped(tmp_path: Path) -> None:
    rows = [{"a": "一\u2028二"}, {"a": "三"}]
    text = "\ufeff" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "x.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "x.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    (tmp_path / "x.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("inside/x.jsonl", text)
    for name in ("x.jsonl", "x.jsonl.gz", "x.jsonl.xz", "x.jsonl.zst", "x.zip!inside/x.jsonl"):
        assert read(tmp_path, files=[name], reader="jsonl") == rows


def test_places_and_hashes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('1,"x\ny"\n2,z\n', encoding="utf-8")
    (tmp_path / "b.csv").write_text("3,w\n", encoding="utf-8")
    results = read_split(Split.model_validate({"files": ["*.csv"], "reader": "csv", "columns": ["n", "t"]}), tmp_path)
    assert [(record["n"], record["t"], record["_file"], record["_index"]) for record in results.records] == [
        ("1", "x\ny", "a", 0),
        ("2", "z", "a", 1),
        ("3", "w", "b", 2),
    ]
    assert results.places == [f"{tmp_path / 'a.csv'}:2", f"{tmp_path / 'a.csv'}:3", f"{tmp_path / 'b.csv'}:1"]
    assert results.sha256 == {name: sha256_file(tmp_path / name) for name in ("a.csv", "b.csv")}


def test_a_quote_in_a_tsv_is_text(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text('a\tb\n"猫\tいる"\n', encoding="utf-8")
    assert read(tmp_path, files=["x.tsv"], reader="tsv") == [{"a": '"猫', "b": 'いる"'}]


def test_names_with_spaces_get_others(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("The question,b\n何？,1\n", encoding="utf-8")
    assert read(tmp_path, files=["x.csv"], reader="csv", rename={"The question": "question", "c": "d"}) == [{"question": "何？", "b": "1"}]


def test_nested_json_is_merged_downwards(tmp_path: Path) -> None:
    data = {"data": [{"title": "t", "paragraphs": [{"context": "c", "qas": [{"id": 1}, {"id": 2}]}]}], "version": "1"}
    (tmp_path / "x.json").write_text(json.dumps(data), encoding="utf-8")
    rows = read(tmp_path, files=["x.json"], reader="json", rows=["data", "paragraphs", "qas"])
    assert rows == [{"version": "1", "title": "t", "context": "c", "id": 1}, {"version": "1", "title": "t", "context": "c", "id": 2}]


def test_parquet_xml_lines_and_constants(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"a": {"b": [1, 2]}}]), tmp_path / "x.parquet")
    assert read(tmp_path, files=["x.parquet"], reader="parquet") == [{"a": {"b": [1, 2]}}]
    (tmp_path / "x.xml").write_text('<qs><q id="1"><text> 何？ </text><answers><answer>あ</answer><answer/></answers></q></qs>', encoding="utf-8")
    assert read(tmp_path, files=["x.xml"], reader="xml", rows=["q"]) == [{"id": "1", "text": "何？", "answers": ["あ", ""], "answers_answer": ["あ", ""]}]
    (tmp_path / "y.xml").write_text("<qs><q><p><s>一</s><e>1</e></p><p><s>二</s></p></q></qs>", encoding="utf-8")
    assert read(tmp_path, files=["y.xml"], reader="xml", rows=["q"]) == [{"p": ["一", "1", "二"], "p_s": ["一", "二"], "p_e": ["1"]}]
    (tmp_path / "s").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "t").write_text("あ\nい\n", encoding="utf-8")
    assert read(tmp_path, files=["s", "t"], reader="lines", columns=["x", "y"]) == [{"x": "a", "y": "あ"}, {"x": "b", "y": "い"}]
    (tmp_path / "x.py").write_text('import os; os.abort()\nX = {"ja": {"1": {"q": "a" "b"}}}\n', encoding="utf-8")
    assert read(tmp_path, files=["x.py"], reader="python", rows=["X", "ja"]) == [{"q": "ab"}]


@pytest.mark.parametrize(
    ("name", "content", "fields", "message"),
    [
        ("x.jsonl", b'{"a": 1}\n{', {"reader": "jsonl"}, r"x\.jsonl:2: not valid JSON"),
        ("x.jsonl", "日".encode("cp932"), {"reader": "jsonl"}, r"x\.jsonl:1: byte 0x93 is not UTF-8"),
        ("x.json", b"[1]", {"reader": "json"}, r"x\.json: expected JSON objects, and found '1'"),
        ("x.json", b'{"a": []}', {"reader": "json", "rows": ["b"]}, r"x\.json: an object has no 'b'; it has: a"),
        ("x.csv", b"1,2\n3\n", {"reader": "csv", "columns": ["a", "b"]}, r"x\.csv:2: 1 columns, and there are 2: a, b"),
        ("x.xml", b"<a><b></a>", {"reader": "xml", "rows": ["b"]}, r"x\.xml:1: not valid XML"),
        ("x.parquet", b"no", {"reader": "parquet"}, r"x\.parquet: not a parquet file"),
        ("x.zip", b"no", {"reader": "jsonl", "files": ["x.zip!a"]}, r"x\.zip: cannot be read"),
        ("x.gz", b"no", {"reader": "jsonl"}, r"x\.gz: cannot be read"),
        ("x.py", b"X = f()", {"reader": "python", "rows": ["X"]}, r"x\.py: 'X' is not a constant"),
        ("x.py", b"Y = 1", {"reader": "python", "rows": ["X"]}, r"x\.py: no constant 'X'"),
        ("x.json", b"[" * 5_000, {"reader": "json"}, r"x\.json: JSON nested deeper than 100 levels"),
        ("x.json", b"9" * 5_000, {"reader": "json"}, r"x\.json: a number of 5,000 digits"),
        ("x.jsonl", b'{}\n{"a": "\\ud800"}', {"reader": "jsonl"}, r"x\.jsonl:2: holds a lone surrogate"),
        ("x.jsonl", b'{"a": NaN}', {"reader": "jsonl"}, r"x\.jsonl:1: NaN is not a number of JSON"),
        ("x.py", b"X = " + b"(" * 50_000, {"reader": "python", "rows": ["X"]}, r"x\.py: 'X' is not a constant"),
        ("x.py", b"X = " + b"-" * 50_000 + b"1", {"reader": "python", "rows": ["X"]}, r"x\.py: 'X' is not a constant"),
        ("x.py", b"X = " + b"9" * 50_000, {"reader": "python", "rows": ["X"]}, r"x\.py: 'X' is not a constant"),
        ("x.py", b"X = {1: 2}", {"reader": "python", "rows": ["X", "a"]}, r"x\.py: an object has no 'a'; it has: 1"),
        ("x.py", b"#" * 1_100_000, {"reader": "python", "rows": ["X"]}, r"x\.py: has more than 1,048,576 characters"),
        ("x.xml", b"<a>" * 100_000, {"reader": "xml", "rows": ["b"]}, r"x\.xml:1: not valid XML"),
        ("x.gz", gzip.compress(bytes(150_000_000), mtime=0), {"reader": "jsonl"}, r"x\.gz: holds more than 134,217,728 bytes"),
        ("x.gz", gzip.compress(b"{}" * 9_000, mtime=0)[:-9], {"reader": "jsonl"}, r"x\.gz: cannot be read"),
        ("x.gz", gzip.compress(b"{}", mtime=0) + b"more", {"reader": "jsonl"}, r"x\.gz: cannot be read \(other data follow the last packed part\)"),
        ("x.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0" + b"\xff" * 99, {"reader": "jsonl"}, r"x\.gz: cannot be read"),
        ("x.jsonl", b"", {"reader": "jsonl", "files": ["y" * 5_000]}, r"cannot be read \(File name too long\)"),
        ("x.jsonl", b"", {"reader": "jsonl", "files": ["a[", "a*b?"]}, r"a\[: no such file"),
        ("x.jsonl", b"", {"reader": "jsonl", "files": ["y.jsonl"]}, r"y\.jsonl: no such file"),
        ("x.jsonl", b"", {"reader": "jsonl", "files": ["*.csv"]}, r"\*\.csv: no such file"),
    ],
)
def test_a_broken_file_is_told_with_its_place(tmp_path: Path, name: str, content: bytes, fields: dict[str, Any], message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path, **{"files": [name]} | fields)


@pytest.mark.parametrize("file", ["/etc/hosts", "/tmp/*.jsonl", "../x.jsonl", "a/../../x", "a**b", "**x", "**/**/x", "../x.zip!a"])
def test_a_file_outside_of_the_data_folder_is_refused_with_the_declaration(file: str) -> None:
    with pytest.raises(ValidationError, match=r"leads out of the data folder|'\*\*' stands once"):
        Split.model_validate({"files": [file], "reader": "jsonl"})


@pytest.mark.parametrize("reader", ["xml", "python"])
def test_a_reader_that_needs_rows_says_so(reader: str) -> None:
    with pytest.raises(ValidationError, match=f"reader {reader} needs 'rows'"):
        Split.model_validate({"files": ["x"], "reader": reader})


def test_a_pattern_goes_through_folders_in_order(tmp_path: Path) -> None:
    for name in ("b/x.jsonl", "a/deep/x.jsonl", "x.jsonl", "a/.hidden/x.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"name": name}), encoding="utf-8")
    assert [row["name"] for row in read(tmp_path, files=["**/*.jsonl"], reader="jsonl")] == ["a/deep/x.jsonl", "b/x.jsonl", "x.jsonl"]


def test_a_zip_that_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that unpacks to more than is read, one with a password, and a zip cut at every place."""
    monkeypatch.setattr("jp_adapt.benchmarks.files.MAX_DATA_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(1_500_000))
    with pytest.raises(InputError, match=r"x\.zip: holds more than"):
        read(tmp_path, files=["x.zip!a"], reader="jsonl")
    with zipfile.ZipFile(tmp_path / "y.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", '{"a": 1}')
    whole = (tmp_path / "y.zip").read_bytes()
    flagged = whole.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    for data in [flagged, *(whole[:end] for end in range(len(whole)))]:
        (tmp_path / "y.zip").write_bytes(data)
        with pytest.raises(InputError, match=r"y\.zip: "):
            read(tmp_path, files=["y.zip!a"], reader="jsonl")


def test_records_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jp_adapt.benchmarks.files.MAX_RECORDS", 3)
    (tmp_path / "x.jsonl").write_text("{}\n" * 4, encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.jsonl: more than 3 records"):
        read(tmp_path, files=["x.jsonl"], reader="jsonl")
    (tmp_path / "x.jsonl").write_text("{}\n" * 3, encoding="utf-8")
    assert len(read(tmp_path, files=["x.jsonl"], reader="jsonl")) == 3


def test_a_parquet_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jp_adapt.benchmarks.files.MAX_DATA_BYTES", 1_000_000)
    table = pyarrow.table({"a": pyarrow.array(["日" * 3_000] * 300)})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet", compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < 100_000
    with pytest.raises(InputError, match=r"x\.parquet: unpacks to more than"):
        read(tmp_path, files=["x.parquet"], reader="parquet")


def test_a_member_that_a_zip_lacks(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", "{}")
    with pytest.raises(InputError, match=r"x\.zip: no member 'b' in this archive"):
        read(tmp_path, files=["x.zip!b"], reader="jsonl")


def test_parallel_files_of_different_lengths(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "t").write_text("a\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"2 lines, and .* has 1"):
        read(tmp_path, files=["s", "t"], reader="lines")


COUNTS = {
    "ja/jcommonsenseqa": 1119, "ja/jnli": 2434, "ja/jsquad": 4442, "ja/jsts": 1457, "ja/jmmlu": 7097,
    "ja/niilc": 198, "ja/jemhopqa": 120, "ja/mgsm-ja": 250, "ja/xwinograd-ja": 959,
    "ja/jcola": 1550, "ja/jsick": 4927, "ja/jhumaneval": 164, "ja/elyza-tasks-100": 100, "ja/japanese-mt-bench": 80, "ja/rakuda": 40, "en/mgsm-en": 250,
}  # fmt: skip


@pytest.mark.skipif(not DATA.is_dir(), reason="development data is not here (JP_ADAPT_DATA names it)")
@pytest.mark.parametrize("name", COUNTS)
def test_the_real_data_has_as_many_items_as_published(name: str) -> None:
    loaded = load_benchmark(name, DATA, shots=False)
    assert len(loaded.items) == COUNTS[name]
    if name == "ja/jmmlu":
        assert len({item.group for item in loaded.items}) == 53


def test_no_declaration_invents_a_revision() -> None:
    for name in shipped_benchmarks():
        benchmark, _ = load_declaration(name)
        if benchmark.hub is not None and benchmark.hub.revision is None:
            assert benchmark.hub.note, f"{name}: say why the hub's copy is not pinned"


def test_parts_that_lie_in_other_files_are_joined(tmp_path: Path) -> None:
    (tmp_path / "asked.jsonl").write_text('{"id": 1, "q": "a"}\n{"id": "b", "q": "c"}\n{"q": "none"}\n{"id": [1], "q": "list"}', encoding="utf-8")
    (tmp_path / "right.jsonl").write_text('{"id": "b", "a": 3}\n{"id": 1, "a": 2}', encoding="utf-8")
    split = {"files": ["asked.jsonl"], "reader": "jsonl", "join": {"files": ["right.jsonl"], "by": "id"}}
    assert [record.get("a") for record in read(tmp_path, **split)] == [2, 3, None, None]
    assert read_split(Split.model_validate(split), tmp_path).sha256.keys() == {"asked.jsonl", "right.jsonl"}


@pytest.mark.parametrize(
    ("right", "message"), [('{"a": 2}', r"right\.jsonl:1: no 'id' that tells whose part this is"), ('{"id": 1}\n{"id": 1}', r":2: a second part of id '1'")]
)
def test_a_part_of_nobody_or_a_second_one_is_refused(tmp_path: Path, right: str, message: str) -> None:
    (tmp_path / "asked.jsonl").write_text('{"id": 1}', encoding="utf-8")
    (tmp_path / "right.jsonl").write_text(right, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read(tmp_path, files=["asked.jsonl"], reader="jsonl", join={"files": ["right.jsonl"], "by": "id"})


def test_a_join_stays_in_the_folder_and_has_records_to_join() -> None:
    with pytest.raises(ValidationError, match="leads out of the data folder"):
        Split.model_validate({"files": ["a"], "reader": "jsonl", "join": {"files": ["../b"], "by": "id"}})
    with pytest.raises(ValidationError, match="takes no 'join'"):
        Split.model_validate({"files": ["a"], "reader": "lines", "join": {"files": ["b"], "by": "id"}})


@pytest.mark.parametrize("more", [{"files": ["a", "b"]}, {"files": ["*"]}, {"sha256": "0" * 64}])
def test_gits_name_is_of_one_file(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="git_blob is of one file, named whole, and stands in the place of sha256"):
        Split.model_validate({"files": ["a"], "reader": "jsonl", "git_blob": "0" * 40} | more)
