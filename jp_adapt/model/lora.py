"""LoRA on the linear layers of the transformer: its settings, its names, its files' words, and how it becomes part of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from jp_adapt.core.errors import InputError, one_line
from jp_adapt.core.suggest import did_you_mean

MAX_RANK = 2**16
ADAPTER = "default"  # peft's name for the one adapter of a layer


@dataclass(frozen=True)
class LoraSettings:
    """Rank and scale; `rslora` scales by alpha / sqrt(rank) (Kalajdzievski 2312.03732), `dora` trains the norms of rows too (Liu et al. 2402.09353).

    `targets`: last names of the layers that get LoRA (q_proj, down_proj, ...); None for all linear layers.
    """

    rank: int
    alpha: float
    rslora: bool = False
    dora: bool = False
    targets: tuple[str, ...] | None = None


def plain_name(name: str) -> str:
    """The name that a parameter of a layer with LoRA has without it."""
    return name.replace(".base_layer.", ".")


def linear_names(body: nn.Module) -> list[str]:
    """Last names of all linear layers of a transformer body, sorted: q_proj, gate_proj, ..."""
    return sorted({name.rsplit(".", 1)[-1] for name, module in body.named_modules() if isinstance(module, nn.Linear)})


def target_names(body: nn.Module, settings: LoraSettings) -> list[str]:
    """Last names of the layers that get LoRA. InputError for a target that the model lacks."""
    names = linear_names(body)
    for name in settings.targets or ():
        if name not in names:
            raise InputError(f"lora.targets: the model has no linear layer '{name}'{did_you_mean(name, names)}; it has {', '.join(names)}")
    return list(settings.targets or names)


def lora_parameters(body: nn.Module) -> dict[str, nn.Parameter]:
    """Name as peft saves it ("layers.0.self_attn.q_proj.lora_A.weight") -> parameter."""
    results = {name.replace(f".{ADAPTER}.", "."): parameter for name, parameter in body.named_parameters() if ".lora_" in name}
    return {name.replace("lora_magnitude_vector.weight", "lora_magnitude_vector"): parameter for name, parameter in results.items()}  # as peft saves DoRA's


def adapter_config(settings: LoraSettings, parameters: Iterable[str]) -> dict[str, Any]:
    """What `adapter_config.json` must say for peft to load the adapter; `parameters` are the names of its matrices."""
    targets = sorted({name.split(".lora_")[0].rsplit(".", 1)[-1] for name in parameters})
    values = asdict(settings)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": values["rank"],
        "lora_alpha": values["alpha"],
        "use_rslora": values["rslora"],
        "use_dora": values["dora"],
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": targets,
    }


def lora_settings(config: Any, place: str) -> LoraSettings:
    """The settings in an `adapter_config.json`. InputError, which begins with `place`, where it has none that can be read."""
    try:
        rank, alpha, targets = config["r"], config["lora_alpha"], config["target_modules"]
        rslora, dora = config.get("use_rslora", False), config.get("use_dora", False)
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{place}: not the configuration of a LoRA adapter ({one_line(error)} is missing)") from error
    whole = type(rank) is int and 0 < rank <= MAX_RANK and isinstance(alpha, (int, float)) and isinstance(targets, list)
    if not whole or not all(isinstance(name, str) for name in targets) or not isinstance(rslora, bool) or not isinstance(dora, bool):
        raise InputError(f"{place}: not the configuration of a LoRA adapter: r is {rank!r}, lora_alpha {alpha!r}, target_modules {targets!r}"[:300])
    return LoraSettings(rank, alpha, rslora, dora, tuple(targets))


def merge_lora(body: nn.Module) -> None:
    """Replace every LoRA layer by a plain linear layer with the update added to its weight, in place, computed in float32."""
    for name, module in list(body.named_modules()):
        if hasattr(module, "lora_magnitude_vector"):
            down, up = module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight
            plain = module.get_base_layer()
            merged = plain.weight.data.float() + module.scaling[ADAPTER] * (up @ down)
            if module.lora_magnitude_vector:
                merged *= (module.lora_magnitude_vector[ADAPTER].weight / merged.norm(dim=1))[:, None]
            plain.weight.data = merged.to(plain.weight.dtype)
            parent, _, last = name.rpartition(".")
            setattr(body.get_submodule(parent), last, plain)
