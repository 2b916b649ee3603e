"""One optimiser step's forward and backward on SmolLM2-135M (bfloat16 where the processor has it, LoRA r32 on all linear layers, 1,024 tokens of 256-token
rows): ours against transformers + peft as they come (peft's LoRA layers, SDPA, loss from full logits).

Needs the model as a plain folder: the `base` stage of a run, runs/quickstart/stages/base/final, or the folder that JP_ADAPT_BASE names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from jp_adapt.model.causal import load_causal, resolve_precision
from jp_adapt.model.lora import LoraSettings
from jp_adapt.training.objective import NextTokenLoss
from tests.perf.timing import alternate, report

BATCH, LENGTH = 4, 256


def main() -> None:
    base = Path(os.environ.get("JP_ADAPT_BASE", "runs/quickstart/stages/base/final"))
    if not base.is_dir():
        print(f"  skipped: no model in {base}; run `make quickstart` first")
        return
    ids = torch.randint(0, 49152, (BATCH, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    contenders = {"ours": _ours(base, ids), "transformers + peft": _theirs(base, ids)}
    report(alternate(contenders, rounds=5), "ours")


def _ours(base: Path, ids: torch.Tensor) -> Callable[[], object]:
    model = load_causal(base, resolve_precision("auto"))
    model.add_lora(LoraSettings(32, 64.0), seed=0)
    loss = NextTokenLoss(model)
    positions = torch.arange(LENGTH).repeat(BATCH, 1)
    return lambda: loss(ids[:, :-1], positions, ids[:, 1:]).backward()


def _theirs(base: Path, ids: torch.Tensor) -> Callable[[], object]:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=resolve_precision("auto"))
    model = get_peft_model(model, LoraConfig(r=32, lora_alpha=64, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.train()
    inputs = ids[:, :-1]
    return lambda: model(input_ids=inputs, labels=inputs).loss.backward()
