"""`make perf`: each benchmark runs its contenders in turn, A B A B ..., and prints the median ratio. Only ratios within one run mean something."""

from __future__ import annotations

import platform
import sys
from importlib import import_module, metadata

BENCHMARKS = (
    "attention",
    "loss",
    "train_step",
    "extended_step",
    "training_memory",
    "training_speed",
    "training_characters",
    "eval_parity",
    "eval_speed",
    "eval_generation",
    "eval_boundaries",
    "plan_memory",
    "tokenizer_build",
    "tokenizer_auto",
    "encoder",
    "tokenizer_criteria",
    "tokenizer_rows",
    "tokenizer_rivals",
    "tokenizer_sizes",
    "number_reader",
    "corpus_defects",
    "corpus_minhash",
    "corpus_steps",
    "corpus_throughput",
    "corpus_packing",
    "corpus_memory",
    "export_tokens",
    "export_logits",
    "export_types",
    "merging_speed",
    "evolve_step",
    "ui",
    "ui_readers",
)


def run() -> None:
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--")] or BENCHMARKS  # a benchmark reads its own options
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "peft", "tokenizers", "sentencepiece"))
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {versions}")
    for name in wanted:
        print(f"\n{name}", flush=True)
        import_module(f"tests.perf.{name}").main()


if __name__ == "__main__":
    run()
