"""The evaluate stage: every figure of one or two models, in one evaluation.json, and the results of `jp-adapt eval` for each of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.commands.compare import PAGE
from jp_adapt.commands.prepared import is_prepared
from jp_adapt.core.files import new_folder, read_text, write_text
from jp_adapt.core.hashes import sha256_json
from jp_adapt.core.progress import progress
from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.compare import Comparison, Run, compare_runs, load_run
from jp_adapt.evaluation.results import OUTPUTS, SCORES, BenchmarkScore
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.recipe.schema import EvaluateStage, TrainingStage
from jp_adapt.report.run_summary import (
    EVALUATION,
    ROLES,
    BenchmarkResult,
    BenchmarkSide,
    BitsDifference,
    HeldOutText,
    ModelFacts,
    Role,
    SampleText,
    SegmentedSentence,
    StageEvaluation,
    TextFigures,
)
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.measure import measure_tokenizer, segment

if TYPE_CHECKING:
    from jp_adapt.inference.bits import TextScore
    from jp_adapt.pipeline.stages.context import Context


def run_evaluate(stage: EvaluateStage, context: Context, folder: StageFolder) -> dict[str, Any]:
    """Score every model on every text and benchmark, compare the second with the first, and write evaluation.json.

    Benchmarks go through `jp-adapt eval`: their results lie in a folder of its kind for each model, and a stage that was stopped continues after the last
    benchmark that is finished.
    """
    texts = {source: context.documents(source, "heldout") for source in stage.texts}
    work = folder.path / "work"
    scored: dict[Role, _ScoredModel] = {}
    for role, name in zip(ROLES, stage.models, strict=False):
        baseline = work / ROLES[0] if scored and _has_benchmarks(stage) else None
        scored[role] = _ScoredModel(name, stage, context, texts, work / role, baseline)
    first_new_id = load_tokenizer(context.base).tokenizer.vocab_size
    runs = {role: model.run for role, model in scored.items() if model.run is not None}
    compared = compare_runs(list(runs.values())) if len(runs) == 2 else None
    evaluation = StageEvaluation(
        models={role: model.facts for role, model in scored.items()},
        texts=[_held_out(source, context, documents, scored) for source, documents in texts.items()],
        benchmarks=_benchmarks(runs, compared),
        tests=compared.tests if compared is not None else 0,
        segmentation=[
            SegmentedSentence(text, **{role: segment(model.tokenizer, text, first_new_id) for role, model in scored.items()}) for text in stage.segment
        ],
        samples=[
            SampleText(prompt, **{role: model.samples[index] for role, model in scored.items()})
            for index, prompt in enumerate(stage.samples.prompts if stage.samples else [])
        ],
    )
    with new_folder(folder.final) as target:
        evaluation.write(target / EVALUATION)
        for role, model in scored.items():
            if model.run is not None:
                (target / role).mkdir()
                for file in (SCORES, OUTPUTS, PAGE):
                    shutil.copyfile(work / role / file, target / role / file)
    shutil.rmtree(work, ignore_errors=True)
    return {"models": list(stage.models)}


def _has_benchmarks(stage: EvaluateStage) -> bool:
    return stage.suite is not None or bool(stage.benchmarks)


class _ScoredModel:
    """One model with everything that was measured of it; the weights are let go afterwards."""

    def __init__(self, name: str, stage: EvaluateStage, context: Context, texts: dict[str, list[str]], out: Path, baseline: Path | None) -> None:
        from jp_adapt.commands.evaluate import EvalOptions, evaluate_source
        from jp_adapt.inference.model_source import FolderSource

        folder = context.model_folder(name)
        self.tokenizer = load_tokenizer(folder).tokenizer
        start, end = context.document_start, context.document_end
        source = FolderSource(folder, context.recipe.precision, out, name=_model_name(name, context), document_start=start, document_end=end)
        self.run: Run | None = None
        if _has_benchmarks(stage):
            options = EvalOptions(
                suite=stage.suite,
                benchmarks=tuple(stage.benchmarks),
                data=Path(stage.data) if stage.data is not None else None,
                profile=stage.profile,
                shots=stage.shots,
                limit=stage.limit,
                dtype=context.recipe.precision,
                overlap=_overlap(name, context, out.parent / f"{out.name}-overlap.jsonl"),
                baseline=baseline,
            )
            evaluate_source(lambda: source, out, options)
            self.run = load_run(out)
        loaded = source.loaded
        self.facts = ModelFacts(*(loaded.description[key] for key in ("name", "vocab_size", "parameters")))
        self.texts: dict[str, TextScore] = {}
        for text, documents in texts.items():
            with progress(f"{name}: bits of {text}", len(documents)) as advance:
                self.texts[text] = loaded.score_documents(documents, advance)
        asked = stage.samples
        self.samples = [] if asked is None else loaded.samples(asked.prompts, max_chars=asked.max_chars, repetition_penalty=asked.repetition_penalty)


def _overlap(name: str, context: Context, path: Path) -> Path | None:
    """The table of benchmark items that the texts of a model's training hold, written to `path`; None where it trained on no prepared corpus."""
    stages = [context.stage(stage_id) for stage_id in context.ancestors(name)]
    sources = dict.fromkeys(item.source for stage in stages if isinstance(stage, TrainingStage) for item in stage.data)
    folders = [Path(context.recipe.sources[source].path) for source in sources]
    tables = [folder / "overlap.jsonl" for folder in folders if is_prepared(folder) and (folder / "overlap.jsonl").is_file()]
    if not tables:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(read_text(table) for table in tables))
    return path


