"""A model behind a real llama.cpp server: its texts are those of the folder, and what the server does not tell is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.results import read_outputs
from jp_adapt.export.gguf import export_gguf
from jp_adapt.export.llama_server import llama_server
from jp_adapt.inference.endpoint_engine import NoLogProbabilities
from jp_adapt.inference.model_source import Served
from tests.commands.test_evaluate_endpoint import extended_pico
from tests.export.conftest import needs_llama_cpp
from tests.judge_server import predictions, small_data

pytestmark = needs_llama_cpp
WORDS = """format: 1
kind: generate
version: "1"
title: Words
licence: CC0-1.0
source: invented
language: en
data:
  test: {files: [words.jsonl], reader: jsonl}
question: "{{ word }}"
answers: ["{{ word }}"]
protocols:
  jp-adapt:
    prompt: "The word after {{ word }} is "
    stop: ["zzz"]
    max_chars: 40
    metrics: [exact_match]
"""


@pytest.fixture(scope="module")
def extended(pico_untied: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extended_pico(pico_untied, tmp_path_factory.mktemp("extended"))


@pytest.fixture(scope="module")
def address(extended: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    [done] = export_gguf(extended, tmp_path_factory.mktemp("gguf") / "m.gguf", ["F32"])
    with llama_server(done.path, context=512, exact=True) as base:
        yield f"{base}/v1"


def test_texts_are_those_of_the_folder(extended: Path, pico: Path, address: str, benchmark_data: Path, tmp_path: Path) -> None:
    (tmp_path / "words.yaml").write_text(WORDS, encoding="utf-8")
    (tmp_path / "words.jsonl").write_text("".join(json.dumps({"word": word}) + "\n" for word in ("tea", "sand", "the house")), encoding="utf-8")
    options = {"benchmarks": (str(tmp_path / "words.yaml"),)}
    evaluate(extended, tmp_path / "local", dtype="float32", **options)
    scores = evaluate("m", tmp_path / "out", served=Served(address, tokenizer=extended, parallel=1), **options)
    texts, expected = ([entry.generation for entry in read_outputs(tmp_path / name)] for name in ("out", "local"))
    assert texts == expected
    assert any(len(set(text)) > 5 for text in texts), "it says something"
    assert scores.benchmarks[0].warnings == []
    with pytest.raises(InputError, match=r"--tokenizer is not that of m: it makes \d+ tokens .* \(by its own count\)"):
        evaluate("m", tmp_path / "base", served=Served(address, tokenizer=pico), **options)
    with pytest.raises(NoLogProbabilities, match="gives no log-probabilities of a prompt's tokens"):
        evaluate("m", tmp_path / "choices", served=Served(address), benchmarks=("ja/jcommonsenseqa",), data=benchmark_data, limit=1, shots=0)


def test_a_judge_there_that_gives_no_verdict_is_asked_in_three_ways_and_has_failed(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A random model says nothing in the form asked for: each of its answers is kept, and the judging has failed."""
    data, answers, out = small_data(tmp_path / "data", 1), predictions(tmp_path / "m" / "preds.jsonl", 1), tmp_path / "out"
    rubric = tmp_path / "rubric.yaml"
    rubric.write_text(
        "format: 1\nbenchmark: mine/short\nversion: '1'\ntitle: Short\nlicence: CC0-1.0\nsource: invented\nkind: score\nanswer_format: bracketed_rating\n"
        "scale: [1, 5]\nmax_tokens: 8\ntypical_output_chars: 10\nitems: {file: elyza_tasks_100/assets/elyza_tasks_100/dataset.jsonl, layout: elyza}\n"
        "prompts:\n  - {name: short, turn: 1, user: 'Rate {answer_1} as [[1]] to [[5]].'}\n",
        encoding="utf-8",
    )
    arguments = ["judge", str(answers), "--benchmark", str(rubric), "--data", str(data), "--endpoint", address, "--judge-model", "m", "--out", str(out)]
    assert main([*arguments, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["without_verdict"], report["usage"]["requests"], report["models_without_verdict"]) == (1, 3, ["m"])
    assert report["usage"]["uncounted"] == 0
    assert len((out / "cache.jsonl").read_text(encoding="utf-8").splitlines()) == 3
