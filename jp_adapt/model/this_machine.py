"""The machine at hand as a device of a plan: its GPU where `nvidia-smi` names one, else its CPU. Nothing here imports torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import psutil

from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.model.plan import DEVICES, GB, Device

# What a core reaches in a LoRA step of SmolLM2-135M: in bfloat16 where the processor multiplies it (docs/log.md, 2026-11-24), else in float32 (an estimate).
CORE_FLOPS = {True: 0.1225e12, False: 0.05e12}
FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16"}
RESERVE = 0.6 * GB
CPU_INFO, CGROUP_MEMORY = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup/memory.max")
# Part of the name that nvidia-smi says -> device; the first that fits.
GPU_NAMES = (
    (r"H200", "h200-141g"),
    (r"H100 PCIe", "h100-pcie-80g"),
    (r"H100", "h100-80g"),
    (r"A100.*80GB", "a100-80g"),
    (r"A100", "a100-40g"),
    (r"L40S", "l40s-48g"),
    (r"L4$", "l4-24g"),
    (r"A10G", "a10g-24g"),
    (r"RTX 4090", "rtx4090-24g"),
    (r"RTX 3090", "rtx3090-24g"),
)


def find_device(name: str | None) -> tuple[str, Device]:
    """A device with its name; None is the machine at hand. UsageError, which lists all, where it is not known."""
    if name is None:
        return this_machine()
    if name not in DEVICES:
        raise UsageError(f"--device {name}: unknown{did_you_mean(name, DEVICES)}; devices: {', '.join(DEVICES)}")
    return name, DEVICES[name]


def this_machine() -> tuple[str, Device]:
    """The first GPU that nvidia-smi lists, or the CPU with the cores and the memory that this process may use."""
    gpu = first_gpu()
    if gpu is None:
        return _cpu()
    name = device_of(gpu)
    if name is None:
        raise UsageError(
            f"this machine has a GPU whose speed is not known here ({gpu}); name the device that is most like it with --device: {', '.join(DEVICES)}"
        )
    return name, DEVICES[name]


def device_of(gpu: str) -> str | None:
    """The device that a GPU's name, as its driver says it, stands for; None for one that is not in the table."""
    return next((device for pattern, device in GPU_NAMES if re.search(pattern, gpu)), None)


def first_gpu() -> str | None:
    """The name of the first GPU as nvidia-smi says it; None where there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    done = subprocess.run(
        [command, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    names = done.stdout.strip().splitlines() if done.returncode == 0 else []  # a machine may have the command and no GPU
    return names[0].strip() if names else None


def _cpu() -> tuple[str, Device]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().total
    limit = CGROUP_MEMORY.read_text(encoding="ascii").strip() if CGROUP_MEMORY.is_file() else "max"  # of a container
    if limit.isdecimal():
        memory = min(memory, int(limit))
    flags = set(CPU_INFO.read_text(encoding="utf-8", errors="replace").split()) if CPU_INFO.is_file() else set()
    bfloat16 = bool(flags & FAST_BFLOAT16)
    source = f"this machine, {'at what a core reached for this project in bfloat16' if bfloat16 else 'at an estimate of what a core reaches in float32'}"
    return f"cpu-{cores}core", Device(memory, cores * CORE_FLOPS[bfloat16], 1.0, RESERVE, source, "measured" if bfloat16 else "estimated")
