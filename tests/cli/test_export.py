"""`jp-adapt export`: files for other programs, what is said of them, and exit codes."""

from __future__ import annotations

import json

import pytest

from jp_adapt.cli.main import main
from jp_adapt.export import llama_cpp


@pytest.fixture(autouse=True)
def without_llama_cpp(monkeypatch):
    monkeypatch.setattr(llama_cpp, "missing_extra", lambda extra: f"{extra} is away")


def test_one_file_and_what_was_proven_of_it(pico, tmp_path, capsys):
    out = tmp_path / "pico.gguf"
    assert main(["export", "gguf", str(pico), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert "pico.gguf: 0 MB\n  fields, tokens and weights, read back\n  not checked in llama.cpp: gguf is away\n" in said.err
    assert out.read_bytes()[:4] == b"GGUF"


def test_several_files_as_json(pico, tmp_path, capsys):
    assert main(["export", "gguf", str(pico), "--out", str(tmp_path / "pico.gguf"), "--outtype", "q8_0,bf16", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [(entry["path"], entry["type"], entry["bytes"]) for entry in results] == [
        (str(tmp_path / f"pico-{kind}.gguf"), kind, (tmp_path / f"pico-{kind}.gguf").stat().st_size) for kind in ("Q8_0", "BF16")
    ]


@pytest.mark.parametrize(
    ("model", "arguments", "code", "message"),
    [
        ("pico", ["--type", "IQ2_M"], 2, "error: type IQ2_M: needs an importance matrix"),
        ("empty", ["--type", "Q9"], 2, "error: type Q9: not a type that is exported"),
        ("empty", [], 3, "no config.json here; give the folder of a Hugging Face model"),
    ],
)
def test_what_cannot_be_done(pico, tmp_path, capsys, model, arguments, code, message):
    folder = pico if model == "pico" else tmp_path
    assert main(["export", "gguf", str(folder), "--out", str(tmp_path / "x.gguf"), *arguments]) == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_type_is_wrong_usage(pico, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["export", "gguf", str(pico), "--out", str(tmp_path / "x.gguf"), "--type", ","])
    assert "argument --type/--outtype: nothing is named" in capsys.readouterr().err
