"""What each GGUF type costs: KL and bits per character against float32, of SmolLM2-135M-Instruct and of the same extended by 1,000 tokens; and largest errors.

`python -m tests.perf export_types [--work=DIR] [--model=DIR] [--chars=6000] [--types=F16,Q8_0]`. Weights are expanded from the file and computed in float32;
what llama.cpp's own kernels round on top stands in the lines that `export gguf` prints.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize
from safetensors.torch import load_file, save_file

from jp_adapt.export.gguf_folder import convert_gguf
from jp_adapt.export.gguf_source import read_source
from jp_adapt.export.gguf_types import FILE_TYPES, quantiser
from jp_adapt.export.gguf_write import write_files
from jp_adapt.inference.text_side import text_side
from jp_adapt.model.causal import load_causal
from jp_adapt.model.rows import init_new_rows
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from tests.conftest import documents
from tests.perf.export_models import smollm2, work_folder
from tests.perf.options import option

WINDOW = 512


def main() -> None:
    if not option("model", ""):
        _print_errors()
    given, chars = option("model", ""), option("chars", 6000)
    for folder in [Path(given)] if given else [smollm2(), extended_smollm2()]:
        texts = ["".join(documents(f"{language}_heldout.jsonl"))[:chars] for language in ("ja", "en")]
        exact = _log_probabilities(folder, texts)
        bits = [_bits_per_char(rows, ids, text) for (rows, ids), text in zip(exact, texts, strict=True)]
        print(f"  {folder.name}: float32 {bits[0]:.4f} bits/char ja, {bits[1]:.4f} en, {chars:,} characters each", flush=True)
        source = read_source(folder)
        for name in option("types", ",".join(FILE_TYPES)).split(","):
            with tempfile.TemporaryDirectory() as temporary:
                file, back = Path(temporary, "model.gguf"), Path(temporary, "back")
                write_files(source, {FILE_TYPES[name]: file})
                size = file.stat().st_size
                back.mkdir()
                convert_gguf(file, back)
                results = _log_probabilities(back, texts)
            parts = []
            for (rows, ids), (other, _), text, before in zip(exact, results, texts, bits, strict=True):
                kl = float((rows.exp() * (rows - other)).sum(-1).mean())
                after = _bits_per_char(other, ids, text)
                parts.append(f"KL {kl:.1e}, {after:.4f} bits/char ({after / before - 1:+.2%})")
            print(f"    {name:<7} {size / 1e6:6.0f} MB   ja {parts[0]}   en {parts[1]}", flush=True)


def extended_smollm2() -> Path:
    """SmolLM2 with 1,000 new tokens, whose rows are the means of what spelled them (untrained)."""
    folder = work_folder() / "SmolLM2-135M-Instruct-ja"
    if (folder / "model.safetensors").is_file():
        return folder
    folder.mkdir(exist_ok=True)
    base = load_tokenizer(smollm2())
    extension = extend_tokenizer(base.tokenizer, documents("ja_train.jsonl"), 1_000)
    save_tokenizer(base, extension, smollm2(), folder)
    weights = load_file(smollm2() / "model.safetensors")
    rows = weights["model.embed_tokens.weight"]
    weights["model.embed_tokens.weight"] = torch.cat([rows, init_new_rows(rows, extension.sources, method="mean")])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((smollm2() / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": extension.vocab_size}), encoding="utf-8")
    return folder


def _log_probabilities(folder: Path, texts: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each text [T, V] log-probabilities in windows, and the ids [T] that they are of."""
    model, side = load_causal(folder, torch.float32), text_side(folder)
    results = []
    for text in texts:
        ids = [side.starts.document, *side.tokenizer.encode(text)]
        rows = []
        with torch.inference_mode():
            for start in range(0, len(ids) - 1, WINDOW):
                part = torch.tensor([ids[start : start + WINDOW + 1]])
                rows.append(torch.log_softmax(model.logits(model(part[:, :-1])[0]), dim=-1))
        results.append((torch.cat(rows), torch.tensor(ids[1:])))
    return results


def _bits_per_char(rows: torch.Tensor, ids: torch.Tensor, text: str) -> float:
    return -float(rows[torch.arange(len(ids)), ids].double().sum()) / math.log(2) / len(text)


def _print_errors() -> None:
    """The largest error of a weight as a share of the largest weight of its block, of heavy-tailed numbers: what the gate's tolerance stands above."""
    numbers = (np.random.default_rng(0).standard_t(4, (2048, 2048)) * 0.02).astype(np.float32)
    for kind in (Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q6_K, Kind.Q5_K, Kind.Q4_K, Kind.Q5_1, Kind.Q5_0, Kind.Q4_1, Kind.Q4_0):
        size = 1 if kind in (Kind.F16, Kind.BF16) else 256 if kind in (Kind.Q6_K, Kind.Q5_K, Kind.Q4_K) else 32
        error = np.abs(dequantize(quantiser(kind)(numbers), kind).reshape(numbers.shape) - numbers)
        share = (error.reshape(-1, size).max(1) / np.maximum(np.abs(numbers).reshape(-1, size).max(1), 1e-9)).max()
        print(f"  {kind.name:<5} largest error {share:.4f} of a block's largest number")
