"""The command `eval`: a model folder and a list of benchmarks in, scores.json, outputs.jsonl and a page out; a killed run resumes from what it finished."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from jp_adapt.benchmarks.benchmark import Benchmark, Protocol
from jp_adapt.benchmarks.items import LoadedBenchmark, load_benchmark, load_declaration, named_benchmarks, protocol_of, reads_shots
from jp_adapt.benchmarks.profiles import score_name
from jp_adapt.commands.compare import write_evaluation_page
from jp_adapt.commands.processes import follow, led
from jp_adapt.core.claim import WorkRecord, refuse_folder
from jp_adapt.core.environment import environment
from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.files import new_folder, read_json, refuse_unwritable, write_json
from jp_adapt.core.given import several
from jp_adapt.core.hashes import sha256_file, sha256_json
from jp_adapt.core.lock import folder_lock
from jp_adapt.core.plugins import use_plugins
from jp_adapt.core.progress import progress, say
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.corpus.overlap import read_overlap
from jp_adapt.corpus.sources import read_documents
from jp_adapt.evaluation.batch_check import check_batches, spread
from jp_adapt.evaluation.divisions import divided
from jp_adapt.evaluation.prompts import Prompt, build_prompts
from jp_adapt.evaluation.results import (
    OUTPUTS,
    Asking,
    BatchCheck,
    BenchmarkScore,
    Output,
    Sample,
    Scores,
    read_benchmark_score,
    read_outputs,
    read_scores,
    text_scores,
    write_outputs,
    write_scores,
)
from jp_adapt.evaluation.run import run_benchmark
from jp_adapt.evaluation.sandbox import check_isolation, run_program
from jp_adapt.evaluation.summary import prompt_set, score_benchmark
from jp_adapt.inference.backend import Backend
from jp_adapt.inference.model_source import MODEL, REPLIES, Served, Source, check_folder, open_source
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.model.sources import download, resolve_revision
from jp_adapt.report.written import plural

DEFAULT_SUITE = "quick"
UNDRAWN = "no answer is drawn where choices are scored by their likelihood"
PARTS, TEXTS = "parts", "texts.json"
BEFORE_RESULTS = frozenset({MODEL, REPLIES, ".lock"})
ReadBenchmark = Callable[..., LoadedBenchmark]  # as `load_benchmark`


@dataclass(frozen=True)
class EvalOptions(Asking):
    """What an evaluation may be told besides model and folder. `profile` is the suite's by default, `shots` each protocol's, and `seed` also the sample's."""

    suite: str | None = None
    benchmarks: tuple[str, ...] = ()
    data: Path | None = None
    profile: str | None = None
    shots: int | None = None
    limit: int | None = None
    dtype: str = "auto"
    prompt_set: bool = False
    allow_code_execution: bool = False
    overlap: Path | None = None
    texts: tuple[str, ...] = ()
    field: str = "text"
    baseline: Path | None = None
    backend: str = "local"
    served: Served | None = None
    check_batches: int | None = None
    plugins: tuple[str, ...] = ()
    name: str | None = None
    missing: Literal["refuse", "skip"] = "refuse"

    @property
    def asking(self) -> Asking:
        """What is asked and drawn beside what the profile says."""
        asking = Asking(**{entry.name: getattr(self, entry.name) for entry in fields(Asking)})
        return asking if self.temperature else replace(asking, seed=0)


@dataclass(frozen=True)
class EvaluationRecord(WorkRecord):
    """eval.json: everything that decides the figures of the evaluation in a folder."""

    FILE: ClassVar[str] = "eval.json"
    WORK: ClassVar[str] = "evaluation"
    WHAT: ClassVar[str] = "the record of an evaluation"

    @classmethod
    def upgraded(cls, value: dict[str, Any]) -> dict[str, Any] | None:
        """Earlier versions wrote the identity alone."""
        return {"format": 1, "identity": value} if "format" not in value else None


