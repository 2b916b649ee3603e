"""Every figure of a run in one dict, gathered from what its stages wrote."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from jp_adapt.core.files import read_json
from jp_adapt.pipeline.run_folder import RunFolder, StageFolder
from jp_adapt.recipe.schema import EvaluateStage, Recipe, TokenizerStage, TrainingStage
from jp_adapt.text.scripts import script_of

MOST_USED = 40


def build_summary(folder: RunFolder, recipe: Recipe) -> dict[str, Any]:
    """The content of summary.json; its first key, `headline`, holds the three figures that a run is judged by."""
    scores = _scores(folder, recipe)
    run = read_json(folder.path / "run.json")
    stages = [folder.stage("base"), *(folder.stage(stage.id) for stage in recipe.stages)]
    records = [stage.record() for stage in stages if stage.done]
    return {
        "headline": _headline(scores["texts"]),
        "run": {
            "name": recipe.name,
            "title": recipe.title,
            "created": run["created"],
            "jp_adapt": run["jp_adapt"],
            "seed": recipe.seed,
            "elapsed_s": sum(record["elapsed_s"] for record in records),
        },
        **scores,
        "training": [_training(folder.stage(stage.id), stage, recipe) for stage in recipe.stages if isinstance(stage, TrainingStage)],
        "tokenizer": next((_tokenizer(folder.stage(stage.id)) for stage in recipe.stages if isinstance(stage, TokenizerStage)), None),
        "provenance": _provenance(folder, recipe, records),
    }


def _scores(folder: RunFolder, recipe: Recipe) -> dict[str, Any]:
    last = next((stage for stage in reversed(recipe.stages) if isinstance(stage, EvaluateStage)), None)
    if last is None:
        return {"models": {}, "texts": [], "benchmarks": [], "segmentation": [], "samples": []}
    return dict(read_json(folder.stage(last.id).final / "scores.json"))


def _headline(texts: list[dict[str, Any]]) -> dict[str, Any]:
    def pair(language: str, figure: str) -> dict[str, Any]:
        text = next((entry for entry in texts if entry["language"] == language), {})
        return {role: text.get(role, {}).get(figure) for role in ("base", "adapted")}

    return {
        "chars_per_token": pair("ja", "chars_per_token"),
        "bits_per_char_ja": pair("ja", "bits_per_char"),
        "bits_per_byte_en": pair("en", "bits_per_byte"),
    }


def _training(stage_folder: StageFolder, stage: TrainingStage, recipe: Recipe) -> dict[str, Any]:
    """Steps and held-out figures of a training stage; losses also in bits per character of the first source, comparable across tokenizers."""
    chars_per_token = stage_folder.record()["results"]["chars_per_token"]
    steps, heldout = [], []
    languages = {source: recipe.sources[source].language for source in stage.heldout}
    japanese = next((source for source, language in languages.items() if language == "ja"), None)
    english = next((source for source, language in languages.items() if language == "en"), None)
    for line in stage_folder.read_metrics():
        if "loss_nats_per_token" in line:
            loss = line["loss_nats_per_token"]
            steps.append(
                {name: line[name] for name in ("step", "tokens", "elapsed_s", "lr", "grad_norm")}
                | {"loss_nats_per_token": loss, "loss_bits_per_char": loss / math.log(2) / chars_per_token}
            )
        if any(name.startswith("bits_per_byte/") for name in line):
            heldout.append(
                {
                    "step": line["step"],
                    "tokens": line["tokens"],
                    "bits_per_char_ja": line.get(f"bits_per_char/{japanese}"),
                    "bits_per_byte_en": line.get(f"bits_per_byte/{english}"),
                }
            )
    return {"stage": stage.id, "kind": stage.kind, "steps": steps, "heldout": heldout}


def _tokenizer(stage_folder: StageFolder) -> dict[str, Any]:
    tokens = read_json(stage_folder.final / "extension.json")["tokens"]
    by_use = sorted(tokens, key=lambda token: -token["count"])
    return {
        "new_tokens": len(tokens),
        "by_script": dict(Counter(_script(bytes.fromhex(token["bytes"])) for token in tokens)),
        "examples": [{"token": token["token"], "count": token["count"]} for token in by_use if len(token["token"]) > 1][:MOST_USED],
        "criteria": read_json(stage_folder.final / "criteria.json"),
    }


def _script(token: bytes) -> str:
    try:
        scripts = {script_of(char) or "other" for char in token.decode("utf-8")}
    except UnicodeDecodeError:
        return "partial"
    return scripts.pop() if len(scripts) == 1 else "mixed"


def _provenance(folder: RunFolder, recipe: Recipe, records: list[dict[str, Any]]) -> dict[str, Any]:
    hashes = read_json(folder.path / "inputs.json")
    inputs = [{"path": path.rsplit("/", 1)[-1], "sha256": entry["sha256"], "bytes": entry["bytes"]} for path, entry in hashes.items()]
    precision = next((record["results"]["precision"] for record in records if "precision" in record["results"]), recipe.precision)
    return {
        "base": recipe.base.model_dump(mode="json", exclude_none=True),
        "inputs": inputs,
        "env": read_json(folder.path / "env.json") | {"precision": precision},
        "stages": [{name: record[name] for name in ("id", "kind", "elapsed_s", "fingerprint", "peak_memory_bytes")} for record in records],
        "repeat": [f"jp-adapt run {recipe.name} --out {folder.path.name}"],
    }
