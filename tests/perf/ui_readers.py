"""How much slower a run trains while ten pages watch it: windows with and without readers in turn, and the median ratio of their speeds."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import torch

from tests.browser.serving import served
from tests.perf.options import option
from tests.ui.pages import write_training_run

READERS, PAIRS, STEPS, SETTLE_S = 10, 40, 30, 1.0
PATIENCE_S = 120.0
BEFORE = 2000  # steps that the run has done already: every reader gets them at first


def main() -> None:
    pairs = option("pairs", PAIRS)
    with tempfile.TemporaryDirectory() as name:
        run = write_training_run(Path(name) / "runs" / "live", steps=BEFORE, of=10 * BEFORE)
        with served(Path(name) / "runs") as (address, _):
            trainer = multiprocessing.get_context("spawn").Process(target=_train, args=(run / "stages" / "cpt" / "metrics.jsonl",), daemon=True)
            trainer.start()
            while _steps(run) < BEFORE + 20:
                time.sleep(0.2)
            try:
                ratios = [_speed(run, address, READERS) / _speed(run, address, 0) for _ in range(pairs)]
            finally:
                trainer.terminate()
                trainer.join()
    slower = [100 * (1 / ratio - 1) for ratio in ratios]
    low, high = statistics.quantiles(slower, n=4)[::2]
    print(f"  {READERS} readers: training is slower by {statistics.median(slower):+.2f} % (median of {pairs} pairs; quartiles {low:+.2f}, {high:+.2f})")


def _train(metrics: Path) -> None:
    """Steps of a small network on all cores, each with its line of metrics, until the process is ended."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(*(torch.nn.Linear(768, 768) for _ in range(8)))
    optimizer = torch.optim.AdamW(model.parameters())
    data = torch.randn(256, 768)
    started, step = time.monotonic(), BEFORE
    while True:
        step += 1
        for _ in range(4):
            optimizer.zero_grad()
            loss = (model(data) - data).square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        line = {"step": step, "num_steps": 10 * BEFORE, "loss_nats_per_token": loss.item(), "tokens": 100 * step, "elapsed_s": time.monotonic() - started}
        with metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _steps(run: Path) -> int:
    with (run / "stages" / "cpt" / "metrics.jsonl").open("rb") as file:
        file.seek(-400, 2)
        return int(json.loads(file.read().split(b"\n")[-2])["step"])


def _speed(run: Path, address: str, readers: int) -> float:
    """Steps a second while so many pages read along."""
    left = threading.Event()
    streams = [urlopen(f"{address}api/live?p=live") for _ in range(readers)]
    threads = [threading.Thread(target=_read, args=(stream, left), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    time.sleep(SETTLE_S)
    before, started = _steps(run), time.monotonic()
    while (done := _steps(run) - before) < STEPS:
        assert time.monotonic() - started < PATIENCE_S, "the trainer is gone"
        time.sleep(0.02)
    speed = done / (time.monotonic() - started)
    left.set()
    for thread in threads:
        thread.join()
    return speed


def _read(stream: object, left: threading.Event) -> None:
    while not left.is_set():
        stream.readline()  # type: ignore[attr-defined]
    stream.close()  # type: ignore[attr-defined]
