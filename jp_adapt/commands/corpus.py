"""The commands `corpus prepare` and `corpus stats`: a corpus recipe in, token shards and a report out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from jp_adapt.commands.corpus_steps import build_steps, step_inputs
from jp_adapt.core.errors import InputError, Problems
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.progress import LINE_EVERY_S, say
from jp_adapt.corpus.assemble import FindDuplicates, Output
from jp_adapt.corpus.deduplicate import find_duplicates, find_exact_duplicates, fingerprint, fingerprint_exact
from jp_adapt.corpus.figures import REPORT, CorpusFigures
from jp_adapt.corpus.hub import iter_placed_rows
from jp_adapt.corpus.lines import OnError
from jp_adapt.corpus.mixture import temperature_shares
from jp_adapt.corpus.overlap import overlap_lines
from jp_adapt.corpus.parts import PART_CHARS, Fingerprint, Work
from jp_adapt.corpus.prepare import SourceReader, prepare_corpus
from jp_adapt.corpus.shards import TokenShards, token_dtype
from jp_adapt.corpus.sources import expand_paths, iter_placed
from jp_adapt.corpus.steps import Step
from jp_adapt.inference.text_side import end_of_documents
from jp_adapt.recipe.corpus import CorpusRecipe, CorpusSource
from jp_adapt.recipe.document import STEP_PATHS
from jp_adapt.recipe.load_corpus import LoadedCorpus
from jp_adapt.report.corpus_page import corpus_page
from jp_adapt.report.corpus_report import CorpusReport, SourceReport
from jp_adapt.tokenizer.encoder import load_encoder

DEDUPLICATE: dict[str, tuple[Fingerprint | None, FindDuplicates | None]] = {
    "none": (None, None),
    "exact": (fingerprint_exact, find_exact_duplicates),
    "near": (fingerprint, find_duplicates),
}


@dataclass(frozen=True)
class CorpusJob:
    """What a corpus is made from and by, ready to be sent to other processes: readers of the sources, the work on each part, and all that decides it."""

    readers: tuple[SourceReader, ...]
    work: Work
    identity: dict[str, Any]


def corpus_job(loaded: LoadedCorpus) -> CorpusJob:
    """The job of a recipe. UsageError where a step is wrong, InputError where a file is missing, before anything is read."""
    recipe, steps = loaded.recipe, build_steps(loaded)
    work, tokenizer = _work(recipe, steps)
    readers, hashes = _find_inputs(recipe)
    declared = recipe.model_dump(mode="json", exclude={"sources": {"__all__": {"path"}}, "tokenizer": True, "document_end": True})
    for source in declared["sources"].values():
        source["licence"] = source.pop("license")  # as earlier versions spelled it: a corpus that they wrote is the same
    declared["steps"] = [{name: value for name, value in step.items() if name not in STEP_PATHS} for step in declared["steps"]]
    return CorpusJob(readers, work, {"recipe": declared, "inputs": hashes, "step_inputs": step_inputs(steps), **tokenizer})


def check_corpus(loaded: LoadedCorpus) -> None:
    """All that can be wrong with a recipe before its work begins, as `prepare` says it, and the first document of every file. The hub is not asked.

    Raises:
        UsageError: a step is wrong.
        InputError: a file or the tokenizer is missing, or holds no document of the kind that the source says.
    """
    problems = Problems()
    with problems.collected():
        _work(loaded.recipe, build_steps(loaded))
    for name, source in loaded.recipe.sources.items():
        with problems.collected(), _of_source(name):
            for path in _files(source):
                with problems.collected(), _of_source(name):
                    _check_first_document(path, source)
    problems.refuse()


@contextmanager
def _of_source(name: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"source '{name}': {error}") from error


def _check_first_document(path: Path, source: CorpusSource) -> None:
    try:
        next(iter_placed(path, source.field), None)
    except InputError:
        if source.on_error == "refuse":
            raise


def prepare(loaded: LoadedCorpus, out: Path, processes: int = 1) -> CorpusReport:
    """Make the corpus of a recipe in the folder `out`; if it is there already, only return its report."""
    recipe = loaded.recipe
    job = corpus_job(loaded)
    output = Output(recipe.shard_tokens, DEDUPLICATE[recipe.deduplicate][1], recipe.texts)
    report = prepare_corpus(
        out,
        job.readers,
        job.work,
        output,
        identity=job.identity,
        processes=processes,
        describe=lambda report: {
            "recipe.yaml": loaded.text,
            "report.html": corpus_page(summary(recipe, report)),
            "overlap.jsonl": overlap_lines(report.steps),
        },
        on_part=_every_now_and_then(),
    )
    return summary(recipe, report)


def _every_now_and_then() -> Callable[[int], None]:
    """Say how many characters are done, a line now and then: how many there are in all is not known before the last is read."""
    started = last = time.monotonic()

    def on_part(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            say(f"  about {done * PART_CHARS / 1e6:,.0f} M characters done, {done * PART_CHARS / (now - started) / 1e6:.2f} M a second")

    return on_part


def stats(folder: Path) -> CorpusReport:
    """What a prepared corpus holds. InputError where its files are not those of its index."""
    shards = TokenShards(folder)
    figures = CorpusFigures.read(folder / REPORT)
    return replace(summary(declared_recipe(shards), figures), shards=len(shards.shards), dtype=shards.index["dtype"])


def declared_recipe(shards: TokenShards) -> CorpusRecipe:
    """The recipe of a prepared corpus; "." stands where its paths were, since a prepared corpus does not say where its inputs lay."""
    declared = shards.index["identity"]["recipe"]
    sources = {name: source if source["dataset"] else source | {"path": "."} for name, source in declared["sources"].items()}
    return CorpusRecipe.model_validate(declared | {"sources": sources, "tokenizer": "."})


def summary(recipe: CorpusRecipe, figures: CorpusFigures) -> CorpusReport:
    """The figures with what the recipe says of each source, and the shares of the mixture."""
    tokens = {source.name: source.tokens for source in figures.sources}
    shares = mixture_shares(recipe, tokens) if any(tokens.values()) else {}
    sources = [
        SourceReport(
            language=recipe.sources[source.name].language,
            licence=recipe.sources[source.name].license,
            chars_per_token=source.characters / source.tokens if source.tokens else None,
            mixture_share=shares.get(source.name),
            **vars(source),
        )
        for source in figures.sources
    ]
    return CorpusReport(recipe.name, recipe.title, sources, figures.steps, document_end=figures.document_end)


def mixture_shares(recipe: CorpusRecipe, tokens: dict[str, int]) -> dict[str, float]:
    """source -> share of the training tokens; a source of which nothing is left has none."""
    existing = {name: number for name, number in tokens.items() if number}
    weights = {name: recipe.mixture.weights[name] for name in existing} if recipe.mixture.weights else temperature_shares(existing, recipe.mixture.temperature)
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def _find_inputs(recipe: CorpusRecipe) -> tuple[tuple[SourceReader, ...], dict[str, Any]]:
    """Readers of all sources, and the hashes of what they read."""
    readers: list[SourceReader] = []
    hashes: dict[str, Any] = {}
    for name, source in recipe.sources.items():
        skip = source.on_error == "skip"
        if source.dataset is not None:
            readers.append(SourceReader(name, (partial(_read_dataset, source),), skip))
            hashes[name] = f"{source.dataset}@{source.revision}"
            continue
        files = _files(source)
        groups = [files] if source.documents is not None else [[path] for path in files]  # a limit counts over all files
        readers.append(SourceReader(name, tuple(partial(_read_files, group, source) for group in groups), skip))
        hashes[name] = [{"file": path.name, "sha256": sha256_file(path)} for path in files]
    return tuple(readers), hashes


def _files(source: CorpusSource) -> list[Path]:
    """The files of a source; none of one on the hub."""
    patterns = [source.path] if isinstance(source.path, str) else source.path
    return expand_paths(patterns or [])


def _read_files(files: Sequence[Path], source: CorpusSource, on_error: OnError) -> Iterator[tuple[str, str]]:
    return _first(source.documents, (placed for path in files for placed in iter_placed(path, source.field, on_error)))


def _read_dataset(source: CorpusSource, on_error: OnError) -> Iterator[tuple[str, str]]:
    assert source.dataset is not None
    assert source.revision is not None
    return _first(source.documents, iter_placed_rows(source.dataset, source.revision, source.split, source.field, source.config, on_error))


def _first(number: int | None, documents: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for index, placed in enumerate(documents):
        if index == number:
            return
        yield placed


def _work(recipe: CorpusRecipe, steps: tuple[Step, ...]) -> tuple[Work, dict[str, Any]]:
    """What every part goes through, and what decides its tokens: the hash of the tokenizer, and the token that ends a document."""
    fingerprint = DEDUPLICATE[recipe.deduplicate][0]
    if recipe.tokenizer is None:
        return Work(tuple(recipe.sources), steps, None, "<u2", fingerprint), {"tokenizer": None}
    folder = Path(recipe.tokenizer)
    encode = load_encoder(folder)
    end = recipe.document_end or end_of_documents(folder, encode.special_ids)
    if end is None:
        raise InputError(f"{folder}: the tokenizer names no token that ends a document; say it in the recipe: document_end")
    if end not in encode.special_ids:
        known = ", ".join(encode.special_ids) or "none"
        raise InputError(f"document_end is '{end}', which is not a special token of the tokenizer in {folder}; its special tokens: {known}")
    work = Work(tuple(recipe.sources), steps, encode, token_dtype(encode.vocab_size).str, fingerprint, encode.special_ids[end])
    return work, {"tokenizer": sha256_file(encode.path), "document_end": end}
