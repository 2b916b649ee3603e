"""The command `judge`: answers in, verdicts and their summary out, resumable at any moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from jp_adapt.benchmarks.judge import JudgeTask, load_judge_task
from jp_adapt.core.claim import WorkRecord, refuse_folder
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import MAX_NAME_BYTES, refuse_unwritable, write_text
from jp_adapt.core.hashes import sha256_file, sha256_json
from jp_adapt.core.lock import folder_lock
from jp_adapt.core.progress import progress, say
from jp_adapt.evaluation.judge.answers import Answers, Item, benchmark_items, read_answers, read_items, read_references
from jp_adapt.evaluation.judge.client import HttpJudge, Judge
from jp_adapt.evaluation.judge.recorded import read_recorded
from jp_adapt.evaluation.judge.requests import Judgement, build_judgements, estimate_tokens
from jp_adapt.evaluation.judge.results import EARLIER_SUMMARY, SUMMARY, Estimate, Failure, JudgeSummary, Outcome, RecordedSummary, Used
from jp_adapt.evaluation.judge.run import Asking, Price, Usage, Verdict, as_record, judge_all
from jp_adapt.evaluation.judge.scores import calibrate_ranking, calibrate_takes, grades_of, ranking_of, summarise_takes, takes_of, write_model_scores
from jp_adapt.inference.reply_cache import ReplyCache
from jp_adapt.report.written import plural

CACHE, JUDGEMENTS = "cache.jsonl", "judgements.jsonl"
BEFORE_RESULTS = frozenset({CACHE, ".lock"})


@dataclass(frozen=True)
class JudgeOptions:
    """What `jp-adapt judge` may be told besides the answers and the benchmark."""

    data: Path | None = None
    endpoint: str | None = None
    judge_model: str | None = None
    api_key_env: str | None = None
    takes: int = 1
    parallel: int = 4
    timeout_s: float = 120.0
    price: Price = field(default_factory=Price)
    max_cost: float | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    response_format: bool = True
    turns: int | None = None
    calibrate: tuple[Path, ...] = ()


@dataclass(frozen=True)
class JudgeRecord(WorkRecord):
    """judge.json: the judge, and hashes of what it is asked and of the answers that it sees."""

    FILE: ClassVar[str] = "judge.json"
    WORK: ClassVar[str] = "judging"
    WHAT: ClassVar[str] = "the record of a judging"
    FORMAT: ClassVar[int] = 2

    format: int = 2

    @classmethod
    def upgraded(cls, value: dict[str, Any]) -> dict[str, Any] | None:
        """Format 1 holds the hashes apart from the judge."""
        hashes = value.get("sha256")
        if value.get("format") != 1 or not isinstance(hashes, dict):
            return None
        return {"format": 2, "identity": {"judge": value.get("identity"), "task": hashes.get("task"), "answers": hashes.get("answers")}}


OWN_FILES = BEFORE_RESULTS | {JudgeRecord.FILE, JUDGEMENTS, SUMMARY, EARLIER_SUMMARY}


@dataclass(frozen=True)
class JudgePlan:
    """What a judging will ask for, and what that will cost."""

    benchmark: str
    models: list[str]
    estimate: Estimate


@dataclass(frozen=True)
class _Work:
    """A judging before anything is asked: the benchmark, the hashes of its files, the answers and every judgement of them."""

    task: JudgeTask
    hashes: dict[str, str]
    models: list[Answers]
    judgements: list[Judgement]


def plan_judging(answers: Sequence[Path], benchmark: str, options: JudgeOptions) -> JudgePlan:
    """What `judge` will ask for; nothing is asked."""
    work = _work(answers, benchmark, options)
    return JudgePlan(work.task.benchmark, [entry.model for entry in work.models], _estimate(work, options))


def judge(answers: Sequence[str | Path], benchmark: str, out: str | Path | None, options: JudgeOptions) -> JudgeSummary:
    """Judge the answers of one or more models, into the folder `out`; what lies there of the same judging is not asked again.

    Raises:
        UsageError: an option is missing, or the estimate is above `max_cost`.
        InputError: answers or data are missing or wrong.
        RunFolderError: `out` holds another judging.
        EndpointError: the endpoint is down; what came is kept.
    """
    out = None if out is None else Path(out)
    work = _work([Path(path) for path in answers], benchmark, options)
    task, estimate = work.task, _estimate(work, options)
    if out is None:
        raise UsageError("--out is needed: the folder where the judgements are kept")
    refuse_unwritable(out)
    _check_cost(estimate, options)
    say(estimate_line(estimate))
    with folder_lock(out):
        stop = threading.Event()
        with _judge(options, stop) as asked:
            _claim(out, work, asked)
            verdicts, usage, cut = _ask(task, asked, work.judgements, out, options, stop)
        summary = JudgeSummary(
            benchmark=task.benchmark,
            version=task.version,
            licence=task.license,
            source=task.source,
            judge=asked.identity,
            takes=options.takes,
            sha256=work.hashes | {str(entry.path): sha256_file(entry.path) for entry in work.models},
            estimate=estimate,
            usage=_used(usage, options.price),
            half_written_lines=cut,
            **vars(_outcome(verdicts)),
            **_scores(task, verdicts, options.calibrate),
        )
        write_text(out / JUDGEMENTS, "".join(json.dumps(as_record(entry, task.benchmark), ensure_ascii=False) + "\n" for entry in verdicts))
        summary.write(out / SUMMARY)
        if task.kind != "pair":
            for entry in work.models:
                write_model_scores(out / entry.model, task, asked.identity, entry.model, verdicts, work.hashes)
    return summary


def summarise_recorded(paths: Sequence[Path], benchmark: str, calibrate: Sequence[Path] = ()) -> RecordedSummary:
    """The summary of judgements that somebody recorded: means, errors, agreement of the takes. Nothing is asked."""
    task, _ = load_judge_task(benchmark)
    if task.scale is None:
        raise UsageError(f"{task.benchmark} is judged in pairs; --recorded is for scores")
    takes = read_recorded(paths, task)
    calibration = calibrate_takes(task, takes, calibrate) if calibrate else None
    return RecordedSummary(task.benchmark, {str(path): sha256_file(path) for path in paths}, summarise_takes(task, takes), calibration)


def _work(answers: Sequence[Path], benchmark: str, options: JudgeOptions) -> _Work:
    task, declaration = load_judge_task(benchmark)
    task = _adjusted(task, options)
    items, hashes = _load_items(task, options.data)
    models = _named([read_answers(path, task.benchmark) for path in answers])
    return _Work(task, hashes | {"declaration": sha256_file(declaration)}, models, build_judgements(task, items, models))


def _scores(task: JudgeTask, verdicts: Sequence[Verdict], calibrate: Sequence[Path]) -> dict[str, Any]:
    """The fields of the summary that depend on the kind of the judging."""
    judged = any(entry.score is not None for entry in verdicts)
    if task.kind != "pair":
        return {
            "models": grades_of(task, verdicts),
            "calibration": calibrate_takes(task, takes_of(verdicts), calibrate) if calibrate and judged else None,
        }
    ranking = ranking_of(verdicts)
    return {"ranking": ranking, "calibration": calibrate_ranking(ranking, calibrate[0]) if calibrate and ranking is not None else None}


def _adjusted(task: JudgeTask, options: JudgeOptions) -> JudgeTask:
    changes: dict[str, Any] = {} if options.response_format else {"response_format": None}
    changes |= {name: value for name in ("temperature", "max_tokens") if (value := getattr(options, name)) is not None}
    if options.turns is not None:
        changes["prompts"] = [prompt for prompt in task.prompts if prompt.turn <= options.turns]
    return task.model_copy(update=changes)


def _load_items(task: JudgeTask, data: Path | None) -> tuple[list[Item], dict[str, str]]:
    """The items with their reference answers, and the hashes of the files they came from."""
    if task.items.file is None:
        items, hashes = benchmark_items(task.benchmark, data)
    else:
        path = _data_file(data, task.items.file)
        items, hashes = read_items(path, task.items.layout), {task.items.file: sha256_file(path)}
    if task.references:
        path = _data_file(data, task.references)
        references = read_references(path)
        hashes[task.references] = sha256_file(path)
        items = [replace(item, reference=references.get(item.id, ())) for item in items]
    return items, hashes


def _data_file(data: Path | None, name: str) -> Path:
    """A file of the data folder. UsageError without a folder, InputError where it is not there."""
    if data is None:
        raise UsageError(f"--data is needed: the folder in which {name} lies (each benchmark in the layout of its upstream repository)")
    if not (data / name).is_file():
        raise InputError(f"{data / name}: no such file; --data names the folder in which {name} lies")
    return data / name


def _named(answers: Sequence[Answers]) -> list[Answers]:
    """The answers under names of which none stands twice and each can be the name of a folder."""
    taken: dict[str, Path] = {}
    for entry in answers:
        if entry.model in taken:
            raise UsageError(f"{entry.path} and {taken[entry.model]} are both answers of '{entry.model}' by their names; rename a file or a folder")
        if entry.model in ("", ".", "..") or "/" in entry.model:
            raise UsageError(f"{entry.path}: the path gives the model no name; give the file itself, with a name")
        if entry.model.casefold() in OWN_FILES or len(entry.model.encode()) > MAX_NAME_BYTES:
            why = "is a file of the judging itself" if entry.model.casefold() in OWN_FILES else f"is longer than {MAX_NAME_BYTES} bytes"
            raise UsageError(f"{entry.path}: the model's scores go to a folder of its name, and '{entry.model[:40]}' {why}; rename the file")
        taken[entry.model] = entry.path
    return list(answers)


def _estimate(work: _Work, options: JudgeOptions) -> Estimate:
    tokens_in, tokens_out = (count * options.takes for count in estimate_tokens(work.judgements, work.task.typical_output_chars))
    requests = options.takes * sum(entry.settled is None for entry in work.judgements)
    return Estimate(requests, tokens_in, tokens_out, options.price.cost(tokens_in, tokens_out))


def estimate_line(estimate: Estimate) -> str:
    """The estimate in words."""
    cost = "cost unknown (give --price-in and --price-out)" if estimate.cost is None else f"about {estimate.cost:.2f}, in the currency of the prices"
    return f"up to {plural(estimate.requests, 'request')}, about {estimate.tokens_in:,} tokens in and {estimate.tokens_out:,} out: {cost}"


def _check_cost(estimate: Estimate, options: JudgeOptions) -> None:
    if options.max_cost is None:
        return
    if estimate.cost is None:
        raise UsageError("--max-cost needs --price-in and --price-out, the prices of a million tokens")
    if estimate.cost > options.max_cost:
        raise UsageError(f"about {estimate.cost:.2f} is more than --max-cost {options.max_cost:g}; nothing was asked")


@contextmanager
def _judge(options: JudgeOptions, stop: threading.Event) -> Iterator[Judge]:
    """The judge that the options name, an endpoint or a model folder; the waits of an endpoint end when `stop` is set."""
    if options.judge_model is None or (options.endpoint is None and not Path(options.judge_model).is_dir()):
        raise UsageError("--endpoint and --judge-model are needed, or --judge-model with the folder of a model on this machine")
    if options.endpoint is None:
        yield _local_judge(Path(options.judge_model), options)
        return
    with HttpJudge(options.endpoint, options.judge_model, key_variable=options.api_key_env, timeout_s=options.timeout_s, stopped=stop) as http:
        yield http


def _local_judge(folder: Path, options: JudgeOptions) -> Judge:
    """A model folder as the judge, told from others by the hashes of its small files and the sizes of its weights."""
    if options.temperature:
        raise UsageError("a model on this machine judges greedily; leave --temperature out, or serve it behind --endpoint")
    from jp_adapt.evaluation.judge.local import LocalJudge
    from jp_adapt.inference.model_folder import load_model
    from jp_adapt.model.sources import folder_files

    files = {path.name: path.stat().st_size if path.suffix == ".safetensors" else sha256_file(path) for path in folder_files(folder)}
    say(f"loading {folder}")
    return LocalJudge(load_model(folder).backend, {"model": folder.resolve().name, "files": files})


def _claim(out: Path, work: _Work, asked: Judge) -> None:
    """The folder is this judging's, or RunFolderError: another judge, prompt or answers must not be mixed with what is there."""
    answers = {entry.model: entry.turns for entry in work.models}
    task = work.task.model_dump(mode="json", exclude={"protocol"} if work.task.protocol is None else None)  # earlier folders know no `protocol`
    identity = {"judge": asked.identity, "task": sha256_json(task), "answers": sha256_json(answers)}
    cache = out / CACHE
    refuse_folder(out, JudgeRecord, identity, results=cache.is_file() and cache.stat().st_size > 0, before_results=BEFORE_RESULTS)
    JudgeRecord(identity).write(out / JudgeRecord.FILE)


