"""Rules between the parts of a recipe, which a schema of single parts cannot state. Each finding is (path of keys, message)."""

from __future__ import annotations

from collections.abc import Iterator

from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import Key
from jp_adapt.recipe.schema import (
    STAGES,
    EvaluateStage,
    EvolveStage,
    PretrainStage,
    Recipe,
    RowsStage,
    SftStage,
    Stage,
    TokenizerStage,
    TrainingStage,
)

Finding = tuple[Key, str]


def cross_check(recipe: Recipe) -> Iterator[Finding]:
    """All findings, in the order of the recipe."""
    kinds = {"base": "base"}
    all_ids = [stage.id for stage in recipe.stages]
    for index, stage in enumerate(recipe.stages):
        key: Key = ("stages", index)
        if stage.id in kinds:
            yield (*key, "id"), f"stage id '{stage.id}' is taken already; give every stage its own (and 'base' is the base model)"
        yield from _check_start(stage, key, kinds, all_ids)
        yield from _check_sources(stage, key, recipe)
        yield from _check_training(stage, key)
        if isinstance(stage, EvaluateStage):
            yield from _check_models(stage, key, kinds, all_ids)
        yield from (((*key, *where), message) for where, message in stage.findings())
        if isinstance(stage, SftStage) and stage.lora is not None and kinds.get(stage.start) in ("pretrain", "sft"):
            yield (*key, "lora"), f"'{stage.start}' has LoRA already, and this stage continues with it; take 'lora' out"
        yield from _check_parameters(stage, index, recipe)
        yield from _check_kernels(stage, index)
        yield from _check_growth(stage, index, recipe)
        yield from _check_row_steps(stage, index)
        kinds.setdefault(stage.id, stage.kind)
    yield from _check_frozen_rows(recipe)
    yield from _check_distributed(recipe)


def _check_start(stage: Stage, key: Key, kinds: dict[str, str], all_ids: list[str]) -> Iterator[Finding]:
    for where, start in stage.starts.items() if not isinstance(stage, EvaluateStage) else ():
        finding = _unknown(start, kinds, all_ids)
        if finding:
            yield (*key, *where), finding
        elif kinds[start] not in stage.starts_from:
            yield (*key, *where), f"kind {stage.kind} starts from {' or '.join(stage.starts_from)}, and '{start}' is {kinds[start]}"
        elif isinstance(stage, PretrainStage) and stage.grow is not None and kinds[start] != "tokenizer":
            yield (*key, "grow"), f"new tokens come in where a stage starts from a tokenizer, and '{start}' is {kinds[start]}; take 'grow' out"
        elif isinstance(stage, PretrainStage) and "init" in stage.model_fields_set and kinds[start] != "tokenizer":
            yield (*key, "init"), f"new rows are made where a stage starts from a tokenizer, and '{start}' is {kinds[start]}; take 'init' out"


def _check_training(stage: Stage, key: Key) -> Iterator[Finding]:
    if getattr(stage, "weights", "last") == "best" and not getattr(stage, "heldout", ()):
        yield (*key, "weights"), "the best weights are those with the fewest bits per byte of a held-out text; name one in 'heldout'"


def _check_parameters(stage: Stage, index: int, recipe: Recipe) -> Iterator[Finding]:
    """All parameters train without LoRA: in this stage, and in those before it."""
    if not isinstance(stage, PretrainStage | SftStage) or stage.parameters == "lora":
        return
    if "lora" in stage.model_fields_set and stage.lora is not None:
        yield ("stages", index, "lora"), "'parameters: full' trains all weights, without LoRA; take 'lora' out, or 'parameters'"
    start = stage.start
    for before in reversed(recipe.stages[:index]):
        if before.id == start and isinstance(before, TrainingStage):
            if not isinstance(before, RowsStage) and before.parameters == "lora":
                why = f"'{before.id}' trained LoRA, which would stay beside the weights that train here; let it have 'parameters: full' too"
                yield ("stages", index, "parameters"), why
            start = before.start


def _check_growth(stage: Stage, index: int, recipe: Recipe) -> Iterator[Finding]:
    """The last phase has all tokens of the tokenizer that the stage starts from."""
    if not isinstance(stage, PretrainStage) or stage.grow is None:
        return
    key: Key = ("stages", index, "grow")
    start = next((other for other in recipe.stages[:index] if other.id == stage.start and isinstance(other, TokenizerStage)), None)
    last = stage.grow[-1].new_tokens
    if start is not None and last not in ("all", start.new_tokens):
        has = "as many as its text can teach" if start.new_tokens is None else f"{start.new_tokens:,}"
        yield (*key, len(stage.grow) - 1), f"the last phase has {last:,} new tokens, and '{start.id}' {has}; end with all"


def _check_row_steps(stage: Stage, index: int) -> Iterator[Finding]:
    if not isinstance(stage, TrainingStage) or stage.optimizer.shared_rows_lr is None:
        return
    key: Key = ("stages", index, "optimizer", "shared_rows_lr")
    if not stage.optimizer.new_rows_whitening:
        yield key, "rows learn together in whitened steps; add new_rows_whitening: true, or take 'shared_rows_lr' out"
    if isinstance(stage, PretrainStage) and stage.grow is not None:
        yield key, "rows that wait to come in would learn with the others; take 'shared_rows_lr' out, or 'grow'"


