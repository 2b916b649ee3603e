"""Exported benchmarks in the real lm-eval: every task loads, and scores what `jp-adapt eval` scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import UsageError
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.evaluation.lm_eval_export import export_lm_eval
from tests.benchmark_files import write_benchmark_files
from tests.conftest import make_pico

pytest.importorskip("lm_eval", reason="lm_eval is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # lm-eval's and its libraries' own

WRITES = """format: 1
kind: generate
version: "1"
title: Words
licence: CC0-1.0
source: invented
language: en
data:
  test: {files: [words.jsonl], reader: jsonl}
question: "{{ word }}"
answers: ["{{ word }}", "{{ word | upper }}"]
protocols:
  jp-adapt:
    prompt: "The word after {{ word }} is "
    stop: ["ing"]
    max_chars: 4
    extract: [first_line, strip]
    normalise: [nfkc, case]
    metrics: [exact_match, char_f1]
"""

AS_LM_EVAL = """
  lm-eval-ja:
    prompt: "The word after {{ word }} is "
    stop: ["ing"]
    max_tokens: 12
    metrics: [lm_eval_exact_match]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark_files(tmp_path_factory.mktemp("benchmarks"))


@pytest.mark.parametrize("profile", ["jp-adapt", "stability-0.3", "lm-eval-ja", "llm-jp-eval-1.1", "llm-jp-eval-1.3"])
def test_every_exported_task_loads(profile: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    export = export_lm_eval(tmp_path / "out", profile=profile, data=data)
    assert {name.replace("/", "_") + f"_{profile}" for name in shipped_benchmarks()} == set(export.tasks) | {
        name.replace("/", "_") + f"_{profile}" for name, _ in export.left_out
    }
    tasks = TaskManager(include_path=str(tmp_path / "out"), include_defaults=False).load([f"jp_adapt_{profile}"])["tasks"]  # all, by their tag
    assert set(tasks) == set(export.tasks)
    for name, task in tasks.items():
        lines = [json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [task.doc_to_text(doc) for doc in task.test_docs()] == [line["prompt"] for line in lines], name
        if "choices" in lines[0]:
            assert [task.doc_to_choice(doc) for doc in task.test_docs()] == [line["choices"] for line in lines], name


def test_lm_eval_runs_every_exported_task(pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    from jp_adapt.evaluation.lm_eval_model import JpAdaptLM

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    export = export_lm_eval(tmp_path / "out", data=data)
    manager = TaskManager(include_path=str(tmp_path / "out"), include_defaults=False)
    model = JpAdaptLM(str(pico), dtype="float32")
    short = {"max_gen_toks": 16}  # pico takes 512 tokens in all
    results = lm_eval.simple_evaluate(model=model, tasks=export.tasks, task_manager=manager, bootstrap_iters=0, limit=1, gen_kwargs=short)["results"]
    assert set(results) == set(export.tasks)
    for name, result in results.items():
        scores = [value for key, value in result.items() if "," in key and "stderr" not in key]
        assert scores, name
        assert all(isinstance(value, float | int) and value == value for value in scores), (name, result)


def test_scores_are_those_of_jp_adapt_eval(pico: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    from jp_adapt.commands.evaluate import evaluate
    from jp_adapt.evaluation.lm_eval_model import JpAdaptLM

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for name, budget in (("words", 4), ("phrases", 20)):  # one that is cut in the line, one that has more lines
        (tmp_path / f"{name}.yaml").write_text(WRITES.replace("max_chars: 4", f"max_chars: {budget}"), encoding="utf-8")
    (tmp_path / "words.jsonl").write_text("".join(json.dumps({"word": word}) + "\n" for word in ("tea", "sand", "hose", "nation")), encoding="utf-8")
    names = ("ja/xwinograd-ja", "en/arc-easy", str(tmp_path / "words.yaml"), str(tmp_path / "phrases.yaml"))
    ours = evaluate(pico, tmp_path / "scores", benchmarks=names, data=data, dtype="float32")
    export = export_lm_eval(tmp_path / "out", benchmarks=names, data=data)
    manager = TaskManager(include_path=str(tmp_path / "out"), include_defaults=False)
    model = JpAdaptLM(str(pico), dtype="float32")
    theirs = lm_eval.simple_evaluate(model=model, tasks=export.tasks, task_manager=manager, bootstrap_iters=0)["results"]
    metrics = {"acc": "accuracy", "acc_norm": "accuracy_per_char", "exact_match": "exact_match", "char_f1": "char_f1"}
    compared = 0
    for task, entry in zip(export.tasks, ours.benchmarks, strict=True):
        for metric, name in metrics.items():
            if f"{metric},none" in theirs[task]:
                assert theirs[task][f"{metric},none"] == pytest.approx(entry.metrics[name].value), (task, metric)
                compared += 1
    assert compared == 7
    assert ours.benchmarks[2].metrics["char_f1"].value > 0


def long_pico(folder: Path, *, own_start: bool) -> Path:
    """A pico that takes prompts with examples; `own_start`: its tokenizer puts BOS before a text itself, as Llama's does."""
    make_pico(folder, positions=2048)
    if own_start:
        spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        bos = "<|endoftext|>"
        single = [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        spec["post_processor"] = {
            "type": "TemplateProcessing",
            "single": single,
            "pair": single,
            "special_tokens": {bos: {"id": bos, "ids": [0], "tokens": [bos]}},
        }
        (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.mark.parametrize("own_start", [False, True], ids=["nothing", "BOS"])
def test_log_likelihoods_and_texts_are_those_of_lm_evals_hf(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_start: bool) -> None:
    """Profile lm-eval-ja and what is exported of it ask the same tokens. So does jp-adapt's own profile where the tokenizer puts the token there that begins a
    document, and nothing moves; elsewhere the export says that it does not."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from jp_adapt.commands.evaluate import evaluate
    from jp_adapt.evaluation.results import read_outputs

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "words.yaml").write_text(WRITES + AS_LM_EVAL, encoding="utf-8")
    (tmp_path / "words.jsonl").write_text("".join(json.dumps({"word": word}) + "\n" for word in ("tea", "sand", "hose")), encoding="utf-8")
    names = {"lm-eval-ja": ("ja/jcommonsenseqa", str(tmp_path / "words.yaml")), "jp-adapt": ("en/arc-easy", str(tmp_path / "words.yaml"))}
    folder = long_pico(tmp_path / "pico", own_start=own_start)
    peer = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=2)
    for profile, benchmarks in names.items():
        evaluate(folder, tmp_path / profile, benchmarks=benchmarks, data=data, dtype="float32", profile=profile, limit=2)
        export = export_lm_eval(tmp_path / f"out-{profile}", benchmarks=benchmarks, data=data, profile=profile)
        manager = TaskManager(include_path=str(tmp_path / f"out-{profile}"), include_defaults=False)
        samples = lm_eval.simple_evaluate(model=peer, tasks=export.tasks, task_manager=manager, bootstrap_iters=0, log_samples=True)["samples"]
        results = [{str(sample["doc"]["id"]): sample["filtered_resps"] for sample in samples[task]} for task in export.tasks]
        ours = list(read_outputs(tmp_path / profile))
        theirs = [results[place // 2][entry.item] for place, entry in enumerate(ours)]
        assert len(ours) == len(theirs) == 4
        assert not any(entry.moved_boundary or entry.truncated_tokens for entry in ours[:2])
        nats = [(entry.log_likelihoods, [value for value, _ in given]) for entry, given in zip(ours[:2], theirs[:2], strict=True)]
        texts = [
            (entry.generation, given[0][: len(str(entry.generation))] if profile == "jp-adapt" else given[0])
            for entry, given in zip(ours[2:], theirs[2:], strict=True)
        ]
        same = all(left == pytest.approx(right, abs=1e-3) for left, right in nats) and all(left == right for left, right in texts)
        assert same == (own_start or profile == "lm-eval-ja"), (nats, texts)
        assert any("the token that begins a document" in text for text in export.not_carried) == (profile == "jp-adapt")
        yaml = (tmp_path / f"out-{profile}" / f"{export.tasks[0]}.yaml").read_text(encoding="utf-8")
        assert ("# Not carried: the token that begins a document" in yaml) == (profile == "jp-adapt")


def test_what_cannot_be_expressed_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "export-lm-eval", str(tmp_path / "out"), "--data", str(data)]) == 0
    said = capsys.readouterr().out
    assert "not exported: ja/jhumaneval: it runs programs" in said
    assert "not exported: ja/rakuda: it is scored by a judge" in said
    assert "not exported: ja/wmt20-en-ja: lm-eval takes means over items of what their texts tell, and bleu, chrf are none" in said
    assert "exported with limits: ja/jnli: without balanced_accuracy, macro_f1" in said
    assert "exported with limits: ja/niah-ja: its prompts may be as long as the model's positions: give lm-eval a max_length" in said
    assert "exported with limits: ja/jmmlu: the mean of its items, not of its groups" in said
    assert "no task carries the token that begins a document, which this profile puts before every text" in said
    before = (tmp_path / "out" / "ja_jnli_jp-adapt.yaml").read_bytes()
    assert main(["eval", "export-lm-eval", str(tmp_path / "out"), "--data", str(data)]) != 0
    assert (tmp_path / "out" / "ja_jnli_jp-adapt.yaml").read_bytes() == before


def test_nothing_to_export_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to export"):
        export_lm_eval(tmp_path / "out", benchmarks=["ja/jhumaneval"])
    assert not (tmp_path / "out").exists()