def _model_name(name: str, context: Context) -> str:
    if name != "base":
        return f"{context.recipe.name}/{name}"
    base = context.recipe.base
    return Path(base.file or base.path or base.model or name).stem


def _held_out(source: str, context: Context, documents: list[str], scored: dict[Role, _ScoredModel]) -> HeldOutText:
    language = context.recipe.sources[source].language
    measures = {role: measure_tokenizer(model.tokenizer, documents) for role, model in scored.items()}
    figures: dict[Role, TextFigures] = {}
    for role, model in scored.items():
        measure, score = measures[role], model.texts[source]
        words = measure.tokens_per_word if language == "ja" else None
        figures[role] = TextFigures(measure.tokens, measure.chars_per_token, words, score.bits_per_char, score.bits_per_byte, score.bits_per_end)
    difference = None
    if len(scored) == 2:
        base, adapted = (model.texts[source] for model in scored.values())
        interval = statistics.paired_ratio_interval((base.bits, adapted.bits), base.chars)
        difference = BitsDifference(adapted.bits_per_char - base.bits_per_char, interval)
    size = next(iter(measures.values()))
    return HeldOutText(source, language, size.documents, size.chars, size.bytes, difference=difference, sha256=sha256_json(documents), **figures)


def _benchmarks(runs: dict[Role, Run], compared: Comparison | None) -> list[BenchmarkResult]:
    """Each benchmark with the primary metric of every model as a share of a perfect score, and what the comparison of two models says of it."""
    if not runs:
        return []
    pairs = {entry.id: entry for entry in compared.pairs[0].benchmarks} if compared is not None else {}
    results = []
    for index, score in enumerate(next(iter(runs.values())).scores.benchmarks):
        own = {role: run.scores.benchmarks[index] for role, run in runs.items()}
        perfect = METRICS[score.primary_metric].perfect
        sides = {role: _side(entry, perfect) for role, entry in own.items()}
        result = BenchmarkResult(
            id=score.id,
            name=score.name,
            title=score.title,
            version=score.version,
            licence=score.licence,
            sha256=score.sha256,
            metric=score.primary_metric,
            items=score.items,
            chance=score.chance,
            perfect=perfect,
            warnings=[f"{role}: {warning}" for role, entry in own.items() for warning in entry.warnings],
            base=sides.get("base"),
            adapted=sides.get("adapted"),
            comparison=pairs.get(score.id),
        )
        results.append(result)
    return results


def _side(score: BenchmarkScore, perfect: float) -> BenchmarkSide:
    value, interval = score.primary.value, score.primary.interval
    return BenchmarkSide(
        value / perfect if value is not None else None,
        (interval[0] / perfect, interval[1] / perfect) if interval is not None else None,
        score.moved_boundaries,
        score.truncated_items,
    )
