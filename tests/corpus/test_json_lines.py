"""A JSON file that is not of JSON lines is told as what it is, once, with the command that converts it."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.conversations import read_conversations
from jp_adapt.corpus.preferences import read_preferences
from jp_adapt.corpus.prepare import Problems, SourceReader, _read
from jp_adapt.corpus.sources import iter_documents, iter_placed, read_documents

RECORDS = [{"text": "一", "instruction": "問い", "output": "答え"}, {"text": "二", "instruction": "問い", "output": "はい"}]
ARRAY, OBJECT = "a JSON array begins here, and one JSON object a line is read", "a JSON object begins here that continues in the next line"
SHAPES = {
    "an array on one line": (json.dumps(RECORDS), 1, ARRAY),
    "an array over lines": (json.dumps(RECORDS, indent=2), 1, ARRAY),
    "an array behind white lines and a mark": ("\ufeff\n  \n" + json.dumps(RECORDS, indent=1), 3, ARRAY),
    "an empty array": ("[]", 1, ARRAY),
    "an array of arrays": ('["問い", "答え"]\n["問い", "はい"]\n', 1, ARRAY),
    "a pretty object": (json.dumps(RECORDS[0], indent=2), 1, OBJECT),
    "pretty objects one after the other": ("\n".join(json.dumps(record, indent=4) for record in RECORDS), 1, OBJECT),
    "an object that opens with its first field": ('{"text": "一",\n "id": 1}\n', 1, OBJECT),
    "an object of all records": (json.dumps({"data": RECORDS}, indent=1), 1, OBJECT),
}
PACK = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("read", [read_documents, read_conversations, read_preferences])
@pytest.mark.parametrize("ending", [".jsonl", ".json"])
def test_another_shape_is_told_with_its_line_and_the_way_out(tmp_path: Path, shape: str, read, ending: str) -> None:
    text, line, what = SHAPES[shape]
    path = tmp_path / f"x{ending}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}:{line}: {what}")
    assert said.endswith(f"convert the file: jq -c '{'.[]' if what == ARRAY else '.'}' x{ending} > x-lines.jsonl")
    assert "\n" not in said


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("name", ["x", "it's $HOME"])
@pytest.mark.parametrize("shape", ["an array over lines", "pretty objects one after the other"])
def test_the_command_that_is_named_converts_the_file(tmp_path: Path, packing: str, name: str, shape: str) -> None:
    path = tmp_path / f"{name}.json{packing}"
    path.write_bytes(PACK[packing](SHAPES[shape][0].encode()))
    with pytest.raises(InputError) as caught:
        read_documents(path)
    subprocess.run(["/bin/sh", "-c", str(caught.value).partition("convert the file: ")[2]], cwd=tmp_path, check=True)
    assert read_documents(tmp_path / f"{name}-lines.jsonl") == ["一", "二"]


def test_a_file_of_another_shape_is_one_problem_and_not_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(RECORDS * 50, indent=2), encoding="utf-8")
    errors: list[str] = []
    assert list(iter_placed(path, on_error=lambda error: errors.append(str(error)))) == []
    assert len(errors) == 1


@pytest.mark.parametrize("broken", ['{"text": "あ", ', "{", '{"text": ', '{"a": {"b": [1,'])
def test_a_first_line_that_is_cut_is_one_broken_line_and_no_other_shape(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(f"{broken}\n" + "".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    errors: list[str] = []
    assert [text for _, text in iter_placed(path, on_error=lambda error: errors.append(str(error)))] == ["一", "二"]
    assert len(errors) == 1
    assert errors[0].startswith(f"{path}:1: not valid JSON")
    with pytest.raises(InputError, match=r"x\.jsonl:1: not valid JSON"):
        list(iter_documents(path))


@pytest.mark.parametrize("content", ["[1]", "{", '{"text": 3}', "nonsense"])
def test_a_refusal_is_wrapped_once(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content, encoding="utf-8")
    source = SourceReader("mine", (lambda on_error: iter_placed(path, on_error=on_error),))
    with pytest.raises(InputError) as caught:
        list(_read(source, source.units[0], Problems()))
    said = str(caught.value)
    assert said.startswith(f"source 'mine': {path}")
    assert said.count("source 'mine'") == 1
    assert said.count("on_error: skip") == (content != "[1]"), "to skip an array would skip the whole file"


def test_the_command_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text(json.dumps(RECORDS, indent=2), encoding="utf-8")
    recipe = "format: 1\nname: a\nsources: {a: {path: x.json, language: ja, licence: CC0-1.0}}\ntexts: true\n"
    (tmp_path / "corpus.yaml").write_text(recipe, encoding="utf-8")
    for command in (["check", str(tmp_path / "corpus.yaml")], ["corpus", "prepare", str(tmp_path / "corpus.yaml"), "--out", str(tmp_path / "out")]):
        assert main(command) == 3
        assert [line for line in capsys.readouterr().err.splitlines() if "error" in line] == [
            f"error: source 'a': {tmp_path}/x.json:1: {ARRAY}; convert the file: jq -c '.[]' x.json > x-lines.jsonl"
        ]
