"""Japanese characters per token by the number of new tokens: one learned list, of which each size is the beginning; and how long learning took.

`python -m tests.perf tokenizer_sizes [--base=SmolLM2] [--left_out=rust_book_ja] [--new_tokens=8000]`: learned from all Japanese corpora but those left out,
scored on these and on JSQuAD, neither of which was learned from. With --left_out=none on JSQuAD alone.
"""

from __future__ import annotations

import time

from jp_adapt.tokenizer.extend import append_tokens, extend_tokenizer
from tests.perf.options import option
from tests.perf.tokenizer_data import corpus_of, has_data, load_base, read_corpora, read_jsquad

SIZES = (400, 1_000, 2_000, 4_000, 6_000)


def main() -> None:
    if not has_data():
        return
    sources, heldout = read_corpora("ja"), {"JSQuAD": read_jsquad()}
    left_out = option("left_out", "rust_book_ja")
    if left_out != "none":
        heldout[left_out] = sources.pop(left_out)
    base, most = load_base(option("base", "SmolLM2")).tokenizer, option("new_tokens", 8_000)
    started = time.perf_counter()
    extension = extend_tokenizer(base, corpus_of(sources), most)
    print(f"  {most:,} tokens learned in {time.perf_counter() - started:.1f} s; {sum(count < 10 for count in extension.counts):,} stand fewer than ten times")
    missing = len(base.missing_bytes)
    for size in (0, *(size for size in SIZES if size < most), most):
        tokenizer = append_tokens(base, extension.tokens[:missing], extension.tokens[missing : missing + size])
        figures = []
        for name, texts in heldout.items():
            figures.append(f"{name} {sum(map(len, texts)) / sum(map(len, tokenizer.encode_batch(texts))):.3f}")
        print(f"  + {size:>6,}: {', '.join(figures)}", flush=True)


if __name__ == "__main__":
    main()
