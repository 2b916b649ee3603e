"""Run a recipe: stage after stage, each one once, into a run folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from jp_adapt.commands.prepared import hashed_file
from jp_adapt.core.environment import environment, peak_memory_bytes
from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import is_unfinished, new_folder, refuse_unwritable, write_text
from jp_adapt.core.launch import refuse_accelerates_own, several_processes
from jp_adapt.core.lock import folder_lock
from jp_adapt.core.progress import say
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.model.sources import check_hash, folder_files, gguf_file, is_commit, resolve_revision
from jp_adapt.pipeline.base_tokenizer import check_base_tokenizer
from jp_adapt.pipeline.inputs import check_base_chats, check_inputs, extends
from jp_adapt.pipeline.run_folder import RESOLVED, RUN, Identity, RunFolder, RunRecord, now, resolved_recipe
from jp_adapt.recipe.checks import named_sources
from jp_adapt.recipe.load import LoadedRecipe, load_recipe
from jp_adapt.recipe.schema import EvaluateStage, EvolveStage, Recipe, Stage, TokenizerStage
from jp_adapt.recipe.stage_items import benchmark_hashes
from jp_adapt.training.trackers import check_trackers

if TYPE_CHECKING:
    from jp_adapt.report.run_summary import RunSummary

MEMORY_ONLY = {"micro_batch_rows", "activation_checkpointing", "keep_checkpoints"}  # of a stage: what fits, not what comes out


@dataclass(frozen=True)
class RunResult:
    """Where the run lies, and which of its stages this call did (the others were done before)."""

    folder: Path
    stages_done: list[str]
    summary: RunSummary


def run_recipe(loaded: LoadedRecipe | str | Path, out: str | Path, *, redo_from: str | None = None, trackers: tuple[str, ...] = ()) -> RunResult:
    """Do every stage of a recipe that is not done yet, in order, then write the report.

    Args:
        loaded: of `load_recipe`, or what it takes: the name of a shipped recipe, or a path.
        out: the run folder; made when missing. A folder of another recipe is never touched.
        redo_from: id of a stage to redo, with all after it; what lies there is kept under another name.
        trackers: where figures of training go beside metrics.jsonl: tensorboard, wandb, trackio.

    Raises:
        RunFolderError: `out` holds other work, or another process works there.
        Whatever a stage raises; finished stages and checkpoints stay, and the same call resumes from them.
    """
    loaded, out = loaded if isinstance(loaded, LoadedRecipe) else load_recipe(loaded), Path(out)
    recipe = loaded.recipe
    stage_ids = ["base", *(stage.id for stage in recipe.stages)]
    if redo_from is not None and redo_from not in stage_ids:
        raise UsageError(f"--from {redo_from}: no such stage{did_you_mean(redo_from, stage_ids)}; stages: {', '.join(stage_ids)}")
    check_trackers(trackers)
    _refuse_foreign_folder(out)
    for note in check_inputs(loaded, open_gguf=True):
        say(f"note: {note}")
    if recipe.control is not None:
        from jp_adapt.report.run_summary import read_control

        read_control(Path(recipe.control))  # now, and not when the training is over
    if recipe.untested:
        say(f"{recipe.name}: nobody has run this recipe at its size yet; look at the first figures before you let it run for long")
    _meet()
    with folder_lock(out):
        folder = RunFolder(out)
        loaded = replace(loaded, recipe=_pinned(recipe, out))
        recipe = loaded.recipe
        if not folder.began:
            write_text(out / RUN, _run_record(loaded, out))  # first of all, for it makes the folder a run's
        if redo_from is not None:
            folder.set_aside(stage_ids[stage_ids.index(redo_from) :])
        gguf, identities = _identities(recipe, folder)
        for stage_id, identity in identities.items():
            folder.stage(stage_id).refuse_other_work(identity)
        folder.sweep()
        folder.record(_records(loaded))
        done = _run_stages(recipe, folder, gguf, identities, trackers)
        from jp_adapt.pipeline.report import write_report

        return RunResult(out, done, write_report(folder, recipe, fresh=bool(done)))


def _pinned(recipe: Recipe, out: Path) -> Recipe:
    """The recipe with the commit of its hub model: the one that a run in `out` began with, else the one that its branch or tag names now."""
    base = recipe.base
    if base.model is None or is_commit(base.revision):
        return recipe
    began = resolved_recipe(out)["base"] if (out / RESOLVED).is_file() else {}
    commit = str(began["revision"]) if began.get("model") == base.model else resolve_revision(base.model, base.revision or "main")
    say(f"{base.model}: {base.revision or 'main'} is commit {commit}; this run keeps to it")
    return recipe.model_copy(update={"base": base.model_copy(update={"revision": commit})})


def _refuse_foreign_folder(out: Path) -> None:
    refuse_unwritable(out)
    if out.is_dir() and any(path.name != ".lock" and not is_unfinished(path) for path in out.iterdir()) and not (out / RUN).is_file():
        raise UsageError(f"{out}: holds other files and is not a run folder; give a new folder with --out")


def _run_record(loaded: LoadedRecipe, out: Path) -> str:
    run = RunRecord(loaded.recipe.name, now(), metadata.version("jp-adapt"), loaded.path.name, _command(loaded, out))
    return json.dumps(run.as_dict(), ensure_ascii=False, indent=2) + "\n"


def _records(loaded: LoadedRecipe) -> dict[str, str]:
    """The files beside RUN at the top of the run folder: the recipe as written, as resolved, and where it ran."""
    recipe = loaded.recipe
    resolved = yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True), allow_unicode=True, sort_keys=False, width=160)
    return {
        "recipe.yaml": loaded.text,
        RESOLVED: resolved,
        "env.json": json.dumps(environment(), indent=2) + "\n",
    }


def _command(loaded: LoadedRecipe, out: Path) -> list[str]:
    """The command that does this run, with paths as they were given, or relative to the working folder where they lie in it."""
    recipe = loaded.asked or str(loaded.path)
    here = Path.cwd()
    paths = [str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path for path in (recipe, str(out))]
    return ["jp-adapt", "run", paths[0], "--out", paths[1], *(part for setting in loaded.overrides for part in ("-s", setting))]


def _identities(recipe: Recipe, folder: RunFolder) -> tuple[Path | None, dict[str, Identity]]:
    """The GGUF file to convert, if the base is one, and the identity of every stage in order, the base's own first."""
    gguf, base_hashes = _base_files(recipe, folder)
    identities = {"base": Identity({"base": base_hashes})}
    for stage in recipe.stages:
        identities[stage.id] = _identity(stage, recipe, folder, {name: identity.fingerprint for name, identity in identities.items()})
    return gguf, identities


