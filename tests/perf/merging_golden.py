"""Record what mergekit makes of small tensors: `python tests/perf/merging_golden.py > tests/merging/golden.json`, in an environment with mergekit 0.1.5.

mergekit (LGPL-3.0) is a peer that is asked here once, in an environment of its own; nothing of it is needed by jp-adapt or its tests.
"""

from __future__ import annotations

import json
from importlib import metadata

import numpy as np
import torch

SHAPE, SEED, SPREAD = (6, 10), 20261129, 0.05


def inputs() -> list[torch.Tensor]:
    """The base and three models, from a generator whose stream numpy keeps."""
    raw = np.random.PCG64(SEED).random_raw(4 * 60)
    values = ((raw >> 40) / 2.0**23 - 1.0).reshape(4, *SHAPE)
    base = values[0]
    return [torch.tensor(base if number == 0 else base + SPREAD * values[number], dtype=torch.float32) for number in range(4)]


def main() -> None:
    from mergekit.common import ModelReference
    from mergekit.merge_methods import get
    from mergekit.merge_methods.base import PerInputValues, TensorEntry, TensorGroup, TensorMetadata

    tensors = inputs()
    names = [ModelReference.parse(name) for name in ("base", "a", "b", "c")]

    def merged(method: str, models: str, base: bool, *, shared: dict[str, object] | None = None, **per_model: list[float]) -> list[float]:
        chosen = [0, *("abc".index(name) + 1 for name in models)] if base else ["abc".index(name) + 1 for name in models]
        entries = tuple(TensorEntry(id=names[index], tensor=tensors[index], is_base=index == 0) for index in chosen)
        group = TensorGroup(entries=entries, metadata=TensorMetadata(name="x"))
        instance = get(method)
        arguments: dict[str, object] = {}
        for parameter in instance.spec.parameters:
            if parameter.name in per_model:
                ids = [entry.id for entry in entries if not entry.is_base]
                arguments[parameter.name] = PerInputValues(list(zip(ids, per_model[parameter.name], strict=True)))
            elif parameter in instance.spec.shared_parameters:
                arguments[parameter.name] = (shared or {}).get(parameter.name, parameter.default)
            else:
                arguments[parameter.name] = PerInputValues([(entry.id, parameter.default) for entry in entries if not entry.is_base])
        (result,) = instance._execute_resolved((group,), [arguments])
        return [float(f"{value:.9g}") for value in result.flatten().tolist()]  # nine digits tell float32 apart

    cases = {
        "linear": merged("linear", "abc", False, weight=[0.7, 0.3, 0.4]),
        "linear_sum": merged("linear", "ab", False, shared={"normalize": False}, weight=[0.7, 0.4]),
        "slerp": merged("slerp", "a", True, shared={"t": 0.3}),
        "task_arithmetic": merged("task_arithmetic", "ab", True, weight=[0.7, 0.5]),
        "task_arithmetic_mean": merged("task_arithmetic", "ab", True, shared={"normalize": True, "lambda": 1.2}, weight=[0.7, 0.5]),
        "ties": merged("ties", "abc", True, weight=[0.7, 0.5, 0.6], density=[0.4, 0.6, 0.5]),
        "ties_sum": merged("ties", "ab", True, shared={"normalize": False, "lambda": 0.8}, weight=[0.7, -0.5], density=[0.4, 0.6]),
        "model_stock": merged("model_stock", "abc", True),
        "sce": merged("sce", "abc", True, shared={"select_topk": 0.5}),
        "sce_all": merged("sce", "ab", True),
    }
    print(json.dumps({"mergekit": metadata.version("mergekit"), "cases": cases}))


if __name__ == "__main__":
    main()
