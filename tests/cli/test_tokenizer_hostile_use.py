"""Texts, places and flags that the tokenizer commands cannot work with: each is one line of error, and nothing is left behind."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from tests.cli.conftest import EN, JA, Refuse, extend

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


# Where nothing is, or something else.


@pytest.mark.parametrize("action", ["extend", "verify", "verify extended", "compare"])
@pytest.mark.parametrize("kind", ["missing", "empty folder", "a folder named tokenizer.json", "an empty file", "a folder of other files", "a name too long"])
def test_no_tokenizer_there(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, action: str, kind: str) -> None:
    place = tmp_path / ("x" * 300 if kind == "a name too long" else "base")
    if kind == "an empty file":
        place.write_bytes(b"")
    elif kind not in ("missing", "a name too long"):
        place.mkdir()
    if kind == "a folder named tokenizer.json":
        (place / "tokenizer.json").mkdir()
    if kind == "a folder of other files":
        (place / "config.json").write_text("{}", encoding="utf-8")
    commands: dict[str, list[object]] = {
        "extend": extend(place, tmp_path / "out"),
        "verify": ["verify", place, bases["small"], "--texts", EN],
        "verify extended": ["verify", bases["small"], place, "--texts", EN],
        "compare": ["compare", bases["small"], place, "--texts", EN],
    }
    assert str(place) in refuse(*commands[action])


@pytest.mark.parametrize("name", ["org/name@main", "org/name@0123", "@", "a@b@c", "org/na me@x"])
def test_a_hub_that_gives_nothing(tmp_path: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise OSError("Cannot reach the hub\nwith a second line")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    assert "the hub does not give it (Cannot reach the hub)" in refuse(*extend(name, tmp_path / "out"))


# Texts.

TEXTS: dict[str, tuple[str, bytes]] = {
    "empty .txt": ("a.txt", b""),
    "white space": ("a.txt", b" \n\n\t\n"),
    "empty .jsonl": ("a.jsonl", b""),
    "blank lines": ("a.jsonl", b"\n\n"),
    "a text that is empty": ("a.jsonl", b'{"text": ""}\n'),
    "another field": ("a.jsonl", b'{"body": "\xe6\x97\xa5"}\n'),
    "a number for a text": ("a.jsonl", b'{"text": 7}\n'),
    "null for a text": ("a.jsonl", b'{"text": null}\n'),
    "a list for a line": ("a.jsonl", b'["text"]\n'),
    "half a line": ("a.jsonl", b'{"text": "abc'),
    "a lone surrogate": ("a.jsonl", b'{"text": "\\ud800"}\n'),
    "a good line and a bad one": ("a.jsonl", b'{"text": "\xe6\x97\xa5"}\n{"text": \n'),
    "nesting without end": ("a.jsonl", b"[" * 100_000 + b"\n"),
    "Shift_JIS": ("a.txt", "日本語".encode("cp932")),
    "EUC-JP": ("a.txt", "日本語".encode("euc_jp")),
    "UTF-16": ("a.txt", "日本語".encode("utf-16")),
    "NUL bytes": ("a.txt", b"abc\0def"),
    "a picture": ("a.txt", b"\x89PNG\r\n\x1a\n\0\0"),
    "gzip without its name": ("a.txt", gzip.compress("日本語".encode())),
    "no gzip": ("a.txt.gz", "日本語".encode()),
    "half of gzip": ("a.jsonl.gz", gzip.compress(b'{"text": "abc"}\n' * 99)[:-12]),
    "no zstd": ("a.txt.zst", "日本語".encode()),
    "no parquet": ("a.parquet", b"PAR1 and nothing else"),
    "empty parquet": ("a.parquet", b""),
    "another kind of file": ("a.pdf", b"%PDF-1.7"),
    "no kind of file": ("text", "日本語".encode()),
}


@pytest.mark.parametrize("action", ["extend", "unchanged", "verify", "compare"])
@pytest.mark.parametrize("kind", TEXTS)
def test_texts_that_cannot_be_read(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, action: str, kind: str) -> None:
    name, data = TEXTS[kind]
    path = tmp_path / name
    path.write_bytes(data)
    commands: dict[str, list[object]] = {
        "extend": extend(bases["small"], tmp_path / "out", corpus=path),
        "unchanged": extend(bases["small"], tmp_path / "out", "--unchanged", path),
        "verify": ["verify", bases["small"], bases["small"], "--texts", path, "--out", tmp_path / "out"],
        "compare": ["compare", bases["small"], "--texts", path, "--out", tmp_path / "out"],
    }
    assert str(path) in refuse(*commands[action])


@pytest.mark.parametrize("action", ["extend", "verify", "compare"])
@pytest.mark.parametrize("kind", ["missing", "folder", "pattern without a file", "pattern that finds a folder", "nothing"])
def test_texts_that_are_not_there(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, action: str, kind: str) -> None:
    (tmp_path / "folder").mkdir()
    text = {
        "missing": str(tmp_path / "nowhere.txt"),
        "folder": str(tmp_path / "folder"),
        "pattern without a file": str(tmp_path / "*.txt"),
        "pattern that finds a folder": str(tmp_path / "fol*"),
        "nothing": "",
    }[kind]
    commands: dict[str, list[object]] = {
        "extend": extend(bases["small"], tmp_path / "out", corpus=text),
        "verify": ["verify", bases["small"], bases["small"], "--texts", text],
        "compare": ["compare", bases["small"], "--texts", text],
    }
    refuse(*commands[action])


NOT_ENOUGH: dict[str, tuple[str, int, str]] = {
    "no Japanese": ("Only English here.\n\nAnd numbers: 123.", 20, "holds no Japanese character"),
    "other scripts": ("한국어 текст ελληνικά 😀 ㄱㄴ \u3000", 20, "holds no Japanese character"),
    "one character": ("猫", 20, "asked for 20 new tokens, and the corpus gives 0 Japanese strings"),
    "one line many times": ("\n".join(["猫が鳴く"] * 500), 50, "asked for 50 new tokens, and the corpus gives"),
    "more than there is": ("\n".join(f"{n} 猫が鳴く" for n in range(9)), 1000, "asked for 1,000 new tokens, and the corpus gives"),
    "very many more": ("\n".join(f"{n} 猫が鳴く" for n in range(9)), 100_000, "asked for 100,000 new tokens, and the corpus gives"),
}


@pytest.mark.parametrize("name", ["small", "sp", "tik"])
@pytest.mark.parametrize("kind", NOT_ENOUGH)
def test_a_corpus_that_is_not_enough(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, name: str, kind: str) -> None:
    text, number, message = NOT_ENOUGH[kind]
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert message in refuse(*extend(bases[name], tmp_path / "out", "--no-cover", corpus=tmp_path / "a.txt", number=number))


# Flags.

FLAGS: dict[str, list[object]] = {
    "no tokens": ["--new-tokens", "0"],
    "fewer than none": ["--new-tokens=-5"],
    "a fraction": ["--new-tokens", "1.5"],
    "a word": ["--new-tokens", "many"],
    "scientific": ["--new-tokens", "1e3"],
    "empty number": ["--new-tokens", ""],
    "full-width digits of another script": ["--new-tokens", "٣x"],
    "weights too many": ["--weights", "1", "2"],
    "weight of zero": ["--weights", "0"],
    "weight below zero": ["--weights=-1"],
    "weight of NaN": ["--weights", "nan"],
    "weight without end": ["--weights", "inf"],
    "weight in words": ["--weights", "heavy"],
    "weight that no count can bear": ["--weights", "1e308"],
    "new tokens of 20 digits": ["--new-tokens", "9" * 20],
    "least of 20 digits": ["--min-count", "9" * 20],
    "pad to 5,000 digits": ["--pad-to", "9" * 5000],
    "weights without one": ["--weights"],
    "boundaries": ["--boundaries", "sentence"],
    "longest of zero": ["--max-token-chars", "0"],
    "longest in words": ["--max-token-chars", "long"],
    "least of zero": ["--min-count", "0"],
    "pad to zero": ["--pad-to", "0"],
    "pad to a fraction": ["--pad-to", "6.4"],
    "unknown flag": ["--fast"],
    "a flag cut in two": ["--new", "--tokens"],
    "something left over": ["left", "over", "--json", "more"],
    "hub without revision": ["--corpus", "hub:org/name"],
    "hub without name": ["--corpus", "hub:@x"],
    "hub alone": ["--corpus", "hub:"],
    "unchanged hub without revision": ["--unchanged", "hub:org/name"],
}


@pytest.mark.parametrize("kind", FLAGS)
def test_flags_of_extend(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, kind: str) -> None:
    refuse(*extend(bases["small"], tmp_path / "out"), *FLAGS[kind], code=2)


@pytest.mark.parametrize("missing", ["--base", "--corpus", "--new-tokens", "--out"])
def test_a_flag_that_is_missing(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, missing: str) -> None:
    command = extend(bases["small"], tmp_path / "out")
    at = command.index(missing)
    assert missing in refuse(*command[:at], *command[at + 2 :], code=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["exten"],
        ["extend"],
        ["verify"],
        ["verify", "a"],
        ["verify", "a", "b"],
        ["verify", "a", "b", "--texts"],
        ["compare"],
        ["compare", "a"],
        ["compare", "--texts", "a"],
    ],
    ids=" ".join,
)
def test_commands_that_are_not_whole(refuse: Refuse, arguments: list[str]) -> None:
    refuse(*arguments, code=2)


@pytest.mark.parametrize("action", ["extend", "verify", "compare"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_out_that_exists(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, action: str, kind: str) -> None:
    out = tmp_path / "out"
    out.mkdir() if kind == "folder" else out.write_text("mine", encoding="utf-8")
    commands: dict[str, list[object]] = {
        "extend": extend(bases["small"], out),
        "verify": ["verify", bases["small"], bases["small"], "--texts", EN, "--out", out],
        "compare": ["compare", bases["small"], "--texts", EN, "--out", out],
    }
    assert f"{out}: exists already" in refuse(*commands[action], code=2)


@pytest.mark.parametrize("action", ["extend", "verify", "compare"])
def test_an_out_inside_a_file(bases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    out = tmp_path / "file" / "out"
    commands: dict[str, list[object]] = {
        "extend": extend(bases["small"], out),
        "verify": ["verify", bases["small"], bases["small"], "--texts", EN, "--out", out],
        "compare": ["compare", bases["small"], "--texts", EN, "--out", out],
    }
    assert main(["tokenizer", *map(str, commands[action])]) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# Permission.


@AS_ROOT
@pytest.mark.parametrize("what", ["tokenizer.json", "tokenizer.model", "folder", "corpus"])
def test_what_may_not_be_read(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, what: str) -> None:
    base = shutil.copytree(bases["sp"], tmp_path / "base")
    corpus = Path(shutil.copy(JA, tmp_path / "ja.jsonl"))
    locked = {"folder": base, "corpus": corpus}.get(what, base / what)
    locked.chmod(0)
    try:
        refuse(*extend(base, tmp_path / "out", corpus=corpus))
    finally:
        locked.chmod(0o755)


@AS_ROOT
def test_where_nothing_may_be_written(bases: dict[str, Path], tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refuse(*extend(bases["small"], tmp_path / "locked" / "out"), code=2)


def test_where_nothing_may_be_written_is_said_before_the_work(tmp_path: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the base is looked for. Root may write everywhere, so that the system's answer is put in its mouth."""
    monkeypatch.setattr("jp_adapt.core.files.os.access", lambda *_, **__: False)
    assert f"{tmp_path}: cannot be written (Permission denied)" in refuse(*extend(tmp_path / "no-base", tmp_path / "out"), code=2)
