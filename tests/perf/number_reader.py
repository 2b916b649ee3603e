"""Random numbers in all spellings, in sentences, read back (asked: all of them), and how long an answer takes. `--numbers=100000 --seed=1`."""

from __future__ import annotations

import random
import time
from collections import Counter

from jp_adapt.text.numerals import last_number
from tests.perf.options import option
from tests.text.spelling import in_a_sentence

SHOWN = 5


def main() -> None:
    count, rng = option("numbers", 100_000), random.Random(option("seed", 1))
    sentences = [in_a_sentence(rng) for _ in range(count)]
    tried: Counter[str] = Counter()
    read: Counter[str] = Counter()
    missed = []
    started = time.perf_counter()
    for text, spelled in sentences:
        number = last_number(text)
        tried[spelled.spelling] += 1
        if number is not None and number.value == spelled.value:
            read[spelled.spelling] += 1
        else:
            missed.append((text, spelled))
    seconds = time.perf_counter() - started
    kinds = sorted({name.partition(",")[0] for name in tried})
    for kind in kinds:
        names = [name for name in tried if name.partition(",")[0] == kind]
        print(f"  {kind:<20} {sum(read[name] for name in names):>7,} of {sum(tried[name] for name in names):>7,}")
    print(f"  {'all':<20} {sum(read.values()):>7,} of {count:>7,}   {1e3 * seconds / count:.2f} ms a sentence")
    for text, spelled in missed[:SHOWN]:
        print(f"  missed: {text!r} holds {spelled.text} = {spelled.value}")


if __name__ == "__main__":
    main()
