"""`jp-adapt advise`: what is recommended from what was measured, and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.advise import advice, recommended
from jp_adapt.commands.tokenizer_sizes import SizeRow, SizesReport
from tests.conftest import QUICKSTART

JA = str(QUICKSTART / "ja_train.jsonl")


def report(base: float, budget: int, *rows: tuple[int, float, int]) -> SizesReport:
    """(new tokens, characters per token, how many of them stand rarely in the budget) of each size."""
    return SizesReport(base, 10, 1000, 100_000, 10, [SizeRow(size, gained, 0, rare) for size, gained, rare in rows], budget)


LADDER = ((500, 1.2, 0), (1000, 1.4, 20), (2000, 1.6, 150), (4000, 1.8, 900))


@pytest.mark.parametrize(
    ("measured", "size", "words"),
    [
        (report(0.8, 10_000_000, *LADDER), 2000, "2,000 new tokens: 0.80 -> 1.60 characters per token, so a text takes 50% fewer tokens."),
        (report(0.8, 10_000_000, *LADDER), 2000, "this was not measured here at such a length, so measure both"),
        (report(0.8, 2_000_000, *LADDER), 2000, "3,200,000 characters of training may not be enough"),
        (report(0.8, 500_000, *LADDER), 2000, "But 800,000 characters of training are few"),
        (report(0.8, 10_000_000, *LADDER[:2]), 1000, "This is the largest number that was measured; try larger ones with --sizes."),
        (report(0.8, 10_000_000, LADDER[0], (1000, 1.21, 0)), 500, "500 new tokens"),  # the second gains next to nothing
        (report(0.8, 1000, (500, 1.2, 400)), None, "Do not extend: 1,000 tokens of training hold too few of even the 500 best new tokens."),
        (report(1.55, 10_000_000, *LADDER), None, "Do not extend: the base reads 1.55 characters per token already."),
    ],
)
def test_the_recommendation(measured: SizesReport, size: int | None, words: str) -> None:
    row = recommended(measured)
    assert (None if row is None else row.new_tokens) == size
    assert words in " ".join(advice(measured))


def test_the_command_measures_and_recommends(pico: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["advise", "--base", str(pico), "--corpus", JA, "--sizes", "60,200", "--budget-tokens"]
    assert main([*given, "50000000", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["recommended"] == 200
    assert [row["rare_in_budget"] for row in shown["rows"]] == [0, 0]
    assert shown["rows"][1]["rare_tokens"] > 0
    assert main([*given, "500"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[0] == "0"
    assert "Do not extend: 500 tokens of training hold too few of even the 60 best new tokens." in out


def test_the_ladder_ends_where_the_text_ends(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(Path(JA).read_text(encoding="utf-8").splitlines(keepends=True)[:40]), encoding="utf-8")
    from jp_adapt.commands.tokenizer import ExtendOptions, sweep

    measured = sweep(str(pico), [str(few)], (50, 60_000), ExtendOptions(), as_far_as_given=True)
    assert [row.new_tokens for row in measured.rows] == [50]
    assert "60,000 new tokens are left out: asked for 60000 new tokens" in capsys.readouterr().err
