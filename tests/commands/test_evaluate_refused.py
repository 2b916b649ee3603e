"""What `eval` refuses, before any work: broken items, models and benchmarks that are none, data that is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.evaluation.results import read_scores
from tests.commands.own_benchmark import mine


def test_code_is_not_run_without_leave(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ja/jhumaneval: .*say --allow-code-execution"):
        evaluate(pico, tmp_path / "out", benchmarks=("ja/jhumaneval",), data=benchmark_data)
    assert not (tmp_path / "out").exists()


def test_the_field_of_texts_can_be_named_and_a_wrong_one_is_told_before_any_work(pico: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text('{"id": 1, "body": "日本語の文です。"}\n', encoding="utf-8")
    options = {"benchmarks": (mine(tmp_path),), "texts": (str(text),), "dtype": "float32"}
    with pytest.raises(InputError, match=r"text\.jsonl:1: no text in field 'text'; there are: id, body; .* --field NAME"):
        evaluate(pico, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    assert evaluate(pico, tmp_path / "out", field="body", **options).texts[0].chars == 8


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"x"', r"items\.jsonl:1: not a JSON object"),
        ('{"id": "a", "choices": ["a", "b"], "answer": 0}', r"items\.jsonl:1: template '{{ question }}' cannot be filled in \('question' is undefined\)"),
        ("", r"items\.jsonl: no items"),
        ('{"id": "a", "question": "?", "choices": ["a", "b"], "answer": 0}\n' * 2, r"items\.jsonl:2: id 'a' stands in .*items\.jsonl:1 already"),
    ],
)
def test_broken_items_are_told_with_their_line_before_any_work(pico: Path, tmp_path: Path, line: str, message: str) -> None:
    name = mine(tmp_path)
    (tmp_path / "items.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        evaluate(pico, tmp_path / "out", benchmarks=(name,))
    assert not (tmp_path / "out").exists()


def test_a_wrong_encoding_is_told(pico: Path, tmp_path: Path) -> None:
    name = mine(tmp_path)
    (tmp_path / "items.jsonl").write_bytes('{"id": "日"}'.encode("cp932"))
    with pytest.raises(InputError, match=r"items\.jsonl:1: byte 0x93 is not UTF-8"):
        evaluate(pico, tmp_path / "out", benchmarks=(name,))


def test_models_that_are_none(pico: Path, tmp_path: Path) -> None:
    import shutil

    name = mine(tmp_path)
    with pytest.raises(InputError, match="nothing: no such folder"):
        evaluate(tmp_path / "nothing", tmp_path / "out", benchmarks=(name,))
    bare = tmp_path / "bare"
    shutil.copytree(pico, bare)
    (bare / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"bare: no tokenizer\.json"):
        evaluate(bare, tmp_path / "out", benchmarks=(name,))
    large = tmp_path / "large"
    shutil.copytree(pico, large)
    spec = json.loads((large / "tokenizer.json").read_text(encoding="utf-8"))
    spec["model"]["vocab"] |= {"qzqz": 500, "zqzq": 501}
    (large / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(InputError, match="the tokenizer has 502 tokens, and the embedding 500 rows; they do not belong together"):
        evaluate(large, tmp_path / "out2", benchmarks=(name,))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--suite", "ja-cor"], 2, "no suite 'ja-cor' (did you mean 'ja-core'?)"),
        (["--benchmarks", "ja/jnl"], 2, "no benchmark 'ja/jnl' (did you mean 'ja/jnli'?)"),
        (["--profile", "stability"], 2, "no profile 'stability' (did you mean 'stability-0.6'?); profiles: jp-adapt, jp-adapt-chat, "),
        (["--benchmarks", "ja/jcola"], 3, "ja/jcola: its data is not shipped; run `jp-adapt data fetch ja/jcola --to DIR` and give --data DIR"),
        (["--benchmarks", "ja/niah-ja"], 3, "ja/niah-ja: its data is not shipped; bring it by hand into DIR/niah and give --data DIR (your own text)"),
        (["--benchmarks", "ja/niah-ja", "--data", "nowhere"], 3, "nowhere/niah: no such folder; bring your own text there"),
        (
            ["--benchmarks", "ja/jcommonsenseqa", "--data", "nowhere"],
            3,
            "nowhere/jglue: no such folder; run `jp-adapt data fetch ja/jcommonsenseqa --to nowhere`, or bring https://github.com/yahoojapan/JGLUE there",
        ),
        (["--benchmarks", "quickstart/ja-everyday-100", "--shots", "2"], 2, "shots is 2, and the benchmark has no examples to show"),
        (["--overlap", "nothing.jsonl"], 3, "nothing.jsonl: no such file"),
    ],
)
def test_what_is_wrong_is_told(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str) -> None:
    assert main(["eval", str(pico), *arguments, "--out", str(tmp_path / "out")]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("line", ["{}", '{"benchmark": "a", "item": "b", "share": 2}', "[]", '{"benchmark": "a", "item": "b", "share": "x"}'])
def test_a_table_of_overlap_that_is_none(tmp_path: Path, line: str) -> None:
    from jp_adapt.corpus.overlap import read_overlap

    (tmp_path / "table.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"table\.jsonl:1: "):
        read_overlap(tmp_path / "table.jsonl")


def test_a_benchmark_without_data_is_left_out_where_that_is_said(pico: Path, tmp_path: Path, benchmark_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    partly = tmp_path / "partly"
    shutil.copytree(benchmark_data / "jglue", partly / "jglue")
    given = ["eval", str(pico), "--benchmarks", "ja/jnli,ja/jsts,ja/jcola,quickstart/ja-everyday-100", "--limit", "2", "--data", str(partly)]
    assert main([*given, "--out", str(tmp_path / "refused")]) == 3
    err = capsys.readouterr().err
    assert f"ja/jcola: {partly / 'jcola'}: no such folder" in err or "ja/jcola: " in err
    assert "3 of 4 benchmarks are whole; to measure these alone: --missing skip" in err
    assert not (tmp_path / "refused" / "scores.json").exists()
    assert main([*given, "--missing", "skip", "--out", str(tmp_path / "scores")]) == 0
    assert "left out: ja/jcola: " in capsys.readouterr().err
    assert [entry.id for entry in read_scores(tmp_path / "scores").benchmarks] == ["ja/jnli", "ja/jsts", "quickstart/ja-everyday-100"]


def test_nothing_is_measured_where_all_data_is_missing(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["eval", str(pico), "--benchmarks", "ja/jnli,ja/jcola", "--data", str(tmp_path), "--missing", "skip", "--out", str(tmp_path / "scores")]
    assert main(given) == 3
    err = capsys.readouterr().err
    assert "ja/jnli: " in err
    assert "ja/jcola: " in err
    assert "--missing skip" not in err


def test_a_model_that_is_not_there_is_named_before_its_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(tmp_path / "nothere"), "--suite", "ja-core", "--data", str(tmp_path)]) == 3
    assert f"{tmp_path / 'nothere'}: no such folder" in capsys.readouterr().err


def test_sampling_where_nothing_is_drawn_is_refused(pico: Path, tmp_path: Path) -> None:
    name = mine(tmp_path)
    with pytest.raises(UsageError, match="--temperature 1: no answer is drawn where choices are scored"):
        evaluate(pico, tmp_path / "out", benchmarks=(name,), temperature=1.0, samples=3)
    assert not (tmp_path / "out").exists()
