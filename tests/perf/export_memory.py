"""Peak memory and time of writing a large model: a random bfloat16 one of the shape of Llama-2-7B, or of --layers of its blocks.

`python -m tests.perf export_memory --work=DIR [--layers=32] [--types=BF16,Q8_0,Q4_K_M]`. The model takes 13.5 GB of disk, a file as much again. Each type is
written in a process of its own, without llama.cpp; the copy of the weights' files beside it says what the disk can do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from jp_adapt.merging.checkpoint import TensorInfo, write_weights
from jp_adapt.model.gguf_tensors import llama_tensors
from tests.perf.export_models import work_folder
from tests.perf.options import option
from tests.perf.tokenizer_data import DATA, has_data

SHAPE = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32_000}
WRITE = """
import resource, sys, time
from pathlib import Path
from jp_adapt.export import gguf
from jp_adapt.export.gguf_source import read_source
from jp_adapt.export.gguf_types import FILE_TYPES
started = time.perf_counter()
source = read_source(Path(sys.argv[1]))
gguf.write_files(source, {FILE_TYPES[sys.argv[3]]: Path(sys.argv[2])})
written = time.perf_counter()
gguf.check_file(source, Path(sys.argv[2]))
print(written - started, time.perf_counter() - written, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def main() -> None:
    if not has_data():
        return
    folder = make_model(option("layers", 32))
    files = sorted(folder.glob("*.safetensors"))
    size = sum(path.stat().st_size for path in files)
    copy = folder.parent / "copy"
    copy.mkdir(exist_ok=True)
    started = time.perf_counter()
    for path in files:
        shutil.copyfile(path, copy / path.name)
    print(f"  a copy of the {size / 1e9:.1f} GB: {time.perf_counter() - started:.1f} s", flush=True)
    shutil.rmtree(copy)
    for kind in option("types", "BF16,Q8_0,Q4_K_M").split(","):
        out = folder.parent / f"large-{kind}.gguf"
        done = subprocess.run([sys.executable, "-c", WRITE, str(folder), str(out), kind], stdout=subprocess.PIPE, text=True, check=True)
        write_s, check_s, peak_gb = map(float, done.stdout.split())
        print(
            f"  {kind:<7} written in {write_s:.1f} s, read back and compared in {check_s:.1f} s, peak {peak_gb:.2f} GB, {out.stat().st_size / 1e9:.1f} GB",
            flush=True,
        )
        out.unlink()


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
