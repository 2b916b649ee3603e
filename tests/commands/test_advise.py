"""`jp-adapt advise`: what is recommended from what was measured, what it costs, and in which words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.advise import AdviceOptions, advice, advise, recommended
from jp_adapt.commands.tokenizer_sizes import SizeRow, SizesReport
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.model.architectures import KNOWN, from_folder
from jp_adapt.model.expected_bits import Expected
from jp_adapt.report.advice import AdviceReport, AdviceRow
from tests.conftest import QUICKSTART

JA = str(QUICKSTART / "ja_train.jsonl")
LADDER = ((500, 1.2, 0), (1000, 1.4, 20), (2000, 1.6, 150), (4000, 1.8, 900))


def sizes(base: float, *rows: tuple[int, float, int]) -> SizesReport:
    """(new tokens, characters per token, how many of them stand rarely in the training) of each size."""
    return SizesReport(base, 10, 1000, 100_000, 10, [SizeRow(size, gained, 0, rare) for size, gained, rare in rows])


def report(measured: SizesReport, tokens: int) -> AdviceReport:
    rows = [AdviceRow(0, measured.base_chars_per_token, 0, tokens, 0)]
    rows += [AdviceRow(row.new_tokens, row.chars_per_token, row.rare_in_budget or 0, tokens, 0) for row in measured.rows]
    chosen = recommended(rows)
    return AdviceReport("base", 10, 1000, 100_000, 10, rows, chosen.new_tokens if chosen else 0, [], "a small model")


@pytest.mark.parametrize(
    ("measured", "tokens", "size", "words"),
    [
        (sizes(0.8, *LADDER), 100_000, 2000, "2,000 new tokens: 0.80 -> 1.60 characters per token, so a text takes 50% fewer tokens."),
        (sizes(0.8, *LADDER), 100_000, 2000, "It will predict Japanese worse than the base's own tokenizer: +17 % bits per character"),
        (sizes(0.8, LADDER[0], (1000, 1.21, 0)), 2_500_000, 500, "Which of the two will predict Japanese better cannot be told: +"),
        (sizes(0.8, *LADDER), 20_000_000, 2000, "may be ahead in quality too; no training like it was measured, so no figure is given (level after some "),
        (sizes(0.8, *LADDER), 1_000, 2000, "will predict Japanese worse than the base's own tokenizer; no training like it was measured"),
        (sizes(0.8, *LADDER[:2]), 100_000, 1000, "This is the largest number that was measured; try larger ones with --sizes."),
        (sizes(0.8, LADDER[0], (1000, 1.21, 0)), 100_000, 500, "500 new tokens"),  # the second gains next to nothing
        (sizes(0.8, (500, 1.2, 400)), 1000, 0, "Do not extend: 1,000 tokens of training hold too few of even the 500 best new tokens."),
        (sizes(0.8, (500, 1.2, 400), (1000, 1.3, 900)), 1000, 0, "If you extend all the same, for speed, take many tokens"),
        (sizes(1.55, (500, 1.7, 0), (1000, 2.1, 0)), 100_000, 1000, "1,000 new tokens: 1.55 -> 2.10"),  # of text with much code in it, say
        (
            sizes(1.55, (500, 1.7, 0), (1000, 1.71, 0)),
            100_000,
            0,
            "Do not extend: the base reads 1.55 characters per token, and the 500 new tokens that such a training teaches make that 1.70, "
            "so a text would take only 9% fewer tokens.",
        ),
        (sizes(1.55, (500, 1.56, 0)), 100_000, 0, "and the 500 new tokens that such a training teaches make that 1.56"),
        (sizes(0.8, *LADDER), 100_000, 2000, "Measured on 1,000 characters only: bring more text, or name files with --heldout."),
    ],
)
def test_the_recommendation(measured: SizesReport, tokens: int, size: int, words: str) -> None:
    given = report(measured, tokens)
    assert given.recommended == size
    assert words in " ".join(advice(given))


def test_the_command_measures_and_recommends(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["advise", "--base", str(pico), "--corpus", JA, "--sizes", "60,200", "--device", "cpu-2core", "--budget-tokens"]
    assert main([*given, "50000000", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["recommended"] == 200
    assert [row["new_tokens"] for row in shown["rows"]] == [0, 60, 200]
    assert [row["rare_in_training"] for row in shown["rows"]] == [0, 0, 0]
    assert [row["bits"] for row in shown["rows"]] == [None] * 3, "no training of so many tokens was measured"
    assert main([*given, "500", "--html", str(tmp_path / "page.html")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[0] == "0"
    assert "Do not extend: 500 tokens of training hold too few of even the 60 best new tokens." in out
    assert "<title>Does an extension pay?</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert main([*given, "500", "--html", str(tmp_path / "page.html")]) == 2


def test_hours_and_costs_are_those_of_the_device(pico: Path, ja_corpus: str) -> None:
    options = AdviceOptions(budget_hours=0.001, device="h100-80g", devices=2, price=3.0, serve_chars_per_day=10**9, sizes=(60, 200), base_bits=4.0)
    found = advise(str(pico), [ja_corpus], options)
    own, small, large = found.rows
    assert [row.training_hours for row in found.rows] == pytest.approx([0.002] * 3, rel=1e-3), "two devices"
    assert own.training_tokens > small.training_tokens > large.training_tokens, "a larger head takes more time"
    assert own.training_cost == pytest.approx(3 * (own.training_hours or 0))
    model = from_folder(pico)
    operations = 1e9 / own.chars_per_token * 2 * (model.linear_parameters + model.vocab_size * model.hidden_size)
    assert own.serving_hours == pytest.approx(operations / (989e12 * 0.35) / 3600)
    assert (large.serving_hours or 0) < (small.serving_hours or 0) < (own.serving_hours or 0)
    assert large.pays_after_days == pytest.approx((large.training_hours or 0) / ((own.serving_hours or 0) - (large.serving_hours or 0)))
    assert (own.pays_after_days, found.currency, found.device, found.devices) == (None, "USD", "h100-80g", 2)


def test_bits_are_shares_or_bits() -> None:
    measured = advise_bits(base_bits=None)
    assert measured.low < measured.value < 1 < measured.high
    scaled = advise_bits(base_bits=5.0)
    assert scaled.value == pytest.approx(5 * measured.value)


def advise_bits(base_bits: float | None) -> Expected:
    from jp_adapt.commands.advise import _bits

    found = _bits(2600, 100_000, 100_000, base_bits)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (AdviceOptions(), UsageError, "give one of --budget-tokens N and --budget-hours H"),
        (AdviceOptions(budget_tokens=1, budget_hours=1), UsageError, "give one of"),
        (AdviceOptions(budget_tokens=9, model="Qwen/None"), InputError, "--model Qwen/None: no folder with a config.json, and no hub id whose sizes are known"),
        (AdviceOptions(budget_tokens=9, device="h100"), UsageError, "--device h100: unknown"),
    ],
)
def test_what_cannot_be_asked(pico: Path, options: AdviceOptions, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        advise(str(pico), [JA], options)


def test_hours_need_a_model_and_take_a_known_one(pico: Path, ja_corpus: str) -> None:
    for options, names in (
        (AdviceOptions(budget_hours=1), "--budget-hours"),
        (AdviceOptions(9, serve_chars_per_day=9, price=1), "--price and --serve-chars-per-day"),
    ):
        with pytest.raises(UsageError, match=f"^{names} needs the sizes of the model: give --model FOLDER"):
            advise(str(pico / "tokenizer.json"), [JA], options)
    found = advise(str(pico / "tokenizer.json"), [ja_corpus], AdviceOptions(budget_hours=1, model=next(iter(KNOWN)), device="h100-80g", sizes=(60,)))
    assert 1e7 < found.rows[0].training_tokens < 1e8


def test_one_that_cannot_be_extended_is_measured_and_told_so(pico: Path, ja_corpus: str, tmp_path: Path) -> None:
    spec = json.loads((pico / "tokenizer.json").read_text(encoding="utf-8")) | {"normalizer": {"type": "NFC"}}  # as Qwen's
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    found = advise(str(tmp_path), [ja_corpus], AdviceOptions(budget_tokens=1000))
    assert (found.recommended, len(found.rows)) == (0, 1)
    assert found.advice[0].startswith("Do not extend: ")
    assert "NFC" in found.advice[0]


def test_the_ladder_ends_where_the_text_ends(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(Path(JA).read_text(encoding="utf-8").splitlines(keepends=True)[:40]), encoding="utf-8")
    from jp_adapt.commands.tokenizer import ExtendOptions, sweep

    measured = sweep(str(pico), [str(few)], (50, 60_000), ExtendOptions(), as_far_as_given=True)
    assert [row.new_tokens for row in measured.rows] == [50]
    told = capsys.readouterr().err.splitlines()
    assert any(line.startswith("60,000 new tokens are left out: asked for 60,000 new tokens, ") and "min_count" not in line for line in told), told


def test_a_corpus_without_japanese_is_refused_once(pico: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", "--base", str(pico), "--corpus", str(QUICKSTART / "en_train.jsonl"), "--heldout", JA, "--budget-tokens", "9"]) == 3
    assert capsys.readouterr().err.count("holds no Japanese character") == 1


def test_heldout_text_without_japanese_is_refused(pico: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["advise", "--base", str(pico), "--corpus", JA, "--budget-tokens", "9", "--heldout", str(QUICKSTART / "en_heldout.jsonl")]
    assert main(given) == 3
    assert "holds no Japanese character; --heldout takes Japanese text" in capsys.readouterr().err


@pytest.mark.parametrize(("times", "told"), [(96, True), (4, False)])
def test_a_training_that_reads_the_text_again_and_again_is_told(times: int, told: bool) -> None:
    given = report(sizes(0.8, *LADDER), 100_000)
    rows = [replace(row, training_chars=times * given.corpus_chars) for row in given.rows]
    assert (f"the training reads it {times} times" in " ".join(advice(replace(given, rows=rows)))) == told
