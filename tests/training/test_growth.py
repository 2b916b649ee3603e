"""New rows that come in as training goes on: which of them train, what the others are, and what a stop in the middle may not change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import Plan
from jp_adapt.corpus.phases import PhasedPlan
from jp_adapt.model.causal import CausalModel, NewRows, load_base
from jp_adapt.model.lora import LoraSettings
from jp_adapt.training.growth import Growth
from jp_adapt.training.loop import train
from jp_adapt.training.optimizer import trainable_parameters
from jp_adapt.training.spikes import FIRST as FIRST_VERDICT
from tests.training.test_loop import SETTINGS

FIRST, ROWS = 500, (2, 5, 6)
Seen = list[tuple[int, dict[str, float]]]


def model_of(folder: Path, rows: int = ROWS[-1]) -> CausalModel:
    base = load_base(folder, torch.float32)
    values = (torch.randn(ROWS[-1], 32, generator=torch.Generator().manual_seed(0)) * 0.02)[:rows]
    model = CausalModel(base, NewRows(values, None if base.config.tie_word_embeddings else values.clone(), FIRST))
    model.add_lora(LoraSettings(4, 8.0), seed=0)
    return model


def phase(rows: int, tokens: int = 300) -> Plan:
    documents = [[FIRST + (start + index) % rows if index % 2 else (7 * start + 3 * index) % FIRST for index in range(9 + 11 * start)] for start in range(9)]
    return plan_training({"a": (documents, 1.0)}, prefix=0, length=32, rows_per_step=2, seed=rows, tokens=tokens)


@pytest.fixture(scope="module")
def growth() -> Growth:
    return Growth(PhasedPlan([phase(rows) for rows in ROWS]), ROWS, calibrated=True)


def grow(model: CausalModel, growth: Growth, folder: Path, on_step: Callable[[int, dict[str, float]], None] = lambda step, metrics: None, **changes) -> None:
    train(model, growth.plan, dataclasses.replace(SETTINGS, **changes), checkpoints=folder, on_step=on_step, growth=growth)


@pytest.fixture(scope="module")
def straight(pico: Path, growth: Growth, tmp_path_factory: pytest.TempPathFactory) -> tuple[CausalModel, Seen, dict[int, torch.Tensor]]:
    """An undisturbed run: its model, metrics and the new rows after each step."""
    model, seen, rows = model_of(pico), [], {}

    def on_step(step: int, metrics: dict[str, float]) -> None:
        seen.append((step, metrics))
        assert model.new_input is not None
        rows[step] = model.new_input.detach().clone()

    grow(model, growth, tmp_path_factory.mktemp("straight"), on_step)
    return model, seen, rows


def test_rows_that_wait_stay_to_the_bit_and_those_in_use_move(pico: Path, growth: Growth, straight: tuple[CausalModel, Seen, dict[int, torch.Tensor]]) -> None:
    model, seen, rows = straight
    before = model_of(pico).new_input
    assert before is not None
    starts = growth.plan.starts
    assert [metrics["new_tokens"] for _, metrics in seen] == [growth.rows_after(step) for step in range(1, starts[-1] + 1)]
    for number, known in enumerate(ROWS[:-1]):
        assert torch.equal(rows[starts[number + 1]][known:], before[known:])
        assert not torch.equal(rows[starts[number + 1]][:known], before[:known])
    assert model.rows_in_use == ROWS[-1]
    assert not torch.equal(rows[starts[-1]][ROWS[-2] :], before[ROWS[-2] :])


@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
def test_the_first_phase_is_training_with_its_rows_alone(folder: str, growth: Growth, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Rows that wait change nothing: not the loss, nor a gradient, nor what AdamW keeps of the others."""
    alone, among = model_of(request.getfixturevalue(folder), ROWS[0]), model_of(request.getfixturevalue(folder))
    plan = phase(ROWS[0])
    for model, rows, name in ((alone, ROWS[:1], "alone"), (among, ROWS[:1], "among")):
        grow(model, Growth(PhasedPlan([plan]), rows, calibrated=True), tmp_path / name)
    for name, parameter in trainable_parameters(alone).items():
        assert torch.equal(trainable_parameters(among)[name][: len(parameter)], parameter), name


