"""`jp-adapt chat` as a user meets it: lines in, answers out, wrong options told."""

from __future__ import annotations

import io
import json

import pytest

from jp_adapt.cli.main import main
from tests.conftest import make_pico
from tests.export.models import TEMPLATE


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = make_pico(tmp_path_factory.mktemp("chat") / "pico")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def test_lines_are_answered_and_written_down(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("It rains.\n\n  雨です。  \n/end\n"))
    transcript = tmp_path / "talk.jsonl"
    options = ["--temperature", "0", "--max-tokens", "6", "--dtype", "float32", "--transcript", str(transcript)]
    assert main(["chat", str(model), *options]) == 0
    lines = [json.loads(line) for line in transcript.read_text(encoding="utf-8").splitlines()]
    assert [line["messages"][-1]["content"] for line in lines] == ["It rains.", "雨です。"]
    shown = capsys.readouterr().out
    assert all(line["answer"] in shown for line in lines)


def test_a_line_that_is_no_utf8_is_told(model, monkeypatch, capsys):
    stdin = io.TextIOWrapper(io.BytesIO("こんにちは\n".encode("cp932")), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["chat", str(model), "--max-tokens", "2", "--dtype", "float32"]) == 3
    assert "stdin: a line is not UTF-8; convert the text (for example: iconv -f CP932 -t UTF-8)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--temperature", "-1", "'-1' is not a number of at least 0"),
        ("--temperature", "nan", "'nan' is not a number of at least 0"),
        ("--top-p", "0", "'0' is not above 0 and at most 1"),
        ("--max-tokens", "x", "'x' is not a whole number of at least 1"),
    ],
)
def test_a_wrong_option_is_told(model, capsys, option, value, message):
    with pytest.raises(SystemExit, match="2"):
        main(["chat", str(model), f"{option}={value}"])
    assert message in capsys.readouterr().err
