"""The machine at hand as a device: a GPU by the name that nvidia-smi says, else the CPU with what this process may use of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import UsageError
from jp_adapt.model import this_machine
from jp_adapt.model.plan import DEVICES, GB


def with_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program of that name on the PATH, since no test machine has a GPU."""
    command = folder / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("said", "device"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-80g"),
        ("NVIDIA H100 PCIe", "h100-pcie-80g"),
        ("NVIDIA H200", "h200-141g"),
        ("NVIDIA A100-SXM4-80GB", "a100-80g"),
        ("NVIDIA A100-PCIE-40GB", "a100-40g"),
        ("NVIDIA L4", "l4-24g"),
        ("NVIDIA L40S", "l40s-48g"),
        ("NVIDIA GeForce RTX 4090", "rtx4090-24g"),
    ],
)
def test_a_gpu_by_its_name(said: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(tmp_path, monkeypatch, f"echo '{said}'; echo 'NVIDIA Other'")
    assert this_machine.find_device(None) == (device, DEVICES[device])


def test_a_gpu_that_is_not_known_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(tmp_path, monkeypatch, "echo 'NVIDIA Titan Z'")
    with pytest.raises(UsageError, match=r"speed is not known here \(NVIDIA Titan Z\); name the device that is most like it with --device: h100-80g"):
        this_machine.this_machine()


@pytest.mark.parametrize("script", ["echo 'NVIDIA-SMI has failed'; exit 9", "exit 0"])
def test_the_command_without_a_gpu(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(tmp_path, monkeypatch, script)
    assert this_machine.this_machine()[0].startswith("cpu-")


def test_a_cpu_has_the_memory_of_its_container_and_the_speed_of_its_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    limit, flags = tmp_path / "memory.max", tmp_path / "cpuinfo"
    monkeypatch.setattr(this_machine, "CGROUP_MEMORY", limit)
    monkeypatch.setattr(this_machine, "CPU_INFO", flags)
    limit.write_text(f"{GB}\n", encoding="ascii")
    flags.write_text("flags : fpu avx2\n", encoding="utf-8")
    name, slow = this_machine.this_machine()
    limit.write_text("max\n", encoding="ascii")
    flags.write_text("flags : fpu avx2 avx512_bf16\n", encoding="utf-8")
    _, fast = this_machine.this_machine()
    assert slow.memory_bytes == GB < fast.memory_bytes
    assert fast.peak_flops / slow.peak_flops == pytest.approx(this_machine.CORE_FLOPS[True] / this_machine.CORE_FLOPS[False])
    assert fast.peak_flops == this_machine.CORE_FLOPS[True] * int(name.removeprefix("cpu-").removesuffix("core"))
    assert (fast.reached, slow.reached) == ("measured", "estimated")
    assert "bfloat16" in fast.source
    assert "float32" in slow.source
