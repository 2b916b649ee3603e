"""Peak memory and time of writing a large model: a random bfloat16 one of the shape of Llama-2-7B, or of --layers of its blocks.

`python -m tests.perf export_memory --work=DIR [--layers=32] [--types=BF16,Q8_0,Q4_K_M] [--llama-lib=DIR]`. The model takes 13.5 GB of disk, a file as much
again, and with --llama-lib (see `llama_lib`) what it writes beside them. Each is written in a process of its own on as many threads as there are cores. A copy
of the weights' files says what the disk can do, `llama_model_quantize` of the BF16 file what llama.cpp does. Times end when all lies on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from jp_adapt.merging.checkpoint import TensorInfo, write_weights
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.model.gguf_tensors import llama_tensors
from tests.perf.export_models import work_folder
from tests.perf.export_parity import compared
from tests.perf.options import option
from tests.perf.tokenizer_data import DATA, has_data

SHAPE = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32_000}
WRITE = """
import os, resource, sys, time
from pathlib import Path
from jp_adapt.export import gguf
from jp_adapt.export.gguf_source import read_source
from jp_adapt.export.gguf_types import FILE_TYPES
started, imported = time.perf_counter(), time.process_time()
source = read_source(Path(sys.argv[1]))
gguf.write_files(source, {FILE_TYPES[sys.argv[3]]: Path(sys.argv[2])})
os.fsync(os.open(sys.argv[2], os.O_RDONLY))
written, cpu = time.perf_counter() - started, time.process_time() - imported
gguf.check_file(source, Path(sys.argv[2]))
print(written, cpu, time.perf_counter() - started - written, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""
QUANTISE = """
import os, resource, sys, time
from pathlib import Path
from tests.perf.llama_lib import quantise
started, imported = time.perf_counter(), time.process_time()
quantise(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], os.cpu_count())
os.fsync(os.open(sys.argv[3], os.O_RDONLY))
print(time.perf_counter() - started, time.process_time() - imported, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def main() -> None:
    if not has_data():
        return
    folder = make_model(option("layers", 32))
    work, library = folder.parent, option("llama-lib", "")
    _copy(sorted(folder.glob("*.safetensors")), work / "copy")
    full = work / "large-BF16.gguf"
    for kind in option("types", "BF16,Q8_0,Q4_K_M").split(","):
        out = work / f"large-{kind}.gguf"
        written_s, cpu_s, checked_s, peak_gb = _run(WRITE, folder, out, kind)
        size = f"{out.stat().st_size / 1e9:.1f} GB"
        print(f"  {kind:<7} written in {written_s:.1f} s ({cpu_s:.0f} s CPU), compared in {checked_s:.1f} s, peak {peak_gb:.2f} GB, {size}", flush=True)
        if library and kind != "BF16" and full.is_file():
            theirs = work / "theirs.gguf"
            written_s, cpu_s, peak_gb = _run(QUANTISE, library, full, theirs, kind)
            same = compared(GgufFile(out), GgufFile(theirs))
            print(f"  {kind:<7} llama_model_quantize: {written_s:.1f} s ({cpu_s:.0f} s CPU), peak {peak_gb:.2f} GB; {same}", flush=True)
            theirs.unlink()
        if not (library and out == full):
            out.unlink()
    full.unlink(missing_ok=True)


def _copy(files: Sequence[Path], out: Path) -> None:
    out.mkdir(exist_ok=True)
    started, cpu = time.perf_counter(), time.process_time()
    for path in files:
        shutil.copyfile(path, out / path.name)
        with (out / path.name).open("rb") as file:
            os.fsync(file.fileno())
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    print(f"  a copy of the {sum(path.stat().st_size for path in files) / 1e9:.1f} GB: {seconds:.1f} s ({cpu_s:.0f} s CPU)", flush=True)
    shutil.rmtree(out)


def _run(program: str, *arguments: object) -> list[float]:
    """The numbers that a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def make_model(layers: int) -> Path:
    """Folder of the random model, made tensor by tensor."""
    folder = work_folder() / f"large-{layers}"
    if (folder / "config.json").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = SHAPE | {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": layers,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    tensors = llama_tensors(config, "config.json")

    def made() -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        for tensor in tensors:
            yield (torch.randn(tensor.shape, generator=generator) * 0.02).to(torch.bfloat16)

    write_weights(folder, {tensor.name: TensorInfo(tensor.shape, torch.bfloat16) for tensor in tensors}, made())
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        shutil.copyfile(DATA / "tokenizers" / "llama2" / name, folder / name)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
