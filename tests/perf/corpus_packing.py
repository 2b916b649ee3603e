"""Three ways to fill rows with real Japanese documents: best-fit with split (ours), wrapped (documents end to end), padding (a document a row).

Fill is the share of positions that carry a target; a document is cut where its tokens stand in more than one row. Lengths: ../shared/data/corpora/ja in
the tokens of Llama-3, at several row lengths.
"""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from jp_adapt.corpus.pack import Numbers, pack_best_fit
from tests.perf.tokenizer_data import DATA, has_data, read_corpora


def wrapped(sizes: Numbers, length: int) -> tuple[float, float]:
    """Fill and cut share of documents laid end to end and cut every `length` tokens."""
    ends = np.cumsum(sizes)
    rows = -(-int(ends[-1]) // length)
    cut = (ends - sizes) // length != (ends - 1) // length
    return int(ends[-1]) / (rows * length), float(cut.mean())


def padded(sizes: Numbers, length: int) -> tuple[float, float]:
    """Fill and cut share of a document a row, a longer one over several rows, each filled up with padding."""
    rows = int((-(-sizes // length)).sum())
    return int(sizes.sum()) / (rows * length), float((sizes > length).mean())


def best_fit(sizes: Numbers, length: int) -> tuple[float, float]:
    packing = pack_best_fit(sizes, length)
    assert int(packing.tokens.sum()) == int(sizes.sum()), "no token is lost"
    return packing.fill, packing.cut_share


def main() -> None:
    if not has_data():
        return
    tokenizer = Tokenizer.from_file(str(DATA / "tokenizers" / "llama3" / "tokenizer.json"))
    texts = [text for results in read_corpora("ja").values() for text in results]
    sizes = np.array([len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)])
    middle, high = np.percentile(sizes, (50, 95))
    print(f"  {len(sizes):,} documents, {int(sizes.sum()):,} tokens; median {middle:,.0f}, 95 % below {high:,.0f}, longest {sizes.max():,}")
    for length in (512, 2048, 4096, 8192):
        must = float((sizes > length).mean())
        print(f"  rows of {length}: {must:6.1%} of the documents are longer than a row")
        for name, pack in (("best-fit with split", best_fit), ("wrapped", wrapped), ("padding", padded)):
            fill, cut = pack(sizes, length)
            print(f"    {name:<20} fill {fill:7.2%}  padding {1 - fill:7.2%}  documents cut {cut:7.2%}")
