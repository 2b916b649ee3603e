"""The cleaning steps and fingerprints, one process, in turn with the filters of HojiChar that do the like and datatrove's MinHash signatures (asked: 1.5x).

HojiChar has nothing for mojibake, markup and benchmarks: those steps of ours are timed below, and left out of the comparison, as are its word lists of ours.
datatrove splits Japanese into words with spaCy; here it is given characters, which is much cheaper. Needs the extra "perf".
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from jp_adapt.corpus.clean import MaskPersonal, RepairDecoding, StripMarkup
from jp_adapt.corpus.deduplicate import find_duplicates, fingerprint
from jp_adapt.corpus.language import KeepLanguage
from jp_adapt.corpus.normalise import Normalise
from jp_adapt.corpus.quality import Quality
from jp_adapt.corpus.steps import Counts, Document, Step, run_steps
from tests.perf.corpus_peers import hojichar_chain
from tests.perf.corpus_peers import signer as signer_over_characters
from tests.perf.timing import alternate
from tests.perf.tokenizer_data import has_data, read_corpora

ROUNDS = 3
COMPARED: tuple[Step, ...] = (Normalise(), KeepLanguage(), Quality(), MaskPersonal())
OTHERS: tuple[Step, ...] = (RepairDecoding(), StripMarkup())


def ours(texts: Sequence[str], steps: Sequence[Step]) -> int:
    kept = [document.text for document in run_steps((Document(text, "ja", "") for text in texts), steps, Counts())]
    exact, signatures = fingerprint(kept)
    return int((find_duplicates(exact, signatures, lambda documents: kept.__getitem__)[0] < 0).sum())


def main() -> None:
    if not has_data():
        return
    texts = [text for corpus in read_corpora("ja").values() for text in corpus][::8]
    chars = sum(map(len, texts))
    chain, signer = hojichar_chain(), signer_over_characters("/tmp")

    def theirs() -> int:
        kept = [text for text in map(chain, texts) if text]
        return sum(signer.get_signature(signer.get_shingles(text)) is not None for text in kept)

    times = alternate({"ours": lambda: ours(texts, COMPARED), "HojiChar + datatrove MinHash": theirs}, ROUNDS)
    for name, seconds in times.items():
        ratio = statistics.median(other / own for other, own in zip(seconds, times["ours"], strict=True))
        print(f"  {name:<30} {chars / statistics.median(seconds) / 1e6:6.2f} M chars/s   {ratio:5.2f} x ours in time")
    for step in (*OTHERS, *COMPARED):
        started = time.perf_counter()
        for text in texts:
            step(text)
        print(f"    step {step.name:<12} {chars / (time.perf_counter() - started) / 1e6:7.1f} M chars/s")
    started = time.perf_counter()
    fingerprint(texts)
    print(f"    fingerprints      {chars / (time.perf_counter() - started) / 1e6:7.1f} M chars/s")


if __name__ == "__main__":
    main()
