"""Quality at equal training time on SmolLM2-135M: bits per character of three Japanese texts that no arm trained on (technical: rust_book_ja; encyclopedic:
JSQuAD; everyday: the quickstart's), and bits per byte of English, as time goes by; and what a character costs at inference beside it.

    python -m tests.perf training_quality --minutes=30                                  # the three arms, 10 % English
    python -m tests.perf training_quality --minutes=30 --only=ours --replay=0,5         # what replay does
    python -m tests.perf training_quality --minutes=4 --ablate=rank,lr_ratio,rows_first,replay
    taskset -c 1 python -m tests.perf training_quality --minutes=6 --only=base --sizes=400,1500,6000 --turns

Arms: `ours` (extended tokenizer, LoRA and rows), `base` (the base's tokenizer and the same LoRA), `peer` (extended tokenizer, mean rows,
`modules_to_save`, transformers' Trainer); `quality_arms` says what each is and what the clock counts. Learning the tokenizer is not in the time: ours
and the peer share it. On a CPU the time is that of the processor: steps of a busy machine are not shorter than those of an idle one, and a
neighbour's work does not count. What a neighbour does to caches and to the clock of the processor still does: with `--turns` all arms are there at
once, and the one whose time is furthest behind makes the next step, so that all meet the same neighbours. Give them one core (`taskset -c 1`,
OMP_NUM_THREADS=1). Each arm is a process of its own and a JSON file of its own in --out; one that is there is not run again, so that a killed
benchmark continues. --out has the plots, too: pareto_TEXT.svg.

Options: --minutes=N an arm (30), --only=ours,base,peer (none of them: --only=), --sizes=N,N: ours with the first N of the new tokens, --turns,
--replay=0,5,10 (10; per cent), --ablate=rank,lr_ratio,rows_first,replay,rows_eps,rows_per_step,whitening,init (ours with one thing changed; no other
arms), --seed=N (1234), --points=N
held-out measurements (10), --heldout_chars=N (10000), --new_tokens=N (6000), --peer_lr=X (1e-3), --base_lr=X (1e-3), --lr=X (1e-3),
--rows_per_step=N (4), --rows_lr_ratio=X (2), --rows_eps=X (0.2), --whitening and --shared_rows_lr=X for ours,
--steps=N in place of the time, for ours, --precision=bfloat16 or float32 (as `jp-adapt run` chooses), --out=FOLDER (training_quality). JP_ADAPT_BASE
names a folder of the model; JP_ADAPT_DATA the development data.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

from jp_adapt.core.files import new_folder
from jp_adapt.report.svg import Series, line_chart
from jp_adapt.tokenizer.prefix import prefix_tokenizer
from tests.perf.options import option
from tests.perf.quality_arms import HELDOUT_EN, HELDOUT_JA, LR, TURN, Arm
from tests.perf.tokenizer_data import DATA, has_data
from tests.perf.training_speed import real_model

RECIPE = """\
format: 1
name: quality
base: {{path: {base}, document_start: "<|endoftext|>"}}
sources:
{sources}
stages:
  - {{id: tok, kind: tokenizer, corpus: [{names}], new_tokens: {new_tokens}}}
