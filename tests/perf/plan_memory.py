"""The memory model of `jp-adapt plan` against measured peaks: one optimizer step on randomly initialised Llamas, each in a process of its own, on the CPU,
through our own layers (lean) and those of transformers.

Measured is the resident memory at the peak of a step, the optimizer's moments being there, less that of the process before the model was made.
Options: --only=TEXT of a case's name (lean, float32, SmolLM2), all without.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jp_adapt.model.architectures import Architecture
from jp_adapt.model.plan import Workload, memory_by_part
from tests.perf.options import option

if TYPE_CHECKING:
    import torch

LONG = Workload(Architecture(256, 1024, 8, 4, 4, 64, 32_000, False), 12_000, 64, 512, 2, 1024, micro_rows=2, weight_bytes=4.0)
WIDE = replace(LONG, architecture=Architecture(256, 1024, 8, 8, 2, 32, 128_256, False), new_tokens=16_000, lora_rank=16)
SMOLLM2 = Workload(Architecture(576, 1536, 30, 9, 3, 64, 49_152, True), 6_000, 32, 256, 1, 256, weight_bytes=4.0)
HALF = {"weight_bytes": 2.0, "sequence_tokens": 256, "rows_per_step": 1, "micro_rows": 1}  # fewer tokens: without AVX512-BF16 a CPU takes long for each
TINY = replace(LONG.architecture, hidden_size=16, intermediate_size=16, num_layers=1, num_heads=2, num_kv_heads=2, head_dim=8, vocab_size=32)
TRANSFORMERS = {
    "vocabulary 44k, LoRA r64, 2 x 512, float32": LONG,
    "the same, checkpointing": replace(LONG, checkpointing=True),
    "the same, 1 x 1,024": replace(LONG, sequence_tokens=1024, rows_per_step=1, micro_rows=1),
    "the same, LoRA r256": replace(LONG, lora_rank=256),
    "the same, rows only": replace(LONG, lora_rank=None),
    "vocabulary 144k, LoRA r16, 2 x 512, float32": WIDE,
    "the same, checkpointing (144k)": replace(WIDE, checkpointing=True),
    "vocabulary 44k, LoRA r64, 1 x 256, bfloat16": replace(LONG, **HALF),
    "the same, checkpointing (bfloat16)": replace(LONG, checkpointing=True, **HALF),
    "vocabulary 144k, LoRA r16, 1 x 256, bfloat16": replace(WIDE, **HALF),
    "SmolLM2-135M + 6,000, LoRA r32, 1 x 256, float32": SMOLLM2,
    "the same, 1 x 1,024 (SmolLM2)": replace(SMOLLM2, sequence_tokens=1024),
}
CASES = {f"{name}, lean": replace(work, lean=True) for name, work in TRANSFORMERS.items()} | {
    "vocabulary 44k, LoRA r64 and all rows, 2 x 512, float32": replace(LONG, train_rows=True),
    "the same, all parameters": replace(LONG, lora_rank=None, train_body=True, train_rows=True),
    "the same, all parameters (bfloat16)": replace(LONG, lora_rank=None, train_body=True, train_rows=True, **HALF),
    **TRANSFORMERS,
}


def main() -> None:
    print(f"  {'planned':>9} {'measured':>9} {'ratio':>6}", flush=True)
    # glibc keeps freed blocks of up to 32 MB; given back at once, resident memory is what is in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    subprocess.run([sys.executable, "-m", "tests.perf.plan_memory", *sys.argv[2:]], check=True, env=environment)


def _measure(work: Workload) -> int:
    """Bytes that a step takes at its peak, above those of the process before there is a model."""
    import torch

    dtype = torch.float32 if work.weight_bytes == 4 else torch.bfloat16
    _step(replace(work, architecture=TINY, new_tokens=8, lora_rank=work.lora_rank and 2, sequence_tokens=8), dtype)  # loads what a step loads
    before = _status("VmRSS")
    return _step(work, dtype) - before


def _step(work: Workload, dtype: torch.dtype) -> int:
    """Bytes of this process at the peak of a step."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from jp_adapt.model.causal import CausalModel, NewRows
    from jp_adapt.model.lora import LoraSettings
    from jp_adapt.training.objective import NextTokenLoss
    from jp_adapt.training.optimizer import trainable_parameters

    sizes = work.architecture
    config = LlamaConfig(
        vocab_size=sizes.vocab_size,
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_heads,
        num_key_value_heads=sizes.num_kv_heads,
        head_dim=sizes.head_dim,
        tie_word_embeddings=sizes.tied,
        dtype=dtype,
    )
    torch.set_default_dtype(dtype)
    base = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    torch.set_default_dtype(torch.float32)
    rows = torch.zeros(work.new_tokens, sizes.hidden_size)
    model = CausalModel(base, NewRows(rows, None if sizes.tied else rows))
    if work.lora_rank:
        model.add_lora(LoraSettings(work.lora_rank, 2.0 * work.lora_rank), seed=0)
    model.unfreeze(body=work.train_body, embeddings=work.train_rows)
    if work.checkpointing:
        model.body.train()
        model.body.gradient_checkpointing_enable({"use_reentrant": False})
    if work.lean:
        model.make_lean()
    trained = list(trainable_parameters(model).values())
    objective, optimizer = NextTokenLoss(model), torch.optim.AdamW(trained)
    ids = torch.randint(0, sizes.vocab_size, (work.micro_rows, work.sequence_tokens))
    half = work.sequence_tokens // 2
    positions = torch.cat([torch.arange(half), torch.arange(work.sequence_tokens - half)]).repeat(work.micro_rows, 1)
    for parameter in trained:  # a step with gradients of zero makes the moments
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    objective(ids, positions, ids).backward()
    optimizer.step()
    return _status("VmHWM")


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def _cases() -> None:
    """Each case in a process of its own, forked where torch is loaded already."""
    import torch
    from transformers import LlamaForCausalLM

    import jp_adapt.training.objective

    assert LlamaForCausalLM
    assert jp_adapt.training.objective
    torch.set_num_threads(1)  # a process that ran several threads must not fork
    for name, work in CASES.items():
        if option("only", "") not in name:
            continue
        if (child := os.fork()) == 0:
            measured, parts = _measure(work), memory_by_part(work)
            planned = sum(parts.values())
            detail = ", ".join(f"{part} {size / 1e6:,.0f}" for part, size in parts.items())
            print(f"  {planned / 1e6:7,.0f}MB {measured / 1e6:7,.0f}MB {planned / measured:6.2f}  {name}  ({detail})", flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            print(f"  {name}: failed", flush=True)


if __name__ == "__main__":
    _cases()
