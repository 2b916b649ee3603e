"""Two processes on gloo give what one gives; and no process is left waiting when another has gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jp_adapt.core.errors import UsageError
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.processes import Command, run
from tests.recipes import write_small_recipe

STAGES = ("rows", "cpt")


@pytest.fixture(scope="module")
def recipe(pico, tmp_path_factory):
    """Extension, rows and pretraining of 20 steps and more, 8 rows to a step."""
    path = write_small_recipe(tmp_path_factory.mktemp("recipe"), pico)
    text = path.read_text(encoding="utf-8")
    text = text[: text.index("  - {id: model")].replace("sequence_tokens: 64", "sequence_tokens: 16")
    settings = "checkpoint_every: 3\n    optimizer: {lr: 1.0e-4}\n    samples: {prompts: [今日は], max_chars: 2}"
    text = text.replace("heldout_chars: 100", "heldout_chars: 1000")  # several forward passes, to share out
    path.write_text(text.replace("checkpoint_every: 3", settings), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def one_process(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    run_recipe(load_recipe(recipe), out)
    return out


@pytest.fixture(scope="module")
def two_processes(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "two"
    done = run(*arguments(recipe, out), "--processes", "2")
    assert done.returncode == 0, done.stderr
    return out


def arguments(recipe: Path, out: Path) -> list[str]:
    return ["run", str(recipe), "--out", str(out)]


def weights(out: Path, stage: str = "cpt") -> dict[str, torch.Tensor]:
    final = out / "stages" / stage / "final"
    return {f"{path.name}/{name}": value for path in sorted(final.glob("*.safetensors")) for name, value in load_file(path).items()}


def losses(out: Path, stage: str) -> list[float]:
    lines = [json.loads(line) for line in (out / "stages" / stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["loss_nats"] for line in lines if "loss_nats" in line]


def figures(out: Path, step: int) -> dict[str, float]:
    lines = [json.loads(line) for line in (out / "stages" / "rows" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {name: value for line in lines if line["step"] == step for name, value in line.items() if name.startswith("bits_per_")}


def test_two_processes_measure_what_one_measures(one_process, two_processes):
    assert figures(one_process, 0).keys() == {"bits_per_char/ja", "bits_per_byte/ja", "bits_per_end/ja", "bits_per_byte/en", "bits_per_end/en"}
    assert figures(two_processes, 0) == pytest.approx(figures(one_process, 0), rel=1e-9)
    assert figures(two_processes, 5) == pytest.approx(figures(one_process, 5), rel=1e-5)


def test_two_processes_train_what_one_trains(one_process, two_processes):
    for stage in STAGES:
        assert len(losses(one_process, stage)) >= 20
        assert losses(two_processes, stage) == pytest.approx(losses(one_process, stage), rel=1e-6)
    ours, theirs = weights(one_process), weights(two_processes)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=0, atol=1e-6, msg=name)


def wait_for(out: Path, stage: str, step: int, process: Command) -> None:
    metrics, deadline = out / "stages" / stage / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.is_file() and f'"step": {step},' in metrics.read_text(encoding="utf-8")):
        assert process.poll() is None, process.wait()
        assert time.monotonic() < deadline, "the step was not reached"
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes in /proc")
def test_a_killed_process_stops_all_with_a_word_and_the_same_command_goes_on_bit_for_bit(recipe, two_processes, tmp_path):
    out = tmp_path / "killed"
    process = Command(*arguments(recipe, out), "--processes", "2")
    wait_for(out, "rows", 5, process)
    os.kill(children(process.pid)[1], signal.SIGKILL)
    done = process.wait()
    errors = done.stderr
    assert done.returncode == 1
    assert "was ended by SIGKILL" in errors or "processes is gone" in errors
    assert "the last checkpoint is kept" in errors.lower()
    assert "Traceback" not in errors
    assert list((out / "stages" / "rows" / "checkpoints").glob("step_*"))

    process = Command(*arguments(recipe, out), "--processes", "2")
    wait_for(out, "cpt", 8, process)
    ranks = children(process.pid)
    process.kill()  # the launcher alone: the processes it started must not stay behind
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{rank}/stat").is_file() and Path(f"/proc/{rank}/stat").read_text().split()[2] != "Z" for rank in ranks):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)
    done = run(*arguments(recipe, out), "--processes", "2")
    assert done.returncode == 0, done.stderr
    assert all(torch.equal(value, weights(out)[name]) for name, value in weights(two_processes).items())


def test_a_signal_to_the_launcher_saves_and_exits_130_and_one_process_goes_on(recipe, one_process, tmp_path):
    out = tmp_path / "stopped"
    process = Command(*arguments(recipe, out), "--processes", "2")
    wait_for(out, "cpt", 4, process)
    process.send_signal(signal.SIGTERM)
    done = process.wait()
    assert done.returncode == 130, done.stderr
    assert "a checkpoint is saved" in done.stderr
    run_recipe(load_recipe(recipe), out)
    for name, value in weights(one_process).items():
        torch.testing.assert_close(weights(out)[name], value, rtol=0, atol=1e-6, msg=name)


def launched(command: list[str]) -> None:
    """A launcher of others, which starts Python anew."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.programs
