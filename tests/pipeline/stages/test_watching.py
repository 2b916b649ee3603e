"""What a run shows while it trains: tokens of each source, samples, and the same figures in TensorBoard; and the script for Slurm."""

from __future__ import annotations

import json
import subprocess

import pytest

import jp_adapt
from jp_adapt.cli.main import main
from jp_adapt.core.errors import UsageError
from jp_adapt.recipe.load import load_recipe
from jp_adapt.training.trackers import check_trackers, open_tracker
from tests.recipes import write_small_recipe


@pytest.fixture(scope="module")
def recipe(pico, tmp_path_factory):
    path = write_small_recipe(tmp_path_factory.mktemp("watch"), pico)
    text = path.read_text(encoding="utf-8")
    text = text[: text.index("  - id: cpt")].replace("heldout_every: 5", "heldout_every: 5\n    samples: {prompts: [今日は], max_chars: 6}")
    path.write_text(text, encoding="utf-8")
    return path


def test_figures_samples_and_tensorboard(recipe, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    jp_adapt.run_recipe(load_recipe(recipe), tmp_path / "run", trackers=("tensorboard",))
    run = jp_adapt.open_run(tmp_path / "run")
    steps = [line for line in run.metrics("rows") if line["step"]]
    for line in steps:
        assert line.get("tokens/ja", 0) + line.get("tokens/en", 0) == line["num_targets"]
        assert line["tokens_per_s"] > 0
    assert sum(line.get("tokens/en", 0) for line in steps) == json.loads((run.path / "stages/rows/stage.json").read_text())["results"]["tokens_by_source"]["en"]
    samples = [json.loads(line) for line in (run.path / "stages/rows/samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [sample["step"] for sample in samples] == list(range(0, len(steps) + 1, 5))
    assert all(sample["prompt"] == "今日は" and 0 < len(sample["continuation"]) <= 6 for sample in samples)
    events = EventAccumulator(str(run.path / "stages/rows/tensorboard"))
    events.Reload()
    logged = {event.step: event.value for event in events.Scalars("loss_nats_per_token")}
    assert logged == pytest.approx({line["step"]: line["loss_nats_per_token"] for line in steps})


@pytest.mark.filterwarnings("ignore")  # W&B's own
def test_each_stage_is_a_run_of_its_own_in_weights_and_biases(tmp_path, monkeypatch, capsys):
    wandb = pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    runs = []
    for folder in (tmp_path / "one" / "rows", tmp_path / "one" / "cpt", tmp_path / "two" / "cpt"):
        folder.mkdir(parents=True)
        log = open_tracker("wandb", folder, "small", folder.name)
        for step in range(4):
            log(step, {"loss": 1.0 + step})
        runs.append((wandb.run.name, wandb.run.id, wandb.run.summary["loss"]))  # a step is summed up when the next one comes
    wandb.finish()
    assert [(name, loss) for name, _, loss in runs] == [("small/rows", 3), ("small/cpt", 3), ("small/cpt", 3)]
    assert len({run_id for _, run_id, _ in runs}) == 3
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore")  # Trackio's own
def test_each_stage_is_a_run_of_its_own_in_trackio(tmp_path, monkeypatch, capsys):
    trackio = pytest.importorskip("trackio", reason="the extra `trackio` is not installed")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for stage in ("rows", "cpt"):
        log = open_tracker("trackio", tmp_path, "small", stage)
        for step in range(3):
            log(step, {"loss": 1.0 + step})
    assert capsys.readouterr().out == ""
    trackio.finish()
    runs = {run.name: run for run in trackio.Api().runs("jp-adapt")}
    assert set(runs) == {"small/rows", "small/cpt"}


def test_trackers_are_checked_before_anything_runs(monkeypatch):
    with pytest.raises(UsageError, match=r"no such tracker .*tensorboard"):
        check_trackers(["tensorbord"])
    monkeypatch.setattr("jp_adapt.core.extras.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'jp-adapt\[wandb\]'"):
        check_trackers(["wandb"])


def test_slurm_script(recipe, tmp_path, capsys):
    arguments = ["launch", str(recipe), "--slurm", "--nodes", "2", "--gpus", "4", "--partition", "a b", "--out", str(tmp_path / "o u t")]
    assert main(arguments) == 0
    script = capsys.readouterr().out
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "#SBATCH --nodes=2\n" in script
    assert "--nnodes=2 --nproc-per-node=4" in script
    assert f"-m jp_adapt run {recipe} --out '{tmp_path}/o u t'" in script
    with pytest.raises(SystemExit) as stop:
        main(["launch", str(recipe), "--slurm", "--nodes", "0"])
    assert stop.value.code == 2
