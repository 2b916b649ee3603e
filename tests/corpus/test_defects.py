"""Injected defects are found and good documents are not touched, on a small corpus; tests/perf/corpus_defects.py does it on all of the development data."""

from __future__ import annotations

import random

from jp_adapt.commands.benchmark_texts import benchmark_texts
from tests.conftest import documents
from tests.corpus.defects import default_steps, inject, judge, score, shuffled


def test_injected_defects_are_found_and_good_documents_stay() -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    texts = documents("ja_train.jsonl")
    items = benchmark_texts(["quickstart/ja-everyday-100"], None)
    corpus = shuffled(inject(texts, documents("en_train.jsonl"), items, rng, share=0.5), rng)
    scores = score(corpus, judge(corpus, default_steps(items)))
    wrong = {kind: results for kind, results in scores.items() if results.missed > 1 or results.wrong > 1}
    assert not wrong, f"seed {seed}"
    assert scores["benchmark"].missed == 0, f"seed {seed}"
    assert min(results.right for results in scores.values()) > 10