def evaluate(model: str | Path, out: str | Path, options: EvalOptions | None = None, *, processes: Processes | None = None, **changes: Any) -> Scores:
    """Score a model folder on benchmarks, into the folder `out`; what lies there of the same evaluation is not done again.

    `changes` are fields of `EvalOptions`, for a call from Python: `evaluate("my-model", "scores", benchmarks="ja/jnli", data="benchmarks")`. Paths may be text,
    and one name stands for a list of it.
    Under several `processes` (`eval_processes.joined_processes`) each calls this and computes its share; the first one writes, and all return the scores.

    Raises:
        UsageError: an unknown suite, benchmark or profile, or code to run without leave.
        InputError: data or a model that is missing or wrong; nothing was measured before it was seen.
        RunFolderError: `out` holds another evaluation.
    """
    out, processes = Path(out), processes or ALONE
    options = replace(options or EvalOptions(), **as_options(changes))
    use_plugins(options.plugins)
    if options.texts and (options.served is not None or options.backend != "local"):
        raise UsageError("--texts needs the model on this machine, in --backend local; leave --endpoint out, and give its folder")
    if options.served is None:
        model, name = local_model(str(model))
        options = replace(options, name=options.name or name)
        check_folder(Path(model))
    return evaluate_source(lambda: open_source(model, options.dtype, options.served, out, processes, options.backend, options.name), out, options, processes)


def as_options(changes: dict[str, Any]) -> dict[str, Any]:
    """Fields of `EvalOptions` as they are typed there; UsageError for a name that is none."""
    known = [entry.name for entry in fields(EvalOptions)]
    if unknown := next((name for name in changes if name not in known), None):
        raise UsageError(f"evaluate: no option '{unknown}'{did_you_mean(unknown, known)}; options: {', '.join(known)}")
    paths = {name: Path(changes[name]) for name in ("data", "overlap", "baseline") if isinstance(changes.get(name), str)}
    lists = {name: tuple(several(changes[name])) for name in ("benchmarks", "texts", "plugins") if name in changes}
    return changes | paths | lists


def local_model(model: str) -> tuple[str, str | None]:
    """The folder of a model, and what it is called where its folder does not say: ORG/NAME of the hub, which is downloaded at @REVISION or today's commit."""
    name, _, revision = model.partition("@")
    if Path(model).exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return model, None
    try:
        commit = resolve_revision(name, revision or "main")
    except InputError as error:
        raise InputError(f"{model}: no such folder, and as a model of the hub: {error}") from error
    if commit != revision:
        say(f"{name}: {revision or 'main'} is commit {commit}")
    return str(download(name, commit)), name


def evaluate_source(
    opened: Callable[[], Source], out: Path, options: EvalOptions, processes: Processes = ALONE, *, read: ReadBenchmark = load_benchmark
) -> Scores:
    """`evaluate` of a model that `opened` names; `read` stands for `load_benchmark`, where several evaluations share what was read."""
    refuse_unwritable(out)
    names, profile = _benchmarks(options)
    _check_sampling(options)
    loaded = _load_all(names, profile, options, read)
    if options.temperature and all(_is_chosen(protocol_of(entry.id, entry.benchmark, profile), entry.benchmark) for entry in loaded):
        ways = "--chat asks for written ones" if not loaded[0].benchmark.rules(profile).chat else "leave --temperature out"
        raise UsageError(f"--temperature {options.temperature:g}: {UNDRAWN}, in all of these benchmarks under profile {profile}; {ways}")
    if options.baseline is not None:
        _check_baseline(options.baseline, profile, loaded, options)
    overlap = read_overlap(options.overlap) if options.overlap is not None else None
    for text in options.texts:
        read_documents(Path(text), options.field)  # a wrong field is found now, and not behind the benchmarks
    source = opened()
    if processes.rank > 0:
        follow(lambda name: _follow(name, loaded, profile, options, source))
        return read_scores(out)
    identity = _identity(source, profile, loaded, options)
    with folder_lock(out), closing(source), led(processes) as lead:
        refuse_folder(out, EvaluationRecord, identity, results=(out / PARTS).is_dir(), before_results=BEFORE_RESULTS)
        for benchmark in loaded:
            part = _part(out, benchmark.id)
            if part.is_dir():
                say(f"{benchmark.id}: done before")
            else:
                lead(benchmark.id)
                outputs, score = _measure(benchmark, profile, options, source, overlap)
                EvaluationRecord(identity).write(out / EvaluationRecord.FILE)  # the folder is claimed by its first result
                with new_folder(part) as target:
                    write_outputs(target / OUTPUTS, outputs)
                    write_json(target / "score.json", asdict(score))
            scores = _write(out, identity, profile, [entry for entry in loaded if _part(out, entry.id).is_dir()])
        if options.texts and not (out / TEXTS).is_file():
            write_json(out / TEXTS, source.score_texts(options.texts, options.field))
            scores = _write(out, identity, profile, loaded)
        write_evaluation_page(out, baseline=options.baseline)
        return scores