def test_accelerate_launch_does_the_same(recipe, two_processes, tmp_path):
    out = tmp_path / "accelerate"
    # --multi_gpu is accelerate's word for several processes; with --cpu it starts one.
    options = [
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "29733",
    ]
    launched(["accelerate.commands.launch", *options, "-m", "jp_adapt", *arguments(recipe, out)])
    assert all(torch.equal(value, weights(out)[name]) for name, value in weights(two_processes).items())


@pytest.mark.parametrize("launcher", ["--processes", pytest.param("torchrun", marks=pytest.mark.programs)])
def test_a_sharded_model_trains_what_one_process_trains(recipe, one_process, tmp_path, launcher):
    out = tmp_path / "sharded"
    command = [*arguments(recipe, out), "-s", "distributed=fsdp"]
    if launcher == "torchrun":
        launched(["torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29731", "-m", "jp_adapt", *command])
    else:
        done = run(*command, "--processes", "2")
        assert done.returncode == 0, done.stderr
    for stage in STAGES:
        assert losses(out, stage) == pytest.approx(losses(one_process, stage), rel=1e-6)
    for name, value in weights(one_process).items():
        torch.testing.assert_close(weights(out)[name], value, rtol=0, atol=1e-6, msg=name)
    samples = [(run / "stages" / "rows" / "samples.jsonl").read_text(encoding="utf-8") for run in (one_process, out)]
    assert samples[0] == samples[1]


@pytest.mark.skipif(find_spec("deepspeed") is None, reason="DeepSpeed is not installed: pip install 'jp-adapt[deepspeed]'")
def test_a_run_through_deepspeed_is_that_of_one_process(recipe, one_process, tmp_path):
    out, config = tmp_path / "run", tmp_path / "zero3.json"
    config.write_text('{"zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0}, "bf16": {"enabled": "auto"}}', encoding="utf-8")
    options = ["-s", "distributed=deepspeed", "-s", f"deepspeed={config}"]
    done = run(*arguments(recipe, out), "--processes", "2", *options)
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stdout  # DeepSpeed's log would stand among the results
    for stage in STAGES:
        assert losses(out, stage) == pytest.approx(losses(one_process, stage), rel=1e-5)
    for name, value in weights(one_process).items():
        torch.testing.assert_close(weights(out)[name], value, rtol=0, atol=1e-6, msg=name)
    for step in (0, 5):
        assert figures(out, step) == pytest.approx(figures(one_process, step), rel=1e-5)
    samples = [(run / "stages" / "rows" / "samples.jsonl").read_text(encoding="utf-8") for run in (one_process, out)]
    assert samples[0] == samples[1]


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_a_launcher_that_shards_by_itself_is_told_where_to_say_so(name, recipe, tmp_path, monkeypatch):
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(
        UsageError,
        match=rf"accelerate's configuration asks for {name}; a recipe says itself how .* \(distributed: fsdp, or distributed: deepspeed and deepspeed: FILE",
    ):
        run_recipe(load_recipe(recipe), tmp_path / "run")
