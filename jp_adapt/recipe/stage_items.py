"""The benchmarks whose items a stage asks: those of an evaluation, and those that an evolution is measured by."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.benchmarks.items import LoadedBenchmark, load_benchmark, load_declaration, named_benchmarks, protocol_of, reads_shots
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.core.errors import UsageError
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.recipe import schema
from jp_adapt.recipe.evolve import Measure


def stage_benchmarks(stage: schema.EvaluateStage, *, items: bool = True) -> list[LoadedBenchmark]:
    """The benchmarks of an evaluate stage. Without `items` those that need a data folder are declarations only. Errors as of `load_benchmark`."""
    names, profile = named_benchmarks(stage.suite, stage.benchmarks, stage.profile)
    loaded = []
    for name in names:
        benchmark, path = load_declaration(name)
        protocol = protocol_of(name, benchmark, profile)
        if (protocol.kind or benchmark.kind) == "code":
            raise UsageError(
                f"{name}: its score comes from running programs that the model wrote, which a recipe never does; give the exported model to: jp-adapt eval"
            )
        shots = protocol.shots if stage.shots is None else stage.shots
        reads = reads_shots(name, benchmark, protocol, shots)
        if items or benchmark.data.folder is None:
            loaded.append(load_benchmark(name, Path(stage.data) if stage.data is not None else None, shots=reads))
        else:
            loaded.append(LoadedBenchmark(name, benchmark, path, [], [], {}))
    return loaded


def measured_benchmark(measure: Measure, data: str | None, *, items: bool = True) -> LoadedBenchmark | None:
    """The benchmark that an evolution is measured by; None for a text. Without `items` one that needs a data folder is a declaration only.

    Raises:
        UsageError: a known benchmark, whose test set nothing may be searched on, or one whose items have no right answer. Else as of `load_benchmark`.
    """
    if measure.benchmark is None:
        return None
    benchmark, path = load_declaration(measure.benchmark)
    protocol = protocol_of(measure.benchmark, benchmark, "jp-adapt")
    if (protocol.kind or benchmark.kind) in ("code", "judge"):
        raise UsageError(f"{measure.benchmark}: an item of kind {protocol.kind or benchmark.kind} has no right answer to be measured by")
    whole = METRICS[protocol.primary_metric].whole_of
    if measure.metric == "score" and whole is not None:
        raise UsageError(
            f"{measure.benchmark}: {protocol.primary_metric} is a figure of a whole set, and a search needs one of each item: metric: bits_per_char"
        )
    free = measure.force or benchmark.searchable
    known = {(entry.source, *entry.data.test.files) for name in shipped_benchmarks() if not free for entry in load_declaration(name)[:1]}
    if (benchmark.source, *benchmark.data.test.files) in known:
        raise UsageError(
            f"{measure.benchmark}: the test set of a known benchmark; a model that was searched for on it has a score there that says nothing. "
            "Give items of your own (a declaration file), or say force: true"
        )
    if items or benchmark.data.folder is None:
        return load_benchmark(
            measure.benchmark, Path(data) if data is not None else None, shots=reads_shots(measure.benchmark, benchmark, protocol, protocol.shots)
        )
    return LoadedBenchmark(measure.benchmark, benchmark, path, [], [], {})


def benchmark_hashes(stage: schema.Stage) -> dict[str, dict[str, str]]:
    """Hashes of the files of each benchmark that a stage asks, by its name (of a declaration file the name without its folder), or by that of its measure."""
    if isinstance(stage, schema.EvaluateStage):
        return {Path(entry.id).name if entry.path == Path(entry.id) else entry.id: entry.sha256 for entry in stage_benchmarks(stage)}
    if isinstance(stage, schema.EvolveStage):
        loaded = {name: measured_benchmark(measure, stage.data) for name, measure in stage.fitness.items()}
        return {name: entry.sha256 for name, entry in loaded.items() if entry is not None}
    return {}
