"""MinHash signatures of 3-grams of characters, 128 permutations: datasketch, datatrove, rensa given strings, and numpy n-grams given to rensa (ours).

Characters a second of each, in turn, and how far its estimates of the Jaccard index lie from the true one, on edited copies. Needs the extra "perf".
Options: --rounds=N (3), --every=N (16: every 16th document of the Japanese corpora).
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence

import numpy as np

from jp_adapt.corpus.deduplicate import NGRAM, minhash, ngram_hashes
from tests.corpus.defects import edited
from tests.corpus.near_truth import letters_of
from tests.perf.corpus_peers import signer
from tests.perf.options import option
from tests.perf.timing import alternate
from tests.perf.tokenizer_data import has_data, read_corpora

PERMUTATIONS = 128
Signatures = Sequence[Sequence[int]]


def grams(text: str) -> set[str]:
    return {text[at : at + NGRAM] for at in range(len(text) - NGRAM + 1)}


def with_datasketch(texts: Sequence[str]) -> Signatures:
    from datasketch import MinHash

    results = []
    for text in texts:
        made = MinHash(PERMUTATIONS)
        made.update_batch([gram.encode("utf-8") for gram in grams(text)])
        results.append(made.hashvalues)
    return results


def with_rensa(texts: Sequence[str]) -> Signatures:
    from rensa import RMinHash

    results = []
    for text in texts:
        made = RMinHash(num_perm=PERMUTATIONS, seed=1)
        made.update(list(grams(text)))
        results.append(made.digest())
    return results


def ours(texts: Sequence[str]) -> Signatures:
    return minhash([np.unique(ngram_hashes(np.array([ord(char) for char in text], np.uint64), NGRAM)) for text in texts], PERMUTATIONS)


def contenders() -> dict[str, Callable[[Sequence[str]], Signatures]]:
    block = signer("/tmp", buckets=16, hashes=8)

    def with_datatrove(texts: Sequence[str]) -> Signatures:
        return [[number for bucket in block.get_signature(block.get_shingles(text)) for number in bucket] for text in texts]

    return {"numpy n-grams into rensa (ours)": ours, "rensa, given strings": with_rensa, "datasketch": with_datasketch, "datatrove": with_datatrove}


def main() -> None:
    if not has_data():
        return
    texts = [letters_of(text) for corpus in read_corpora("ja").values() for text in corpus][:: option("every", 16)]
    chars = sum(map(len, texts))
    rng = random.Random(1)
    sources = [text for text in texts if len(text) > 200][:60]
    copies = [edited(text, rng, "日本語の文字をかきかえる", rng.uniform(0.01, 0.1)) for text in sources]
    true = [len(grams(left) & grams(right)) / len(grams(left) | grams(right)) for left, right in zip(sources, copies, strict=True)]
    made = contenders()
    times = alternate({name: lambda sign=sign: sign(texts) for name, sign in made.items()}, option("rounds", 3))
    print(f"  {len(texts):,} documents, {chars / 1e6:.2f} M letters; estimates on {len(true)} edited copies (one standard deviation of 128 permutations: 0.04)")
    for name, sign in made.items():
        pairs = zip(sign(sources), sign(copies), strict=True)
        estimates = [float(np.mean(np.asarray(left) == np.asarray(right))) for left, right in pairs]
        error = np.sqrt(np.mean((np.array(estimates) - np.array(true)) ** 2))
        print(f"  {name:<32} {chars / statistics.median(times[name]) / 1e6:6.2f} M letters/s   error of an estimate {error:.3f}")


if __name__ == "__main__":
    main()
