"""A whole run on a small model: every stage, killed in every stage, resumed, and refused where it must be."""

from __future__ import annotations

import json
import resource
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from jp_adapt.cli.main import main
from jp_adapt.core.errors import RunFolderError
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.processes import Command, run
from tests.recipes import write_small_recipe


@pytest.fixture(scope="module")
def recipe(pico, tmp_path_factory):
    return write_small_recipe(tmp_path_factory.mktemp("recipe"), pico)


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    """An undisturbed run."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    result = run_recipe(load_recipe(recipe), out)
    assert result.stages_done == ["tok", "rows", "cpt", "model", "eval"]
    return out


def test_summary_holds_every_figure_and_the_headline_first(finished):
    summary = json.loads((finished / "report" / "summary.json").read_text(encoding="utf-8"))
    assert next(iter(summary)) == "headline"
    headline = summary["headline"]
    assert list(headline) == ["chars_per_token", "bits_per_char_ja", "bits_per_byte_en"]
    assert headline["chars_per_token"]["adapted"] > 1.5 * headline["chars_per_token"]["base"]
    assert headline["bits_per_char_ja"]["adapted"] < headline["bits_per_char_ja"]["base"]
    assert all(count == 0 for count in summary["tokenizer"]["criteria"].values())
    assert [stage["id"] for stage in summary["provenance"]["stages"]] == ["tok", "rows", "cpt", "model", "eval"]
    heldout = summary["training"][0]["heldout"]
    assert heldout[-1]["bits_per_char_ja"] < heldout[0]["bits_per_char_ja"]
    page = (finished / "report" / "index.html").read_text(encoding="utf-8")
    assert "今日は雨です。" in page
    assert {path.name for path in (finished / "report").glob("*.svg")} == {"rows-ja.svg", "rows-en.svg", "cpt-ja.svg"}


def test_exported_folder_is_a_plain_model(finished, pico):
    folder = finished / "stages" / "model" / "final"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    text = "今日は雨です。 It rains."
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    assert tokenizer.decode(ids[0]) == text
    assert int(ids.max()) >= 500
    assert model(ids).logits.shape[-1] == 560
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    old = load_file(pico / "model.safetensors")["model.embed_tokens.weight"]
    assert torch.equal(model.model.embed_tokens.weight[:500], old)


def test_same_again_does_nothing(recipe, finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert main(["run", str(recipe), "--out", str(finished)]) == 0
    assert "done already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()} == before


def test_what_only_saves_memory_is_the_same_work(recipe, finished):
    settings = ["distributed=fsdp", *(f"stages.cpt.{setting}" for setting in ("micro_batch_rows=1", "activation_checkpointing=true", "keep_checkpoints=3"))]
    assert run_recipe(load_recipe(recipe, settings), finished).stages_done == []


def test_another_recipe_is_refused_with_the_keys_that_differ(recipe, finished, capsys):
    code = main(["run", str(recipe), "--out", str(finished), "-s", "stages.cpt.optimizer.lr=2e-4"])
    assert code == 5
    assert "stage.optimizer.lr: 0.001 there, 0.0002 now" in capsys.readouterr().err


def test_a_changed_input_is_refused(recipe, finished, tmp_path):
    moved = write_small_recipe(tmp_path, load_recipe(recipe).recipe.base.path)
    with (tmp_path / "ja.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "一行ふえた。"}\n')
    with pytest.raises(RunFolderError, match=r"inputs\.ja"):
        run_recipe(load_recipe(moved), finished)


def test_a_moved_recipe_with_the_same_content_is_the_same_work(recipe, finished, tmp_path):
    moved = write_small_recipe(tmp_path, load_recipe(recipe).recipe.base.path)
    assert run_recipe(load_recipe(moved), finished).stages_done == []


@pytest.fixture(scope="module")
def to_the_model(recipe):
    """The recipe without its evaluation, for runs whose weights alone are looked at."""
    text = recipe.read_text(encoding="utf-8")
    path = recipe.with_name("to_the_model.yaml")
    path.write_text(text[: text.index("  - id: eval")], encoding="utf-8")
    return path


def weights(out: Path) -> bytes:
    return (out / "stages" / "model" / "final" / "model.safetensors").read_bytes()


def run_until(recipe: Path, out: Path, stage: str, step: int | None) -> None:
    """Start the run as a user would, and kill -9 it once `stage` has begun (or written metrics of `step`)."""
    process = Command("run", str(recipe), "--out", str(out))
    folder, deadline = out / "stages" / stage, time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        metrics = folder / "metrics.jsonl"
        reached = folder.is_dir() if step is None else metrics.is_file() and f'"step": {step},' in metrics.read_text(encoding="utf-8")
        if reached:
            break
        time.sleep(0.005)
    assert process.poll() is None, f"the run ended before it could be killed in {stage}"
    process.kill()
    assert not (folder / "DONE").exists()


def test_killed_in_every_stage_and_gone_on_with_gives_the_same_weights_bit_for_bit(recipe, finished, tmp_path):
    out = tmp_path / "killed"
    for stage, step in (("tok", None), ("rows", 5), ("cpt", 8), ("model", None), ("eval", None)):
        run_until(recipe, out, stage, step)
    assert run_recipe(load_recipe(recipe), out).stages_done == ["eval"]
    assert weights(out) == weights(finished)
    steps = [json.loads(line)["step"] for line in (out / "stages" / "cpt" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, len(steps) + 1))
    scores = [json.loads((run / "stages" / "eval" / "final" / "evaluation.json").read_text(encoding="utf-8")) for run in (out, finished)]
    assert scores[0] == scores[1]
    assert not list(out.rglob("*.tmp"))


def test_sigterm_saves_a_checkpoint_and_exits_130(to_the_model, finished, tmp_path):
    out = tmp_path / "stopped"
    process = Command("run", str(to_the_model), "--out", str(out))
    metrics = out / "stages" / "rows" / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and '"step": 4,' in metrics.read_text(encoding="utf-8")):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    done = process.wait()
    assert done.returncode == 130, done.stderr
    assert "the same command resumes from there" in done.stderr
    step = int(next((out / "stages" / "rows" / "checkpoints").glob("step_*")).name.removeprefix("step_"))
    assert step >= 4
    run_recipe(load_recipe(to_the_model), out)
    assert weights(out) == weights(finished)


def test_from_redoes_and_keeps_the_old_folder(recipe, finished, tmp_path):
    import shutil

    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    assert run_recipe(load_recipe(recipe), out, redo_from="eval").stages_done == ["eval"]
    assert (out / "stages" / "eval.old-1" / "final" / "evaluation.json").is_file()


def test_a_folder_with_other_files_is_refused(recipe, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    assert main(["run", str(recipe), "--out", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.txt"]


def limit_file_size(most: int = 30_000) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def test_a_disk_that_is_full_from_the_beginning_leaves_a_folder_that_the_run_takes_later(to_the_model, finished, tmp_path):
    """There is room for run.json, and none for the recipe beside it."""
    out = tmp_path / "full"
    done = run("run", str(to_the_model), "--out", str(out), prepare=partial(limit_file_size, 1_000))
    assert (done.returncode, "free some space" in done.stderr) == (1, True), done.stderr
    assert (out / "run.json").is_file()
    assert not (out / "recipe.yaml").exists()
    (out / ".env.json.host-1-0123abcd.tmp").write_bytes(b"{")  # of a process that was killed
    run_recipe(load_recipe(to_the_model), out)
    assert weights(out) == weights(finished)


def test_a_full_disk_leaves_nothing_half_written_and_the_run_goes_on_later(to_the_model, finished, tmp_path):
    """A limit on the size of a file stands for the full disk: the system refuses the write in the same way."""
    out = tmp_path / "full"
    done = run("run", str(to_the_model), "--out", str(out), prepare=limit_file_size)
    assert done.returncode == 1, done.stderr
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(out.rglob("*.tmp"))
    stages = out / "stages"
    assert sorted(path.parent.name for path in stages.glob("*/final")) == sorted(path.parent.name for path in stages.glob("*/DONE"))
    assert not (stages / "cpt" / "final").exists()
    run_recipe(load_recipe(to_the_model), out)
    assert weights(out) == weights(finished)
