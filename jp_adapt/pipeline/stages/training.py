"""What a training stage needs of torch: its model, its settings, its held-out figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from tokenizers import Tokenizer

from jp_adapt.commands.processes import measuring_processes
from jp_adapt.commands.training_plan import TokenizedPhase, growing_plan, training_plan
from jp_adapt.core.files import new_folder, read_json, read_json_lines, write_text
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.progress import progress, say
from jp_adapt.corpus.conversations import ConversationPlan
from jp_adapt.corpus.pack import Plan, StepPlan
from jp_adapt.corpus.phases import PhasedPlan
from jp_adapt.corpus.sources import first_chars
from jp_adapt.inference.answer import Encode
from jp_adapt.inference.bits import TEXT_WINDOW, score_texts
from jp_adapt.inference.samples import greedy_ids
from jp_adapt.inference.text_side import write_text_side
from jp_adapt.model.causal import CausalModel, NewRows, load_base, load_causal
from jp_adapt.model.lora import LoraSettings
from jp_adapt.model.rows import InitMethod, init_new_rows
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.pipeline.stages.context import Context, Results
from jp_adapt.pipeline.stages.sft import answer_measure, sft_plan, write_chat_template
from jp_adapt.recipe.deepspeed import read_deepspeed
from jp_adapt.recipe.schema import PretrainStage, RowsStage, SftStage, TokenizerStage, TrainingStage
from jp_adapt.recipe.training_parts import Lora, TrainingSamples
from jp_adapt.report.training_samples import SAMPLES
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer
from jp_adapt.tokenizer.save import copy_tokenizer
from jp_adapt.training import ranks
from jp_adapt.training.checkpoint import last_whole_checkpoint
from jp_adapt.training.first_rows import calibrate_rows
from jp_adapt.training.growth import Growth
from jp_adapt.training.loop import Distributed, Metrics, TrainSettings
from jp_adapt.training.trackers import open_tracker

if TYPE_CHECKING:
    from jp_adapt.pipeline.stages.context import Context


def lora_of(lora: Lora) -> LoraSettings:
    """What a recipe says of LoRA, as the model takes it."""
    return LoraSettings(lora.rank, lora.alpha, lora.rslora, lora.dora, tuple(lora.targets) if lora.targets else None)


def makes_new_rows(stage: TrainingStage, context: Context) -> TypeGuard[RowsStage | PretrainStage]:
    """Whether a stage starts from a tokenizer, so that its model has no rows for the new tokens yet."""
    return isinstance(stage, RowsStage | PretrainStage) and stage.start != "base" and isinstance(context.stage(stage.start), TokenizerStage)


def prepare_model(stage: TrainingStage, context: Context, dtype: torch.dtype) -> CausalModel:
    """The model as the stage finds it: with new rows just made where it starts from a tokenizer, else with those of its start; and with LoRA, fresh or its own.

    What the stage trains of the base is unfrozen. Where the model will be sharded, rank 0 alone reads weights.
    """
    empty = context.recipe.distributed == "fsdp" and ranks.rank() > 0
    quantization, start = context.recipe.quantization, stage.start
    if makes_new_rows(stage, context):
        extension = read_json(context.stage_folder(start).final / "extension.json")
        sources, first = [token["sources"] for token in extension["tokens"]], int(extension["first_new_id"])
        method: InitMethod = "mean" if stage.init == "calibrated" else stage.init
        model = _with_new_rows(load_base(context.base, dtype, quantization=quantization, empty=empty), sources, first, method)
    else:
        adapter = None if start == "base" else context.stage_folder(start).final
        model = load_causal(context.base, dtype, adapter, quantization=quantization, empty=empty)
    if isinstance(stage, RowsStage):
        return model
    full = stage.parameters == "full"
    model.unfreeze(body=full, embeddings=stage.trains_all_rows)
    if model.lora is None and not full:
        model.add_lora(lora_of(stage.lora or Lora()), context.recipe.seed)
    return model


def _with_new_rows(base: Any, sources: list[list[int]], first: int, init: InitMethod) -> CausalModel:
    def rows(old: torch.Tensor) -> torch.Tensor:
        return torch.empty(len(sources), old.shape[1]) if old.is_meta else init_new_rows(old[:first].detach(), sources, init)

    num_rows = len(base.get_input_embeddings().weight)
    if num_rows > first and ranks.rank() == 0:
        say(f"{num_rows - first} of the base's {num_rows:,} embedding rows belong to no token; new tokens take {min(num_rows - first, len(sources))} of them")
    new_output = None if base.config.tie_word_embeddings else rows(base.get_output_embeddings().weight)
    return CausalModel(base, NewRows(rows(base.get_input_embeddings().weight), new_output, first))


def train_settings(stage: TrainingStage, distributed: Distributed, deepspeed: str | None = None) -> TrainSettings:
    """The recipe's optimizer, flat, and what the JSON of `deepspeed` says."""
    optimizer = stage.optimizer
    return TrainSettings(
        lr=optimizer.lr,
        new_rows_lr=optimizer.new_rows_lr or optimizer.lr,
        betas=optimizer.betas,
        eps=optimizer.eps,
        weight_decay=optimizer.weight_decay,
        clip_norm=optimizer.clip_norm,
        schedule=optimizer.schedule,
        warmup_share=optimizer.warmup_share,
        decay_share=optimizer.decay_share,
        final_lr_share=optimizer.final_lr_share,
        checkpoint_every=stage.checkpoint_every,
        measure_every=stage.heldout_every,
        lora_plus_ratio=optimizer.lora_plus_ratio,
        micro_batch_rows=stage.micro_batch_rows,
        keep_checkpoints=stage.keep_checkpoints,
        spike_factor=stage.spike_factor,
        best_by=f"bits_per_byte/{stage.heldout[0]}" if stage.weights == "best" else None,
        loss_kernel=stage.loss_kernel,
        attention=stage.attention,
        activation_checkpointing=stage.activation_checkpointing,
        compile=stage.compile,
        old_rows_lr=optimizer.old_rows_lr,
        new_rows_eps=optimizer.new_rows_eps,
        new_rows_whitening=optimizer.new_rows_whitening,
        shared_rows_lr=optimizer.shared_rows_lr,
        distributed=distributed,
        deepspeed=None if deepspeed is None else read_deepspeed(Path(deepspeed)),
    )