def test_what_comes_in_is_calibrated_and_what_is_there_is_not(pico: Path, growth: Growth) -> None:
    model = model_of(pico)
    assert model.new_input is not None
    before = model.new_input.detach().clone()
    model.rows_in_use = ROWS[0]
    growth.bring_in(model, growth.plan.starts[1])
    assert model.rows_in_use == ROWS[1]
    moved = (model.new_input.detach() - before).norm(dim=1)
    assert moved[: ROWS[0]].tolist() == [0.0] * ROWS[0]
    assert moved[ROWS[1] :].tolist() == [0.0] * (ROWS[2] - ROWS[1])
    assert float(moved[ROWS[0] : ROWS[1]].min()) > 0
    dataclasses.replace(growth, calibrated=False).bring_in(model, growth.plan.starts[2])
    assert model.rows_in_use == ROWS[2]
    assert torch.equal(model.new_input[ROWS[1] :], before[ROWS[1] :])


class Stop(Exception):
    pass


@pytest.mark.parametrize("every", [1, 4])
def test_stopped_in_every_phase_and_between_them_and_gone_on_with_gives_the_same_weights(
    pico: Path, growth: Growth, straight: tuple[CausalModel, Seen, dict[int, torch.Tensor]], tmp_path: Path, every: int
) -> None:
    """With a checkpoint at every step the run goes on right where new tokens come in; the step behind a stop has not been saved."""
    starts = growth.plan.starts
    for stop_at in (2, starts[1], starts[1] + 1, starts[1] + 3, starts[2] + 1, starts[2] + 2):

        def on_step(step: int, metrics: dict[str, float], stop_at: int = stop_at) -> None:
            if step == stop_at:
                raise Stop

        with pytest.raises(Stop):
            grow(model_of(pico), growth, tmp_path, on_step, checkpoint_every=every)
    model = model_of(pico)
    grow(model, growth, tmp_path, checkpoint_every=every)
    for name, parameter in trainable_parameters(straight[0]).items():
        assert torch.equal(trainable_parameters(model)[name], parameter), name


def test_a_spike_goes_back_over_the_beginning_of_a_phase_and_lets_the_tokens_come_in_again(pico: Path, growth: Growth, tmp_path: Path) -> None:
    model, start = model_of(pico), growth.plan.starts[1]
    assert model.new_input is not None
    came_in: list[torch.Tensor] = []

    def on_step(step: int, metrics: dict[str, float]) -> None:
        assert model.new_input is not None
        if step == start + 1:
            came_in.append(model.new_input.detach().clone())
            with torch.no_grad():  # the loss of the next step is not a number
                model.new_input *= float("nan")
        if step == start + 3:
            assert metrics["new_tokens"] == ROWS[1]
            came_in.append(model.new_input.detach().clone())

    grow(model, growth, tmp_path, on_step, checkpoint_every=start, spike_factor=2.0, lr=1e-5, new_rows_lr=1e-5)
    waiting, (before, after) = model_of(pico).new_input, came_in
    assert waiting is not None
    calibrated = (before - waiting.detach())[ROWS[0] : ROWS[1]].norm()
    assert float((after - before)[ROWS[0] : ROWS[1]].norm()) < 0.1 * float(calibrated), "calibrated once more, and not left as they waited"


def test_a_loss_that_rises_because_tokens_come_in_is_no_spike(pico: Path, growth: Growth, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, losses = model_of(pico), []
    with torch.no_grad():
        model.new_row_parameters()["input"][ROWS[0] :] *= 300
    uncalibrated = dataclasses.replace(growth, calibrated=False)
    grow(model, uncalibrated, tmp_path, lambda step, metrics: losses.append(metrics["loss_nats"] / metrics["num_targets"]), spike_factor=1.5, lr=1e-5)
    start = growth.plan.starts[1]
    assert start >= FIRST_VERDICT
    assert losses[start] > 1.5 * losses[start - 1]
    assert "jumped" not in capsys.readouterr().err
