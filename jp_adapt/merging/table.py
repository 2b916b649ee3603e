"""What is to be known of each merge method before anything is merged. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REQUIRED = None  # in place of a default


@dataclass(frozen=True)
class Method:
    """A method and what a recipe may set for it.

    Attributes:
        base: whether it merges differences to a base.
        models: fewest and most models, without the base; None: any number.
        per_model: what is set for each model, with its default (`REQUIRED`: none).
        shared: what is set for the merge.
        masks: whether elements are dropped at random.
        in_lora_space: whether LoRA adapters of one base merge without the base.
    """

    name: str
    title: str
    paper: str
    base: bool
    models: tuple[int, int | None]
    per_model: Mapping[str, float | None] = field(default_factory=dict)
    shared: Mapping[str, float | bool | None] = field(default_factory=dict)
    masks: bool = False
    in_lora_space: bool = False


_WEIGHT = {"weight": REQUIRED}
_SPARSE = {"weight": REQUIRED, "density": 1.0}
_BY_RANK = {"weight": REQUIRED, "density": 1.0, "epsilon": 0.15}
_SUM = {"lambda": 1.0, "normalize": False}
_MEAN = {"lambda": 1.0, "normalize": True}

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("linear", "weighted mean", "arXiv:2203.05482", False, (1, None), _WEIGHT, {"normalize": True}, in_lora_space=True),
        Method("slerp", "spherical interpolation", "Shoemake, SIGGRAPH 1985", False, (2, 2), {}, {"t": REQUIRED}),
        Method("task_arithmetic", "task arithmetic", "arXiv:2212.04089", True, (1, None), _WEIGHT, _SUM, in_lora_space=True),
        Method("ties", "TIES", "arXiv:2306.01708", True, (1, None), _SPARSE, _MEAN),
        Method("dare_linear", "DARE with task arithmetic", "arXiv:2311.03099", True, (1, None), _SPARSE, _SUM, masks=True),
        Method("dare_ties", "DARE with TIES", "arXiv:2311.03099", True, (1, None), _SPARSE, _SUM, masks=True),
        Method("della_linear", "DELLA without election", "arXiv:2406.11617", True, (1, None), _BY_RANK, _SUM, masks=True),
        Method("della", "DELLA", "arXiv:2406.11617", True, (1, None), _BY_RANK, _MEAN, masks=True),
        Method("model_stock", "Model Stock", "arXiv:2403.19522", True, (2, None)),
        Method("sce", "SCE", "arXiv:2408.07990", True, (1, None), {}, {"topk": 1.0}),
        Method("passthrough", "layers as they are", "arXiv:2312.15166", False, (1, 1), {"scale": 1.0}),
    )
}
