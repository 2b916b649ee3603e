"""`jp-adapt plan`: what a recipe will need on a device, stage by stage. Only sizes are read: no weights, no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.given import at_least
from jp_adapt.model.architectures import Architecture
from jp_adapt.model.plan import Device, Workload, flops_per_token, hours, memory_by_part, remedies, total
from jp_adapt.model.this_machine import find_device
from jp_adapt.recipe.base_sizes import base_architecture
from jp_adapt.recipe.load import LoadedRecipe, load_recipe
from jp_adapt.recipe.schema import PretrainStage, Recipe, RowsStage, SftStage, TokenizerStage, TrainingStage
from jp_adapt.recipe.training_parts import Lora

ASSUMED_CHARS_PER_TOKEN = {"ja": 1.0, "en": 4.0, "code": 3.0}  # of an unextended base, for a budget in epochs; a run measures it
ASSUMED_ANSWER_SHARE = 0.5  # of the tokens of a conversation, those that carry loss
ASSUMED_UNKNOWN_TOKENS = 10_000_000  # where the text is not here to be measured


def plan_recipe(
    loaded: LoadedRecipe | str | Path,
    device_name: str | None = None,
    devices: int = 1,
    *,
    micro_rows: int | None = None,
    price: float | None = None,
    currency: str = "USD",
) -> dict[str, Any]:
    """A JSON value: the architecture, and for every training stage parameters, memory, steps, tokens, FLOPs, hours, whether it fits and what would help.

    Args:
        loaded: of `load_recipe`, or the name of a shipped recipe, or a path; its texts and weights need not be there.
        device_name: one of `model.plan.DEVICES`; None is the machine at hand.
        micro_rows: rows that go through a device at once; by default `micro_batch_rows` of the stage, or its share of a step, halved until it fits.
        price: of one device for one hour, in `currency`, which is only said.

    Raises:
        UsageError: unknown device, or a number below its bound. InputError: the sizes of the base are not known here.
    """
    at_least("devices", devices, 1)
    at_least("micro_rows", micro_rows, 1)
    at_least("price", price, 0)
    loaded = loaded if isinstance(loaded, LoadedRecipe) else load_recipe(loaded, need_files=False)
    device_name, device = find_device(device_name)
    recipe = loaded.recipe
    architecture = base_architecture(recipe.base, loaded.path)
    stages = [_stage_plan(stage, recipe, architecture, device, devices, micro_rows) for stage in recipe.stages if isinstance(stage, TrainingStage)]
    if not stages:
        raise UsageError(f"{loaded.path}: no stage of this recipe trains, so there is nothing to plan")
    device_hours = devices * sum(stage["hours"] for stage in stages)
    return {
        "recipe": recipe.name,
        "device": {"name": device_name, "devices": devices, "memory_bytes": device.memory_bytes, "peak_flops": device.peak_flops, "source": device.source},
        "assumed": {"mfu": device.mfu, "reached": device.reached, "reserve_bytes": device.reserve_bytes, "chars_per_token": ASSUMED_CHARS_PER_TOKEN},
        "base": {"parameters": architecture.parameters, "vocab_size": architecture.vocab_size, "tied": architecture.tied},
        "stages": stages,
        "hours": device_hours / devices,
        "device_hours": device_hours,
        "cost": None if price is None else device_hours * price,
        "currency": None if price is None else currency,
        "fits": all(stage["fits"] for stage in stages),
    }


def _stage_plan(stage: TrainingStage, recipe: Recipe, architecture: Architecture, device: Device, devices: int, micro_rows: int | None) -> dict[str, Any]:
    tokens, tokens_known = _tokens(stage, recipe)
    rows = max(1, stage.batch_tokens // stage.sequence_tokens)
    work = Workload(
        architecture=architecture,
        new_tokens=_new_tokens(stage, recipe),
        lora_rank=_lora_rank(stage, recipe),
        sequence_tokens=stage.sequence_tokens,
        rows_per_step=rows,
        tokens=tokens,
        loss_share=ASSUMED_ANSWER_SHARE if isinstance(stage, SftStage) else 1.0,
        devices=devices,
        weight_bytes=4.0 if recipe.precision == "float32" else 2.0,
        micro_rows=min(micro_rows or stage.micro_batch_rows or rows, -(-rows // devices)),
        checkpointing=stage.activation_checkpointing,
        sharded=recipe.distributed == "fsdp" and devices > 1,
        four_bit=recipe.quantization is not None,
        train_body=not isinstance(stage, RowsStage) and stage.parameters == "full",
        train_rows=not isinstance(stage, RowsStage) and stage.trains_all_rows,
        lean=device.cpu and architecture.plain and recipe.distributed != "deepspeed" and not stage.compile,
    )
    share = -(-rows // devices)
    while micro_rows is None and stage.micro_batch_rows is None and work.micro_rows > 1 and total(work, device) > device.memory_bytes:
        work = replace(work, micro_rows=work.micro_rows // 2)
    needed, phases = total(work, device), _phases(stage, work)
    help_needed = [
        {
            "remedy": remedy,
            "words": words,
            "bytes": total(changed, device),
            "fits": total(changed, device) <= device.memory_bytes,
            "hours": hours(changed, device),
        }
        for remedy, words, changed in remedies(work, device)
    ]
    return {
        "id": stage.id,
        "kind": stage.kind,
        "new_tokens": work.new_tokens,
        "grow": [phase.new_tokens for phase in phases] if len(phases) > 1 else None,
        "trainable": work.trainable,
        "trainable_share": work.trainable / (architecture.parameters + work.trainable - work.trained_base_parameters),
        "tokens": tokens,
        "tokens_known": tokens_known,
        "steps": work.steps,
        "micro_rows": work.micro_rows,
        "rows_of_a_step": share,
        "memory": memory_by_part(work) | {"reserve": device.reserve_bytes},
        "bytes": needed,
        "fits": needed <= device.memory_bytes,
        "would_fit_with": help_needed,
        "flops": sum(phase.tokens * flops_per_token(phase) for phase in phases),
        "hours": help_needed[-1]["hours"] if help_needed and help_needed[-1]["fits"] else sum(hours(phase, device) for phase in phases),
    }


def _phases(stage: TrainingStage, work: Workload) -> list[Workload]:
    """The parts of a stage, each with the new tokens that are in its head; the memory of all of them is there from the beginning."""
    if not isinstance(stage, PretrainStage) or stage.grow is None:
        return [work]
    total = sum(phase.share for phase in stage.grow)
    sizes = [work.new_tokens if phase.new_tokens == "all" else phase.new_tokens for phase in stage.grow]
    return [replace(work, new_tokens=size, tokens=round(work.tokens * phase.share / total)) for size, phase in zip(sizes, stage.grow, strict=True)]


def _tokens(stage: TrainingStage, recipe: Recipe) -> tuple[int, bool]:
    """Tokens of a stage, and whether they are the recipe's own number (or an estimate from the size of the text)."""
    if stage.budget.tokens is not None:
        return stage.budget.tokens, True
    assert stage.budget.epochs is not None
    items = stage.data if isinstance(stage, SftStage) else stage.data[:1]
    results = 0.0
    for item in items:
        source = recipe.sources[item.source]
        path = Path(source.path)
        if not source.path or not path.is_file():
            return ASSUMED_UNKNOWN_TOKENS, False
        bytes_per_char = 3 if source.language == "ja" else 1
        share = item.weight if isinstance(stage, SftStage) else sum(other.weight for other in stage.data) / item.weight
        results += share * path.stat().st_size / bytes_per_char / ASSUMED_CHARS_PER_TOKEN[source.language]
    return max(1, round(results * stage.budget.epochs)), False


def _line_of(stage: TrainingStage, recipe: Recipe) -> list[Any]:
    """The stage and those that it goes back to."""
    by_id = {entry.id: entry for entry in recipe.stages}
    line: list[Any] = [stage]
    while line[-1].start != "base":
        line.append(by_id[line[-1].start])
    return line


def _new_tokens(stage: TrainingStage, recipe: Recipe) -> int:
    """InputError where a stage is to find the number out by itself."""
    stages = [entry for entry in _line_of(stage, recipe) if isinstance(entry, TokenizerStage)]
    numbers = [entry.new_tokens for entry in stages if entry.new_tokens is not None]
    if len(numbers) < len(stages):
        raise InputError(
            f"stage '{stages[0].id}': new_tokens is auto, and nobody knows how many that are before it ran; plan with -s stages.{stages[0].id}.new_tokens=N"
        )
    return sum(numbers)


def _lora_rank(stage: TrainingStage, recipe: Recipe) -> int | None:
    if isinstance(stage, RowsStage) or stage.parameters == "full":
        return None
    for entry in _line_of(stage, recipe):
        if isinstance(entry, PretrainStage | SftStage) and entry.parameters == "lora" and entry.lora is not None:
            return entry.lora.rank
    return Lora().rank