"""
ABLATIONS: dict[str, list[dict[str, Any]]] = {
    "rank": [{"rank": rank} for rank in (8, 32, 64, 256)],
    "lr_ratio": [{"rows_lr_ratio": ratio} for ratio in (0.1, 1.0, 2.0, 5.0, 10.0)],
    "rows_first": [{"rows_share": share} for share in (0.0, 0.1, 0.3, 1.0)],
    "replay": [{"replay": share} for share in (0.0, 0.05, 0.1)],
    "rows_eps": [{"new_rows_eps": eps} for eps in (0.0, 0.2, 2.0)],
    "whitening": [{"new_rows_whitening": whitened} for whitened in (True, False)],
    "init": [{"calibrated": calibrated} for calibrated in (True, False)],
    "rows_per_step": [{"rows_per_step": rows} for rows in (1, 2, 4)],
}


def main() -> None:
    if not has_data():
        return
    out = Path(option("out", "training_quality"))
    out.mkdir(parents=True, exist_ok=True)
    base = base_folder(out)
    first = Arm(
        "ours",
        str(base),
        seconds=60 * option("minutes", 30.0),
        tokenizer=str(extended_tokenizer_folder(base, out, option("new_tokens", 6_000))),
        seed=option("seed", 1234),
        precision=option("precision", "auto"),
        points=option("points", 10),
        heldout_chars=option("heldout_chars", 10_000),
        rows_per_step=option("rows_per_step", 4),
        steps=option("steps", 0),
        rows_lr_ratio=option("rows_lr_ratio", 2.0),
        lr=option("lr", LR),
        new_rows_eps=option("rows_eps", 0.2),
        new_rows_whitening="--whitening" in sys.argv,
        shared_rows_lr=option("shared_rows_lr", 0.0) or None,
    )
    print(f"  {first.seconds / 60:g} minutes each; held out: {HELDOUT_JA}, {HELDOUT_EN}", flush=True)
    arms = [*_arms(first, out)]
    if "--turns" in sys.argv:
        _take_turns({path: arm for arm in arms if not (path := _path(arm, out)).is_file()})
    results = [_result(arm, out) for arm in arms]
    _print_tables(results)
    _print_cost(results, out)


def _arms(first: Arm, out: Path) -> Iterator[Arm]:
    if ablate := option("ablate", ""):
        for change in (change for name in ablate.split(",") for change in ABLATIONS[name]):
            arm = replace(first, **change)
            ((key, value),) = change.items()
            yield replace(arm, name="ours" if arm == first else f"{key} {value:g}")
        return
    arms = {"ours": first, "base": replace(first, tokenizer="", lr=option("base_lr", LR)), "peer": replace(first, method="peer", lr=option("peer_lr", LR))}
    for name in filter(None, option("only", "ours,base,peer").split(",")):
        for percent in option("replay", "10").split(","):
            arm = replace(arms[name], replay=float(percent) / 100)
            yield replace(arm, name=name if arm.replay == first.replay else f"{name}, {percent} % English")

    for size in option("sizes", "").split(",") if option("sizes", "") else ():
        yield replace(first, name=f"ours {int(size):,}", tokenizer=str(_shorter(Path(first.tokenizer), int(size), out)))


def _shorter(folder: Path, size: int, out: Path) -> Path:
    """Folder of the first `size` new tokens of an extended tokenizer, made once; of all of them the folder itself."""
    if size == option("new_tokens", 6_000):
        return folder
    target = out / f"tokenizer_{size}_of_{folder.parents[2].name}"
    if not target.is_dir():
        prefix_tokenizer(folder, size, target)
    return target.resolve()


def base_folder(out: Path) -> Path:
    """Folder of the model: JP_ADAPT_BASE, or converted into `out` once."""
    given, folder = os.environ.get("JP_ADAPT_BASE"), out / "base"
    if given is None and not folder.is_dir():
        with new_folder(folder) as target:
            real_model(target)
    return Path(given or folder).resolve()


def extended_tokenizer_folder(base: Path, out: Path, new_tokens: int) -> Path:
    """Folder of the base's tokenizer with `new_tokens` learned from the training sources, made once."""
    import jp_adapt

    folder = out / f"tokenizer_{new_tokens}"
    if not (folder / "stages" / "tok" / "final").is_dir():
        paths = [path for path in sorted((DATA / "corpora" / "ja").glob("*.jsonl.gz")) if path.name != f"{HELDOUT_JA}.jsonl.gz"]
        names = [path.name.removesuffix(".jsonl.gz") for path in paths]
        sources = "\n".join(f"  {name}: {{path: {path}, language: ja, licence: free}}" for name, path in zip(names, paths, strict=True))
        recipe = out / "tokenizer.yaml"
        recipe.write_text(RECIPE.format(base=base, sources=sources, names=", ".join(names), new_tokens=new_tokens), encoding="utf-8")
        jp_adapt.run_recipe(jp_adapt.load_recipe(recipe), folder)
    return (folder / "stages" / "tok" / "final").resolve()


def _path(arm: Arm, out: Path) -> Path:
    return out / f"{re.sub('[^a-z0-9.]+', '_', arm.name)}_{arm.seconds:g}s_seed{arm.seed}.json"


def _command(arm: Arm, path: Path) -> list[str]:
    return [sys.executable, "-m", "tests.perf.quality_arms", json.dumps(asdict(arm)), str(path)]


