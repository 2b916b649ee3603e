"""The preference stage: DPO through TRL's trainer, in the run folder of the recipe."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from jp_adapt.core.errors import InputError, Interrupted
from jp_adapt.core.files import new_folder
from jp_adapt.core.progress import progress, say
from jp_adapt.corpus.preferences import encode_preference, read_preferences
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.export.adapter import PROBE
from jp_adapt.export.card import proof_of, write_export_card
from jp_adapt.export.gguf_source import base_license
from jp_adapt.inference.text_side import write_text_side
from jp_adapt.model.causal import load_base, resolve_precision
from jp_adapt.model.export import export_model
from jp_adapt.model.lora import target_names
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.pipeline.stages.preference_watch import PreferenceWatch, last_whole
from jp_adapt.pipeline.stages.sft import own_chat
from jp_adapt.pipeline.stages.training import lora_of
from jp_adapt.recipe.schema import PreferenceStage
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer
from jp_adapt.tokenizer.save import copy_tokenizer
from jp_adapt.training import ranks
from jp_adapt.training.stop import stop_requests
from jp_adapt.training.trackers import open_tracker

if TYPE_CHECKING:
    from jp_adapt.pipeline.stages.context import Context


def run_preference(stage: PreferenceStage, context: Context, folder: StageFolder) -> dict[str, Any]:
    """Train LoRA by DPO on the start's plain model, from the last checkpoint if there is one; merge it, proven, into a plain model folder."""
    start = context.model_folder(stage.start)
    dtype = resolve_precision(context.recipe.precision)
    main = ranks.rank() == 0
    ranks.join()
    trainer = _trainer(stage, context, start, dtype, folder.checkpoints)
    checkpoint = ranks.share(last_whole(folder.checkpoints) if main else None)
    if main:
        folder.keep_metrics_until(-1 if checkpoint is None else int(checkpoint.name.rpartition("-")[2]))
    steps = math.ceil(stage.epochs * math.ceil(len(trainer.train_dataset) / stage.batch_pairs))
    watchers = [open_tracker(name, folder.path, context.recipe.name, stage.id) for name in context.trackers] if main else []
    quiet: Callable[[int, str], None] = lambda done, note: None  # noqa: E731
    with stop_requests() as stop_requested, progress(stage.id, steps) as advance:
        watch = PreferenceWatch(folder, stop_requested, watchers, advance if main else quiet)
        trainer.add_callback(watch)
        with ranks.lost_rank_is_an_error():
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if watch.stopped:
        raise Interrupted(f"stopped after step {trainer.state.global_step} of {steps}; a checkpoint is saved, and the same command resumes from there")
    if not main:
        return {}
    difference = _export(trainer, stage, context, folder, start, dtype)
    last = watch.last or next((line for line in reversed(folder.read_metrics()) if "loss" in line), {})
    return {
        "steps": trainer.state.global_step,
        "pairs": len(trainer.train_dataset),
        "loss": last.get("loss"),
        "accuracy": last.get("rewards/accuracies"),
        "margin": last.get("rewards/margins"),
        "largest_logit_difference": difference,
        "precision": str(dtype).removeprefix("torch."),
    }


