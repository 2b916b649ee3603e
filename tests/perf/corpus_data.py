"""A corpus of any size from the development data, and a look at a whole `corpus prepare`: its seconds, and the memory of all its processes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.perf.tokenizer_data import DATA, read_corpora

RECIPE = """format: 1
name: perf
tokenizer: {tokenizer}
deduplicate: {deduplicate}
sources:
  ja: {{path: corpus.jsonl, language: ja, licence: see the data}}
{steps}"""


def write_corpus(path: Path, megabytes: float, seed: int = 0) -> int:
    """About so many MB of Japanese as .jsonl; its characters. Beyond the real texts, their lines stand in a new order in each copy."""
    rng = random.Random(seed)
    texts = [text for found in read_corpora("ja").values() for text in found]
    chars = written = copies = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 1e6:
            for text in rng.sample(texts, len(texts)):
                lines = text.splitlines(keepends=True)
                if copies:
                    rng.shuffle(lines)
                line = json.dumps({"text": "".join(lines)}, ensure_ascii=False) + "\n"
                written += len(line.encode("utf-8"))
                chars += len(text)
                file.write(line)
                if written >= megabytes * 1e6:
                    break
            copies += 1
    return chars


def write_recipe(folder: Path, tokenizer: Path | None = None, deduplicate: str = "near", steps: str = "") -> Path:
    path = folder / "perf.yaml"
    path.write_text(RECIPE.format(tokenizer=tokenizer or DATA / "tokenizers" / "llama3", deduplicate=deduplicate, steps=steps), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Run:
    """Seconds, and the largest resident memory of all processes together, of one command."""

    seconds: float
    peak_bytes: int


def prepare(recipe: Path, out: Path, processes: int) -> Run:
    """Run `jp-adapt corpus prepare` as a user does. Memory is looked at twenty times a second; pages that processes share count once each time."""
    command = [sys.executable, "-m", "jp_adapt", "corpus", "prepare", str(recipe), "--out", str(out), "--processes", str(processes)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}) as process:
        peaks = [0]

        def watch() -> None:
            while process.poll() is None:
                peaks[0] = max(peaks[0], _group_bytes(process.pid))
                time.sleep(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        watcher.join()
    assert code == 0, f"exit code {code}"
    return Run(time.perf_counter() - started, peaks[0])


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
