"""An evolution: gradient descent and CMA-ES look for the numbers of a merge; the best one becomes a model folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from jp_adapt.commands import evolve_compare
from jp_adapt.commands.evolve_candidates import Candidates, Setup
from jp_adapt.commands.evolve_genome import found_merge, genome_of, start_settings, with_all_layers
from jp_adapt.commands.evolve_measures import MeasuredItems, Meter, load_measures
from jp_adapt.commands.evolve_search import Searched, search_weights
from jp_adapt.commands.merge import merge_into
from jp_adapt.commands.merge_parents import OpenModel, language_weights, open_models
from jp_adapt.commands.merge_plan import plan_merge
from jp_adapt.core.errors import GateError, InputError
from jp_adapt.core.hashes import sha256_json
from jp_adapt.core.progress import progress
from jp_adapt.inference.model_folder import EvaluatedModel, load_model
from jp_adapt.merging.genome import Genome, Values
from jp_adapt.merging.journal import Evaluation
from jp_adapt.merging.plan import HEAD
from jp_adapt.merging.search import SearchResult
from jp_adapt.merging.settings import in_layer, layer_of
from jp_adapt.recipe.evolve import EvolveSettings
from jp_adapt.recipe.merge import ModelSettings
from jp_adapt.report.evolution import EVOLUTION, CandidateFigures, Evolution, EvolvedGene, HeldOutPoint, ModelKind

MAX_CURVE = 4  # points of the held-out curve: each is one more measurement of all held-out items
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}  # relative, by which the written model may differ from the one that was searched
MERGE_KEYS = (
    "method",
    "base",
    "slices",
    "around",
    "normalize",
    "lambda",
    "seed",
    "dtype",
    "tokenizer",
    "rows",
    "config",
    "into",
)  # of a merge stage; an evolution has more


@dataclass(frozen=True)
class EvolveTask:
    """An evolution that is to be done.

    Attributes:
        folders: of each model, and of the adapter on it, if there is one.
        models: what the recipe says of each model, but for what is searched for.
        texts: documents of each source that a measure names.
        seed: of the search, and of what is held out.
        document_start, document_end: the tokens around every document; by default what the models' folders say.
    """

    name: str
    folders: Mapping[str, tuple[Path, Path | None]]
    merge: EvolveSettings
    models: Mapping[str, ModelSettings]
    texts: Mapping[str, Sequence[str]]
    seed: int = 0
    precision: str = "auto"
    document_start: str | None = None
    document_end: str | None = None


def evolve(task: EvolveTask, out: Path, work: Path) -> Evolution:
    """Search for the numbers of a merge, and write the best merge into the new folder `out`, with evolution.json.

    `work` keeps the journals: after a kill the same call asks for the same genomes, takes what was evaluated from there, and ends with the same weights.

    Raises:
        UsageError: the parts of the task do not agree, or a measure is the test set of a known benchmark. InputError: models or items that do not fit.
        RunFolderError: `work` holds another search. GateError: what was written is not what was searched, or values that are not finite.
    """
    measures = load_measures(task.merge, task.texts, task.seed)
    models = open_models(task.folders)
    _check_eyes(measures, models)
    genome = genome_of(task.merge, models)
    task = replace(task, merge=with_all_layers(task.merge, genome))
    genome.check([job.place for job in plan_merge(models, task.merge, start_settings(task.models, genome)).jobs])
    setup = _setup(task, genome, measures, work)
    searched, candidates = search_weights(setup, work, name=task.name, seed=task.seed)
    evolution = _measured(task, models, candidates, searched)
    _write(task, genome, candidates, searched.result, evolution, out)
    return evolution


def _check_eyes(measures: Sequence[MeasuredItems], models: Mapping[str, OpenModel]) -> None:
    blind = [name for name, model in models.items() if model.vision is None]
    shown = [measure.name for measure in measures if measure.shows]
    if blind and shown:
        raise InputError(
            f"'{shown[0]}' has items with pictures, and these models do not see: {', '.join(blind)}; all are measured on all items, so search by others, "
            "and measure the result on pictures with jp-adapt eval"
        )


def _setup(task: EvolveTask, genome: Genome, measures: list[MeasuredItems], work: Path) -> Setup:
    """The merge that lies in memory before the first candidate: written once, since it brings the tokenizer and the configuration."""
    start, settings = work / "start", start_settings(task.models, genome)
    if not start.is_dir():
        around = task.document_start, task.document_end
        merge_into(start, task.folders, task.merge, settings, title=task.name, text="", document_start=around[0], document_end=around[1])
    return Setup(task.folders, task.merge, start, settings, genome, measures, task.precision, _identity(task))


def _identity(task: EvolveTask) -> str:
    """Hash of the merge that is searched, and of a part of each model's weights: journals of other models are not gone on with."""
    said = task.merge.model_dump(mode="json", include={*MERGE_KEYS, "lambda_"}, by_alias=True)
    models = {name: model.model_dump(mode="json", include=set(ModelSettings.model_fields)) for name, model in task.models.items()}
    weights = {name: [_ends(path) for folder in folders if folder for path in sorted(folder.glob("*.safetensors"))] for name, folders in task.folders.items()}
    return sha256_json([said, models, weights, task.precision, task.document_start, task.document_end])


