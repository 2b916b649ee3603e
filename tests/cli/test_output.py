"""stdout and stderr that are closed, full, gone or in another encoding: one line and the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.cli.output import MAX_LINE, tell_error
from jp_adapt.core.shipped import shipped_benchmarks
from tests.processes import run
from tests.unprivileged import ROOT, closed, drop_rights

JP_ADAPT = f"'{sys.executable}' -m jp_adapt"


def _shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line.replace("jp-adapt", JP_ADAPT)], cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, timeout=60
    )


@cache
def _as_utf8(arguments: str) -> str:
    return _shell(f"jp-adapt {arguments}", ROOT, PYTHONIOENCODING="utf-8").stdout.decode()


@pytest.mark.parametrize("arguments", ["list", "list --json", "--help", "tokenizer --help", "show ja/jnli", "env"])
@pytest.mark.parametrize(
    ("stdout", "error"),
    [
        (">&-", b"error: stdout is closed; send it to a file, or to /dev/null\n"),
        ("> /dev/full", b"error: stdout cannot be written (No space left on device)\n"),
    ],
)
def test_stdout_that_takes_nothing(tmp_path: Path, arguments: str, stdout: str, error: bytes) -> None:
    done = _shell(f"jp-adapt {arguments} {stdout}", tmp_path)
    assert (done.returncode, done.stderr) == (1, error)


@pytest.mark.parametrize("arguments", ["list", "show quickstart", "--help", "eval --help", "list --json"])
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, arguments: str) -> None:
    done = _shell(f"set -o pipefail; jp-adapt {arguments} | head -c 1", tmp_path)
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 1, b"")
    gone = _shell(f"set -o pipefail; jp-adapt {arguments} | true", tmp_path)
    assert (gone.returncode, gone.stderr) == (0, b"")


@pytest.mark.parametrize("streams", ["2>&-", "2> /dev/full", "<&- 2>&-"])
def test_stderr_that_takes_nothing_keeps_the_exit_code(tmp_path: Path, streams: str) -> None:
    done = _shell(f"jp-adapt status nothing {streams}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
    assert _shell(f"jp-adapt list --wrong {streams}", tmp_path).returncode == 2
    fine = _shell(f"jp-adapt list {streams}", tmp_path)
    assert (fine.returncode, fine.stdout[:8]) == (0, b"recipes:")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp932", "utf-8"])
def test_an_encoding_without_these_characters(tmp_path: Path, encoding: str) -> None:
    for arguments in ("list", "--help"):
        done = _shell(f"jp-adapt {arguments}", tmp_path, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b""), arguments
        plain = _as_utf8(arguments)
        assert done.stdout.decode(encoding) == plain.encode(encoding, "replace").decode(encoding), arguments
    shown, plain = _shell("jp-adapt show ja/jnli", tmp_path, PYTHONIOENCODING=encoding), shipped_benchmarks()["ja/jnli"].read_text(encoding="utf-8")
    if encoding in ("cp932", "utf-8"):
        assert (shown.returncode, shown.stdout.decode(encoding), shown.stderr) == (0, plain, b""), "a file that is printed loses nothing"
    else:
        assert (shown.returncode, shown.stdout) == (1, b"")
        assert b"; print as UTF-8: PYTHONIOENCODING=utf-8 jp-adapt ..." in shown.stderr
    listed = _shell("jp-adapt list --json", tmp_path, PYTHONIOENCODING=encoding)
    assert json.loads(listed.stdout.decode(encoding)) == json.loads(_as_utf8("list --json"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "closed/run"],
        ["report", "closed/run"],
        ["check", "closed/recipe.yaml"],
        ["plan", "closed/recipe.yaml"],
        ["run", "closed/recipe.yaml"],
        ["eval", "page", "closed/run"],
        ["eval", "compare", "closed/a", "closed/b"],
        ["eval", "closed/model"],
        ["corpus", "stats", "closed/corpus"],
        ["corpus", "prepare", "closed/recipe.yaml", "--out", "out"],
        ["export", "adapter", "closed/adapter", "--base", "closed/base", "--out", "out"],
        ["merge", "models", "closed/merge.yaml", "--out", "out"],
        ["tokenizer", "verify", "closed/a", "closed/b", "--texts", "closed/x.txt"],
        ["judge", "closed/outputs.jsonl", "--benchmark", "ja/rakuda", "--data", "closed"],
    ],
    ids=" ".join,
)
def test_a_closed_folder_among_the_inputs_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "closed").mkdir()
    with closed(tmp_path / "closed", 0o000):
        done = run(*arguments, cwd=tmp_path, prepare=drop_rights)
    assert (done.returncode, done.stdout) in ((3, ""), (2, "")), done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "closed" in done.stderr


@pytest.mark.parametrize("mode", [0o555, 0o000])
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "quickstart", "--out", "closed/run"],
        ["copy", "quickstart", "closed/mine"],
        ["corpus", "prepare", "quickstart-corpus", "--out", "closed/corpus"],
        ["eval", "model", "--benchmarks", "ja/mini-jnli", "--out", "closed/eval"],
        ["export", "adapter", "nothing", "--base", "nothing", "--out", "closed/model"],
        ["merge", "models", "nothing.yaml", "--out", "closed/model"],
        ["tokenizer", "extend", "--base", "nothing", "--corpus", "nothing", "--new-tokens", "9", "--out", "closed/tokenizer"],
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_closed_place_for_the_output_is_one_line_before_the_work(tmp_path: Path, arguments: list[str], mode: int) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    with closed(tmp_path / "closed", mode):
        done = run(*arguments, cwd=tmp_path, prepare=drop_rights)
    assert done.returncode in ((2,) if mode == 0o555 else (2, 3)), done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(("error: closed", f"error: {tmp_path}/closed"))
    assert ("cannot be written (Permission denied); give another" if done.returncode == 2 else "Permission denied") in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_error_has_no_control_characters_and_no_endless_line(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error("a\x1b[2Jb\r\n" + "x" * 5_000 + "end")
    first, second = capsys.readouterr().err.splitlines()
    assert first == r"error: a\x1b[2Jb\r"
    assert len(second) == MAX_LINE + len(" ... ")
    assert second.endswith("end")


def test_interrupted_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jp_adapt.commands.tokenizer.extend", interrupt)
    assert main(["tokenizer", "extend", "--base", "b", "--corpus", "c", "--new-tokens", "1", "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "interrupted; nothing was kept\n"
    monkeypatch.setattr("jp_adapt.commands.corpus.prepare", interrupt)
    monkeypatch.setattr("jp_adapt.recipe.load_corpus.load_corpus", lambda *arguments: None)
    assert main(["corpus", "prepare", "r", "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "interrupted; the same command resumes from what is finished\n"