def _run_stages(recipe: Recipe, folder: RunFolder, gguf: Path | None, identities: dict[str, Identity], trackers: tuple[str, ...]) -> list[str]:
    done: list[str] = []
    base = _run_base(folder, identities["base"], gguf, recipe, done)
    check_base_tokenizer(base, extended=extends(recipe))
    unseen = recipe.base.path is None and not all(folder.stage(stage.id).done for stage in recipe.stages)  # a base with a path was looked at before
    for note in check_base_chats(recipe, base) if unseen else []:
        say(f"note: {note}")
    for stage in recipe.stages:
        stage_folder = folder.stage(stage.id)
        if stage_folder.done:
            continue
        stage_folder.begin(identities[stage.id])
        from jp_adapt.pipeline.stages.context import Context
        from jp_adapt.pipeline.stages.kinds import run_stage

        work = partial(run_stage, stage, Context(recipe, base, folder.stage, trackers))
        _tell_others(stage, base)
        _timed(folder, stage.id, stage.kind, work)
        done.append(stage.id)
    _tell_others(None, base)
    return done


def _meet() -> None:
    refuse_accelerates_own()
    if several_processes():
        from jp_adapt.training import ranks

        ranks.join()


def _tell_others(stage: Stage | None, base: Path) -> None:
    """Rank 0 does every stage; the others help it train. None: there is nothing more to do."""
    if several_processes() and (stage is None or stage.all_processes):
        from jp_adapt.training import ranks

        ranks.share(None if stage is None else (stage.id, str(base)))


def assist_recipe(loaded: LoadedRecipe, out: Path) -> None:
    """What every process but the first does in a run of several: train, each time rank 0 comes to a training stage. It writes nothing."""
    from jp_adapt.pipeline.stages.context import Context
    from jp_adapt.pipeline.stages.kinds import run_stage
    from jp_adapt.training import ranks

    refuse_accelerates_own()
    with ranks.lost_rank_is_an_error():
        ranks.join()
        while (order := ranks.share()) is not None:
            stage_id, base = order
            context = Context(loaded.recipe, Path(base), RunFolder(out).stage)
            run_stage(context.stage(stage_id), context)


