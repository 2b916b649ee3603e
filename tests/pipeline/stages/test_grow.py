"""A pretrain stage whose vocabulary grows: what each phase reads, what it writes down, and what a kill in the middle may not change."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from jp_adapt.cli.main import main
from jp_adapt.commands.plan import plan_recipe
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.pipeline.status import run_status
from jp_adapt.recipe.load import load_recipe
from tests.processes import Command
from tests.recipes import write_small_recipe

GROW = "[10, {new_tokens: 30, share: 2}, all]"


@pytest.fixture(scope="module")
def recipe(pico: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small recipe with one training stage, which grows in three phases, and no evaluation."""
    path = write_small_recipe(tmp_path_factory.mktemp("recipe"), pico)
    text = path.read_text(encoding="utf-8")
    rows, cpt, scored = (text.index(part) for part in ("  - id: rows", "  - id: cpt", "  - id: eval"))
    settings = f"    grow: {GROW}\n    heldout: [ja]\n    heldout_chars: 60\n    heldout_every: 4\n    samples: {{prompts: [今日は], max_chars: 3}}\n    lora:"
    text = text[:rows] + text[cpt:scored].replace("start: rows", "start: tok").replace("    lora:", settings).replace("tokens: 2500", "tokens: 1600")
    path.write_text(text.replace("checkpoint_every: 3", "checkpoint_every: 1"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "straight"
    run_recipe(load_recipe(recipe), out)
    return out


def metrics_of(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "stages" / "cpt" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_each_phase_has_its_share_and_its_tokens(finished: Path) -> None:
    steps = [line for line in metrics_of(finished) if line["step"]]
    tokens = {number: sum(line["num_targets"] for line in steps if line["new_tokens"] == number) for number in (10, 30, 60)}
    assert [line["new_tokens"] for line in steps] == sorted(line["new_tokens"] for line in steps)
    assert list(tokens) == list(dict.fromkeys(line["new_tokens"] for line in steps))
    assert tokens[30] == pytest.approx(800, abs=250), "half of the budget; documents are not cut for it"
    phases = json.loads((finished / "stages" / "cpt" / "stage.json").read_text(encoding="utf-8"))["results"]["phases"]
    assert [phase["new_tokens"] for phase in phases] == [10, 30, 60]
    density = [phase["chars_per_token"] for phase in phases]
    assert density == sorted(density)
    assert density[0] < 0.9 * density[-1]


def test_status_and_report_say_how_far_it_has_grown(finished: Path) -> None:
    assert next(stage for stage in run_status(finished) if stage.id == "cpt").new_tokens == 60
    curve = json.loads((finished / "report" / "summary.json").read_text(encoding="utf-8"))["training"][0]
    lines = {line["step"]: line for line in metrics_of(finished)}
    for entry in curve["steps"]:
        phase = {10: 0, 30: 1, 60: 2}[entry["new_tokens"]]
        density = json.loads((finished / "stages" / "cpt" / "stage.json").read_text(encoding="utf-8"))["results"]["phases"][phase]["chars_per_token"]
        assert entry["loss_bits_per_char"] == pytest.approx(lines[entry["step"]]["loss_nats_per_token"] / 0.6931472 / density, rel=1e-5)
    second = next(entry["step"] for entry in curve["steps"] if entry["new_tokens"] == 30)
    assert f"10 from step 1, 30 from step {second}, 60 from step" in (finished / "report" / "index.html").read_text(encoding="utf-8")


def kill_at(recipe: Path, out: Path, step: int) -> None:
    """Start the run as a user would, and kill -9 it once it has saved `step`."""
    process = Command("run", str(recipe), "--out", str(out))
    saved, deadline = out / "stages" / "cpt" / "checkpoints" / f"step_{step:06d}", time.monotonic() + 120
    while process.poll() is None and not saved.is_dir() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.poll() is None, "the run ended before it could be killed"
    process.kill()
    assert not (out / "stages" / "cpt" / "DONE").exists()


def test_killed_between_phases_and_within_them_the_weights_are_the_same_bit_for_bit(recipe: Path, finished: Path, tmp_path: Path) -> None:
    steps = [line for line in metrics_of(finished) if line["step"]]
    last = {number: max(int(line["step"]) for line in steps if line["new_tokens"] == number) for number in (10, 30)}
    for step in (last[10], last[30] - 1):
        kill_at(recipe, tmp_path / "run", step)
    run_recipe(load_recipe(recipe), tmp_path / "run")
    for name in ("new_rows", "adapter_model"):
        ours, theirs = (load_file(out / "stages" / "cpt" / "final" / f"{name}.safetensors") for out in (tmp_path / "run", finished))
        assert all((ours[key] == value).all() for key, value in theirs.items()), name
    timed = {"elapsed_s", "tokens_per_s", "peak_memory_bytes"}
    ours, theirs = ([{name: value for name, value in line.items() if name not in timed} for line in metrics_of(out)] for out in (tmp_path / "run", finished))
    assert ours == theirs


def test_without_grow_a_run_is_the_work_that_it_was(recipe: Path, finished: Path) -> None:
    identity = json.loads((finished / "stages" / "cpt" / "stage.json").read_text(encoding="utf-8"))["identity"]
    assert identity["stage"]["grow"] == [{"new_tokens": 10, "share": 1.0}, {"new_tokens": 30, "share": 2.0}, {"new_tokens": "all", "share": 1.0}]
    from jp_adapt.pipeline.run import _not_the_work

    stage = load_recipe(recipe, ["stages.cpt.grow=null"]).recipe.stages[1]
    assert "grow" not in stage.model_dump(mode="json", exclude=_not_the_work(stage)), "an earlier version knew no such key"


def test_the_plan_counts_the_head_of_each_phase(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grown, whole = (plan_recipe(load_recipe(recipe, settings), "cpu-2core")["stages"][0] for settings in ([], ["stages.cpt.grow=null"]))
    assert (grown["grow"], whole["grow"]) == ([10, 30, 60], None)
    assert grown["new_tokens"] == whole["new_tokens"] == 60
    assert grown["bytes"] == whole["bytes"]
    mean_rows = (10 + 2 * 30 + 60) / 4
    heads = [2 * 32 * (500 + rows) for rows in (mean_rows, 60)]
    assert whole["flops"] - grown["flops"] > 0
    assert (whole["flops"] - grown["flops"]) / whole["tokens"] == pytest.approx(heads[1] - heads[0], rel=3)
    assert main(["plan", str(recipe), "--device", "cpu-2core"]) == 0
    assert "60 new tokens (10, 30, 60, one phase after another)" in capsys.readouterr().out
