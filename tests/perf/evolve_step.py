"""One evaluation of an evolution on SmolLM2-135M-Instruct with two LoRA adapters: seconds of processor time in merging and in measuring.

Asked: under 10 % of it in merging. The stage is that of quickstart-evolve with other methods; its adapters are random ones of rank 16, since values change no
time. The first evaluation, which finds the thresholds of TIES, is told apart. With --mergekit=PYTHON, of an environment that has mergekit 0.1.5 and lm-eval,
the same items are asked in mergekit's own way too: write the merge, load it, have lm-eval score it. Asked: 5 times as many evaluations in a time.

Options: --only=METHOD,METHOD of task_arithmetic, ties, dare_ties and della, --evaluations=N (3), --precision=float32 or bfloat16, --batch=N of lm-eval (8).
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import yaml

from jp_adapt.commands import evolve
from jp_adapt.commands.evolve_candidates import Candidates
from jp_adapt.commands.evolve_measures import load_measures
from jp_adapt.commands.merge_parents import open_models
from jp_adapt.core.hashes import sha256_file
from jp_adapt.corpus.sources import read_documents
from jp_adapt.model.causal import CausalModel, load_base, save_adapter
from jp_adapt.model.lora import LoraSettings, lora_parameters
from jp_adapt.recipe.load import load_recipe
from jp_adapt.tokenizer.save import copy_tokenizer
from tests.perf.export_models import smollm2
from tests.perf.options import option

DENSITY = "{groups: 3, weight: [0, 1.5], density: [0.2, 1]}"
METHODS = {"task_arithmetic": "{groups: 3, weight: [0, 1.5]}", "ties": DENSITY, "dare_ties": DENSITY, "della": DENSITY}
MERGEKIT = """
import json, shutil, sys, time
import yaml
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
recipe, out, pairs, loras, precision, batch, evaluations = sys.argv[1:]
pairs = json.load(open(pairs, encoding="utf-8"))
recipe = MergeConfiguration.model_validate(yaml.safe_load(open(recipe)))
options = MergeOptions(lazy_unpickle=True, quiet=True, write_model_card=False, lora_merge_cache=loras, lora_merge_dtype=precision)
for _ in range(int(evaluations) + 1):
    begun = time.process_time()
    run_merge(recipe, out, options=options)
    merged = time.process_time()
    model = HFLM(pretrained=out, dtype=precision, device="cpu", batch_size=int(batch))
    loaded = time.process_time()
    model.loglikelihood([Instance("loglikelihood", {}, pair, at) for at, pair in enumerate(map(tuple, pairs))], disable_tqdm=True)
    print(json.dumps([merged - begun, loaded - merged, time.process_time() - loaded]), flush=True)
    shutil.rmtree(out)
"""


def adapter(base: Path, folder: Path, seed: int) -> Path:
    """A random LoRA on every matrix of the layers."""
    folder.mkdir(parents=True)
    model = CausalModel(load_base(base, torch.float32), None)
    model.add_lora(LoraSettings(16, 32.0), seed=seed)
    draw = torch.Generator().manual_seed(seed)
    for parameter in lora_parameters(model.body).values():
        parameter.data = 0.01 * torch.randn(parameter.shape, generator=draw)
    save_adapter(model, folder, sha256_file(base / "tokenizer.json"))
    copy_tokenizer(base, folder)
    return folder


def step(method: str, root: Path, folders: dict[str, tuple[Path, Path | None]]) -> Candidates:
    """The candidates of the recipe's evolution by a method."""
    recipe = load_recipe("quickstart-evolve", [f"stages.evolved.method={method}", f"stages.evolved.genome={METHODS[method]}"]).recipe
    stage = next(stage for stage in recipe.stages if stage.id == "evolved")
    texts = {name: read_documents(Path(str(recipe.sources[name].path)), "text") for name in ("ja_heldout", "problems")}
    task = evolve.EvolveTask("step", folders, stage, stage.models, texts, recipe.seed, option("precision", "float32"), recipe.base.document_start)
    measures = load_measures(task.merge, task.texts, task.seed)
    return Candidates(evolve._setup(task, evolve._genome(task, open_models(folders)), measures, root / method))


def evaluate(candidates: Candidates, evaluations: int) -> list[tuple[float, float]]:
    """Seconds of processor time in merging and in measuring, of each evaluation of the items that a search asks."""
    draw, seconds = random.Random(1), []
    items = {measure.name: range(len(measure.dev)) for measure in candidates.setup.measures}
    for _ in range(evaluations + 1):
        values = {entry.gene.name: draw.uniform(entry.gene.low, entry.gene.high) for entry in candidates.setup.genome.genes}
        begun = time.process_time()
        candidates.become(values)
        merged = time.process_time()
        candidates(values, items)
        seconds.append((merged - begun, time.process_time() - merged))
    return seconds


def by_mergekit(python: str, method: str, root: Path, candidates: Candidates, models: dict[str, str]) -> list[float]:
    """Seconds of processor time in mergekit's merge, in loading it, and in lm-eval's answers to the same items: medians without the first evaluation.

    It merges in the precision of the evaluation, from adapters that the first evaluation has made models of.
    """
    parameters = {"weight": 0.7} | ({"density": 0.5} if "density" in METHODS[method] else {})
    others = [{"model": models[name], "parameters": parameters} for name in models if name != "base"]
    recipe = {"merge_method": method, "base_model": models["base"], "models": others, "dtype": option("precision", "float32")}
    (root / "kit.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    pairs = [measure.pairs[item] for measure in candidates.setup.measures for item in measure.dev]
    (root / "pairs.json").write_text(json.dumps(pairs, ensure_ascii=False), encoding="utf-8")
    paths = [str(root / name) for name in ("kit.yaml", f"{method}-kit", "pairs.json", "loras")]
    numbers = [str(option("batch", 8)), str(option("evaluations", 3))]
    done = subprocess.run([python, "-c", MERGEKIT, *paths, option("precision", "float32"), *numbers], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mergekit's way failed:\n{done.stderr[-3000:]}")
    _, *others = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return [statistics.median(part) for part in zip(*others, strict=True)]


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root, base = Path(temporary), smollm2()
        folders = {"base": (base, None)} | {name: (base, adapter(base, root / name, seed)) for seed, name in enumerate(("ja", "maths"))}
        for method in option("only", ",".join(METHODS)).split(","):
            candidates = step(method, root, folders)
            first, *others = evaluate(candidates, option("evaluations", 3))
            merging, measuring = (statistics.median(seconds[place] for seconds in others) for place in (0, 1))
            share = merging / (merging + measuring)
            print(f"  {method:<16} merging {merging:6.2f} s (the first {first[0]:.2f}), measuring {measuring:6.2f} s: {share:.1%} in merging", flush=True)
            if python := option("mergekit", ""):
                models = {name: str(base) if adapter is None else f"{base}+{adapter}" for name, (_, adapter) in folders.items()}
                theirs = by_mergekit(python, method, root, candidates, models)
                said = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in zip(("merging", "loading", "lm-eval"), theirs, strict=True))
                print(f"  {'':<16} mergekit's way: {said}: {sum(theirs) / (merging + measuring):.1f} times ours", flush=True)