def _ask(
    task: JudgeTask, asked: Judge, judgements: Sequence[Judgement], out: Path, options: JudgeOptions, stop: threading.Event
) -> tuple[list[Verdict], Usage, int]:
    with ReplyCache(out / CACHE) as cache, progress("judging", options.takes * len(judgements)) as advance:
        asking = Asking(task, asked, cache, options.price, options.max_cost, stopped=stop)
        return judge_all(asking, judgements, options.takes, options.parallel, advance), asking.usage, cache.cut_lines


def _used(usage: Usage, price: Price) -> Used:
    return Used(**vars(usage), cost=price.cost(usage.tokens_in, usage.tokens_out), fresh_cost=price.cost(usage.fresh_in, usage.fresh_out))


def _outcome(verdicts: Sequence[Verdict]) -> Outcome:
    failed = [entry for entry in verdicts if entry.score is None]
    asked = [entry for entry in verdicts if entry.judgement.settled is None]
    models = dict.fromkeys(model for entry in asked for model in entry.judgement.models)
    return Outcome(
        judgements=len(verdicts),
        empty_answers=sum(entry.judgement.settled is not None for entry in verdicts),
        without_verdict=len(failed),
        requests_failed=sum(entry.request_failed for entry in failed),
        asked_again=sum(entry.attempts > 1 for entry in verdicts),
        models_without_verdict=[model for model in models if all(entry.score is None for entry in asked if model in entry.judgement.models)],
        failures=[Failure(list(v.judgement.models), v.judgement.item, v.judgement.turn, v.take, v.failure) for v in failed],
    )