@contextmanager
def recorded_steps(
    title: str, folder: StageFolder, num_steps: int, tokens_of: Callable[[int], Metrics], watchers: Sequence[Callable[[int, Metrics], None]]
) -> Iterator[Callable[[int, Metrics], None]]:
    """A function for the loop to call after each step: it writes metrics.jsonl, from the last checkpoint on, and shows how far training is."""
    saved = last_whole_checkpoint(folder.checkpoints)
    folder.keep_metrics_until(int(saved.name.removeprefix("step_")) if saved else -1)
    with progress(title, num_steps) as advance:

        def on_step(step: int, metrics: Metrics) -> None:
            if "loss_nats" in metrics:
                metrics["loss_nats_per_token"] = metrics["loss_nats"] / max(1, metrics["num_targets"])
                metrics |= tokens_of(step - 1)
            folder.add_metrics({"step": step, "num_steps": num_steps, **metrics})
            for watch in watchers:
                watch(step, metrics)
            advance(step, f"loss {metrics['loss_nats_per_token']:.3f}" if step else "")

        yield on_step


def source_counter(plan: StepPlan) -> Callable[[int], Metrics]:
    """A function that says how many tokens of each source are in a step; of conversations, which come as they are packed, it says nothing."""
    return lambda step: {f"tokens/{name}": tokens for name, tokens in plan.tokens_of(step).items()} if isinstance(plan, Plan | PhasedPlan) else {}


def sampler(
    model: CausalModel, encode: Encode, decode: Callable[[list[int]], str], samples: TrainingSamples, folder: StageFolder, *, prefix: int, every: int
) -> Callable[[int, Metrics], None]:
    """A function that writes greedy continuations into samples.jsonl before the first step and every so many; a step that is done again replaces its own.

    On several processes rank 0 writes. The others generate too, as the blocks of a sharded model are gathered from all of them.
    """
    path = folder.path / SAMPLES

    def watch(step: int, metrics: Metrics) -> None:
        if step % every:
            return
        lines = [line for _, line in read_json_lines(path)] if path.is_file() else []
        lines = [line for line in lines if line["step"] < step]
        for prompt in samples.prompts:
            ids = [prefix, *encode(prompt)]
            new = greedy_ids(model, ids, stop_id=prefix, enough=lambda new: len(decode(new)) >= samples.max_chars, max_tokens=3 * samples.max_chars)
            lines.append({"step": step, "prompt": prompt, "continuation": decode(new)[: samples.max_chars]})
        if ranks.rank() == 0:
            write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    return watch


def heldout_measure(
    model: CausalModel, encode: Encode, heldout: dict[str, list[str]], languages: Mapping[str, str], prefix: int, end: int | None = None
) -> Callable[[], Metrics]:
    """A function that scores the held-out texts with the model as it is then: bits per character of Japanese, bits per byte of the others, and of an end.

    Every rank must call it: they share the texts out, and all get the figures.
    """

    def measure() -> Metrics:
        figures: Metrics = {}
        processes = measuring_processes(model)
        for source, documents in heldout.items():
            score = score_texts(model, encode, documents, prefix=prefix, end=end, max_tokens=TEXT_WINDOW, processes=processes)
            if languages[source] == "ja":
                figures[f"bits_per_char/{source}"] = score.bits_per_char
            figures[f"bits_per_byte/{source}"] = score.bits_per_byte
            if score.bits_per_end is not None:
                figures[f"bits_per_end/{source}"] = score.bits_per_end
        return figures

    return measure


