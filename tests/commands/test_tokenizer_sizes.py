"""`tokenizer extend --sweep` and what is held out: the gain is measured on text that no token was learned from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.tokenizer_sizes import hold_out
from tests.conftest import NUM_DOCUMENTS, QUICKSTART, documents

JA, JA_HELDOUT = str(QUICKSTART / "ja_train.jsonl"), str(QUICKSTART / "ja_heldout.jsonl")


def test_every_twentieth_document_is_held_out_up_to_a_bound() -> None:
    held: list[str] = []
    assert list(hold_out(map(str, range(1, 101)), held, 5)) == [str(number) for number in range(1, 101) if number % 20]
    assert held == ["20", "40", "60"]


def test_a_sweep_measures_each_number_and_writes_nothing(
    pico: Path, ja_corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tokenizer", "extend", "--base", str(pico), "--corpus", ja_corpus, "--sweep", "300,60", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["new_tokens"] for row in report["rows"]] == [60, 300]
    small, large = report["rows"]
    assert report["base_chars_per_token"] < small["chars_per_token"] < large["chars_per_token"]
    assert small["rare_tokens"] < large["rare_tokens"] < 300
    assert report["heldout_documents"] == NUM_DOCUMENTS // 20
    assert list(tmp_path.iterdir()) == []
    assert main(["tokenizer", "extend", "--base", str(pico), "--corpus", ja_corpus, "--sweep", "60", "--heldout", JA_HELDOUT]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["new", "tokens", "chars/token"]
    assert lines[2].split()[0] == "60"
    assert lines[-1].startswith(f"held out: {len(documents('ja_heldout.jsonl'))} documents, ")


def test_named_text_is_measured_and_the_corpus_learned_whole(pico: Path, ja_corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["tokenizer", "extend", "--base", str(pico), "--corpus", ja_corpus, "--new-tokens", "60", "--heldout", JA_HELDOUT, "--out", str(out)]) == 0
    assert "\nja_heldout.jsonl (held out)" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["corpus"][0]["documents"] == NUM_DOCUMENTS
    assert [entry["source"] for entry in report["measures"]] == ["ja_heldout.jsonl (held out)"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "give --new-tokens N and --out DIR, or --sweep N,N,N"),
        (["--new-tokens", "9"], "give --new-tokens N and --out DIR, or --sweep N,N,N"),
        (["--sweep", "9", "--new-tokens", "9"], "--sweep measures and writes no tokenizer; leave --new-tokens and --out out"),
        (["--sweep", "9"], "nothing is held out: fewer than 20 documents in each corpus; name text to measure with --heldout FILE"),
    ],
)
def test_what_does_not_go_together(pico: Path, tmp_path: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(Path(JA).read_text(encoding="utf-8").splitlines(keepends=True)[:19]), encoding="utf-8")
    assert main(["tokenizer", "extend", "--base", str(pico), "--corpus", str(few), *given]) == 2
    assert message in capsys.readouterr().err


def test_heldout_text_is_japanese_and_not_learned_from(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tokenizer", "extend", "--base", str(pico), "--corpus", JA, "--new-tokens", "60", "--out", str(tmp_path / "out")]
    assert main([*command, "--heldout", JA]) == 2
    assert "is learned from as well; give text of its own" in capsys.readouterr().err
    assert main([*command, "--heldout", JA.replace("ja_train", "en_heldout")]) == 3
    assert "en_heldout.jsonl: holds no Japanese character; --heldout takes Japanese text" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
