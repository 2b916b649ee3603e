"""`jp-adapt ui` on a folder of 200 runs and two evaluations of 20,000 items: first paint, filter, search, memory, and what ten tabs cost that watch a run."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.browser.chromium import Tab, chromium, open_tab
from tests.browser.serving import served
from tests.ui.pages import add_steps, write_evaluation, write_training_run

RUNS, STEPS, ITEMS, WATCHERS, WATCHED_S = 200, 2000, 20_000, 10, 20.0
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def main() -> None:
    if chromium() is None:
        print("  no Chromium here; apt-get install chromium brings one")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "runs"
        rng = random.Random(0)
        for number in range(RUNS):
            write_training_run(folder / f"run-{number:03d}", steps=STEPS if number % 10 else STEPS // 2, of=STEPS)
        for model, share in (("base", 0.5), ("adapted", 0.6)):
            write_evaluation(folder / "eval" / model, [rng.random() < share for _ in range(ITEMS)])
        with served(folder) as (address, pid), open_tab(Path(name) / "profile") as tab:
            server = psutil.Process(pid)
            _told("server memory at its start", server.memory_info().rss / 2**20, "MiB")
            _runs(tab, address)
            _items(tab, address)
            _told("server memory behind all this", server.memory_info().rss / 2**20, "MiB")
            tab.send("HeapProfiler.collectGarbage")
            _told("memory of the page (JavaScript)", tab.js("performance.memory.usedJSHeapSize") / 2**20, "MiB")
            _watched(tab, address, folder, server)


def _told(name: str, value: float, unit: str) -> None:
    print(f"  {name:<46} {value:8.1f} {unit}", flush=True)


def _runs(tab: Tab, address: str) -> None:
    ready = f"document.querySelectorAll('.entries tbody tr').length === {RUNS + 2}"
    for name in ("first", "second"):
        started = time.perf_counter()
        tab.open(address, ready)
        _told(f"table of {RUNS} runs, {name} time: first paint", tab.js(PAINT), "ms")
        _told("    all rows there", 1e3 * (time.perf_counter() - started), "ms")
    _told(
        "table: a filter is typed, until drawn",
        _timed(tab, "const box = document.querySelector('input[type=search]'); box.value = '199'", "box", "input"),
        "ms",
    )


def _items(tab: Tab, address: str) -> None:
    started = time.perf_counter()
    tab.open(f"{address}#/items?e=eval/base&e=eval/adapted", "document.querySelector('.item .question')?.innerText.length > 5")
    _told(f"2 x {ITEMS:,} items read and shown: first paint", tab.js(PAINT), "ms")
    _told("    rows there", 1e3 * (time.perf_counter() - started), "ms")
    _told("items: base right, adapted wrong, until drawn", _timed(tab, "const box = document.querySelector('.chip-button.lost')", "box", "click"), "ms")
    tab.js("document.querySelectorAll('.chip-button')[0].click()")
    search = """new Promise((done) => {
        const box = document.querySelector('input[type=search]'), total = document.querySelector('.total'), started = performance.now();
        new MutationObserver(() => requestAnimationFrame(() => done(performance.now() - started))).observe(total, { childList: true });
        box.value = '日本の1234'; box.dispatchEvent(new Event('input')); })"""
    _told("items: a Japanese text is searched, until drawn", tab.js(search), "ms")


def _timed(tab: Tab, before: str, node: str, event: str) -> Any:
    """Milliseconds from an event until the frame behind it is drawn."""
    return tab.js(f"""new Promise((done) => {{ {before}; const started = performance.now(); {node}.dispatchEvent(new Event('{event}'));
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - started))); }})""")


def _watched(tab: Tab, address: str, folder: Path, server: psutil.Process) -> None:
    """CPU time of the server while ten readers watch a run that does two steps a second."""
    run = write_training_run(folder / "live", steps=STEPS, of=4 * STEPS)
    stage = run / "stages" / "cpt"
    tab.open(address, "document.querySelector('.entries')")
    tab.js(f"""window.seen = 0; window.sources = Array.from({{ length: {WATCHERS} }}, () => fetch('api/live?p=live').then(async (answer) => {{
        const reader = answer.body.getReader(); for (;;) {{ const {{ done }} = await reader.read(); if (done) return; window.seen += 1; }} }}))
        .length""")
    time.sleep(2)
    before, started, step = sum(server.cpu_times()[:2]), time.monotonic(), STEPS
    while time.monotonic() - started < WATCHED_S:
        step += 1
        add_steps(stage, step, step, 4 * STEPS)
        time.sleep(0.5)
    share = (sum(server.cpu_times()[:2]) - before) / (time.monotonic() - started)
    _told(f"{WATCHERS} readers of a run, 2 steps a second: CPU of the server", 100 * share, "% of one core")
    add_steps(stage, step + 1, step + 1, 4 * STEPS)
    written = time.perf_counter()
    tab.js("window.before = window.seen")
    tab.wait("window.seen > window.before")
    _told("    from a step to the page", 1e3 * (time.perf_counter() - written), "ms")
