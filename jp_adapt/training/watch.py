"""What is worth watching beside the loss: memory, and how far the new rows have grown from the old."""

from __future__ import annotations

import sys

import torch

from jp_adapt.model.causal import CausalModel
from jp_adapt.training.sharding import whole


def peak_memory_bytes(device: torch.device) -> int:
    """Peak memory so far: of the GPU's allocator, or resident memory of the process. 0 where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@torch.inference_mode()
def memory_and_rows(model: CausalModel, device: torch.device) -> dict[str, float]:
    """Peak memory, and the mean norm of new and of old rows. New rows that outgrow the old ones draw probability from every other token."""
    figures = {"peak_memory_bytes": float(peak_memory_bytes(device))}
    if model.new_input is not None:
        for name, rows in (("row_norm_new", model.new_input), ("row_norm_old", model.embedding.base.weight)):
            figures[name] = float(whole(torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32)).mean())
    return figures
