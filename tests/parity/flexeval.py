"""flexeval's own data set, few-shot and template classes, with its presets, run on our data. Needs jsonnet and what these classes import."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from jp_adapt.benchmarks.items import Item, LoadedBenchmark
from tests.parity.compare import Asked, Questions, load_if_there

PRESETS = {"ja/jcommonsenseqa": "jcommonsenseqa", "ja/jnli": "jnli", "ja/jsquad": "jsquad", "ja/mgsm-ja": "mgsm_ja"}


def release_0_18(clone: Path, data: Path, work: Path) -> dict[tuple[str, str], Questions]:
    """What the presets of 0.18.3 ask."""
    _make_importable(clone)
    loaded = {benchmark: load_if_there(benchmark, data) for benchmark in PRESETS}
    return {(benchmark, "flexeval"): _questions(clone, PRESETS[benchmark], there) for benchmark, there in loaded.items() if there is not None}


def _questions(clone: Path, preset: str, loaded: LoadedBenchmark) -> Questions:
    import _jsonnet

    path = clone / "flexeval" / "preset_configs" / "EvalSetup" / "ja_generation" / f"{preset}.jsonnet"
    setup = json.loads(_jsonnet.evaluate_file(str(path)))["init_args"]
    instances = _dataset(setup["eval_dataset"], preset, loaded.items)
    template = importlib.import_module("flexeval.core.prompt_template.jinja2").Jinja2PromptTemplate(setup["prompt_template"])
    generator = None
    if "few_shot_generator" in setup:
        arguments = setup["few_shot_generator"]["init_args"]
        arguments["dataset"] = _dataset(arguments["dataset"], preset, loaded.shots)
        generator = getattr(importlib.import_module("flexeval.core.few_shot_generator"), setup["few_shot_generator"]["class_path"])(**arguments)
    items = []
    for instance in instances:
        inputs = instance.inputs
        if generator is not None:  # as flexeval/core/evaluate_generation.py does
            inputs = inputs | {"few_shot_data": [shot.inputs | {"references": shot.references} for shot in generator(inputs)]}
        items.append(Asked(template.embed_inputs(inputs), tuple(instance.references)))
    return Questions(items, setup["gen_kwargs"]["max_new_tokens"], tuple(setup["gen_kwargs"]["stop_sequences"]))


def _dataset(declared: dict[str, Any], preset: str, items: list[Item]) -> Any:
    arguments = {key: value for key, value in declared["init_args"].items() if key.endswith("_template") or key == "input_templates"}
    return importlib.import_module("flexeval.core.generation_dataset").TemplateGenerationDataset([_record(preset, item) for item in items], **arguments)


def _record(preset: str, item: Item) -> dict[str, Any]:
    """A record as the hub's copies hold it, which flexeval reads."""
    fields = item.fields
    if preset == "jnli":
        return {"sentence_pair_id": fields["sentence_pair_id"], "sentence1": fields["sentence1"], "sentence2": fields["sentence2"], "label": item.answer}
    if preset == "jsquad":
        return {key: fields[key] for key in ("id", "title", "context", "question")} | {"answers": {"text": list(item.answers)}}
    if preset == "mgsm_ja":
        example = "a" in fields
        return {
            "question": ("問題：" if example else "") + fields["question"],
            "answer": "ステップごとの答え：" + fields["steps"] if example else None,
            "answer_number": fields.get("answer"),
        }
    return {key: fields[key] for key in ("q_id", "question", "label", *(f"choice{n}" for n in range(5)))}


def _make_importable(clone: Path) -> None:
    """The package without its `__init__`, which imports every language model, and without its chats, which need an image library."""
    sys.path.append(str(clone))
    for package in ("flexeval", "flexeval.core"):
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(clone / package.replace(".", "/"))]
    chats = ModuleType("flexeval.core.chat_dataset")
    chats.ChatDataset = chats.ChatInstance = object  # type: ignore[attr-defined]
    sys.modules[chats.__name__] = chats
