"""The tokenizers and texts that the tokenizer benchmarks share: development data beside the repository, which ../shared/data or JP_ADAPT_DATA names."""

from __future__ import annotations

import gzip
import json
import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.words import Corpus

DATA = Path(os.environ.get("JP_ADAPT_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
BASES = {"Llama-2": 12_581, "Llama-3": 10_000, "SmolLM2": 8_000}  # new tokens of each


def has_data() -> bool:
    if not DATA.is_dir():
        print(f"  skipped: no development data at {DATA} (JP_ADAPT_DATA names another place)")
    return DATA.is_dir()


def load_base(name: str) -> LoadedTokenizer:
    if name == "SmolLM2":
        from tests.tokenizer.conftest import smollm2_spec

        return LoadedTokenizer(BpeTokenizer(smollm2_spec()), [])
    return load_tokenizer(DATA / "tokenizers" / ("llama2/tokenizer.model" if name == "Llama-2" else "llama3"))


def read_corpora(language: str) -> dict[str, list[str]]:
    """Documents of each corpus of "ja" or "en"."""
    results = {}
    for path in sorted((DATA / "corpora" / language).glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            results[path.name.removesuffix(".jsonl.gz")] = [json.loads(line)["text"] for line in file]
    return results


def read_jsquad() -> list[str]:
    """The paragraphs of JSQuAD (Wikipedia), without their titles."""
    results = []
    for path in sorted((DATA / "benchmarks" / "jglue" / "datasets" / "jsquad-v1.3").glob("*.json")):
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        results += [paragraph["context"].split("[SEP]")[-1].strip() for article in articles for paragraph in article["paragraphs"]]
    return list(dict.fromkeys(results))


def read_standard_library() -> list[str]:
    """Every .py file of Python's standard library that is UTF-8 (some of its tests are not, on purpose)."""
    results = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
            continue
        try:
            results.append(path.read_bytes().decode("utf-8"))
        except UnicodeDecodeError:
            continue
    return results


def corpus_of(sources: dict[str, list[str]]) -> Corpus:
    corpus = Corpus()
    for name, texts in sources.items():
        corpus.add(name, texts)
    return corpus


def distinct_lines(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(_nonempty_lines(texts)))


def _nonempty_lines(texts: Iterable[str]) -> Iterator[str]:
    return (line for text in texts for line in text.splitlines() if line.strip())