def _benchmarks(options: EvalOptions) -> tuple[list[str], str]:
    """Names of the benchmarks, each once, and the profile."""
    if options.suite is not None and options.benchmarks:
        raise UsageError("--suite and --benchmarks both say what to measure; give one of them")
    suite = None if options.benchmarks else options.suite or DEFAULT_SUITE
    return named_benchmarks(suite, options.benchmarks, options.profile)


def _check_sampling(options: EvalOptions) -> None:
    """UsageError where the options of sampling do not go together."""
    if not 0 <= options.temperature < float("inf") or not 0 < options.top_p <= 1 or options.top_k < 0 or options.samples < 1:
        raise UsageError("--temperature is 0 or more, --top-p above 0 and at most 1, --top-k 0 or more, --samples 1 or more")
    if not options.temperature:
        given = [flag for flag, on in (("--top-p", options.top_p != 1), ("--top-k", options.top_k), ("--samples", options.samples != 1)) if on]
        if given:
            raise UsageError(f"{', '.join(given)}: at temperature 0 every answer is the most probable one; give --temperature too (0.6, say)")


def _load_all(names: Sequence[str], profile: str, options: EvalOptions, read: ReadBenchmark) -> list[LoadedBenchmark]:
    """The benchmarks with their items. InputError names everything that is missing; with `missing="skip"` that is said, and the others are measured."""
    loaded: list[LoadedBenchmark] = []
    missing: list[str] = []
    for name in names:
        try:
            loaded.append(_load(name, profile, options, read))
        except InputError as error:
            missing.append(str(error) if str(error).startswith(f"{name}:") else f"{name}: {error}")
    if missing and (options.missing == "refuse" or not loaded):
        way_out = (
            [f"{len(loaded)} of {plural(len(names), 'benchmark')} {'is' if len(loaded) == 1 else 'are'} whole; to measure these alone: --missing skip"]
            if loaded
            else []
        )
        raise InputError("\n".join(missing + way_out))
    for line in missing:
        say(f"left out: {line}")
    return loaded


def _load(name: str, profile: str, options: EvalOptions, read: ReadBenchmark) -> LoadedBenchmark:
    benchmark, _ = load_declaration(name)
    protocol = protocol_of(name, benchmark, profile)
    rules = benchmark.rules(profile)
    kind = protocol.kind or benchmark.kind
    if rules.chat and kind in ("multiple_choice", "acceptability"):
        raise UsageError(f"{name}: profile {profile} asks for written answers; its protocol there needs `kind: generate`, and metrics of texts")
    if rules.chat and options.shots:
        raise UsageError(f"--shots {options.shots}: profile {profile} shows no examples")
    if (options.system or options.thought_tokens is not None) and not rules.chat and kind != "judge":
        raise UsageError(f"{name}: --system and --thought-tokens are for models that are asked in their chat template; give --chat too")
    if kind == "judge" and options.samples > 1:
        raise UsageError(f"{name}: --samples {options.samples}: a conversation for judges is held once; leave --samples out")
    if kind == "code":
        if not options.allow_code_execution:
            raise UsageError(f"{name}: its score comes from running programs that the model wrote; say --allow-code-execution to run them in a sandbox")
        check_isolation()
    shots = protocol.shots if options.shots is None else options.shots
    return read(name, options.data, shots=reads_shots(name, benchmark, protocol, shots))


