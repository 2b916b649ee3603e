"""Peak memory of training LoRA and new rows at a vocabulary of 144,000: ours against TRL's SFTTrainer with `modules_to_save`. Asked: at most 0.5.

The model has the shape of SmolLM2-135M with random weights, 128,256 old rows (Llama-3's) and 15,744 new ones, a tied head; two rows of 512 tokens, bfloat16.
Each measurement is a fresh process, in turn; peak resident memory of the whole process, libraries included. Options: --rounds=N (2), --untied.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from tests.perf.options import option
from tests.perf.training_peers import Job, measure

OLD_ROWS, NEW_ROWS = 128_256, 15_744
CONTENDERS = ("ours", "TRL SFTTrainer")


def main() -> None:
    rounds = option("rounds", 2)
    with tempfile.TemporaryDirectory() as folder:
        base = _random_model(Path(folder) / "base", tied="--untied" not in sys.argv)
        peaks: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name in CONTENDERS:
                job = Job(name, str(base), rows=2, length=512, steps=2, new_rows=NEW_ROWS)
                peaks[name].append(measure(job)["peak_bytes"])
    for name, values in peaks.items():
        print(f"  {name:<18} median peak {statistics.median(values) / 1e6:8,.0f} MB")
    ratio = statistics.median(ours / theirs for ours, theirs in zip(*peaks.values(), strict=True))
    print(f"  ours / TRL: {ratio:.2f}, median of {rounds} alternating rounds (asked: at most 0.5)")


def _random_model(folder: Path, *, tied: bool) -> Path:
    import torch
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=OLD_ROWS,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab={"<|endoftext|>": 0, "a": 1}, merges=[]))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
