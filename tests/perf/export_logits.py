"""Probabilities and greedy texts in llama.cpp against transformers in float32, rotary scaling included: what the gate of `export gguf` prints, and 40 tokens.

`python -m tests.perf export_logits [--work=DIR] [--models=Llama-2,Llama-3+] [--types=F32,F16]`.
"""

from __future__ import annotations

from pathlib import Path

import httpx2
import torch

from jp_adapt.export.gguf import export_gguf
from jp_adapt.export.llama_server import llama_server
from jp_adapt.inference.text_side import text_side
from jp_adapt.model.causal import load_causal
from tests.perf.export_models import NAMES, SMOLLM2, model_folder, work_folder
from tests.perf.options import option
from tests.perf.tokenizer_data import has_data

PROMPTS = ("吾輩は猫である。名前はまだ無い。", "The quick brown fox jumps over", "def main(argv: list[str]) -> int:\n", "2026年11月29日(日)、東京は")
TOKENS = 40


def main() -> None:
    if not has_data():
        return
    for name in option("models", ",".join((*NAMES, SMOLLM2))).split(","):
        folder = model_folder(name)
        side = text_side(folder)
        prompts = [[side.starts.document, *side.tokenizer.encode(text)] for text in PROMPTS]
        expected = [_greedy(folder, ids, side.stop_ids) for ids in prompts]
        for kind in option("types", "F32,F16").split(","):
            file = work_folder() / f"{name}-{kind}-logits.gguf"
            proven = export_gguf(folder, file, [kind])[0].proven[-1]
            with llama_server(file, context=512, exact=True) as address, httpx2.Client(base_url=address, timeout=300) as client:
                given = [_until(_completed(client, ids), side.stop_ids) for ids in prompts]
            same = sum(one == other for one, other in zip(given, expected, strict=True))
            print(f"  {name:<24} {kind:<4} {proven.rpartition(': ')[2]}; greedy {TOKENS} tokens: {same} of {len(prompts)} equal", flush=True)
            file.unlink()


def _greedy(folder: Path, ids: list[int], stops: tuple[int, ...]) -> list[int]:
    model = load_causal(folder, torch.float32)
    given = list(ids)
    with torch.inference_mode():
        for _ in range(TOKENS):
            given.append(int(model.logits(model(torch.tensor([given]))[0])[-1].argmax()))
    return _until(given[len(ids) :], stops)


def _completed(client: httpx2.Client, ids: list[int]) -> list[int]:
    body = {"prompt": ids, "n_predict": TOKENS, "temperature": 0, "return_tokens": True}
    return list(client.post("/completion", json=body).raise_for_status().json()["tokens"])


def _until(ids: list[int], stops: tuple[int, ...]) -> list[int]:
    return ids[: next((at for at, token in enumerate(ids) if token in stops), len(ids))]