def _drawn(options: EvalOptions, protocol: Protocol, benchmark: Benchmark) -> Asking | None:
    """How a benchmark's answers are asked for; None where it is as the profile says, or choices are scored and nothing is written."""
    return None if _is_chosen(protocol, benchmark) or options.asking == Asking() else options.asking


def _is_chosen(protocol: Protocol, benchmark: Benchmark) -> bool:
    """Whether choices are scored by their likelihood, and nothing is written."""
    return (protocol.kind or benchmark.kind) in ("multiple_choice", "acceptability")


def _check_baseline(baseline: Path, profile: str, loaded: Sequence[LoadedBenchmark], options: EvalOptions) -> None:
    """InputError where the results of the base model were measured otherwise, or on other benchmarks: seen before anything is measured."""
    existing = {entry.id: entry for entry in read_scores(baseline).benchmarks}
    both = [entry for entry in loaded if entry.id in existing]
    if not both:
        raise InputError(f"{baseline}: has none of these benchmarks ({', '.join(entry.id for entry in loaded)}); give with --baseline results on the same ones")
    for entry in both:
        protocol = protocol_of(entry.id, entry.benchmark, profile)
        asking = _drawn(options, protocol, entry.benchmark)
        drawn = asking.samples if asking is not None and asking.temperature else 0
        name = score_name(entry.id, profile, protocol.shots if options.shots is None else options.shots, protocol.primary_metric, drawn)
        if existing[entry.id].name != name:
            raise InputError(f"{baseline}: its score is '{existing[entry.id].name}', and this evaluation's is '{name}'; they are not compared")


def _identity(source: Source, profile: str, loaded: Sequence[LoadedBenchmark], options: EvalOptions) -> dict[str, Any]:
    """What decides the figures: the model, the benchmarks' declarations and data, and the options."""
    return {
        "model": source.identity,
        "profile": profile,
        "benchmarks": {entry.id: {"declaration": sha256_file(entry.path), "data": entry.sha256} for entry in loaded},
        "shots": options.shots,
        "limit": options.limit,
        "seed": None if options.limit is None else options.seed,
        "dtype": options.dtype,
        "prompt_set": options.prompt_set,
        "check_batches": options.check_batches,
        "overlap": sha256_file(options.overlap) if options.overlap is not None else None,
        "texts": {text: sha256_file(Path(text)) for text in options.texts},
        **({"field": options.field} if options.texts and options.field != "text" else {}),
        **({"plugins": use_plugins(options.plugins)} if options.plugins else {}),
        **({"asking": asdict(options.asking)} if options.asking != Asking() else {}),
    }


def _part(out: Path, name: str) -> Path:
    slug = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")
    return out / PARTS / f"{slug}-{sha256_json(name)[:8]}"


def _measure(
    loaded: LoadedBenchmark, profile: str, options: EvalOptions, source: Source, overlap: Mapping[str, Mapping[str, float]] | None
) -> tuple[list[Output], BenchmarkScore]:
    """One benchmark: the outputs of its usual wording, and the score."""
    touched = None if overlap is None else overlap.get(loaded.id, {})
    scores: dict[str, BenchmarkScore] = {}
    kept: list[Output] = []
    for variant in _variants(loaded, profile, options):
        outputs, score = _ask(loaded, profile, options, source, touched, variant)
        kept = kept or outputs
        scores[variant or "default"] = score
    score = scores["default"]
    if options.prompt_set:
        score = replace(score, prompt_set=prompt_set(scores))
    return kept, score


