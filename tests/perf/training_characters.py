"""Japanese characters per second on SmolLM2-135M: ours with the extended tokenizer (LoRA and new rows) against TRL's SFTTrainer with the base's tokenizer and
LoRA. Asked: at least 3 times.

Same text, same LoRA r32, four rows of 512 tokens a step, bfloat16; each measurement is a fresh process, in turn. The tokenizer is learned from the Japanese
corpora but one, which is the text. Options: --rounds=N (3), --steps=N (4), --new_tokens=N (6000), --out=FOLDER that keeps base and tokenizer (training_quality,
shared with the benchmark of that name). JP_ADAPT_BASE names a folder of the model; JP_ADAPT_DATA the development data.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from tests.perf.options import option
from tests.perf.quality_arms import HELDOUT_JA
from tests.perf.tokenizer_data import has_data, read_corpora
from tests.perf.training_peers import Job, measure
from tests.perf.training_quality import base_folder, extended_tokenizer_folder


def main() -> None:
    if not has_data():
        return
    out = Path(option("out", "training_quality"))
    out.mkdir(parents=True, exist_ok=True)
    base = base_folder(out)
    new_tokens, steps = option("new_tokens", 6_000), option("steps", 4)
    tokenizer = extended_tokenizer_folder(base, out, new_tokens)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.jsonl"
        text.write_text("".join(json.dumps({"text": document}) + "\n" for document in read_corpora("ja")[HELDOUT_JA]), encoding="utf-8")
        ours = Job("ours", str(base), rows=4, length=512, steps=steps, new_rows=new_tokens, text=str(text), tokenizer=str(tokenizer))
        peer = Job("TRL SFTTrainer", str(base), rows=4, length=512, steps=steps, text=str(text))
        results: dict[str, list[float]] = {job.contender: [] for job in (ours, peer)}
        for _ in range(option("rounds", 3)):
            for job in (ours, peer):
                speed = measure(job)
                results[job.contender].append(speed["chars_per_s"])
                print(f"  {job.contender:<18} {speed['tokens_per_s']:7.0f} tokens/s {speed['chars_per_s']:7.0f} characters/s", flush=True)
    ratio = statistics.median(own / other for own, other in zip(results["ours"], results["TRL SFTTrainer"], strict=True))
    print(f"  ours is {ratio:.2f} x as fast in characters, median of {len(results['ours'])} alternating rounds (asked: at least 3)")
