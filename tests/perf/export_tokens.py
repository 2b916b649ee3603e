"""Ids in llama.cpp against ours: 20,000 real lines and 20,000 hostile strings, the texts of special tokens taken as such and not.

`python -m tests.perf export_tokens [--work=DIR] [--models=Llama-2,Llama-3+] [--texts=real,fuzz,newer]`. Each letter, digit and mark that is newer than Python's
own Unicode tables gets a text of its own ("newer"): llama.cpp's tables are older than those of `tokenizers`. A string that differs is counted apart where it
holds one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import islice

import httpx2
import regex
from tokenizers import Tokenizer

from jp_adapt.export.gguf import export_gguf
from jp_adapt.export.llama_cpp import tokenized
from jp_adapt.export.llama_server import llama_server
from jp_adapt.tokenizer.encoder import plain_tokenizer
from tests.perf.export_models import NAMES, small_model, work_folder
from tests.perf.options import option
from tests.perf.tokenizer_criteria import fuzz_strings
from tests.perf.tokenizer_data import distinct_lines, has_data, read_corpora, read_standard_library

LINES = {"Japanese": 8_000, "English": 6_000, "Python": 6_000}
FUZZ = 20_000


def main() -> None:
    if not has_data():
        return
    corpora = {"Japanese": _texts("ja"), "English": _texts("en"), "Python": read_standard_library()}
    real = [line for name, number in LINES.items() for line in islice(distinct_lines(corpora[name]), number)]
    fuzz = fuzz_strings(FUZZ)
    print(f"  {len(real):,} real lines, {len(fuzz):,} fuzz strings, {sum(map(_is_new, fuzz)):,} of them with a letter or digit of a newer Unicode")
    newer = [f"a{char}b {char}!{char}1" for char in map(chr, range(0x110000)) if _is_new(char)]
    sets = {label: texts for label, texts in {"real": real, "fuzz": fuzz, "newer": newer}.items() if label in option("texts", "real,fuzz,newer").split(",")}
    for name in option("models", ",".join(NAMES)).split(","):
        folder = small_model(name)
        file = work_folder() / f"{name}-tokens.gguf"
        if not file.is_file():
            export_gguf(folder, file, ["F16"])
        with llama_server(file, context=64) as address, httpx2.Client(base_url=address, timeout=60) as client:
            for special in (False, True):
                tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json")) if special else plain_tokenizer(folder)
                for label, texts in sets.items():
                    differing = [text for text in texts if tokenized(client, text, special=special) != _ids(tokenizer)(text)]
                    with_new = sum(map(_is_new, differing))
                    said = f"{len(differing):>4} of {len(texts):,} differ" + (f", {with_new} of these hold a newer character" if differing else "")
                    print(f"  {name:<10} special {'on ' if special else 'off'} {label}: {said}", flush=True)
                    for text in [text for text in differing if not _is_new(text)][:3]:
                        print(f"      {text!r}", flush=True)


def _texts(language: str) -> list[str]:
    return [text for texts in read_corpora(language).values() for text in texts[:: max(1, len(texts) // 400)]]


def _ids(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def _is_new(text: str) -> bool:
    return any(unicodedata.category(char) == "Cn" and regex.match(r"[\p{L}\p{N}\p{M}]", char) for char in text)
