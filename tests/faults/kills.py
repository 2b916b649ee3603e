"""Commands that are stopped, find the disk full or a folder closed, at a random moment; and the same command again, which must end as if nothing had been."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.campaign import Tally
from tests.faults.runner import Outcome, run
from tests.faults.world import World

SECONDS = 240.0  # of a whole command, which is not an odd input


@dataclass(frozen=True)
class Job:
    """A command that writes `out` in the folder that it runs in, and what of it must be the same each time."""

    name: str
    arguments: list[str]
    kept: Callable[[Path], dict[str, str]]


def jobs(world: World, url: str, adapter: Path | None) -> list[Job]:
    """The commands that write much. Those that compute with a model need `adapter`, the folder of a trained one."""
    extend = ["tokenizer", "extend", "--base", str(world.base), "--corpus", str(world.recipe.parent / "ja.jsonl"), "--new-tokens", "40", "--out", "out/new"]
    judge = ["judge", str(world.answers), "--benchmark", "ja/elyza-tasks-100", "--data", str(world.judge_data), "--judge-model", "m", "--parallel", "2"]
    results = [
        Job("corpus prepare", ["corpus", "prepare", str(world.corpus), "--out", "out/new"], lambda out: _hashes(out, "new/texts*", "new/report.json")),
        Job("tokenizer extend", extend, lambda out: _hashes(out, "new/tokenizer.json", "new/report.json")),
        Job("judge", [*judge, "--endpoint", url, "--out", "out"], _judgements),
    ]
    if adapter is not None:
        merge = ["export", "adapter", str(adapter), "--base", str(world.base), "--out", "out/new"]
        results += [
            Job(
                "run",
                ["run", str(world.recipe), "--out", "out"],
                lambda out: _hashes(out, "stages/model/final/*.safetensors", "stages/tok/final/tokenizer.json"),
            ),
            Job(
                "eval",
                ["eval", str(world.base), "--benchmarks", str(world.evaluation.parent / "bench.yaml"), "--out", "out"],
                lambda out: _hashes(out, "outputs.jsonl"),
            ),
            Job("export", merge, lambda out: _hashes(out, "new/*.safetensors", "new/tokenizer.json")),
        ]
    return results


def _hashes(out: Path, *patterns: str) -> dict[str, str]:
    files = [path for pattern in patterns for path in sorted(out.glob(pattern)) if path.is_file()]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _judgements(out: Path) -> dict[str, str]:
    summary = json.loads((out / "judge_summary.json").read_text(encoding="utf-8"))
    return {"models": json.dumps(summary["models"], sort_keys=True)}


def stopped(kind: signal.Signals) -> Callable[[random.Random, float, Path], dict[str, object]]:
    """A signal at a random moment."""

    def fault(rng: random.Random, seconds: float, folder: Path) -> dict[str, object]:
        def during(process: int) -> None:
            time.sleep(rng.random() * seconds)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, kind)

        return {"during": during}

    return fault


def short_files(rng: random.Random, seconds: float, folder: Path) -> dict[str, object]:
    """No file may be larger than so much: the kernel's answer is that of a full disk."""
    limit = int(2 ** rng.uniform(6, 18))
    return {"prepare": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}


def closed(rng: random.Random, seconds: float, folder: Path) -> dict[str, object]:
    """A folder of the output closes at a random moment, for a process without a superuser's rights."""
    mode = rng.choice([0o555, 0o000])

    def during(process: int) -> None:
        time.sleep(rng.random() * seconds)
        places = [path for path in [folder / "out", *(folder / "out").rglob("*")] if path.is_dir() and path.suffix != ".tmp"]  # what nobody keeps
        rng.choice(places).chmod(mode)

    return {"during": during, "prepare": drop_capabilities}


