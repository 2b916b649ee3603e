"""Defects injected into all of the Japanese corpora: recall and precision of the default steps for each kind. `--seed=N` repeats a run."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

from rapidfuzz.distance import Indel

from jp_adapt.commands.benchmark_texts import available_benchmarks, benchmark_texts
from tests.corpus.defects import default_steps, inject, judge, score, shuffled
from tests.perf.options import option
from tests.perf.tokenizer_data import DATA, has_data, read_corpora


def main() -> None:
    if not has_data():
        return
    seed = option("seed", random.randrange(2**32))
    rng = random.Random(seed)
    texts = [text for corpus in read_corpora("ja").values() for text in corpus]
    english = [text for corpus in read_corpora("en").values() for text in corpus]
    names, missing = available_benchmarks(DATA / "benchmarks")
    items = benchmark_texts(names, DATA / "benchmarks")
    documents = shuffled(inject(texts, english, items, rng), rng)
    verdicts = judge(documents, default_steps(items))
    print(
        f"  seed {seed}: {len(texts):,} documents and {len(documents) - len(texts):,} defects; {len(items):,} benchmark items (no data of {', '.join(missing)})"
    )
    print(f"  {'kind':<10} {'recall':>7} {'precision':>9} {'F1':>6}   found, wrong, missed")
    for kind, results in score(documents, verdicts).items():
        print(f"  {kind:<10} {results.recall:7.3f} {results.precision:9.3f} {results.f1:6.3f}   {results.right}, {results.wrong}, {results.missed}")
    pairs = [(defect.text, documents[verdict.of].text) for defect, verdict in zip(documents, verdicts, strict=True) if not defect.kind and verdict.of >= 0]
    apart = sum(Indel.normalized_similarity(left[:20_000], right[:20_000]) < 0.9 for left, right in pairs)
    print(f"  {len(pairs)} documents of the corpus itself repeat another; {apart} of them share less than 0.9 of their characters in the same order")
    for defect, verdict in zip(documents, verdicts, strict=True):
        if "--show" in sys.argv and ((defect.kind not in verdict.called) if defect.kind else verdict.called - {"exact", "near", "markup"}):
            print("  ", defect.kind or "clean", sorted(verdict.called), len(defect.text), repr(replace(defect).text[:90]))


if __name__ == "__main__":
    main()
