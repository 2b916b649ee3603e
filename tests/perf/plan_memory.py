"""The memory model of `jp-adapt plan` against measured peaks: one optimizer step on randomly initialised Llamas, each in a process of its own, on the CPU.

Measured is the resident memory at the peak of the second step (the first makes the optimizer's moments), less that of the process before the model was made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.model.architectures import Architecture
from jp_adapt.model.plan import Workload, memory_by_part

SMALL = Architecture(512, 1376, 8, 8, 8, 64, 32_000, False)
CASES = {
    "SmolLM2-135M, LoRA r32, 4 x 256": Workload(Architecture(576, 1536, 30, 9, 3, 64, 49_152, True), 6_000, 32, 256, 4, 1024, micro_rows=4),
    "SmolLM2-135M, LoRA r32, 2 x 1,024": Workload(Architecture(576, 1536, 30, 9, 3, 64, 49_152, True), 6_000, 32, 1024, 2, 2048, micro_rows=2),
    "SmolLM2-135M, rows only, 4 x 256": Workload(Architecture(576, 1536, 30, 9, 3, 64, 49_152, True), 6_000, None, 256, 4, 1024, micro_rows=4),
    "53 M untied, LoRA r64, 8 x 512": Workload(SMALL, 12_000, 64, 512, 8, 4096, micro_rows=8),
    "53 M untied, LoRA r64, 8 x 512, float32": Workload(SMALL, 12_000, 64, 512, 8, 4096, micro_rows=8, weight_bytes=4.0),
    "53 M, vocabulary 144k, LoRA r16, 4 x 512": Workload(Architecture(512, 1376, 8, 8, 8, 64, 128_256, False), 16_000, 16, 512, 4, 2048, micro_rows=4),
}


def main() -> None:
    print(f"  {'planned':>9} {'measured':>9} {'ratio':>6}")
    for name, work in CASES.items():
        planned = sum(memory_by_part(work).values())
        command = [sys.executable, "-m", "tests.perf.plan_memory"]
        # glibc keeps freed blocks of up to 32 MB; given back at once, resident memory is what is in use.
        done = subprocess.run(
            command, input=json.dumps(asdict(work)), capture_output=True, text=True, check=False, env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
        )
        if done.returncode:
            print(f"  {name}: failed: {done.stderr[-500:]}")
            continue
        measured = json.loads(done.stdout)["bytes"]
        print(f"  {planned / 1e6:7,.0f}MB {measured / 1e6:7,.0f}MB {planned / measured:6.2f}  {name}", flush=True)


def _measure(work: Workload) -> int:
    """Bytes above the empty process at the peak of a step."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from jp_adapt.model.causal import CausalModel, NewRows
    from jp_adapt.model.lora import LoraSettings, lora_parameters
    from jp_adapt.training.loss import linear_cross_entropy

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
    trained = [*model.new_row_parameters().values(), *lora_parameters(model.body).values()]
    optimizer = torch.optim.AdamW(trained)
    ids = torch.randint(0, sizes.vocab_size, (work.micro_rows, work.sequence_tokens))
    half = work.sequence_tokens // 2
    positions = torch.cat([torch.arange(half), torch.arange(work.sequence_tokens - half)]).repeat(work.micro_rows, 1)
    for _ in range(2):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        hidden = model(ids, positions)
        linear_cross_entropy(hidden.flatten(0, 1), model.base_head, model.new_output, ids.flatten()).backward()
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