def _timed(folder: RunFolder, stage_id: str, kind: str, work: Callable[[], dict[str, Any]]) -> None:
    say(f"{stage_id} ({kind}) ...")
    folder.log(f"{stage_id}: begins")
    started = time.monotonic()
    try:
        results = work()
    except BaseException as error:
        folder.log(f"{stage_id}: stopped by {type(error).__name__}: {error}")
        raise
    elapsed_s = round(time.monotonic() - started, 1)
    folder.stage(stage_id).finish(kind, elapsed_s, peak_memory_bytes(), results)
    folder.log(f"{stage_id}: done in {elapsed_s} s")
    say(f"{stage_id} done in {elapsed_s:.0f} s")


def _base_files(recipe: Recipe, folder: RunFolder) -> tuple[Path | None, dict[str, str]]:
    """The GGUF file to convert, if the base is one, and the hashes of the files that make the base (a hub commit is its own hash)."""
    base = recipe.base
    if base.model is not None:
        return None, {"model": base.model, "revision": str(base.revision)}
    if base.path is not None:
        files = folder_files(Path(base.path))
        return None, {path.name: digest for path, digest in folder.hash_inputs(files).items()}
    assert base.file is not None
    gguf = gguf_file(base.package, base.file, base.version)
    digest = folder.hash_inputs([gguf])[gguf]
    check_hash(gguf, digest, base.sha256)
    return gguf, {"gguf": digest}


def _run_base(folder: RunFolder, identity: Identity, gguf: Path | None, recipe: Recipe, done: list[str]) -> Path:
    """Folder of the base: its own, or the one that a GGUF was converted into."""
    base = recipe.base
    if base.path is not None:
        return Path(base.path)
    if base.model is not None:
        from jp_adapt.model.sources import download

        return download(base.model, str(base.revision))
    assert gguf is not None
    stage_folder = folder.stage("base")
    if not stage_folder.done:
        stage_folder.begin(identity)

        def convert() -> dict[str, Any]:
            from jp_adapt.export.gguf_folder import convert_gguf

            with new_folder(stage_folder.final) as target:
                convert_gguf(gguf, target)
            return {}

        _timed(folder, "base", "base", convert)
        done.append("base")
    from jp_adapt.recipe.document_tokens import write_base_tokens

    write_base_tokens(base, stage_folder.final)
    return stage_folder.final


def _identity(stage: Stage, recipe: Recipe, folder: RunFolder, fingerprints: dict[str, str]) -> Identity:
    names = list(dict.fromkeys(name for _, name in named_sources(stage)))
    paths = {name: hashed_file(Path(recipe.sources[name].path)) for name in names}
    hashes = folder.hash_inputs(list(paths.values()))
    settings = stage.model_dump(mode="json", exclude=_not_the_work(stage))
    for key in stage.outside:
        part: Any = settings
        for name in key[:-1]:
            part = part[name]
        del part[key[-1]]
    shares = {name: share for name in names if (share := recipe.sources[name].heldout) is not None}
    return Identity(
        {
            "stage": settings,
            "seed": recipe.seed,
            "precision": recipe.precision,
            "quantization": recipe.quantization,
            "document_start": recipe.base.document_start,
            **({} if isinstance(stage, TokenizerStage) else {"document_end": recipe.base.document_end or "the base's own"}),
            "upstream": {name: fingerprints[name] for name in stage.upstream},
            "inputs": {name: hashes[path] for name, path in paths.items()} | _outside_files(stage, folder),
            "benchmarks": benchmark_hashes(stage),
            **({"heldout": shares} if shares else {}),
        }
    )


def _not_the_work(stage: Stage) -> Any:
    """Settings that change no result. Benchmarks are known by what they are; where they lie makes no difference."""
    if isinstance(stage, EvaluateStage):
        return {"data", "benchmarks"}
    if isinstance(stage, EvolveStage):
        return {"data": True, "processes": True, "fitness": {name: {"benchmark"} for name in stage.fitness}}
    return MEMORY_ONLY if getattr(stage, "grow", None) is not None else MEMORY_ONLY | {"grow"}


def _outside_files(stage: Stage, folder: RunFolder) -> dict[str, str]:
    """Hashes of the files of models and adapters that a stage takes from outside of the run."""
    files: dict[str, Path] = {}
    for key, place in stage.outside.items():
        listed = [path for pattern in ("*.safetensors", "*.json") for path in sorted(Path(place).glob(pattern))]
        files |= {"/".join([*map(str, key), path.name]): path for path in listed}
    hashes = folder.hash_inputs(list(files.values()))
    return {name: hashes[path] for name, path in files.items()}
