"""An adapter folder becomes a LoRA adapter that vLLM serves beside others over one base."""

from __future__ import annotations

import shutil
from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import new_folder, read_json, refuse_existing, write_json
from jp_adapt.model.causal import ADAPTER_CONFIG, ADAPTER_FILE, ROWS_FILE, WEIGHTS_FILE, adapter_metadata

MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM's --max-lora-rank takes (vllm/config/lora.py)
MERGE = "merge it into a folder of its own with: jp-adapt export adapter"


def export_vllm_adapter(adapter: Path, base: Path, out: Path) -> list[str]:
    """Write `out` for vLLM's --lora-modules.

    Returns:
        The command that serves the adapter.

    Raises:
        UsageError: `out` exists. InputError: no adapter of ours, or one that vLLM cannot serve: with new rows, other trained weights, DoRA, or too high a rank.
    """
    refuse_existing(out)
    if not base.is_dir():
        raise InputError(f"{base}: no such folder")
    adapter_metadata(adapter)
    if (adapter / ROWS_FILE).is_file():
        raise InputError(f"{adapter}: has new rows, and vLLM serves an adapter with the base's vocabulary only; {MERGE}")
    if (adapter / WEIGHTS_FILE).is_file() or not (adapter / ADAPTER_FILE).is_file():
        raise InputError(f"{adapter}: trained weights of the base itself, and vLLM serves LoRA only; {MERGE}")
    config = read_json(adapter / ADAPTER_CONFIG)
    if config.get("use_dora"):
        raise InputError(f"{adapter}: is DoRA, which vLLM does not serve; {MERGE}")
    rank = next((rank for rank in MAX_RANKS if rank >= config["r"]), None)
    if rank is None:
        raise InputError(f"{adapter}: has rank {config['r']}, and vLLM serves up to {MAX_RANKS[-1]}; {MERGE}")
    with new_folder(out) as target:
        shutil.copyfile(adapter / ADAPTER_FILE, target / ADAPTER_FILE)
        write_json(target / ADAPTER_CONFIG, config | {"base_model_name_or_path": str(base.resolve())})
    return ["vllm", "serve", str(base), "--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", f"{out.resolve().name}={out.resolve()}"]
