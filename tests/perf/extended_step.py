"""A whole training step (passes, clipping, AdamW) of SmolLM2-135M with new tokens against one with the base's own, at equal shapes, steps in turn.

Seconds are those of the processor, so that other work on the machine counts little; the ratio is what new rows cost, beside what their share of the head's
products must cost. `--profile` says which operators the difference is in. Needs the model as a plain folder, as `train_step` does.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from torch.profiler import ProfilerActivity, profile

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.model.causal import CausalModel, NewRows, load_base, resolve_precision
from jp_adapt.model.lora import LoraSettings
from jp_adapt.training.loop import TrainSettings, _Loop
from tests.perf.options import option

SETTINGS = TrainSettings(
    lr=1e-3,
    new_rows_lr=2e-3,
    betas=(0.9, 0.95),
    eps=1e-8,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="cosine",
    warmup_share=0.05,
    decay_share=0.2,
    final_lr_share=0.05,
    checkpoint_every=10**6,
    measure_every=10**6,
    new_rows_eps=0.2,
)


def main() -> None:
    folder = Path(os.environ.get("JP_ADAPT_BASE", "runs/quickstart/stages/base/final"))
    if not folder.is_dir():
        print(f"  skipped: no model in {folder}; run `make quickstart` first")
        return
    new, rounds = option("new_tokens", 6_000), option("rounds", 5)
    loops = {"base": _loop(folder, 0), "extended": _loop(folder, new)}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds + 1):
        for name, loop in loops.items():
            started = time.process_time()
            loop.step()
            if number:  # the first makes AdamW's moments
                seconds[name].append(time.process_time() - started)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(f"  {name:<10} {median[name]:7.3f} s of processor time a step, {min(values):.3f} to {max(values):.3f}")
    print(f"  extended over base {median['extended'] / median['base']:.3f}; by the products alone {_expected(loops['base'].model, new):.3f}")
    if "--profile" in sys.argv:
        _profile(loops)


def _loop(folder: Path, new: int) -> _Loop:
    """A loop on random ids, half of which are new where there are any."""
    base = load_base(folder, resolve_precision(option("precision", "auto")))
    old = base.get_input_embeddings().weight
    random = np.random.default_rng(0)
    model = CausalModel(base, NewRows(old[random.integers(len(old), size=new)].float(), None) if new else None)
    model.add_lora(LoraSettings(32, 64.0), seed=0)
    length, rows = option("length", 512), option("rows", 2)
    ids = random.integers(len(old), size=(option("rounds", 5) + 4) * length * rows)
    ids[::2] = len(old) + ids[::2] % new if new else ids[::2]
    plan = plan_training({"text": (ids.reshape(-1, length).tolist(), 1.0)}, prefix=0, length=length, rows_per_step=rows, seed=0, epochs=1)
    return _Loop(model, plan, SETTINGS, Path(tempfile.gettempdir()), lambda step, metrics: None, None, None)


def _expected(model: CausalModel, new: int) -> float:
    """How much longer a step is by its products: two for a frozen matrix, three for one that trains."""
    frozen = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return 1 + 3 * new * model.base_head.shape[1] / (2 * frozen + 3 * trained)


def _profile(loops: dict[str, _Loop]) -> None:
    """Operators by what they take more in the extended step, in ms of one step."""
    times: dict[str, dict[str, float]] = {}
    for name, loop in loops.items():
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            loop.step()
        times[name] = {event.key: event.self_cpu_time_total / 1e3 for event in profiled.key_averages()}
    more = {key: times["extended"].get(key, 0.0) - times["base"].get(key, 0.0) for key in times["base"] | times["extended"]}
    for key, difference in sorted(more.items(), key=lambda item: -abs(item[1]))[:20]:
        print(f"  {key:<50} {times['base'].get(key, 0.0):9.1f} -> {times['extended'].get(key, 0.0):9.1f} ms  {difference:+9.1f}")


if __name__ == "__main__":
    main()