def drop_capabilities() -> None:
    """Modes of folders hold for this process from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(struct.pack("Ii", 0x20080522, 0), bytes(24)):
        raise OSError(ctypes.get_errno(), "capset")


def open_again(folder: Path) -> None:
    for path in [folder / "out", *(folder / "out").rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


FAULTS = {"kill -9": stopped(signal.SIGKILL), "SIGTERM": stopped(signal.SIGTERM), "short files": short_files, "closed folder": closed}


def try_job(job: Job, scratch: Path, *, counts: dict[str, int], seed: int = 0) -> list[Tally]:
    """One command under every fault, so many times each."""
    folder = scratch / "job"
    started = time.monotonic()
    right = _fresh(folder, job)
    first = run(job.arguments, folder, seconds=SECONDS)
    seconds = time.monotonic() - started
    expected = job.kept(folder / "out") if first.code == 0 else {}
    tallies = []
    for name, number in counts.items():
        tally, began = Tally(f"{job.name}, {name}"), time.monotonic()
        for case in range(number):
            rng = random.Random(f"{seed} {job.name} {name} {case}")
            wrong = right + ([] if expected else [f"the undisturbed command ended with {first.code}: {first.stderr[-200:]}"])
            outcomes, more = (_full_disk if name == "full disk" else _disturbed)(job, name, rng, seconds, folder, expected)
            tally.add(f"{job.name}, {name} {case}", outcomes, wrong + more)
        tally.seconds = time.monotonic() - began
        tallies.append(tally)
        print(tally.line(), file=sys.stderr, flush=True)
        for what, why in tally.lost:
            print(f"    LOST {what}\n         {why}", file=sys.stderr, flush=True)
    return tallies


def _fresh(folder: Path, job: Job) -> list[str]:
    if (folder / "out").exists():
        open_again(folder)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    return []


def _disturbed(job: Job, name: str, rng: random.Random, seconds: float, folder: Path, expected: dict[str, str]) -> tuple[list[Outcome], list[str]]:
    _fresh(folder, job)
    outcomes, wrong = [], []
    for _ in range(rng.choice([1, 1, 2])):  # sometimes what continues is stopped again
        outcome = run(job.arguments, folder, seconds=SECONDS, **FAULTS[name](rng, seconds, folder))  # type: ignore[arg-type]
        outcomes.append(outcome)
        wrong += [fault for fault in outcome.faults(seconds=SECONDS) if fault not in ("exit code -9", "exit code -15")]
        open_again(folder)
        if outcome.code == 0:
            break
    return outcomes, wrong + _goes_on(job, folder, expected, outcomes)


def _full_disk(job: Job, name: str, rng: random.Random, seconds: float, folder: Path, expected: dict[str, str]) -> tuple[list[Outcome], list[str]]:
    """A file system of its own that is too small, and then is not."""
    _fresh(folder, job)
    out = folder / "out"
    size = int(2 ** rng.uniform(13, 20))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(out)], check=True)
    try:
        outcome = run(job.arguments, folder, seconds=SECONDS)
        outcomes, wrong = [outcome], outcome.faults(seconds=SECONDS)
        subprocess.run(["mount", "-o", "remount,size=1g", str(out)], check=True)
        wrong += _goes_on(job, folder, expected, outcomes)
    finally:
        subprocess.run(["umount", str(out)], check=True)
    return outcomes, wrong


def _goes_on(job: Job, folder: Path, expected: dict[str, str], outcomes: list[Outcome]) -> list[str]:
    """What is wrong with the same command again, undisturbed."""
    if outcomes[-1].code != 0:
        again = run(job.arguments, folder, seconds=SECONDS)
        outcomes.append(again)
        if again.code != 0:
            return [f"the same command again ends with {again.code}: {again.stderr.strip()[-300:]}"]
    try:
        kept = job.kept(folder / "out")
    except (OSError, ValueError, KeyError) as error:
        return [f"no result ({error})"]
    wrong = [] if kept == expected else [f"another result: {sorted(name for name in {*kept, *expected} if kept.get(name) != expected.get(name))}"]
    left = [path.name for path in (folder / "out").rglob(".*.tmp")]
    return wrong + ([f"left behind: {', '.join(left)}"] if left else [])


def can_mount(scratch: Path) -> bool:
    """Whether this process may make a file system of its own."""
    place = scratch / "mount"
    place.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True).returncode != 0:
        return False
    return subprocess.run(["umount", str(place)], capture_output=True).returncode == 0
