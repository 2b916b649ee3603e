"""A DeepSpeed configuration as a user has it: how memory is shared goes to DeepSpeed, what a recipe says itself must not be said there again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import read_json
from jp_adapt.core.suggest import did_you_mean

# DeepSpeed's key -> the recipe's.
OWNED = {
    "optimizer": "optimizer of a stage",
    "scheduler": "optimizer.schedule and optimizer.warmup_share of a stage",
    "gradient_clipping": "optimizer.clip_norm of a stage",
    "train_batch_size": "batch_tokens of a stage",
    "train_micro_batch_size_per_gpu": "micro_batch_rows of a stage",
    "gradient_accumulation_steps": "batch_tokens and micro_batch_rows of a stage",
    "activation_checkpointing": "activation_checkpointing of a stage",
    **dict.fromkeys(("bf16", "bfloat16", "fp16", "amp", "torch_autocast", "data_types", "communication_data_type"), "precision"),
}
PASSED = ("zero_optimization", "steps_per_print", "wall_clock_breakdown", "memory_breakdown", "comms_logger", "flops_profiler", "dump_state")
# Of zero_optimization, what was seen to change neither a result nor a checkpoint. round_robin_gradients, for one, does: moments come back as those of other
# weights (docs/log.md).
PASSED_ZERO = (
    *("stage", "offload_optimizer", "offload_param", "overlap_comm", "contiguous_gradients", "reduce_scatter", "reduce_bucket_size"),
    *("allgather_partitions", "allgather_bucket_size", "use_multi_rank_bucket_allreduce", "sub_group_size", "stage3_max_live_parameters"),
    *("stage3_max_reuse_distance", "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold", "stage3_gather_16bit_weights_on_model_save"),
)


def read_deepspeed(path: Path) -> dict[str, Any]:
    """What the JSON at `path` tells DeepSpeed to do with memory, without every value "auto".

    Raises:
        InputError: no such file, or no JSON.
        UsageError: it names no ZeRO stage of 1 to 3, says what a recipe says, or asks for what is not passed on.
    """
    given = read_json(path)
    if not isinstance(given, dict):
        raise UsageError(f"{path}: a DeepSpeed configuration is a JSON object")
    config: dict[str, Any] = {}
    for key, value in _without_auto(given).items():
        if key in OWNED:
            if not _says_nothing_else(value):
                raise UsageError(f"{path}: '{key}' is what a recipe says ({OWNED[key]}); take it out, or write \"auto\"")
        elif key in PASSED:
            config[key] = value
        elif key not in ("zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer"):  # of the optimizer, which is ours: nothing to allow
            raise UsageError(f"{path}: '{key}' is not passed on{did_you_mean(key, [*PASSED, *OWNED])}; keys that are: {', '.join(PASSED)}")
    _check_zero(path, config.get("zero_optimization"))
    return config


def _check_zero(path: Path, zero: Any) -> None:
    stage = zero.get("stage") if isinstance(zero, dict) else None
    if stage not in (1, 2, 3):
        raise UsageError(f"{path}: zero_optimization.stage is {stage!r}; give 1, 2 or 3 (without ZeRO it is distributed: ddp)")
    for key in zero:
        if key not in PASSED_ZERO:
            others = f"{did_you_mean(key, PASSED_ZERO)}; keys that are: {', '.join(PASSED_ZERO)}"
            raise UsageError(f"{path}: zero_optimization.{key} is not passed on, take it out{others}")
    for key in ("offload_optimizer", "offload_param"):
        offload = zero.get(key) or {}
        if offload.get("device", "none") not in ("cpu", "none"):
            raise UsageError(f"{path}: zero_optimization.{key}.device is {offload['device']!r}; only cpu was tried, and is passed on")
        if offload.get("ratio", 1) != 1:
            raise UsageError(f"{path}: zero_optimization.{key}.ratio is {offload['ratio']}; only 1, the whole, was tried and is passed on")


def _without_auto(value: Any) -> Any:
    """Hugging Face's "auto" means: as the trainer says it, or else DeepSpeed's default."""
    if isinstance(value, dict):
        return {key: _without_auto(item) for key, item in value.items() if item != "auto"}
    return value


def _says_nothing_else(value: Any) -> bool:
    """Whether a part that a recipe owns is empty, switched off, or the optimizer that a recipe has anyway."""
    if isinstance(value, dict) and "enabled" in value:
        return value["enabled"] is False
    return value in (None, {}, {"type": "AdamW"}, {"type": "AdamW", "params": {}})
