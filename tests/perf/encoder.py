"""The encoder of corpora (fastokens where its probes agree) beside `tokenizers`: ids, asked to be the same of every text, and nanoseconds a character.

Options: --lines=N (20000), --fuzz=N (30000), --new_tokens=N (2000) of the extended tokenizers. Texts: lines of the corpora, fuzz strings that hold special
tokens, every eighth document, runs of 100,000 equal characters.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jp_adapt.core.files import write_json
from jp_adapt.tokenizer.encoder import FileEncoder, load_encoder
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.fuzz import fuzz_strings
from tests.perf.options import option
from tests.perf.tokenizer_data import BASES, has_data, load_base, read_corpora

RUN = 100_000


def main() -> None:
    if not has_data():
        return
    documents = [text for language in ("ja", "en") for corpus in read_corpora(language).values() for text in corpus]
    lines = [line for text in documents for line in text.splitlines() if line.strip()]
    runs = [char * RUN for char in "あa 1\n\u3000'\u0301"]
    for name in BASES:
        base = load_base(name).tokenizer
        fuzz = fuzz_strings(option("fuzz", 30_000), sorted(base.special_texts)[:20], seed=1)
        texts = {"lines": random.Random(1).sample(lines, option("lines", 20_000)), "fuzz": fuzz, "documents": documents[::8], "runs": runs}
        extended = extend_tokenizer(base, documents[::20], option("new_tokens", 2_000)).tokenizer
        for kind, spec in ((name, base.spec), (f"{name} extended", extended.spec)):
            with tempfile.TemporaryDirectory() as folder:
                write_json(Path(folder) / "tokenizer.json", spec)
                for figures in compared(load_encoder(Path(folder)), texts):
                    print(f"  {kind:<18} {figures}", flush=True)


def compared(encode: FileEncoder, texts: dict[str, list[str]]) -> Iterator[str]:
    for name, some in texts.items():
        chars = sum(map(len, some))
        started = time.process_time()
        ids = encode(some)
        between = time.process_time()
        reference = encode._slow(some)
        ended = time.process_time()
        other = sum(one != two for one, two in zip(ids, reference, strict=True))
        speeds = f"{(between - started) / chars * 1e9:6.0f} and {(ended - between) / chars * 1e9:6.0f} ns/char"
        yield f"{name:<10} {len(some):6,} texts, {other} with other ids; {'fastokens' if encode.is_fast else 'tokenizers'} {speeds}"


if __name__ == "__main__":
    main()
