"""Numbers on the command line: within bounds, or told as wrong usage."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from jp_adapt.cli.arguments import LARGEST, MOST_PROCESSES, MOST_TEXT, amount, count, length, names_or_paths, port, positive, processes, seed, temperature
from jp_adapt.cli.main import main


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (positive, "1", 1),
        (port, "65535", 65_535),
        (positive, str(LARGEST), LARGEST),
        (processes, str(MOST_PROCESSES), MOST_PROCESSES),
        (length, "100000000000", 100_000_000_000),
        (length, str(MOST_TEXT), MOST_TEXT),
        (length, "2e8", 200_000_000),
        (length, "1.5e9", 1_500_000_000),
        (length, "200_000_000", 200_000_000),
        (amount, "0", 0.0),
        (amount, "1e-3", 0.001),
    ],
)
def test_what_is_a_number(kind: Callable[[str], float], text: str, value: float) -> None:
    assert kind(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "²", "1.5", "9" * 20, "9" * 5_000, "inf", "nan", "1_0" * 9, str(LARGEST + 1)])
def test_what_is_none(text: str) -> None:
    for kind in (positive, processes, port):
        with pytest.raises(argparse.ArgumentTypeError):
            kind(text)


@pytest.mark.parametrize("text", ["-1", "", "x", "inf", "nan", "1e400", "9" * 5_000, "1e308"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        amount(text)


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "1.5", "1e-3", "1e16", "-1e999999", "1e999999", "inf", "nan", "sNaN"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        length(text)


def test_a_path_may_hold_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b, c.yaml").touch()
    assert names_or_paths("ja/jnli,a,b, c.yaml, ja/jsts") == ("ja/jnli", "a,b, c.yaml", "ja/jsts")
    assert names_or_paths("a,b") == ("a", "b")
    with pytest.raises(argparse.ArgumentTypeError, match="nothing is named"):
        names_or_paths(" , ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["corpus", "prepare", "quickstart-corpus", "--out", "o", "--processes", "9" * 20],
        ["run", "quickstart", "--processes", "100000"],
        ["eval", "m", "--limit", "9" * 400],
        ["tokenizer", "extend", "--base", "b", "--corpus", "c", "--out", "o", "--new-tokens", "9" * 20],
        ["tokenizer", "extend", "--base", "b", "--corpus", "c", "--out", "o", "--new-tokens", "1", "--weights", "1e308"],
        ["judge", "a", "--benchmark", "ja/rakuda", "--price-in", "1e400"],
        ["plan", "quickstart", "--price", "nan"],
        ["launch", "quickstart", "--slurm", "--nodes", "9" * 30],
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_number_far_too_large_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: argument --")


def test_the_last_port() -> None:
    assert port("65535") == 65_535


def test_an_argument_that_is_no_utf8_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "b\udcff.yaml"]) == 2
    assert capsys.readouterr().err == "error: 'b\\udcff.yaml': byte 0xFF is not UTF-8; give the file or folder another name\n"


@pytest.mark.parametrize("verb", [["ui", "--no-browser"], ["serve", "model", "--print"]])
def test_a_port_that_is_none_is_told(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*verb, "--port", "99999"])
    assert stopped.value.code == 2
    assert "'99999' is not a port (1 to 65535)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "text", "rule"),
    [
        (count, "-1", "at least 0 and at most 2,147,483,647"),
        (positive, "0", "at least 1 and at most"),
        (seed, "-1", "at least 0 and at most 18 digits"),
        (length, str(MOST_TEXT + 1), "at least 1 and at most 1,000,000,000,000,000"),
        (temperature, "nan", "at least 0 and at most 100"),
        (temperature, "101", "at least 0 and at most 100"),
    ],
)
def test_the_bounds_that_are_said_are_those_that_hold(kind: Callable[[str], object], text: str, rule: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rule):
        kind(text)