def _ask(
    loaded: LoadedBenchmark, profile: str, options: EvalOptions, source: Source, touched: Mapping[str, float] | None, variant: str | None
) -> tuple[list[Output], BenchmarkScore]:
    protocol, outputs, check = _answers(loaded, profile, options, source, variant)
    score = score_benchmark(loaded, profile, protocol, outputs, touched, _drawn(options, protocol, loaded.benchmark))
    measured = len(divided(loaded.items, loaded.shots, protocol.division)[0])
    sample = Sample(options.seed, measured) if options.limit is not None and options.limit < measured else None
    undrawn = [f"sampling: {UNDRAWN}; --temperature changes nothing here"] if options.temperature and _is_chosen(protocol, loaded.benchmark) else []
    return outputs, replace(score, warnings=[*score.warnings, *undrawn, *source.backend.take_warnings()], batch_check=check, sample=sample)


def _answers(
    loaded: LoadedBenchmark, profile: str, options: EvalOptions, source: Source, variant: str | None, *, follows: bool = False
) -> tuple[Protocol, list[Output], BatchCheck | None]:
    """The answers under one wording, and what asking some again gave. A process that `follows` computes its share, says nothing and runs no program."""
    protocol, prompts = build_prompts(loaded, profile, shots=options.shots, limit=options.limit, seed=options.seed, variant=variant)
    rules, asking = loaded.benchmark.rules(profile), _drawn(options, protocol, loaded.benchmark) or Asking()
    title = f"{loaded.id}@{profile}" + (f" ({variant})" if variant else "")

    def ask(backend: Backend, prompts: Sequence[Prompt], title: str, runner: Callable[[str], bool] | None) -> list[Output]:
        if follows:
            return run_benchmark(loaded, protocol, prompts, backend, rules, lambda done, note: None, _no_program, asking)
        with progress(title, sum(len(prompt.choices) for prompt in prompts) or len(prompts) * asking.samples) as advance:
            return run_benchmark(loaded, protocol, prompts, backend, rules, advance, runner, asking)

    try:
        outputs = ask(source.backend, prompts, title, run_program if options.allow_code_execution else None)
        check = None
        if options.check_batches is not None and variant is None:
            chosen = spread(prompts, options.check_batches)
            check = check_batches(
                outputs, lambda backend, turned: ask(backend, chosen[::-1] if turned else chosen, f"{title} again", _no_program), source.backend
            )
    except JpAdaptError as error:
        raise type(error)(f"{loaded.id}: {error}") from error
    return protocol, outputs, check


def _no_program(program: str) -> bool:
    """Runs nothing: what is asked again is compared by its text."""
    return False


def _follow(name: str, loaded: Sequence[LoadedBenchmark], profile: str, options: EvalOptions, source: Source) -> None:
    """A benchmark's share of another process than the first."""
    entry = next(entry for entry in loaded if entry.id == name)
    for variant in _variants(entry, profile, options):
        _answers(entry, profile, options, source, variant, follows=True)


def _variants(loaded: LoadedBenchmark, profile: str, options: EvalOptions) -> list[str | None]:
    return [None, *protocol_of(loaded.id, loaded.benchmark, profile).variants] if options.prompt_set else [None]


def _write(out: Path, identity: dict[str, Any], profile: str, loaded: Sequence[LoadedBenchmark]) -> Scores:
    """scores.json and outputs.jsonl of what is finished."""
    description, texts = out / MODEL, out / TEXTS
    parts = [_part(out, entry.id) for entry in loaded]
    scores = Scores(
        model=read_json(description) if description.is_file() else identity["model"],
        profile=profile,
        benchmarks=[read_benchmark_score(part / "score.json") for part in parts],
        texts=text_scores(read_json(texts), str(texts)) if texts.is_file() else [],
        environment=environment(),
    )
    write_scores(out, scores)
    write_outputs(out / OUTPUTS, (output for part in parts for output in read_outputs(part)))
    return scores
