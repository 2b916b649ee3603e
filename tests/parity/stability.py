"""The task classes of Stability's fork of lm-evaluation-harness, run on our data with its own draws. Needs torch, datasets, sacrebleu, scikit-learn."""

from __future__ import annotations

import importlib
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from jp_adapt.benchmarks.items import Item
from tests.parity.compare import Asked, Questions, load_if_there

# Our benchmark -> (module of theirs, examples, {our profile: the versions of task and prompt in their name of it}).
PROMPTS = {"0.2.1": "0.2", "0.3": "0.3", "0.4": "0.4", "0.5": "0.5", "0.6": "0.6"}
TASKS = {
    "ja/jcommonsenseqa": ("jcommonsenseqa", 3, {f"stability-{version}": f"1.1-{version}" for version in PROMPTS}),
    "ja/jnli": (
        "jnli",
        3,
        {f"stability-{version}": f"1.1-{prompts}" for version, prompts in PROMPTS.items()}
        | {f"stability-{version}-late": f"1.3-{prompts}" for version, prompts in PROMPTS.items()},
    ),
    "ja/jsquad": (
        "jsquad",
        2,
        {f"stability-{version}": f"1.1-{prompts}" for version, prompts in PROMPTS.items()}
        | {f"stability-{version}-late": f"1.2-{prompts}" for version, prompts in PROMPTS.items()},
    ),
    "ja/mgsm-ja": ("mgsm", 5, {"stability-0.3": "1.0-0.0", "stability-0.4": "1.0-0.4", "stability-0.5": "1.0-0.5"}),
    "ja/xlsum-ja": ("xlsum_ja", 1, {"stability-0.2.1": "1.0-0.0", "stability-0.3": "1.0-0.3", "stability-0.6": "1.0-0.6"}),
}
RIGHT = ("answer_number", "ref", "summary")  # fields that hold a right answer
CHARACTERS = SimpleNamespace(encode=lambda text, add_special_tokens=False: list(text), eos_token="</s>")  # a tokenizer: a budget in it is one in characters


def last_tasks(clone: Path, data: Path, work: Path) -> dict[tuple[str, str], Questions]:
    """What the tasks ask as they are in effdbea, the last commit of the branch jp-stable."""
    return _asked(clone, data, list(TASKS))


def jnli_1_1(clone: Path, data: Path, work: Path) -> dict[tuple[str, str], Questions]:
    """What JNLI asks as it is in 0b7a53c, before it got Japanese labels and stratified examples."""
    return _asked(clone, data, ["ja/jnli"])


def swallow(clone: Path, data: Path, work: Path) -> dict[tuple[str, str], Questions]:
    """What swallow-evaluation asks with its copy of the fork: MGSM with four examples, XL-Sum, and WMT20 in both directions."""
    make_importable(clone)
    results = {}
    if (loaded := load_if_there("ja/mgsm-ja", data)) is not None:
        dataset = {"train": [_record("mgsm", item) for item in loaded.shots], "test": [_record("mgsm", item) for item in loaded.items]}
        results["ja/mgsm-ja", "swallow"] = _questions(importlib.import_module("lm_eval.tasks.ja.mgsm").MGSM, dataset, 4)
    if (loaded := load_if_there("ja/xlsum-ja", data)) is not None:
        dataset = {"train": [_record("xlsum_ja", item) for item in loaded.shots], "validation": [_record("xlsum_ja", item) for item in loaded.items]}
        asked = _questions(importlib.import_module("lm_eval.tasks.ja.xlsum_ja").XLSumJa, dataset, 1)
        results["ja/xlsum-ja", "swallow"] = replace(asked, budget=256)  # its model (hf-causal-experimental) takes this in the place of what a task asks for
    if (data / "sacrebleu").is_dir():
        for direction in ("ja-en", "en-ja"):
            task = importlib.import_module("lm_eval.tasks.translation").create_translation_task("wmt20", direction)
            lines = [(data / "sacrebleu" / "wmt20" / f"wmt20.{direction}.{side}").read_text(encoding="utf-8").splitlines() for side in ("src", "ref")]
            pairs = [{"src": source.rstrip(), "ref": reference.rstrip()} for source, reference in zip(*lines, strict=True)]
            results[f"ja/wmt20-{direction}", "swallow"] = _questions(type("Task", (task,), {"test_docs": lambda self, pairs=pairs: pairs}), {}, 4)
    return results


