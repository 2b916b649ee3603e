"""The loop: what trains, what stays, what batches and ranks must not change, and what stops it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import IGNORED, Plan, StepPlan
from jp_adapt.model.causal import CausalModel, NewRows, load_base
from jp_adapt.model.lora import LoraSettings
from jp_adapt.training.checkpoint import list_checkpoints
from jp_adapt.training.loop import TrainSettings, train
from jp_adapt.training.objective import NextTokenLoss
from jp_adapt.training.optimizer import parameter_groups, trainable_parameters

SETTINGS = TrainSettings(
    lr=1e-2,
    new_rows_lr=1e-2,
    betas=(0.9, 0.95),
    eps=1e-8,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="cosine",
    warmup_share=0.1,
    decay_share=0.2,
    final_lr_share=0.1,
    checkpoint_every=4,
    measure_every=5,
)


def model_with_rows(folder, *, lora: bool = True, dtype: torch.dtype = torch.float32) -> CausalModel:
    base = load_base(folder, dtype)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, 32, generator=generator) * 0.02
    model = CausalModel(base, NewRows(rows, None if base.config.tie_word_embeddings else rows.clone()))
    if lora:
        model.add_lora(LoraSettings(4, 8.0), seed=0)
    return model


def small_plan(rows_per_step: int = 2, tokens: int = 640) -> Plan:
    documents = [[(7 * start + 3 * index) % 504 for index in range(5 + 11 * start)] for start in range(9)]
    return plan_training({"a": (documents, 1.0)}, prefix=0, length=32, rows_per_step=rows_per_step, seed=0, tokens=tokens)


def run(model: CausalModel, plan: Plan, folder, settings: TrainSettings = SETTINGS) -> list[tuple[int, dict[str, float]]]:
    seen: list[tuple[int, dict[str, float]]] = []
    train(model, plan, settings, checkpoints=folder, on_step=lambda step, metrics: seen.append((step, metrics)))
    return seen


class Stopped(Exception):
    pass


def stop_after(step: int, model: CausalModel, plan: StepPlan, folder, settings: TrainSettings = SETTINGS) -> None:
    """Train until a step is done, and end there as a killed process does: with the checkpoints that there are by then."""

    def on_step(done: int, metrics: dict[str, float]) -> None:
        if done == step:
            raise Stopped

    with pytest.raises(Stopped):
        train(model, plan, settings, checkpoints=folder, on_step=on_step)


@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
def test_loss_falls_and_everything_old_stays_bit_for_bit(folder, request, tmp_path):
    base = request.getfixturevalue(folder)
    model = model_with_rows(base)
    seen = run(model, small_plan(tokens=4000), tmp_path)
    losses = [metrics["loss_nats"] / metrics["num_targets"] for _, metrics in seen]
    assert sum(losses[-5:]) / 5 < losses[0] - 0.15
    kept = model.base.state_dict()
    for name, weight in load_file(base / "model.safetensors").items():
        stored = kept.get(name, kept.get(f"{name.removesuffix('.weight')}.base_layer.weight"))
        assert torch.equal(stored, weight), name


@pytest.mark.parametrize(("compiled", "lean"), [(False, True), (True, False)])
def test_steps_go_through_lean_layers_unless_torch_compiles(pico, tmp_path, compiled, lean, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: None)
    model, seen = model_with_rows(pico), []
    settings = dataclasses.replace(SETTINGS, compile=compiled)
    train(model, small_plan(tokens=64), settings, checkpoints=tmp_path, on_step=lambda step, metrics: seen.append(model.lean is not None))
    assert seen == [lean, lean]
    assert model.lean is None


def test_rows_stage_trains_rows_alone(pico, tmp_path):
    model = model_with_rows(pico, lora=False)
    before = model.new_input.detach().clone()
    run(model, small_plan(), tmp_path)
    assert list(trainable_parameters(model)) == ["new_rows.input"]
    assert not torch.equal(model.new_input, before)


@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
def test_whitened_steps_change_output_rows_and_input_rows_only_where_they_are_the_same(folder, request, tmp_path):
    """One step: input rows that are no head rows, and LoRA, get the step that they get without."""
    stepped = {}
    for whitened in (False, True):
        model = model_with_rows(request.getfixturevalue(folder))
        settings, plan = dataclasses.replace(SETTINGS, new_rows_whitening=whitened), small_plan(rows_per_step=8, tokens=40)
        assert plan.num_steps == 1
        run(model, plan, tmp_path / str(whitened), settings)
        stepped[whitened] = trainable_parameters(model)
    changed = {name for name, parameter in stepped[True].items() if not torch.equal(parameter, stepped[False][name])}
    assert changed == {"new_rows.input" if folder == "pico" else "new_rows.output"}


def test_rows_that_do_not_occur_hardly_move(pico, tmp_path):
    """Every row gets a gradient, if only for not being the target; without an epsilon of its own AdamW makes a full step of that."""
    documents = [[500, 501, 7, 500, 9, 501, 11, 500] * 4]  # 502 and 503 never
    plan = plan_training({"a": (documents, 1.0)}, prefix=0, length=32, rows_per_step=1, seed=0, epochs=5)
    moved = {}
    for eps in (0.0, 0.2):
        model = model_with_rows(pico, lora=False)
        before = model.new_input.detach().clone()
        run(model, plan, tmp_path / str(eps), dataclasses.replace(SETTINGS, new_rows_eps=eps))
        moved[eps] = (model.new_input.detach() - before).norm(dim=1)
    assert float(moved[0.0][2:].min() / moved[0.0][:2].max()) > 0.5
    assert float(moved[0.2][2:].max() / moved[0.2][:2].min()) < 0.1
    assert float(moved[0.2][:2].min() / moved[0.0][:2].max()) > 0.5, "those that occur move as before"


def test_eight_rows_at_once_or_one_by_one_train_the_same_weights(pico, tmp_path):
    plan = small_plan(rows_per_step=8, tokens=20 * 8 * 32)
    assert plan.num_steps >= 20
    trained = []
    for micro_batch_rows in (None, 3, 1):
        model = model_with_rows(pico)
        losses = run(model, plan, tmp_path / str(micro_batch_rows), dataclasses.replace(SETTINGS, lr=1e-3, new_rows_lr=1e-3, micro_batch_rows=micro_batch_rows))
        trained.append((trainable_parameters(model), [metrics["loss_nats"] for _, metrics in losses]))
    for parameters, losses in trained[1:]:
        assert losses == pytest.approx(trained[0][1], rel=1e-6)
        for name, parameter in trained[0][0].items():
            torch.testing.assert_close(parameters[name], parameter, rtol=0, atol=1e-6)


def test_activation_checkpointing_changes_no_bit(pico, tmp_path):
    weights = []
    for recompute in (False, True):
        model = model_with_rows(pico)
        run(model, small_plan(), tmp_path / str(recompute), dataclasses.replace(SETTINGS, activation_checkpointing=recompute))
        weights.append(trainable_parameters(model))
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())


def test_lora_plus_gives_b_matrices_a_rate_of_their_own(pico):
    parameters = trainable_parameters(model_with_rows(pico))
    groups = parameter_groups(parameters, lr=1e-3, new_rows_lr=5e-4, old_rows_lr=1e-3, lora_plus_ratio=16, weight_decay=0.1)
    rates = {id(parameter): (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}
    assert len(rates) == len(parameters)
    for name, parameter in parameters.items():
        expected = (5e-4, 0.0) if name.startswith("new_rows") else (16e-3 if ".lora_B." in name else 1e-3, 0.1)
        assert rates[id(parameter)] == expected, name


@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
@pytest.mark.parametrize("body", [True, False])
def test_what_trains_of_the_base_has_groups_of_its_own(folder, body, request):
    model = model_with_rows(request.getfixturevalue(folder), lora=not body)
    model.unfreeze(body=body, embeddings=True)
    parameters = trainable_parameters(model)
    assert sum(parameter.numel() for parameter in parameters.values()) == sum(p.numel() for p in model.parameters() if p.requires_grad)
    groups = parameter_groups(parameters, lr=1e-3, new_rows_lr=5e-4, old_rows_lr=1e-5, lora_plus_ratio=1, weight_decay=0.1)
    rates = {id(parameter): (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}
    rows = ["input"] if model.tied else ["input", "output"]
    assert [name for name in parameters if "_rows." in name] == [f"new_rows.{name}" for name in rows] + [f"old_rows.{name}" for name in rows]
    for name, parameter in parameters.items():
        decay = 0.0 if "norm" in name else 0.1
        assert rates[id(parameter)] == {"new_rows": (5e-4, 0.0), "old_rows": (1e-5, 0.1)}.get(name.partition(".")[0], (1e-3, decay)), name


def test_float16_trains_with_scaled_losses(pico, tmp_path):
    model = model_with_rows(pico, dtype=torch.float16)
    seen = run(model, small_plan(tokens=4000), tmp_path)
    losses = [metrics["loss_nats"] / metrics["num_targets"] for _, metrics in seen]
    assert model.dtype == model.base_head.dtype == torch.float16
    assert sum(losses[-5:]) / 5 < losses[0] - 0.1


def test_one_batch_of_eight_rows_has_the_gradient_of_eight_batches_of_one(pico):
    plan = small_plan(rows_per_step=8)
    gradients = []
    for ranks in (1, 8):
        model = model_with_rows(pico)
        loss = NextTokenLoss(model)
        for rank in range(ranks):
            batch = plan.batch(0, rank, ranks)
            (loss(*(torch.tensor(part) for part in (batch.ids, batch.positions, batch.targets))) / batch.num_targets).backward()
        gradients.append({name: parameter.grad for name, parameter in trainable_parameters(model).items()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-7)


def test_packed_loss_is_the_sum_of_the_losses_of_the_documents_alone(pico):
    model = model_with_rows(pico)
    loss = NextTokenLoss(model)
    documents = [[0, 5, 9, 502, 3], [0, 8, 8, 1, 400, 500, 2, 6]]
    plan = plan_training({"a": ([document[1:] for document in documents], 1.0)}, prefix=0, length=16, rows_per_step=1, seed=0, tokens=11)
    batch = plan.batch(0)
    assert batch.targets[0].count(IGNORED) == 16 - 11
    together = loss(*(torch.tensor(part) for part in (batch.ids, batch.positions, batch.targets)))
    alone = sum(loss(torch.tensor([d[:-1]]), torch.arange(len(d) - 1)[None], torch.tensor([d[1:]])) for d in documents)
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("folder", "changes"),
    [
        ("pico", {}),
        ("pico", {"new_rows_whitening": True, "shared_rows_lr": 1e-2}),
        ("pico_untied", {"new_rows_whitening": True}),
    ],
)
def test_resumed_from_any_checkpoint_gives_the_same_weights(folder, changes, request, tmp_path):
    pico = request.getfixturevalue(folder)
    settings = dataclasses.replace(SETTINGS, **changes)
    straight = model_with_rows(pico)
    plan = small_plan()
    run(straight, plan, tmp_path / "straight", settings)
    for step in (3, 6, 9):
        stop_after(step, model_with_rows(pico), plan, tmp_path / "resumed", settings)
    resumed = model_with_rows(pico)
    run(resumed, plan, tmp_path / "resumed", settings)
    for name, parameter in trainable_parameters(straight).items():
        assert torch.equal(parameter, trainable_parameters(resumed)[name]), name
    assert [path.name for path in list_checkpoints(tmp_path / "resumed")] == [f"step_{plan.num_steps:06d}"]


def test_held_out_figures_come_before_during_and_after(pico, tmp_path):
    seen = []
    train(
        model_with_rows(pico),
        small_plan(),
        dataclasses.replace(SETTINGS, measure_every=4),
        checkpoints=tmp_path,
        on_step=lambda step, metrics: seen.append((step, "figure" in metrics)),
        measure=lambda: {"figure": 1.0},
    )
    measured = [step for step, has in seen if has]
    assert measured[0] == 0
    assert measured[1:-1] == list(range(4, seen[-1][0], 4))
    assert measured[-1] == seen[-1][0]