def _trainer(stage: PreferenceStage, context: Context, start: Path, dtype: torch.dtype, checkpoints: Path) -> Any:
    pairs = _pairs(stage, context, start)
    from datasets.utils.logging import disable_progress_bar
    from peft import LoraConfig
    from transformers import AutoTokenizer, PrinterCallback
    from trl import DPOTrainer

    disable_progress_bar()  # progress is ours to show
    try:
        with tempfile.TemporaryDirectory(prefix="jp-adapt-") as plain:  # the base's own class may build another tokenizer than its tokenizer.json
            copy_tokenizer(start, Path(plain))
            tokenizer = AutoTokenizer.from_pretrained(plain, trust_remote_code=False)
    except (OSError, ValueError) as error:  # ValueError: its tokenizer is code of its own
        raise InputError(f"stage '{stage.id}': {start} has no tokenizer that transformers can load ({error})") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load_base(start, dtype)
    settings = lora_of(stage.lora)
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        target_modules=target_names(model.get_decoder(), settings),
        task_type="CAUSAL_LM",
    )
    arguments = _arguments(stage, checkpoints, context.recipe.seed, dtype)

    class Trainer(DPOTrainer):  # type: ignore[misc]
        """TRL's, on pairs that are encoded already: its own encoding takes the day's date, and special tokens that a user wrote."""

        def _prepare_dataset(self, dataset: Any, *arguments: Any, **options: Any) -> Any:
            return dataset

    trainer = Trainer(model=model, args=arguments, train_dataset=pairs, processing_class=tokenizer, peft_config=lora)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _pairs(stage: PreferenceStage, context: Context, start: Path) -> Any:
    """The pairs as ids, encoded as an sft stage encodes conversations; what is left out, cut or not used is said."""
    from datasets import Dataset

    chat = own_chat(start, stage.id)
    encoded = []
    for source in stage.pairs:
        entry = context.recipe.sources[source]
        fields = Fields(entry.ignore)
        encoded += [encode_preference(chat.encoder, pair) for pair in read_preferences(Path(entry.path), fields)]
        if fields.notes and ranks.rank() == 0:
            say(f"{stage.id}: fields of {source} that are taken for notes and not used: {fields.said()}")
    fitting = [pair for pair in encoded if len(pair[0]) < stage.max_tokens]
    if not fitting:
        raise InputError(f"stage '{stage.id}': the prompt of every pair has {stage.max_tokens:,} tokens or more; raise max_tokens")
    if ranks.rank() == 0:
        _say_what_is_cut(len(encoded), fitting, stage)
    prompts, chosen, rejected = zip(*fitting, strict=True)
    return Dataset.from_dict({"prompt_ids": prompts, "chosen_ids": chosen, "rejected_ids": rejected})


def _say_what_is_cut(given: int, fitting: Sequence[tuple[list[int], list[int], list[int]]], stage: PreferenceStage) -> None:
    """A pair whose prompt fills `max_tokens` has no answer left to learn; TRL cuts the ends of answers that go past it, without a word."""
    if len(fitting) < given:
        say(f"{stage.id}: {given - len(fitting)} of {given} pairs have a prompt of {stage.max_tokens:,} tokens or more and are left out")
    cut = sum(len(prompt) + max(len(chosen), len(rejected)) > stage.max_tokens for prompt, chosen, rejected in fitting)
    if cut:
        say(f"{stage.id}: {cut} of {len(fitting)} pairs have more than {stage.max_tokens:,} tokens; the ends of their answers are cut")


def _arguments(stage: PreferenceStage, checkpoints: Path, seed: int, dtype: torch.dtype) -> Any:
    from trl import DPOConfig

    processes = ranks.world_size()
    if stage.batch_pairs % processes:
        raise InputError(f"stage '{stage.id}': batch_pairs is {stage.batch_pairs}, which {processes} processes cannot share out evenly; make it a multiple")
    return DPOConfig(
        output_dir=str(checkpoints),
        per_device_train_batch_size=stage.batch_pairs // processes,
        num_train_epochs=stage.epochs,
        learning_rate=stage.lr,
        lr_scheduler_type="cosine",
        warmup_steps=stage.warmup_share,  # below 1 it is a share of all steps
        beta=stage.beta,
        loss_type=[stage.loss],
        max_length=stage.max_tokens,
        seed=seed,
        bf16=False,  # the model is loaded in the type it trains in
        fp16=dtype == torch.float16,  # for the scaling of the loss
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="steps",
        save_steps=stage.checkpoint_every,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is not a number must be seen
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _export(trainer: Any, stage: PreferenceStage, context: Context, folder: StageFolder, start: Path, dtype: torch.dtype) -> float:
    """Merge in float32, prove it, write the plain folder with its tokenizer and card, and return the largest difference of a logit."""
    tokenizer = plain_tokenizer(start)
    probe = encoder(tokenizer)(PROBE)
    with tempfile.TemporaryDirectory(dir=folder.path, prefix=".adapter.", suffix=".tmp") as adapter, new_folder(folder.final) as target:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(adapter, save_embedding_layers=False)
        difference = export_model(start, Path(adapter), dtype, target, probe)
        copy_tokenizer(start, target)
        write_text_side(target, context.document_start, context.document_end)
        write_export_card(target, context.recipe, context.records(stage.id), proof_of(difference, "float32"), base_license(context.base))
    return difference