def _asked(clone: Path, data: Path, benchmarks: list[str]) -> dict[tuple[str, str], Questions]:
    make_importable(clone)
    results = {}
    for benchmark in benchmarks:
        name, shots, profiles = TASKS[benchmark]
        loaded = load_if_there(benchmark, data)
        if loaded is None:
            continue
        dataset = {"train": [_record(name, item) for item in loaded.shots], "validation": [_record(name, item) for item in loaded.items]}
        dataset["test"] = dataset["validation"]
        classes = importlib.import_module(f"lm_eval.tasks.ja.{name}").construct_tasks()
        for profile, versions in profiles.items():
            if f"{name}-{versions}" not in classes:
                continue
            results[benchmark, profile] = _questions(classes[f"{name}-{versions}"], dataset, shots)
    return results


def _questions(task_class: Any, dataset: dict[str, list[dict[str, Any]]], shots: int) -> Questions:
    """As lm_eval/evaluator.py does: one generator shuffles the items, then draws the examples of each."""
    offline = type(task_class.__name__, (task_class,), {"download": lambda self, *given, **named: setattr(self, "dataset", dataset), "DID_WARNING": True})
    task = offline()
    task.tokenizer, task.max_length, task.max_gen_toks = CHARACTERS, 10**9, 256
    documents = list(task.validation_docs() if task.has_validation_docs() else task.test_docs())
    generator = random.Random(42)
    generator.shuffle(documents)
    items, budgets, stops = [], set(), set()
    for document in documents:
        context = task.fewshot_context(doc=document, num_fewshot=shots, rnd=generator, description="")
        requests = task.construct_requests(document, context)
        if isinstance(requests, list):
            items.append(Asked(context, tuple(request.args[1] for request in requests), document["gold"]))
        else:
            answers = document["answers"]["text"] if "answers" in document else [str(right) for name in RIGHT if (right := document.get(name)) is not None]
            items.append(Asked(context, tuple(answers)))
            budget, longest = requests.args[2] if len(requests.args) > 2 else task.max_gen_toks, max(map(len, answers))
            budgets.add({longest: "longest_answer", longest + 10: "longest_answer_plus_10"}.get(budget, budget))
            stops.add(tuple(stop for stop in requests.args[1] if stop != CHARACTERS.eos_token))
    return Questions(items, *(budgets or {None}), *(stops or {()}))


def _record(name: str, item: Item) -> dict[str, Any]:
    """A record as the hub's copies hold it, which the fork reads."""
    fields = item.fields
    if name == "jnli":
        return {"sentence1": fields["sentence1"], "sentence2": fields["sentence2"], "label": item.answer}
    if name == "jsquad":
        return {key: fields[key] for key in ("id", "title", "context", "question")} | {"answers": {"text": list(item.answers)}}
    if name == "xlsum_ja":
        return {key: fields[key] for key in ("text", "summary")}
    if name == "mgsm":
        number = fields.get("answer")
        return {"question": fields["question"], "answer": "ステップごとの答え：" + fields["steps"], "answer_number": number}
    return {key: fields[key] for key in ("question", "label", *(f"choice{n}" for n in range(5)))}


def make_importable(clone: Path) -> None:
    """The package without the `__init__` of its tasks, which imports all of them; what today's packages no longer have stands in for itself, unused."""
    import datasets

    for module in [name for name in sys.modules if name.partition(".")[0] == "lm_eval"]:
        del sys.modules[module]
    for package in ("lm_eval", "lm_eval.tasks", "lm_eval.tasks.ja"):
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(clone / package.replace(".", "/"))]
    sys.modules["lm_eval.tasks.ja"].MecabTokenizer = SimpleNamespace  # type: ignore[attr-defined]  # the evaluator puts another one in its place
    for absent, names in {"omegaconf": ["OmegaConf"], "lm_eval.jasquad.jasquad": [], "lm_eval.jasquad": ["jasquad"]}.items():
        sys.modules[absent] = ModuleType(absent)
        sys.modules[absent].__file__ = absent
        for attribute in names:
            setattr(sys.modules[absent], attribute, sys.modules.get(f"{absent}.{attribute}"))
    import collections
    import collections.abc

    collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]
    datasets.load_metric = lambda *names: None
