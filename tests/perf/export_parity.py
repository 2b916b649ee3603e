"""Our GGUF files against those of llama.cpp's own tools, tensor by tensor, byte for byte.

`python -m tests.perf export_parity --converter=PATH --llama-lib=DIR [--work=DIR] [--models=Llama-2,Llama-3+]`. PATH is convert_hf_to_gguf.py of
llama.cpp; DIR holds libllama and libggml (the npm package @node-llama-cpp/linux-x64 has them). Neither is needed by jp-adapt.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from jp_adapt.export.gguf import export_gguf
from jp_adapt.model.gguf_file import GgufFile
from tests.perf.export_models import NAMES, SMOLLM2, model_folder
from tests.perf.llama_lib import quantise
from tests.perf.options import option

CONVERTED, QUANTISED = ("F32", "F16", "BF16", "Q8_0"), ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


def main() -> None:
    converter, library = option("converter", ""), option("llama-lib", "")
    if not converter and not library:
        print("  skipped: neither --converter nor --llama-lib is given")
    for name in option("models", ",".join((*NAMES, SMOLLM2))).split(","):
        folder = model_folder(name)
        with tempfile.TemporaryDirectory() as temporary:
            if converter:
                for kind in CONVERTED:
                    _against_converter(name, folder, kind, Path(converter), Path(temporary))
            if library:
                _against_quantize(name, folder, Path(library), Path(temporary))


def _against_converter(name: str, folder: Path, kind: str, converter: Path, temporary: Path) -> None:
    """llama.cpp's converter takes a tiktoken tokenizer.model for SentencePiece, and tells Llama-3 by ids with BOS: such a folder is put right for it first."""
    copy = temporary / "folder"
    if not copy.exists():
        shutil.copytree(folder, copy)
        if name.startswith("Llama-3"):
            (copy / "tokenizer.model").unlink(missing_ok=True)
            _begin_with_bos(copy / "tokenizer.json")
    theirs, ours = temporary / f"theirs-{kind}.gguf", temporary / f"ours-{kind}.gguf"
    command = [sys.executable, str(converter), str(copy), "--outtype", kind.lower(), "--outfile", str(theirs)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    if done.returncode:
        print(f"  {name:<24} {kind:<7} the converter stops: {done.stderr.strip().splitlines()[-1][:110]}", flush=True)
        return
    export_gguf(copy, ours, [kind])
    print(f"  {name:<24} {kind:<7} {compared(GgufFile(ours), GgufFile(theirs))}", flush=True)
    for path in (theirs, ours):
        path.unlink()


def _begin_with_bos(path: Path) -> None:
    spec = json.loads(path.read_text(encoding="utf-8"))
    token = {"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}
    used = {"<|begin_of_text|>": {"id": "<|begin_of_text|>", "ids": [128_000], "tokens": ["<|begin_of_text|>"]}}
    single = [token, {"Sequence": {"id": "A", "type_id": 0}}]
    spec["post_processor"] = {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": used,
    }
    path.write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")


def compared(ours: GgufFile, theirs: GgufFile) -> str:
    """How many tensors have the same type and bytes, and which fields differ."""
    same = sum(_same(ours, theirs, name) for name in theirs.tensors)
    extra = ours.tensors.keys() - theirs.tensors.keys()
    fields = [name for name in sorted(ours.fields.keys() | theirs.fields.keys()) if not _equal(ours.fields.get(name), theirs.fields.get(name))]
    return (
        f"{same} of {len(theirs.tensors)} tensors byte-equal{f', {len(extra)} more here' if extra else ''}; fields that differ: {', '.join(fields) or 'none'}"
    )


def _same(ours: GgufFile, theirs: GgufFile, name: str) -> bool:
    entry, other = ours.tensors.get(name), theirs.tensors[name]
    return entry is not None and (entry.kind, entry.shape) == (other.kind, other.shape) and np.array_equal(ours.rows(entry), theirs.rows(other))


def _equal(one: Any, other: Any) -> bool:
    return (
        bool(np.array_equal(one, other))
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray)
        else bool(one is not None and other is not None and one == other)
    )


def _against_quantize(name: str, folder: Path, library: Path, temporary: Path) -> None:
    full, theirs = temporary / "full.gguf", temporary / "quantised.gguf"
    export_gguf(folder, full, ["F32"])
    for kind in QUANTISED:
        started = time.perf_counter()
        quantise(library, full, theirs, kind)
        seconds = time.perf_counter() - started
        ours = temporary / "ours.gguf"
        export_gguf(folder, ours, [kind])
        print(f"  {name:<24} {kind:<7} against llama_model_quantize ({seconds:.1f} s): {compared(GgufFile(ours), GgufFile(theirs))}", flush=True)
        ours.unlink()
        theirs.unlink()
