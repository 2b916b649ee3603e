"""The preference stage: DPO through TRL's trainer, in the run folder of the recipe."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import new_folder
from jp_adapt.corpus.preferences import read_preferences
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.recipe.schema import PreferenceStage
from jp_adapt.tokenizer.save import COPIED

if TYPE_CHECKING:
    from jp_adapt.pipeline.stages import Context


def run_preference(stage: PreferenceStage, context: Context, folder: StageFolder) -> dict[str, Any]:
    """Train LoRA by DPO on the start's plain model, from TRL's last checkpoint if there is one; merge it into a plain model folder."""
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from transformers.trainer_utils import get_last_checkpoint
    from trl import DPOTrainer

    from jp_adapt.model.causal import load_base, resolve_precision

    start = context.model_folder(stage.start)
    tokenizer = AutoTokenizer.from_pretrained(start)
    if tokenizer.chat_template is None:
        raise InputError(
            f"stage '{stage.id}': {start} has no chat template, and preferences are conversations; start from a model with one, as an sft stage's export"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    dtype = resolve_precision(context.recipe.precision)
    lora = LoraConfig(r=stage.lora.rank, lora_alpha=stage.lora.alpha, use_rslora=stage.lora.rslora, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = DPOTrainer(
        model=load_base(start, dtype),
        args=_arguments(stage, folder.checkpoints, context.recipe.seed),
        train_dataset=_pairs(stage, context),
        processing_class=tokenizer,
        peft_config=lora,
    )
    checkpoint = get_last_checkpoint(str(folder.checkpoints)) if folder.checkpoints.is_dir() else None
    trainer.train(resume_from_checkpoint=checkpoint)
    folder.metrics.unlink(missing_ok=True)  # TRL's own log holds every step, those before a resume too
    log = [line for line in trainer.state.log_history if "loss" in line]
    for line in log:
        folder.add_metrics(line)
    merged = trainer.model.merge_and_unload()
    with new_folder(folder.final) as target:
        merged.save_pretrained(target)
        for name in ("tokenizer.json", "tokenizer.model", *COPIED):
            if (start / name).is_file():
                shutil.copyfile(start / name, target / name)
    last = log[-1] if log else {}
    return {
        "steps": trainer.state.global_step,
        "pairs": len(trainer.train_dataset),
        "loss": last.get("loss"),
        "accuracy": last.get("rewards/accuracies"),
        "margin": last.get("rewards/margins"),
        "precision": str(dtype).removeprefix("torch."),
    }


def _pairs(stage: PreferenceStage, context: Context) -> Any:
    from datasets import Dataset

    found = [pair for source in stage.pairs for pair in read_preferences(Path(context.recipe.sources[source].path))]
    answers = [{name: [{"role": "assistant", "content": getattr(pair, name)}] for name in ("chosen", "rejected")} for pair in found]
    return Dataset.from_list([{"prompt": pair.prompt, **both} for pair, both in zip(found, answers, strict=True)])


def _arguments(stage: PreferenceStage, checkpoints: Path, seed: int) -> Any:
    import torch
    from trl import DPOConfig

    return DPOConfig(
        output_dir=str(checkpoints),
        per_device_train_batch_size=stage.batch_pairs,
        num_train_epochs=stage.epochs,
        learning_rate=stage.lr,
        lr_scheduler_type="cosine",
        warmup_steps=stage.warmup_share,  # below 1 it is a share of all steps
        beta=stage.beta,
        loss_type=[stage.loss],
        max_length=stage.max_tokens,
        seed=seed,
        bf16=False,  # the model is loaded in the type it trains in
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="steps",
        save_steps=stage.checkpoint_every,
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