def _ends(path: Path) -> list[str]:
    """Hashes of the first and the last MiB of a file: a model of many gigabytes need not be read for it."""
    with path.open("rb") as file:
        first = file.read(2**20)
        file.seek(max(0, path.stat().st_size - 2**20))
        return [hashlib.sha256(part).hexdigest() for part in (first, file.read())]


def _measured(task: EvolveTask, models: Mapping[str, OpenModel], candidates: Candidates, searched: Searched) -> Evolution:
    """Measure parents, uniform merges and what was found on all items, and put down what came of the search."""
    setup, measures, genome = candidates.setup, candidates.setup.measures, candidates.setup.genome
    search, result = searched.search, searched.result
    timed = _timed(candidates, result, genome.baselines[searched.baseline])
    written = genome.written(result.best_genome)
    said: list[evolve_compare.Measured] = []
    points: list[tuple[str, ModelKind, Values]] = [(name, "alone" if task.merge.stacks else "uniform", values) for name, values in genome.baselines.items()]
    points += searched.on_the_way()
    with progress(f"{task.name}: held-out items", len(models) + len(points)) as advance:
        for name, model in models.items():
            meter = Meter(_own_model(task, model), measures)
            said.append(evolve_compare.measure(meter, measures, name, "base" if name == task.merge.base else "parent"))
            advance(len(said), name)
        for name, kind, values in points:
            candidates.become(values)
            said.append(evolve_compare.measure(candidates.meter, measures, name, kind))
            advance(len(said), name)
    by_name = {entry.name: entry for entry in said}
    compared = evolve_compare.compared(measures, said)
    uniform = by_name[searched.baseline]
    return Evolution(
        stage=task.name,
        method=setup.merge.method,
        genes=[
            EvolvedGene(
                entry.gene.name,
                entry.model,
                entry.parameter,
                entry.layers,
                entry.module,
                entry.gene.low,
                entry.gene.high,
                start.start,
                written[entry.gene.name],
            )
            for entry, start in zip(genome.genes, search.genes, strict=True)
        ],
        groups=genome.groups,
        figures=evolve_compare.figures(measures),
        models=compared,
        candidates=_candidates(searched.evaluations),
        heldout_curve=_curve(candidates, searched),
        guards=evolve_compare.guards(measures, by_name["evolved"], uniform),
        best_parent=evolve_compare.lowest(compared, "parent").name,
        best_uniform=uniform.name,
        verdict=evolve_compare.verdict(compared, uniform.name, "what it began as" if setup.merge.stacks else "the best uniform merge"),
        evaluations=len(searched.evaluations),
        given_up=sum(not entry.whole for entry in searched.evaluations),
        seed=task.seed,
        population=search.population,
        generations=task.merge.generations,
        search_s=round(searched.elapsed_s, 1),
        merging_s=round(timed[0], 3),
        measuring_s=round(timed[1], 3),
        gradient_evaluations=len(searched.steps),
    )


def _timed(candidates: Candidates, result: SearchResult, other: Mapping[str, float]) -> tuple[float, float]:
    """Seconds of merging and of measuring in one evaluation of the best candidate, after another one."""
    candidates.become(other)
    measuring_s = candidates.measuring_s
    merging_s = candidates.merging_s
    candidates(result.best_genome, {measure.name: measure.places for measure in candidates.setup.measures})
    return candidates.merging_s - merging_s, candidates.measuring_s - measuring_s


def _own_model(task: EvolveTask, model: OpenModel) -> EvaluatedModel:
    """A model of the merge by itself, with its own tokenizer."""
    adapter = model.adapter.folder if model.adapter is not None else None
    return load_model(
        model.folder,
        task.precision,
        document_start=task.document_start,
        document_end=task.document_end,
        adapter=adapter,
        tokenizer_folder=model.tokenizer,
    )


