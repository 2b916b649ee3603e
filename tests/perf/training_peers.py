"""One contender trains a few steps in a process of its own, and says how fast it was and how much memory it took: ours, TRL's SFTTrainer, Trainer + peft.

    python -m tests.perf.training_peers '{"contender": "ours", "base": "...", ...}'

All take the same rows of the same tokens, LoRA r32 on all linear layers, AdamW, clipping at 1. The peers run as their documentation has it: the model
loaded in bfloat16, `bf16=True`; on a processor without fast bfloat16 products all compute in float32. With `new_rows` above 0 the base is extended by so
many rows, which train: ours as rows of their own, the peers with `modules_to_save` (whole embedding and head).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RANK, ALPHA = 32, 64
WARM_UP = 1  # steps that are not timed


@dataclass(frozen=True)
class Job:
    """What one process does: `steps` steps of `rows` rows of `length` tokens."""

    contender: str
    base: str
    rows: int
    length: int
    steps: int
    new_rows: int = 0
    text: str = ""  # a file of documents; random ids where there is none
    attention: str = "auto"  # of ours, on a GPU
    tokenizer: str = ""  # folder of the tokenizer of `text`; the base's where there is none
    clock: str = "wall"  # or "processor", on a CPU beside other work: seconds of all threads together

    def now(self) -> float:
        return time.process_time() if self.clock == "processor" else time.perf_counter()


def measure(job: Job) -> dict[str, float]:
    """Tokens and characters per second, and peak resident bytes, of a fresh process that does `job`."""
    done = subprocess.run([sys.executable, "-m", "tests.perf.training_peers", json.dumps(asdict(job))], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{job.contender}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _documents(job: Job) -> list[list[int]]:
    """Documents of at least `rows * length * steps` tokens in all, the same for every contender with this tokenizer."""
    return _documents_and_chars(job)[0]


def _documents_and_chars(job: Job) -> tuple[list[list[int]], int]:
    import random

    wanted = job.rows * job.length * (job.steps + WARM_UP + 1)
    if not job.text:
        generator = random.Random(0)
        top = _vocab_size(job) + job.new_rows
        return [[generator.randrange(top) for _ in range(job.length)] for _ in range(wanted // job.length + 1)], 0
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{job.tokenizer or job.base}/tokenizer.json")
    texts = [json.loads(line)["text"] for line in Path(job.text).read_text(encoding="utf-8").splitlines()]
    documents: list[list[int]] = []
    total = chars = 0
    while total < wanted:
        text = texts[len(documents) % len(texts)]
        ids = tokenizer.encode(text).ids
        documents.append(ids)
        total += len(ids)
        chars += len(text)
    return documents, chars


def _vocab_size(job: Job) -> int:
    return int(json.loads((Path(job.base) / "config.json").read_text(encoding="utf-8"))["vocab_size"])


def _ours(job: Job) -> float:
    import torch

    from jp_adapt.corpus.mixture import plan_training
    from jp_adapt.model.causal import CausalModel, NewRows, load_base, resolve_precision
    from jp_adapt.model.lora import LoraSettings
    from jp_adapt.training.loop import TrainSettings, train

    base = load_base(Path(job.base), resolve_precision("auto"))
    hidden = base.config.hidden_size
    rows = NewRows(torch.randn(job.new_rows, hidden) * 0.02, None if base.config.tie_word_embeddings else torch.randn(job.new_rows, hidden) * 0.02)
    model = CausalModel(base, rows if job.new_rows else None)
    model.add_lora(LoraSettings(RANK, ALPHA), seed=0)
    tokens = job.rows * job.length * (job.steps + WARM_UP)
    plan = plan_training({"text": (_documents(job), 1.0)}, prefix=0, length=job.length, rows_per_step=job.rows, seed=0, tokens=tokens)
    settings = TrainSettings(1e-4, 1e-4, (0.9, 0.95), 1e-8, 0.0, 1.0, "cosine", 0.1, 0.2, 0.1, 10**6, 10**6, attention=job.attention)  # type: ignore[arg-type]
    clock: list[tuple[float, int]] = []

    def on_step(step: int, metrics: dict[str, float]) -> None:
        clock.append((job.now(), int(metrics["tokens"])))

    with tempfile.TemporaryDirectory() as folder:
        train(model, plan, settings, checkpoints=Path(folder), on_step=on_step)
    (start, before), (end, after) = clock[WARM_UP - 1], clock[WARM_UP + job.steps - 1]
    return (after - before) / (end - start)


def _peer(job: Job) -> float:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Trainer, TrainerCallback, TrainingArguments, default_data_collator

    from jp_adapt.model.causal import resolve_precision

    dtype = resolve_precision("auto")
    model = AutoModelForCausalLM.from_pretrained(job.base, dtype=dtype)
    if job.new_rows:
        model.resize_token_embeddings(_vocab_size(job) + job.new_rows, mean_resizing=False)
    saved = ["embed_tokens", "lm_head"] if job.new_rows else None
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", modules_to_save=saved, task_type="CAUSAL_LM")
    clock, counted = [], [0]

    class Clock(TrainerCallback):
        def on_step_end(self, *args, **kwargs) -> None:
            clock.append((job.now(), counted[0]))

    common = {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": job.rows,
        "max_steps": job.steps + WARM_UP,
        "learning_rate": 1e-4,
        "bf16": dtype == torch.bfloat16,
        "use_cpu": not torch.cuda.is_available(),
        "save_strategy": "no",
        "report_to": [],
        "logging_steps": 10**6,
        "disable_tqdm": True,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
    }
    documents = _documents(job)
    if job.contender == "TRL SFTTrainer":
        from trl import SFTConfig, SFTTrainer

        tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{job.base}/tokenizer.json", eos_token="<|endoftext|>", pad_token="<|endoftext|>")
        arguments = SFTConfig(**common, max_length=job.length, packing=True)
        data = Dataset.from_dict({"input_ids": documents})
        trainer = SFTTrainer(model=model, args=arguments, train_dataset=data, processing_class=tokenizer, peft_config=lora, callbacks=[Clock()])
    else:
        flat = [token for document in documents for token in document]
        blocks = [flat[start : start + job.length] for start in range(0, len(flat) - job.length + 1, job.length)]  # as run_clm.py groups texts
        data = Dataset.from_dict({"input_ids": blocks, "labels": blocks})
        arguments = TrainingArguments(**common)
        trainer = Trainer(get_peft_model(model, lora), arguments, default_data_collator, data, callbacks=[Clock()])
    compute_loss = trainer.compute_loss

    def counting(model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        counted[0] += int((inputs["labels"] != -100).sum())
        return compute_loss(model, inputs, *args, **kwargs)

    trainer.compute_loss = counting  # not in the collator: the loader is a batch ahead of the step
    trainer.train()
    (start, before), (end, after) = clock[WARM_UP - 1], clock[WARM_UP + job.steps - 1]
    return (after - before) / (end - start)


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    tokens_per_s = _ours(job) if job.contender == "ours" else _peer(job)
    import torch

    on_gpu = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    documents, chars = _documents_and_chars(job)
    chars_per_s = tokens_per_s * chars / sum(map(len, documents))
    print(json.dumps({"tokens_per_s": tokens_per_s, "chars_per_s": chars_per_s, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
