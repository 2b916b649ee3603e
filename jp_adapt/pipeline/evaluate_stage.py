"""The evaluate stage: every figure of one or two models, in one scores.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.core.files import new_folder, read_json, write_json, write_text
from jp_adapt.core.progress import progress
from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.recipe.benchmark_items import LoadedBenchmark, load_benchmark
from jp_adapt.recipe.schema import EvaluateStage
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.measure import measure_tokenizer, segment

if TYPE_CHECKING:
    from jp_adapt.evaluation.bits import TextScore
    from jp_adapt.evaluation.choices import ChoiceResult
    from jp_adapt.pipeline.stages import Context

MAX_TOKENS = 2048
ROLES = ("base", "adapted")  # the first model is the one that the second is compared with


def run_evaluate(stage: EvaluateStage, context: Context, folder: StageFolder) -> dict[str, Any]:
    """Score every model on every text and benchmark, compare the second with the first, and write scores.json and outputs.jsonl."""
    texts = {source: context.documents(source) for source in stage.texts}
    benchmarks = [load_benchmark(name) for name in stage.benchmarks]
    scored = {role: _ScoredModel(name, stage, context, texts, benchmarks) for role, name in zip(ROLES, stage.models, strict=False)}
    first_new_id = load_tokenizer(context.base).tokenizer.vocab_size
    scores = {
        "models": {role: model.description for role, model in scored.items()},
        "texts": [_text_entry(source, context, documents, scored) for source, documents in texts.items()],
        "benchmarks": [_benchmark_entry(benchmark, scored) for benchmark in benchmarks],
        "segmentation": [
            {"text": text} | {role: [asdict(chip) for chip in segment(model.tokenizer, text, first_new_id)] for role, model in scored.items()}
            for text in stage.segment
        ],
        "samples": [
            {"prompt": prompt} | {role: model.samples[index] for role, model in scored.items()}
            for index, prompt in enumerate(stage.samples.prompts if stage.samples else [])
        ],
    }
    with new_folder(folder.final) as target:
        write_json(target / "scores.json", scores)
        write_text(target / "outputs.jsonl", "".join(_output_lines(benchmarks, scored)))
    return {"models": list(stage.models)}


class _ScoredModel:
    """One model with everything that was measured of it; the weights are let go afterwards."""

    def __init__(self, name: str, stage: EvaluateStage, context: Context, texts: dict[str, list[str]], benchmarks: list[LoadedBenchmark]) -> None:
        from jp_adapt.evaluation.bits import score_texts
        from jp_adapt.evaluation.choices import score_choices
        from jp_adapt.evaluation.samples import continue_prompts
        from jp_adapt.model.causal import load_causal, resolve_precision

        folder = context.model_folder(name)
        self.tokenizer = load_tokenizer(folder).tokenizer
        encode, prefix = self.tokenizer.encode, context.prefix_id(self.tokenizer.runtime)
        model = load_causal(folder, resolve_precision(context.recipe.precision))
        self.description = {
            "name": _model_name(name, context),
            "vocab_size": model.vocab_size,
            "parameters": sum(parameter.numel() for parameter in model.base.parameters()),
        }
        self.texts: dict[str, TextScore] = {}
        for source, documents in texts.items():
            with progress(f"{name}: bits of {source}", len(documents)) as advance:
                self.texts[source] = score_texts(model, encode, documents, prefix=prefix, max_tokens=MAX_TOKENS, advance=advance)
        self.choices: dict[str, list[ChoiceResult]] = {}
        for benchmark in benchmarks:
            _, asked = build_prompts(benchmark, "jp-adapt")
            prompts, choices = [prompt.text for prompt in asked], [prompt.choices for prompt in asked]
            with progress(f"{name}: {benchmark.id}", sum(map(len, choices))) as advance:
                self.choices[benchmark.id] = score_choices(model, encode, prompts, choices, prefix=prefix, max_tokens=MAX_TOKENS, advance=advance)
        self.samples: list[str] = []
        if stage.samples is not None:
            decode: Callable[[list[int]], str] = self.tokenizer.runtime.decode
            stop_ids = [prefix, *_eos_ids(folder)]
            self.samples = continue_prompts(
                model,
                encode,
                decode,
                stage.samples.prompts,
                prefix=prefix,
                max_chars=stage.samples.max_chars,
                repetition_penalty=stage.samples.repetition_penalty,
                stop_ids=stop_ids,
            )

    def correct(self, benchmark: LoadedBenchmark) -> list[bool]:
        return [result.prediction == item.answer for result, item in zip(self.choices[benchmark.id], benchmark.items, strict=True)]


def _model_name(name: str, context: Context) -> str:
    if name != "base":
        return name
    base = context.recipe.base
    return Path(base.file or base.path or base.model or name).stem


def _eos_ids(folder: Path) -> list[int]:
    eos = read_json(folder / "config.json").get("eos_token_id")
    return eos if isinstance(eos, list) else [eos] if eos is not None else []


def _text_entry(source: str, context: Context, documents: list[str], scored: dict[str, _ScoredModel]) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": source, "language": context.recipe.sources[source].language}
    for role, model in scored.items():
        measure, score = measure_tokenizer(model.tokenizer, documents), model.texts[source]
        entry |= {"documents": measure.documents, "chars": measure.chars, "bytes": measure.bytes}
        entry[role] = {
            "tokens": measure.tokens,
            "chars_per_token": measure.chars_per_token,
            "tokens_per_word": measure.tokens_per_word if entry["language"] == "ja" else None,
            "bits_per_char": score.bits_per_char,
            "bits_per_byte": score.bits_per_byte,
        }
    if len(scored) == 2:
        base, adapted = (model.texts[source] for model in scored.values())
        entry["difference"] = {
            "bits_per_char": adapted.bits_per_char - base.bits_per_char,
            "interval": statistics.paired_ratio_interval((base.bits, adapted.bits), base.chars),
        }
    return entry


def _benchmark_entry(benchmark: LoadedBenchmark, scored: dict[str, _ScoredModel]) -> dict[str, Any]:
    items = benchmark.items
    entry: dict[str, Any] = {
        "id": benchmark.id,
        "title": benchmark.benchmark.title,
        "version": benchmark.benchmark.version,
        "licence": benchmark.benchmark.licence,
        "sha256": benchmark.sha256,
        "items": len(items),
        "chance": sum(1 / len(item.choices) for item in items) / len(items),
        "warnings": [],
    }
    for role, model in scored.items():
        correct, results = model.correct(benchmark), model.choices[benchmark.id]
        entry[role] = {
            "accuracy": sum(correct) / len(items),
            "correct": sum(correct),
            "interval": statistics.wilson_interval(sum(correct), len(items)),
            "moved_boundaries": sum(result.moved_boundary for result in results),
        }
        warning = statistics.degenerate_warning([result.prediction for result in results], max(len(item.choices) for item in items))
        if warning:
            entry["warnings"].append(f"{role} {warning}")
    if len(scored) == 2:
        base, adapted = (model.correct(benchmark) for model in scored.values())
        entry |= {
            "difference": {
                "accuracy": entry["adapted"]["accuracy"] - entry["base"]["accuracy"],
                "interval": statistics.paired_mean_interval([float(x) for x in base], [float(x) for x in adapted]),
            },
            "mcnemar_p": statistics.mcnemar_p(base, adapted),
            "minimal_detectable_difference": statistics.minimal_detectable_difference(base, adapted),
        }
    return entry


def _output_lines(benchmarks: list[LoadedBenchmark], scored: dict[str, _ScoredModel]) -> list[str]:
    """One JSON line per item: what was asked, and what each model made of it."""
    lines = []
    for benchmark in benchmarks:
        for index, item in enumerate(benchmark.items):
            record = {"benchmark": benchmark.id, "id": item.id, "group": item.group, "question": item.fields["question"], "choices": item.choices}
            record |= {"answer": item.answer} | {role: asdict(model.choices[benchmark.id][index]) for role, model in scored.items()}
            lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return lines
