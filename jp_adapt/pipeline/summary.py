"""Every figure of a run in one document, gathered from what its stages wrote."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.pipeline.run_folder import RunFolder, StageFolder, StageRecord, run_record
from jp_adapt.recipe.schema import EvaluateStage, Recipe, TokenizerStage, TrainingStage
from jp_adapt.report.evolution import EVOLUTION, Evolution
from jp_adapt.report.run_summary import (
    EVALUATION,
    ROLES,
    AddedTokens,
    Figures,
    Headline,
    HeldOutFigures,
    HeldOutText,
    InputFile,
    NewToken,
    Provenance,
    RunFacts,
    RunSummary,
    StageEvaluation,
    StageFacts,
    StepFigures,
    TrainingCurve,
    headline_text,
)
from jp_adapt.report.training_samples import first_and_last, read_samples
from jp_adapt.tokenizer.measure import token_script

MOST_USED = 40


def build_summary(folder: RunFolder, recipe: Recipe) -> RunSummary:
    """The content of summary.json, of every stage that is finished or has begun."""
    run = run_record(folder.path)
    records = _records(folder, recipe)
    evaluation = _evaluation(folder, recipe)
    return RunSummary(
        headline=_headline(evaluation.texts),
        run=RunFacts(run.name, recipe.title, run.created, run.jp_adapt, recipe.seed, sum(record.elapsed_s or 0.0 for record in records)),
        evaluation=evaluation,
        training=[_training(folder.stage(stage.id), stage, recipe) for stage in recipe.stages if isinstance(stage, TrainingStage)],
        tokenizer=_tokenizer(folder, recipe),
        provenance=_provenance(folder, recipe, records, run.command),
        evolutions=[Evolution.read(folder.stage(record.id).final / EVOLUTION) for record in records if record.kind == "evolve"],
        waiting=[stage.id for stage in recipe.stages if not folder.stage(stage.id).done],
    )


def _records(folder: RunFolder, recipe: Recipe) -> list[StageRecord]:
    """What the finished stages wrote down of themselves."""
    stages = [folder.stage(stage_id) for stage_id in ("base", *(stage.id for stage in recipe.stages))]
    return [record for stage in stages if stage.done and (record := stage.record()) is not None]


def _evaluation(folder: RunFolder, recipe: Recipe) -> StageEvaluation:
    """What the last evaluate stage that is finished measured."""
    done = [folder.stage(stage.id) for stage in recipe.stages if isinstance(stage, EvaluateStage) and folder.stage(stage.id).done]
    if not done:
        return StageEvaluation()
    path = done[-1].final / EVALUATION
    if not path.is_file():
        raise InputError(f"{path}: no such file; the stage was done by an earlier version: {StageEvaluation.WAY_OUT}")
    return StageEvaluation.read(path)


def _headline(texts: list[HeldOutText]) -> Headline:
    def pair(language: str, figure: str) -> Figures:
        text = headline_text(texts, language)
        return Figures(*(getattr(getattr(text, role), figure, None) for role in ROLES)) if text is not None else Figures()

    return Headline(pair("ja", "chars_per_token"), pair("ja", "bits_per_char"), pair("en", "bits_per_byte"))


def _training(stage_folder: StageFolder, stage: TrainingStage, recipe: Recipe) -> TrainingCurve:
    """Steps and held-out figures of a training stage; losses of a finished one also in bits per character of the first source, comparable across tokenizers."""
    record = stage_folder.record()
    results = record.results if record is not None else {}
    of_phase = {phase["new_tokens"]: phase["chars_per_token"] for phase in results.get("phases", ())}
    languages = {source: recipe.sources[source].language for source in stage.heldout}
    japanese = next((source for source, language in languages.items() if language == "ja"), None)
    english = next((source for source, language in languages.items() if language == "en"), None)
    steps, heldout = [], []
    for line in stage_folder.read_metrics():
        step, tokens = line["step"], int(line.get("tokens", 0))
        if "loss_nats_per_token" in line:
            loss, new_tokens = _finite(line["loss_nats_per_token"]), line.get("new_tokens")
            chars_per_token = of_phase.get(new_tokens, results.get("chars_per_token"))
            bits = None if loss is None or not chars_per_token else loss / math.log(2) / chars_per_token
            elapsed_s, lr, grad_norm = (_finite(line.get(name)) for name in ("elapsed_s", "lr", "grad_norm"))
            steps.append(StepFigures(step, tokens, elapsed_s, lr, grad_norm, loss, bits, new_tokens))
        if any(name.startswith("bits_per_byte/") for name in line):
            heldout.append(HeldOutFigures(step, tokens, _finite(line.get(f"bits_per_char/{japanese}")), _finite(line.get(f"bits_per_byte/{english}"))))
    return TrainingCurve(
        stage.id, stage.kind, steps, heldout, japanese, english, stage.heldout_chars, stage_folder.done, first_and_last(read_samples(stage_folder.path))
    )


def _finite(value: Any) -> float | None:
    """A number of metrics.jsonl; None for what is missing or no number (a loss may be NaN)."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _tokenizer(folder: RunFolder, recipe: Recipe) -> AddedTokens | None:
    """What the first tokenizer stage added; None where there is none, or it is not finished."""
    stage = next((folder.stage(stage.id) for stage in recipe.stages if isinstance(stage, TokenizerStage)), None)
    if stage is None or not stage.done:
        return None
    tokens = read_json(stage.final / "extension.json")["tokens"]
    by_use = sorted(tokens, key=lambda token: -token["count"])
    return AddedTokens(
        new_tokens=len(tokens),
        by_script=dict(Counter(token_script(bytes.fromhex(token["bytes"])) for token in tokens)),
        examples=[NewToken(token["token"], token["count"]) for token in by_use if len(token["token"]) > 1][:MOST_USED],
        criteria=read_json(stage.final / "criteria.json"),
    )


def _provenance(folder: RunFolder, recipe: Recipe, records: list[StageRecord], command: list[str]) -> Provenance:
    hashes = read_json(folder.path / "inputs.json") if (folder.path / "inputs.json").is_file() else {}
    precision = next((record.results["precision"] for record in records if "precision" in record.results), recipe.precision)
    return Provenance(
        base={key: _without_folder(value) for key, value in recipe.base.model_dump(mode="json", exclude_none=True).items()},
        inputs=[InputFile(Path(path).name, entry["sha256"], entry["bytes"]) for path, entry in hashes.items()],
        env=read_json(folder.path / "env.json") | {"precision": precision},
        stages=[_facts(folder, record) for record in records],
        repeat=[shlex.join(command)] if command else [],
        base_sha256=next((upstream["base"] for record in records if "base" in (upstream := record.identity.get("upstream", {}))), None),
    )


def _without_folder(value: Any) -> Any:
    """The name alone of a path on this machine: a report is sent to others."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _facts(folder: RunFolder, record: StageRecord) -> StageFacts:
    final = folder.stage(record.id).final
    pages = [path.relative_to(folder.path).as_posix() for path in sorted([*final.glob("index.html"), *final.glob("*/index.html"), *final.glob("report.html")])]
    return StageFacts(record.id, record.kind, record.elapsed_s, record.fingerprint, record.peak_memory_bytes, pages)
