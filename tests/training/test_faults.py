"""What goes wrong while training: no number, a spike, a damaged checkpoint, a wrong one."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from jp_adapt.core.errors import JpAdaptError, UsageError
from jp_adapt.training.checkpoint import list_checkpoints
from jp_adapt.training.loop import train
from jp_adapt.training.objective import NextTokenLoss
from jp_adapt.training.optimizer import trainable_parameters
from jp_adapt.training.spikes import SpikeDetector
from tests.training.test_loop import SETTINGS, model_with_rows, run, small_plan, stop_after


def test_a_loss_that_is_no_number_stops_before_it_spoils_a_checkpoint(pico, tmp_path):
    model = model_with_rows(pico)
    with torch.no_grad():
        model.new_input[0] = float("nan")
    with pytest.raises(JpAdaptError, match="step 1: the loss is nan; lower the learning rate"):
        run(model, small_plan(), tmp_path)
    assert not list_checkpoints(tmp_path)


@pytest.mark.parametrize("damage", ["zeros", "one bit", "cut short", "no state"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_taken(pico, tmp_path, capsys, damage):
    plan = small_plan()
    settings = dataclasses.replace(SETTINGS, keep_checkpoints=3)
    straight = model_with_rows(pico)
    run(straight, plan, tmp_path, settings)
    *_, before, last = list_checkpoints(tmp_path)
    path = last / ("state.json" if damage == "no state" else "tensors.safetensors")
    content = bytearray(path.read_bytes())
    match damage:
        case "zeros":
            content = bytearray(50)
        case "one bit":
            content[-100] ^= 1
        case _:
            del content[len(content) // 2 :]
    path.write_bytes(content)
    again = model_with_rows(pico)
    seen = run(again, plan, tmp_path, settings)
    assert seen[0][0] == int(before.name.removeprefix("step_")) + 1
    message = capsys.readouterr().err
    assert f"{last}: damaged checkpoint" in message
    assert f"Going on from {before.name}" in message
    assert all(torch.equal(value, trainable_parameters(again)[name]) for name, value in trainable_parameters(straight).items())
    assert (tmp_path / f"{last.name}.damaged").is_dir()


def test_a_checkpoint_of_another_model_is_named(pico, tmp_path):
    plan = small_plan()
    run(model_with_rows(pico), plan, tmp_path)
    with pytest.raises(JpAdaptError, match="checkpoint of another model"):
        run(model_with_rows(pico, lora=False), plan, tmp_path)


def test_as_many_checkpoints_are_kept_as_asked_for_and_the_best_beside_them(pico, tmp_path):
    figures = iter([9.0, 1.0, 5.0, 6.0, 7.0, 8.0])
    settings = dataclasses.replace(SETTINGS, keep_checkpoints=2, checkpoint_every=2, measure_every=2, best_by="bits")
    plan = small_plan(tokens=710)
    assert plan.num_steps == 12
    model = model_with_rows(pico)
    weights = {}

    def on_step(step, metrics):
        weights[step] = model.new_input.detach().clone()

    with pytest.raises(StopIteration):
        train(model, plan, settings, checkpoints=tmp_path, on_step=on_step, measure=lambda: {"bits": next(figures)})
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_000002", "step_000008", "step_000010"]
    train(model, plan, settings, checkpoints=tmp_path, on_step=on_step, measure=lambda: {"bits": 4.0})
    assert torch.equal(model.new_input, weights[2])
    assert not torch.equal(model.new_input, weights[12])


class SpoiltPlan:
    """A plan of which one step's targets are nonsense, as a broken shard would give."""

    def __init__(self, plan, step):
        self.plan, self.step, self.num_steps = plan, step, plan.num_steps

    def batch(self, step, rank=0, world_size=1):
        batch = self.plan.batch(step, rank, world_size)
        if step != self.step:
            return batch
        return dataclasses.replace(batch, targets=[[-1 if target < 0 else 503 for target in row] for row in batch.targets])


def test_a_spike_goes_back_to_the_checkpoint_and_on_behind_it_also_when_resumed(pico, tmp_path, capsys):
    base_plan = small_plan(tokens=3000)
    plan = SpoiltPlan(base_plan, 30)
    settings = dataclasses.replace(SETTINGS, spike_factor=1.05, checkpoint_every=8)
    model = model_with_rows(pico)
    seen = run(model, plan, tmp_path / "straight", settings)
    steps = [step for step, _ in seen]
    assert steps == [step for step in range(1, base_plan.num_steps + 1) if step != 31]
    assert "step 31: the loss jumped to" in capsys.readouterr().err
    stop_after(33, model_with_rows(pico), plan, tmp_path / "killed", settings)
    again = model_with_rows(pico)
    run(again, plan, tmp_path / "killed", settings)
    assert all(torch.equal(value, trainable_parameters(again)[name]) for name, value in trainable_parameters(model).items())


def test_a_spike_before_the_first_checkpoint_stops(pico, tmp_path):
    plan = SpoiltPlan(small_plan(tokens=3000), 30)
    with pytest.raises(JpAdaptError, match=r"step 31: the loss is .* a spike, before the first checkpoint"):
        run(model_with_rows(pico), plan, tmp_path, dataclasses.replace(SETTINGS, spike_factor=1.05, checkpoint_every=100))


class LongGradients:
    """A plan of whose steps some say that they have a tenth of their targets: their gradients are ten times as long."""

    def __init__(self, plan, steps):
        self.plan, self.steps, self.num_steps = plan, steps, plan.num_steps

    def batch(self, step, rank=0, world_size=1):
        batch = self.plan.batch(step, rank, world_size)
        return dataclasses.replace(batch, num_targets=batch.num_targets // 10) if step in self.steps else batch


def test_gradients_that_jumped_are_told_at_the_end_also_when_resumed(pico, tmp_path, capsys):
    plan = LongGradients(small_plan(tokens=3000), (11, 17))
    run(model_with_rows(pico), plan, tmp_path / "straight")
    said = f"gradients jumped in 2 of {plan.num_steps} steps, first in step 12"
    assert said in capsys.readouterr().err
    stop_after(14, model_with_rows(pico), plan, tmp_path / "killed")
    run(model_with_rows(pico), plan, tmp_path / "killed")
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("steps", [(), (11,)])
def test_a_calm_training_and_one_jump_say_nothing(pico, tmp_path, capsys, steps):
    run(model_with_rows(pico), LongGradients(small_plan(tokens=3000), steps), tmp_path)
    assert "gradients jumped" not in capsys.readouterr().err


def test_the_detector_counts_no_spike_among_the_usual_losses():
    detector = SpikeDetector(2.0)
    assert not any(detector.sees(loss) for loss in (3.0, 3.1, 2.9, 3.0, 3.2))
    assert detector.sees(6.5)
    assert detector.sees(float("inf"))
    assert detector.recent == [3.0, 3.1, 2.9, 3.0, 3.2]
    assert not SpikeDetector(None, detector.recent).sees(100.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA the kernels may be there")
@pytest.mark.parametrize("kernel", ["liger", "cut"])
def test_a_gpu_kernel_is_refused_without_a_gpu(pico, kernel):
    with pytest.raises(UsageError, match=rf"loss_kernel {kernel}: .* needs a CUDA GPU; use loss_kernel: chunked"):
        NextTokenLoss(model_with_rows(pico), kernel)