def _check_kernels(stage: Stage, index: int) -> Iterator[Finding]:
    if isinstance(stage, TrainingStage) and stage.compile and stage.attention in ("flex", "varlen"):
        yield ("stages", index, "attention"), f"a compiled transformer attends under a mask; take attention: {stage.attention} out, or compile"


def _check_distributed(recipe: Recipe) -> Iterator[Finding]:
    if recipe.quantization is not None:
        for index, stage in enumerate(recipe.stages):
            if isinstance(stage, PretrainStage | SftStage) and stage.parameters == "full":
                yield ("stages", index, "parameters"), f"weights in 4 bits cannot train; take out quantization: {recipe.quantization}, or train LoRA"
    if (recipe.distributed == "deepspeed") != (recipe.deepspeed is not None):
        yield ("distributed",), "distributed: deepspeed and deepspeed: FILE.json go together; give both, or none"
    if recipe.distributed == "ddp":
        return
    if recipe.quantization is not None:
        why = f"weights in 4 bits are not sharded here, each device holds them whole: distributed: ddp, or no quantization: {recipe.quantization}"
        yield ("quantization",), why
    if recipe.precision == "float16":
        yield ("precision",), f"float16 scales its losses, which distributed: {recipe.distributed} does not do here; use bfloat16 or float32"
    for index, stage in enumerate(recipe.stages):
        for where, what in _with_ddp_alone(stage):
            yield ("stages", index, *where), f"{what} and distributed: {recipe.distributed} were not tried together; take one of them out"
        if recipe.distributed == "deepspeed" and isinstance(stage, TrainingStage) and stage.spike_factor is not None:
            why = "its engine does not let go of the gradients of a step; take spike_factor out, or distributed: fsdp"
            yield ("stages", index, "spike_factor"), f"a spike is not passed over with distributed: deepspeed, {why}"


def _with_ddp_alone(stage: Stage) -> Iterator[tuple[Key, str]]:
    """What was tried on one process and with DDP: (path of keys in the stage, its name in a message)."""
    if not isinstance(stage, TrainingStage):
        return
    if stage.compile:
        yield ("compile",), "compile"
    if stage.optimizer.new_rows_whitening:
        yield ("optimizer", "new_rows_whitening"), "whitened steps"
    if isinstance(stage, PretrainStage) and stage.grow is not None:
        yield ("grow",), "growing"


def _check_models(stage: EvaluateStage, key: Key, kinds: dict[str, str], all_ids: list[str]) -> Iterator[Finding]:
    for position, model in enumerate(stage.models):
        finding = _unknown(model, kinds, all_ids)
        if finding:
            yield (*key, "models", position), finding
        elif model != "base" and STAGES[kinds[model]].gives != "model":
            yield (
                (*key, "models", position),
                f"evaluate takes 'base', export, merge, evolve and preference stages, and '{model}' is a {kinds[model]} stage; export it first",
            )


def _unknown(name: str, kinds: dict[str, str], all_ids: list[str]) -> str | None:
    if name in kinds:
        return None
    if name in all_ids:
        return f"'{name}' is a later stage (or this one); a stage starts from 'base' or from one that stands before it"
    return f"no stage '{name}'{did_you_mean(name, ['base', *all_ids])}"


def _check_sources(stage: Stage, key: Key, recipe: Recipe) -> Iterator[Finding]:
    for path, name in named_sources(stage):
        if name not in recipe.sources:
            known = ", ".join(recipe.sources) or "none"
            yield (*key, *path), f"no source '{name}'{did_you_mean(name, recipe.sources)}; sources of this recipe: {known}"
        elif (results := recipe.sources[name].format) not in (allowed := _formats(stage, path)):
            yield (*key, *path), f"source '{name}' is of format {results}, and {' or '.join(allowed)} is needed here; say so in the source if it is that"


def _formats(stage: Stage, path: Key) -> tuple[str, ...]:
    """What a source may hold that a stage names at `path`."""
    if path[0] == "pairs":
        return ("preference",)
    if isinstance(stage, SftStage):
        return ("chat",) if path[0] == "data" else ("text", "chat")
    return ("text",)


def named_sources(stage: Stage) -> Iterator[tuple[Key, str]]:
    """Every source that a stage names, with its path inside the stage."""
    for attribute in ("corpus", "unchanged", "heldout", "texts", "pairs"):
        for position, name in enumerate(getattr(stage, attribute, ())):
            yield (attribute, position), name
    if isinstance(stage, TrainingStage):
        for position, item in enumerate(stage.data):
            yield ("data", position, "source"), item.source
    if isinstance(stage, EvolveStage):
        for name, measure in stage.fitness.items():
            if measure.text is not None:
                yield ("fitness", name, "text"), measure.text


def _check_frozen_rows(recipe: Recipe) -> Iterator[Finding]:
    """An extended tokenizer from which nothing trains leaves its new tokens without rows."""
    started = {stage.start for stage in recipe.stages if isinstance(stage, RowsStage | PretrainStage)}
    for index, stage in enumerate(recipe.stages):
        if isinstance(stage, TokenizerStage) and stage.id not in started and any(s.kind in ("pretrain", "export") for s in recipe.stages):
            yield ("stages", index), f"no rows or pretrain stage starts from '{stage.id}', so its new tokens would have no rows; add one"
