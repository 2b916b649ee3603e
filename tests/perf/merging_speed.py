"""Merges of bfloat16 models on disk, ours beside mergekit's, in turn: `python -m tests.perf merging_speed --mergekit=PYTHON`. Asked: at least 2 times as fast.

PYTHON is that of an environment with mergekit 0.1.5 (LGPL-3.0: a peer, never a dependency). The models are of random numbers and near each other, made once:
what is merged does not change how long it takes. Two are merged by linear and slerp, a base and two others by task arithmetic and TIES.

Options: --shape=1b (1.1 billion parameters) or 7b (Llama-2's shape; 40 GB of disk for two models, 54 for three), --only=METHOD,METHOD of these four,
--rounds=N (3), --scratch=DIR for models and results (a temporary folder; with a DIR the models stay there), --cold=1: the system forgets what it has of the
models' files before each run. Ours ends when its files are on the disk, mergekit's when the system has taken them.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml

from jp_adapt.core.files import write_json
from jp_adapt.merging.checkpoint import TensorInfo, write_weights
from tests.perf.merging_parity import Done, configurations, jp_adapt, mergekit
from tests.perf.options import option

MODELS = {"linear": 2, "slerp": 2, "task_arithmetic": 3, "ties": 3}  # folders that are read, the base among them
SHAPES = {"1b": (2048, 22, 5632, 32, 4), "7b": (4096, 32, 11_008, 32, 32)}  # hidden, layers, intermediate, heads, key heads
VOCABULARY = 32_000
POOL = 1 << 24  # random numbers, of which every tensor takes a part


def tensors(shape: str) -> dict[str, TensorInfo]:
    """The tensors of a Llama."""
    hidden, layers, intermediate, heads, key_heads = SHAPES[shape]
    keys = hidden // heads * key_heads
    layer = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (intermediate, hidden),
        "mlp.up_proj": (intermediate, hidden),
        "mlp.down_proj": (hidden, intermediate),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
    }
    shapes = {"model.embed_tokens.weight": (VOCABULARY, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (VOCABULARY, hidden)}
    shapes |= {f"model.layers.{number}.{name}.weight": size for number in range(layers) for name, size in layer.items()}
    return {name: TensorInfo(size, torch.bfloat16) for name, size in shapes.items()}


def write_model(folder: Path, shape: str, seed: int) -> Path:
    """A model folder; its weights are those of every other seed, and a tenth more of its own."""
    if (folder / "config.json").is_file():
        return folder
    folder.mkdir(parents=True)
    common, own = (0.02 * torch.randn(POOL, generator=torch.Generator().manual_seed(number)) for number in (0, seed))
    pool = (common + 0.1 * own).to(torch.bfloat16)

    def made() -> Iterator[torch.Tensor]:
        for number, info in enumerate(tensors(shape).values()):
            elements = info.bytes // 2
            yield pool.roll(-7919 * number).repeat(-(-elements // POOL))[:elements].view(info.shape)

    write_weights(folder, tensors(shape), made())
    hidden, layers, intermediate, heads, key_heads = SHAPES[shape]
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers, "vocab_size": VOCABULARY}
    config |= {"intermediate_size": intermediate, "num_attention_heads": heads, "num_key_value_heads": key_heads, "rms_norm_eps": 1e-5}
    write_json(folder / "config.json", config | {"hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16"})
    return folder


def forget(folder: Path) -> None:
    """Have the system drop a folder's weights from its page cache."""
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def report(runs: dict[str, list[Done]]) -> None:
    """Medians of each, and of mergekit's time over ours of the same round."""
    for name, done in runs.items():
        wall, processor = (statistics.median(getattr(entry, key) for entry in done) for key in ("seconds", "processor_s"))
        print(f"    {name:<10} {wall:7.1f} s by the clock   {processor:7.1f} s of processor time   peak {max(entry.peak_mb for entry in done):,.0f} MB")
    pairs = list(zip(runs["mergekit"], runs["jp-adapt"], strict=True))
    wall, processor = (statistics.median(getattr(theirs, key) / getattr(ours, key) for theirs, ours in pairs) for key in ("seconds", "processor_s"))
    print(f"    mergekit's over ours: {wall:.2f} by the clock, {processor:.2f} of processor time", flush=True)


def main() -> None:
    python, shape = option("mergekit", ""), option("shape", "1b")
    if not python:
        print("  skipped: --mergekit=PYTHON names an environment with mergekit 0.1.5")
        return
    with tempfile.TemporaryDirectory(dir=option("scratch", "") or None) as temporary:
        root = Path(option("scratch", temporary))
        for method in option("only", ",".join(MODELS)).split(","):
            base, *models = (str(write_model(root / f"{shape}-{number}", shape, number)) for number in range(1, MODELS[method] + 1))
            recipe = Path(temporary) / f"{method}.yaml"
            merged = [base, *models] if method == "linear" else models
            recipe.write_text(yaml.safe_dump(configurations(base, merged, "bfloat16")[method]), encoding="utf-8")
            runs: dict[str, list[Done]] = {"jp-adapt": [], "mergekit": []}
            for _ in range(option("rounds", 3)):
                for name, merge in (("jp-adapt", jp_adapt), ("mergekit", lambda *paths: mergekit(python, *paths))):
                    for folder in (base, *models) if option("cold", 0) else ():
                        forget(Path(folder))
                    runs[name].append(merge(recipe, Path(temporary) / name))
                    shutil.rmtree(Path(temporary) / name)
            print(f"  {method}, {shape}")
            report(runs)
