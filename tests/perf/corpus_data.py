"""A corpus of any size from the development data, and a look at a whole command: its seconds, what of it one process does alone, and its memory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.perf.tokenizer_data import DATA, read_corpora

FILES = 8  # that a corpus lies in: datatrove gives whole files to its tasks
RECIPE = """format: 1
name: perf
tokenizer: {tokenizer}
deduplicate: {deduplicate}
sources:
  ja: {{path: corpus-*.jsonl, language: ja, licence: see the data}}
{steps}"""
ALL_STEPS = f"""steps:
  - {{kind: decoding}}
  - {{kind: normalise}}
  - {{kind: markup}}
  - {{kind: language}}
  - {{kind: decontaminate, data: {DATA / "benchmarks"}, missing: skip}}
  - {{kind: quality}}
  - {{kind: personal}}
"""


def write_corpus(folder: Path, megabytes: float, seed: int = 0) -> int:
    """About so many MB of Japanese as corpus-*.jsonl; its characters.

    The real texts come once. Beyond them every document has as many lines as a real one, drawn from all of them: no copies, which deduplication would drop.
    """
    rng = random.Random(seed)
    texts = [text for results in read_corpora("ja").values() for text in results]
    lines = [text.splitlines(keepends=True) for text in texts]
    pool = [line for results in lines for line in results]
    chars = written = 0
    for number in range(FILES):
        with (folder / f"corpus-{number}.jsonl").open("w", encoding="utf-8") as file:
            while not file.tell() or written < megabytes * 1e6 * (number + 1) / FILES:
                text = texts.pop() if texts else "".join(rng.choices(pool, k=len(rng.choice(lines))))
                if not text.strip():
                    continue
                line = json.dumps({"text": text}, ensure_ascii=False) + "\n"
                written += len(line.encode("utf-8"))
                chars += len(text)
                file.write(line)
    return chars


def write_recipe(folder: Path, tokenizer: Path | None = None, deduplicate: str = "near", steps: str = ALL_STEPS) -> Path:
    path = folder / "perf.yaml"
    path.write_text(RECIPE.format(tokenizer=tokenizer or DATA / "tokenizers" / "llama3", deduplicate=deduplicate, steps=steps), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Run:
    """One command: seconds, CPU seconds of its first process and of all that it started, and the largest resident memory of all together."""

    seconds: float
    own_cpu_s: float
    others_cpu_s: float
    peak_bytes: int

    @property
    def cpu_s(self) -> float:
        return self.own_cpu_s + self.others_cpu_s


def run_command(command: Sequence[str]) -> Run:
    """Run it as a user does. Memory is looked at twenty times a second; pages that processes share count once each time."""
    started = time.perf_counter()
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment) as process:
        seen = {"peak": 0, "own": 0.0, "others": 0.0}

        def watch() -> None:
            while process.poll() is None:
                seen["peak"] = max(seen["peak"], _group_bytes(process.pid))
                seen["own"], seen["others"] = _cpu_seconds(process.pid) or (seen["own"], seen["others"])
                time.sleep(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, errors = process.communicate()
        watcher.join()
    assert process.returncode == 0, errors[-3000:]
    return Run(time.perf_counter() - started, seen["own"], seen["others"], int(seen["peak"]))


def prepare(recipe: Path, out: Path, processes: int) -> Run:
    """`jp-adapt corpus prepare`."""
    return run_command([sys.executable, "-m", "jp_adapt", "corpus", "prepare", str(recipe), "--out", str(out), "--processes", str(processes)])


def _cpu_seconds(pid: int) -> tuple[float, float] | None:
    """Of the process itself, and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    own, system, children, children_system = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15])
    return own + system, children + children_system


def _group_bytes(group: int) -> int:
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    total += int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, ValueError, IndexError):  # it ended meanwhile
                continue
    return total
