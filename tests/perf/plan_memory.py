"""The memory model of `jp-adapt plan` against measured peaks: one optimizer step on randomly initialised Llamas, each in a process of its own, on the CPU.

Measured is the resident memory at the peak of the second step (the first makes the optimizer's moments), less that of the process before the model was made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jp_adapt.model.architectures import Architecture
from jp_adapt.model.plan import Workload, memory_by_part

SMOL = Workload(Architecture(576, 1536, 30, 9, 3, 64, 49_152, True), 6_000, 32, 256, 4, 1024, micro_rows=4)
SMALL = Workload(Architecture(512, 1376, 8, 8, 8, 64, 32_000, False), 12_000, 64, 512, 4, 2048, micro_rows=4)
WIDE = replace(SMALL, architecture=Architecture(512, 1376, 8, 8, 8, 64, 128_256, False), new_tokens=16_000, lora_rank=16)
CASES = {
    "SmolLM2-135M, LoRA r32, 4 x 256": SMOL,
    "SmolLM2-135M, LoRA r32, 1 x 1,024": replace(SMOL, sequence_tokens=1024, micro_rows=1),
    "SmolLM2-135M, LoRA r32, 4 x 256, checkpointing": replace(SMOL, checkpointing=True),
    "SmolLM2-135M, LoRA r256, 4 x 256": replace(SMOL, lora_rank=256),
    "SmolLM2-135M, rows only, 4 x 256": replace(SMOL, lora_rank=None),
    "SmolLM2-135M, vocabulary 144k, LoRA r8, 4 x 256": replace(SMOL, new_tokens=94_848, lora_rank=8),
    "SmolLM2-135M, all parameters, 2 x 256": replace(SMOL, lora_rank=None, train_body=True, train_rows=True, micro_rows=2),
    "53 M untied, LoRA r64, 4 x 512": SMALL,
    "53 M untied, LoRA r64, 4 x 512, float32": replace(SMALL, weight_bytes=4.0),
    "53 M untied, LoRA r64, 4 x 512, float32, checkpointing": replace(SMALL, weight_bytes=4.0, checkpointing=True),
    "53 M untied, LoRA r64 and all rows, 4 x 512": replace(SMALL, train_rows=True),
    "53 M, vocabulary 144k, LoRA r16, 4 x 512": WIDE,
    "53 M, vocabulary 144k, LoRA r16, 4 x 512, checkpointing": replace(WIDE, checkpointing=True),
}


def main() -> None:
    print(f"  {'planned':>9} {'measured':>9} {'ratio':>6}")
    for name, work in CASES.items():
        parts = memory_by_part(work)
        planned = sum(parts.values())
        command = [sys.executable, "-m", "tests.perf.plan_memory"]
        # glibc keeps freed blocks of up to 32 MB; given back at once, resident memory is what is in use.
        done = subprocess.run(
            command, input=json.dumps(asdict(work)), capture_output=True, text=True, check=False, env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
        )
        if done.returncode:
            print(f"  {name}: failed: {done.stderr[-500:]}")
            continue
        measured = json.loads(done.stdout)["bytes"]
        detail = ", ".join(f"{part} {size / 1e6:,.0f}" for part, size in parts.items())
        print(f"  {planned / 1e6:7,.0f}MB {measured / 1e6:7,.0f}MB {planned / measured:6.2f}  {name}  ({detail})", flush=True)


def _measure(work: Workload) -> int:
    """Bytes above the empty process at the peak of a step."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from jp_adapt.model.causal import CausalModel, NewRows
    from jp_adapt.model.lora import LoraSettings
    from jp_adapt.training.objective import NextTokenLoss
    from jp_adapt.training.optimizer import trainable_parameters

    sizes = work.architecture
    dtype = torch.float32 if work.weight_bytes == 4 else torch.bfloat16
    torch.randn(512, 512, dtype=dtype) @ torch.randn(512, 512, dtype=dtype)
    before = _status("VmRSS")
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
    objective, optimizer = NextTokenLoss(model), torch.optim.AdamW(trainable_parameters(model).values())
    ids = torch.randint(0, sizes.vocab_size, (work.micro_rows, work.sequence_tokens))
    half = work.sequence_tokens // 2
    positions = torch.cat([torch.arange(half), torch.arange(work.sequence_tokens - half)]).repeat(work.micro_rows, 1)
    for _ in range(2):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        objective(ids, positions, ids).backward()
        optimizer.step()
        optimizer.zero_grad()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def _child() -> None:
    values: dict[str, Any] = json.load(sys.stdin)
    values["architecture"] = Architecture(**values["architecture"])
    print(json.dumps({"bytes": _measure(Workload(**values))}))


if __name__ == "__main__":
    _child()