def _candidates(evaluations: Sequence[Evaluation]) -> list[CandidateFigures]:
    figures: list[CandidateFigures] = []
    best = float("inf")
    for entry in evaluations:
        best = min(best, entry.fitness) if entry.whole else best
        figures.append(CandidateFigures(entry.generation, entry.fitness, entry.whole, best))
    return figures


def _curve(candidates: Candidates, searched: Searched) -> list[HeldOutPoint]:
    """Held-out figures of the best candidates on the way, the first and the last among them."""
    bests: list[tuple[int, Evaluation]] = []
    for number, entry in enumerate(searched.evaluations, start=1):
        if entry.whole and (not bests or entry.fitness < bests[-1][1].fitness):
            bests.append((number, entry))
    last = len(bests) - 1
    kept = [bests[place] for place in sorted({round(last * step / (MAX_CURVE - 1)) for step in range(MAX_CURVE)})]
    points = []
    for number, entry in kept:
        candidates.become(searched.search.named(entry.genome))
        points.append(HeldOutPoint(number, evolve_compare.heldout_figures(candidates.meter, candidates.setup.measures)))
    total = len(searched.evaluations)
    return [*points, HeldOutPoint(total, points[-1].heldout)] if kept[-1][0] < total else points


def _write(task: EvolveTask, genome: Genome, candidates: Candidates, result: SearchResult, evolution: Evolution, out: Path) -> None:
    merge, settings = found_merge(task.merge, task.models, genome, result.best_genome)
    candidates.become(result.best_genome)
    merge_into(
        out,
        task.folders,
        merge,
        settings,
        title=task.name,
        text=_merge_text(merge, settings),
        document_start=task.document_start,
        document_end=task.document_end,
        finish=partial(_finish, task, candidates, evolution),
    )


def _finish(task: EvolveTask, candidates: Candidates, evolution: Evolution, folder: Path) -> list[str]:
    """Check what was written against the model in memory, and write the record beside it. Comes back: lines of the card."""
    _check_written(folder, candidates)
    evolution.write(folder / EVOLUTION)
    measured = ", ".join(f"{figure.title or figure.name} ({figure.unit})" for figure in evolution.figures if figure.weight)
    return [
        f"- its {len(evolution.genes)} numbers were found by {_found_by(evolution)}: {evolution.evaluations} candidates ({evolution.given_up} given up early), "
        f"seed {evolution.seed}",
        f"- searched for on: {measured}. {evolution.verdict} All figures: {EVOLUTION}",
        *(
            f"- guard {entry.name}: {entry.heldout:.3f} times the loss of '{evolution.best_uniform}' on held-out items (allowed: {entry.limit:g})"
            for entry in evolution.guards
        ),
    ]


def _found_by(evolution: Evolution) -> str:
    ways = (("gradient descent", evolution.gradient_evaluations), ("CMA-ES", evolution.generations))
    return " and ".join(name for name, count in ways if count)


def _check_written(folder: Path, candidates: Candidates) -> None:
    weights, _ = language_weights(folder)
    layers = candidates.layers_in
    for name in weights.tensors:
        layer = layer_of(name)
        own = name if layers is None or layer is None else in_layer(name, layers[layer])
        if own not in candidates.parameters:
            assert name == HEAD  # tied: the embedding stands for it
            continue
        parameter = candidates.parameters[own].detach().cpu()
        difference = (weights.read(name).to(torch.float32) - parameter.to(torch.float32)).abs().max().item()
        limit = TOLERANCE.get(parameter.dtype, 1e-5) * max(1.0, parameter.abs().max().item())
        if not difference <= limit:
            raise GateError(
                f"{name}: the written merge differs by {difference:.2g} from the one that was searched; this is an error of jp-adapt, please report it"
            )


def _without_folders(model: dict[str, Any]) -> dict[str, Any]:
    """A model of a recipe with the names of its folders alone: a card does not tell where they lie."""
    return model | {key: Path(model[key]).name for key in ("path", "adapter") if key in model}


def _merge_text(merge: EvolveSettings, settings: Mapping[str, ModelSettings]) -> str:
    """The merge that was found, as a merge stage says it."""
    shared = {key: value for key, value in merge.model_dump(mode="json", by_alias=True, exclude_unset=True).items() if key in MERGE_KEYS}
    models = {name: _without_folders(model.model_dump(mode="json", exclude_none=True)) for name, model in settings.items()}
    return yaml.safe_dump({**shared, "models": models}, sort_keys=False, allow_unicode=True, width=160, default_flow_style=None)