def run_training(stage: TrainingStage, context: Context, folder: StageFolder) -> Results:
    """A rows, a pretrain or an sft stage: from its start to an adapter folder."""
    from jp_adapt.model.causal import resolve_precision, save_adapter
    from jp_adapt.training import ranks
    from jp_adapt.training.loop import train

    tokenizer_folder = context.tokenizer_folder(stage.id)
    tokenizer = plain_tokenizer(tokenizer_folder)
    prefix, end = context.prefix_id(tokenizer), context.end_id(tokenizer)
    plan, chars_per_token, phases = _plan(stage, context, prefix, end)
    calibrated = makes_new_rows(stage, context) and stage.init == "calibrated"
    growth = Growth(plan, [phase.rows for phase in phases], calibrated) if isinstance(plan, PhasedPlan) else None
    dtype = resolve_precision(context.recipe.precision)
    model = prepare_model(stage, context, dtype)
    encode = _encoder(model, tokenizer, phases)
    if calibrated and growth is None and last_whole_checkpoint(folder.checkpoints) is None:
        calibrate_rows(model, plan, sharded=context.recipe.distributed == "fsdp" and ranks.world_size() > 1)
    texts = [source for source in stage.heldout if context.recipe.sources[source].format == "text"]
    heldout = {source: first_chars(context.documents(source, "heldout"), stage.heldout_chars) for source in texts}
    languages = {source: context.recipe.sources[source].language for source in texts}
    measures = [heldout_measure(model, encode, heldout, languages, prefix, end)] if heldout else []
    if isinstance(stage, SftStage) and (chats := [source for source in stage.heldout if source not in texts]):
        measures.append(answer_measure(model, stage, context, chats))

    def measure() -> dict[str, float]:
        return {name: value for entry in measures for name, value in entry().items()}

    distributed = context.recipe.distributed
    settings = train_settings(stage, distributed, context.recipe.deepspeed)
    work = partial(train, model, plan, settings, checkpoints=folder.checkpoints, measure=measure if measures else None, growth=growth)
    samples = [sampler(model, encode, tokenizer.decode, stage.samples, folder, prefix=prefix, every=stage.heldout_every)] if stage.samples else []
    if ranks.rank() > 0:
        work(on_step=samples[0] if samples and distributed != "ddp" else lambda step, metrics: None)
        return {}
    watchers = [*(open_tracker(name, folder.path, context.recipe.name, stage.id) for name in context.trackers), *samples]
    with recorded_steps(stage.id, folder, plan.num_steps, source_counter(plan), watchers) as on_step:
        work(on_step=on_step)
    with new_folder(folder.final) as target:
        save_adapter(model, target, sha256_file(tokenizer_folder / "tokenizer.json"))
        copy_tokenizer(tokenizer_folder, target)
        if isinstance(stage, SftStage):
            write_chat_template(stage, context, target)
        write_text_side(target, context.document_start, context.document_end)
    return {
        "steps": plan.num_steps,
        "fill": plan.fill,
        "tokens_by_source": plan.tokens_by_source,
        **({"epochs_by_source": plan.epochs_by_source, "cut_share": plan.cut_share} if isinstance(plan, Plan | PhasedPlan) else {}),
        **({"phases": [{"new_tokens": phase.rows, "chars_per_token": phase.chars_per_token} for phase in phases]} if phases else {}),
        **({"notes": plan.notes} if isinstance(plan, ConversationPlan) else {}),
        "chars_per_token": chars_per_token,
        "document_end": tokenizer.id_to_token(end),
        "precision": str(dtype).removeprefix("torch."),
    }


def _plan(stage: TrainingStage, context: Context, prefix: int, end: int) -> tuple[Plan | PhasedPlan | ConversationPlan, float, list[TokenizedPhase]]:
    """The plan of a stage, characters per token of its first source (of answers in an sft stage), and the phases of one that grows."""
    folder = context.tokenizer_folder(stage.id)
    if isinstance(stage, SftStage):
        return *sft_plan(stage, context), []
    if isinstance(stage, PretrainStage) and stage.grow is not None:
        plan, phases = growing_plan(stage, context.recipe, folder, prefix=prefix, end=end)
        return plan, phases[-1].chars_per_token, phases
    return *training_plan(stage, context.recipe, folder, prefix=prefix, end=end), []


def _encoder(model: CausalModel, tokenizer: Tokenizer, phases: Sequence[TokenizedPhase]) -> Encode:
    """Text -> ids with the tokenizer that `model` has rows for by now."""
    if not phases:
        return encoder(tokenizer)
    encoders = {phase.rows: encoder(phase.tokenizer) for phase in phases}
    return lambda text: encoders[model.rows_in_use](text)
