"""The command `judge`: answers in, verdicts and their summary out, resumable at any moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.judge import JudgeTask, load_judge_task
from jp_adapt.core.claim import refuse_other_work
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import MAX_NAME_BYTES, read_json, refuse_unwritable, write_json, write_text
from jp_adapt.core.hashes import sha256_file, sha256_json
from jp_adapt.core.lock import folder_lock
from jp_adapt.core.progress import progress, say
from jp_adapt.evaluation.judge.answers import Answers, Item, read_answers, read_items, read_references
from jp_adapt.evaluation.judge.client import HttpJudge, Judge
from jp_adapt.evaluation.judge.recorded import read_recorded
from jp_adapt.evaluation.judge.requests import Judgement, build_judgements, estimate_tokens
from jp_adapt.evaluation.judge.run import Asking, Price, Usage, Verdict, as_record, judge_all
from jp_adapt.evaluation.judge.scores import calibrate_takes, calibration, summarise_takes, summary_of, write_model_scores
from jp_adapt.inference.reply_cache import ReplyCache

Report = dict[str, Any]
CLAIM, CACHE, JUDGEMENTS, SUMMARY = "judge.json", "cache.jsonl", "judgements.jsonl", "summary.json"
OWN_FILES = frozenset({CLAIM, CACHE, JUDGEMENTS, SUMMARY, ".lock"})


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


def judge(answers: Sequence[Path], benchmark: str, out: Path | None, options: JudgeOptions, *, dry_run: bool = False) -> Report:
    """Judge the answers of one or more models; the report is what OUT/summary.json holds. With `dry_run` only the estimate, and nothing is asked."""
    task, declaration = load_judge_task(benchmark)
    task = _adjusted(task, options)
    items, hashes = _load_items(task, options.data)
    models = _named([read_answers(path, task.benchmark) for path in answers])
    judgements = build_judgements(task, items, models)
    estimate = _estimate(task, judgements, options)
    if dry_run:
        return {"benchmark": task.benchmark, "models": [entry.model for entry in models], "estimate": estimate}
    if out is None:
        raise UsageError("--out is needed: the folder where the judgements are kept")
    refuse_unwritable(out)
    _check_cost(estimate, options)
    say(estimate_line(estimate))
    hashes["declaration"] = sha256_file(declaration)
    with folder_lock(out):
        stop = threading.Event()
        with _judge(options, stop) as asked:
            _claim(out, {"judge": asked.identity, "task": sha256_json(task.model_dump(mode="json")), "answers": {m.model: m.turns for m in models}})
            verdicts, usage, cut = _ask(task, asked, judgements, out, options, stop)
        report = {
            "format": 1,
            "benchmark": task.benchmark,
            "version": task.version,
            "licence": task.license,
            "source": task.source,
            "judge": asked.identity,
            "takes": options.takes,
            "sha256": hashes | {str(entry.path): sha256_file(entry.path) for entry in models},
            "estimate": estimate,
            "usage": _used(usage, options.price),
            "half_written_lines": cut,
            **_outcome(verdicts),
            **summary_of(task, verdicts),
        }
        judged = any(entry.score is not None for entry in verdicts)
        report["calibration"] = calibration(task, report, verdicts, options.calibrate) if options.calibrate and judged else None
        write_text(out / JUDGEMENTS, "".join(json.dumps(as_record(entry, task.benchmark), ensure_ascii=False) + "\n" for entry in verdicts))
        write_json(out / SUMMARY, report)
        if task.kind == "score":
            for entry in models:
                write_model_scores(out / entry.model, task, asked.identity, entry.model, verdicts, hashes)
    return report


def summarise_recorded(paths: Sequence[Path], benchmark: str, calibrate: Sequence[Path] = ()) -> Report:
    """The summary of judgements that somebody recorded: means, errors, agreement of the takes. Nothing is asked."""
    task, _ = load_judge_task(benchmark)
    if task.kind != "score":
        raise UsageError(f"{task.benchmark} is judged in pairs; --recorded is for scores")
    results = read_recorded(paths)
    report: Report = {"benchmark": task.benchmark, "sha256": {str(path): sha256_file(path) for path in paths}, "models": summarise_takes(task, results, {})}
    report["calibration"] = calibrate_takes(task, results, calibrate) if calibrate else None
    return report


def _adjusted(task: JudgeTask, options: JudgeOptions) -> JudgeTask:
    changes: dict[str, Any] = {} if options.response_format else {"response_format": None}
    changes |= {name: value for name in ("temperature", "max_tokens") if (value := getattr(options, name)) is not None}
    if options.turns is not None:
        changes["prompts"] = [prompt for prompt in task.prompts if prompt.turn <= options.turns]
    return task.model_copy(update=changes)


def _load_items(task: JudgeTask, data: Path | None) -> tuple[list[Item], dict[str, str]]:
    """The items with their reference answers, and the hashes of the files they came from."""
    if data is None:
        raise UsageError(f"--data is needed: the folder in which {task.items.file} lies (each benchmark in the layout of its upstream repository)")
    path = data / task.items.file
    if not path.is_file():
        raise InputError(f"{path}: no such file; --data names the folder in which {task.items.file} lies")
    items, hashes = read_items(path, task.items.layout), {task.items.file: sha256_file(path)}
    if task.references:
        references = read_references(data / task.references)
        hashes[task.references] = sha256_file(data / task.references)
        items = [replace(item, reference=references.get(item.id, ())) for item in items]
    return items, hashes


def _named(answers: Sequence[Answers]) -> list[Answers]:
    """The answers under names of which none stands twice and each can be the name of a folder."""
    taken: dict[str, Path] = {}
    for entry in answers:
        if entry.model in taken:
            raise UsageError(f"{entry.path} and {taken[entry.model]} are both answers of '{entry.model}' by their names; rename a file or a folder")
        if entry.model in ("", ".", "..") or "/" in entry.model:
            raise UsageError(f"{entry.path}: no name for the model can be told from this path; give the file itself, with a name")
        if entry.model.casefold() in OWN_FILES or len(entry.model.encode()) > MAX_NAME_BYTES:
            why = "is a file of the judging itself" if entry.model.casefold() in OWN_FILES else f"is longer than {MAX_NAME_BYTES} bytes"
            raise UsageError(f"{entry.path}: the model's scores go to a folder of its name, and '{entry.model[:40]}' {why}; rename the file")
        taken[entry.model] = entry.path
    return list(answers)


def _estimate(task: JudgeTask, judgements: Sequence[Judgement], options: JudgeOptions) -> Report:
    tokens_in, tokens_out = (count * options.takes for count in estimate_tokens(judgements, task.typical_output_chars))
    requests = options.takes * sum(entry.settled is None for entry in judgements)
    return {"requests": requests, "tokens_in": tokens_in, "tokens_out": tokens_out, "cost": options.price.cost(tokens_in, tokens_out)}


def estimate_line(estimate: Report) -> str:
    """The estimate in words."""
    cost = "cost unknown (give --price-in and --price-out)" if estimate["cost"] is None else f"about {estimate['cost']:.2f}"
    return f"up to {estimate['requests']:,} requests, about {estimate['tokens_in']:,} tokens in and {estimate['tokens_out']:,} out: {cost}"


def _check_cost(estimate: Report, options: JudgeOptions) -> None:
    if options.max_cost is None:
        return
    if estimate["cost"] is None:
        raise UsageError("--max-cost needs --price-in and --price-out, the prices of a million tokens")
    if estimate["cost"] > options.max_cost:
        raise UsageError(f"about {estimate['cost']:.2f} is more than --max-cost {options.max_cost:g}; nothing was asked")


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


def _claim(out: Path, settings: Report) -> None:
    """The folder is this judging's, or RunFolderError: another judge, prompt or answers must not be mixed with what is there. A judging that came to no reply
    holds no folder."""
    path, cache, parts = out / CLAIM, out / CACHE, {name: sha256_json(value) for name, value in settings.items()}
    if path.exists() and cache.exists() and cache.stat().st_size:
        claimed = read_json(path)
        hashes = claimed.get("sha256") if isinstance(claimed, dict) else None
        refuse_other_work(out, hashes if isinstance(hashes, dict) else {}, parts, "judging")
    write_json(path, {"format": 1, "identity": settings["judge"], "sha256": parts})


def _ask(
    task: JudgeTask, asked: Judge, judgements: Sequence[Judgement], out: Path, options: JudgeOptions, stop: threading.Event
) -> tuple[list[Verdict], Usage, int]:
    with ReplyCache(out / CACHE) as cache, progress("judging", options.takes * len(judgements)) as advance:
        asking = Asking(task, asked, cache, options.price, options.max_cost, stopped=stop)
        return judge_all(asking, judgements, options.takes, options.parallel, advance), asking.usage, cache.cut_lines


def _used(usage: Usage, price: Price) -> Report:
    return vars(usage) | {"cost": price.cost(usage.tokens_in, usage.tokens_out), "fresh_cost": price.cost(usage.fresh_in, usage.fresh_out)}


def _outcome(verdicts: Sequence[Verdict]) -> Report:
    """How many judgements there are, and of which there is no verdict."""
    failed = [entry for entry in verdicts if entry.score is None]
    asked = [entry for entry in verdicts if entry.judgement.settled is None]
    models = dict.fromkeys(model for entry in asked for model in entry.judgement.models)
    return {
        "judgements": len(verdicts),
        "empty_answers": sum(entry.judgement.settled is not None for entry in verdicts),
        "without_verdict": len(failed),
        "requests_failed": sum(entry.request_failed for entry in failed),
        "asked_again": sum(entry.attempts > 1 for entry in verdicts),
        "models_without_verdict": [model for model in models if all(entry.score is None for entry in asked if model in entry.judgement.models)],
        "failures": [
            {"models": list(v.judgement.models), "item": v.judgement.item, "turn": v.judgement.turn, "take": v.take, "why": v.failure} for v in failed
        ],
    }
