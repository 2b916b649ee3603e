"""LoRA put on a model, as peft's layers with a leaner forward. Imported where that is done and not before: peft takes seconds, and bitsandbytes with it."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as PeftLinear
from torch import Tensor, nn

from jp_adapt.model.lora import ADAPTER, LoraSettings, lora_parameters, target_names


class LeanLinear(PeftLinear):  # type: ignore[misc]
    """peft's LoRA layer for one adapter without dropout. float32 matrices compute in the type of the input; the update is added in place by its own product.

    peft's own forward casts the whole input to float32, and makes two more passes over the output to scale and to add.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.disable_adapters or self.merged or self.lora_magnitude_vector:
            result: Tensor = super().forward(x, *args, **kwargs)
            return result
        down, up = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
        flat = x.reshape(-1, x.shape[-1])
        out: Tensor = self.base_layer(flat)  # of two dimensions, so that it is not a view, which autograd would copy to change it in place
        low = flat @ down.to(x.dtype).t()
        return out.addmm_(low, up.to(x.dtype).t(), alpha=self.scaling[ADAPTER]).view(*x.shape[:-1], -1)


def add_lora(body: nn.Module, settings: LoraSettings, seed: int) -> None:
    """Put LoRA on every linear layer of `body`, in place. A starts random (from `seed`), B at zero: nothing changes yet. Matrices are float32."""
    targets = target_names(body, settings)
    config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, use_rslora=settings.rslora, use_dora=settings.dora, target_modules=targets)
    config._register_custom_module({nn.Linear: LeanLinear})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, body, adapter_name=ADAPTER)
    for parameter in lora_parameters(body).values():
        parameter.data = parameter.data.to(torch.float32)