def _take_turns(arms: dict[Path, Arm]) -> None:
    """Run all arms at once, one step at a time: of the one whose clock is furthest behind."""
    running = {path: subprocess.Popen([*_command(arm, path), "--turns"], stdin=PIPE, stdout=PIPE, text=True) for path, arm in arms.items()}
    clocks = {path: _next_turn(process) for path, process in running.items()}
    while waiting := {path: seconds for path, seconds in clocks.items() if seconds is not None}:
        path = min(waiting, key=lambda path: waiting[path])
        entry = running[path].stdin
        assert entry is not None
        entry.write("\n")
        entry.flush()
        clocks[path] = _next_turn(running[path])
    for process in running.values():
        if process.wait():
            raise SystemExit(f"an arm failed: {process.args}")


def _next_turn(process: subprocess.Popen[str]) -> float | None:
    """How far the clock of an arm is that waits for its next step; None when it has ended."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(TURN):
            return float(line.removeprefix(TURN))
        print(line, end="", flush=True)
    return None


def _result(arm: Arm, out: Path) -> dict[str, Any]:
    path = _path(arm, out)
    if not path.is_file():
        subprocess.run(_command(arm, path), check=True)
    results = json.loads(path.read_text(encoding="utf-8"))
    if results["arm"] != asdict(arm):
        raise SystemExit(f"{path} is of another arm ({results['arm']}); give another --out")
    return dict(results)


def _print_tables(results: list[dict[str, Any]]) -> None:
    texts = list(results[0]["heldout_chars_per_token"])
    print("\n| arm | minutes | tokens | characters | tokens/s | peak MB | " + " | ".join(f"{name} before | after" for name in (*texts, "english")) + " |")
    print("|---|" + "---:|" * (5 + 2 * len(texts) + 2))
    for result in results:
        first, last = result["curve"][0], result["curve"][-1]
        figures = f"{last['seconds'] / 60:.1f} | {last['tokens']:,} | {last['chars']:,} | {result['tokens_per_s']:.0f} | {result['peak_bytes'] / 1e6:,.0f}"
        bits = " | ".join(f"{point[key]:.3f}" for key in (*texts, "english") for point in (first, last))
        print(f"| {result['arm']['name']} | {figures} | {bits} |")
    for key in (*texts, "english"):
        longest = max((result["curve"] for result in results), key=len)
        print(f"\n| {key} at minute | " + " | ".join(f"{point['seconds'] / 60:.1f}" for point in longest) + " |\n|---|" + "---:|" * len(longest))
        for result in results:
            print(f"| {result['arm']['name']} | " + " | ".join(f"{point[key]:.3f}" for point in result["curve"]) + " |")


def _print_cost(results: list[dict[str, Any]], out: Path) -> None:
    """What a character costs at inference beside how well it is read, at the end of the training: a table and a plot of each held-out text, and which arms no
    other one is better than in both."""
    for key in results[0]["heldout_chars_per_token"]:
        points = [(result["flops_per_token"] / result["heldout_chars_per_token"][key] / 1e6, result["curve"][-1][key]) for result in results]
        names = [result["arm"]["name"] for result in results]
        print(f"\n| {key} | characters/token | MFLOP/character | bits/character | on the Pareto front |\n|---|---:|---:|---:|---|")
        for name, result, (cost, bits) in zip(names, results, points, strict=True):
            print(f"| {name} | {result['heldout_chars_per_token'][key]:.3f} | {cost:.0f} | {bits:.3f} | {'yes' if (cost, bits) in front(points) else 'no'} |")
        series = [Series(name, [cost], [bits], colour) for colour, (name, (cost, bits)) in enumerate(zip(names, points, strict=True), start=1)]
        best = Series("Pareto front", *(list(values) for values in zip(*front(points), strict=True)), dashed=True)
        chart = line_chart([best, *series], title=f"{key}: reading and its cost", x_label="MFLOP per character", y_label="bits per character")
        (out / f"pareto_{key}.svg").write_text(chart, encoding="utf-8")


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one is below in one number and not above in the other, from left to right."""
    results: list[tuple[float, float]] = []
    for point in sorted(set(points)):
        if not results or point[1] < results[-1][1]:
            results.append(point)
    return results


if __name__ == "__main__":
    main()
