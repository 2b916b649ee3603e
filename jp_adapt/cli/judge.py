"""`jp-adapt judge`: let a chat model judge the answers of other models."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.cli.arguments import amount, positive, temperature
from jp_adapt.cli.output import print_json

if TYPE_CHECKING:
    from jp_adapt.commands.judge import JudgeOptions

EPILOG = """Answers are the outputs.jsonl of an evaluation (or its folder), FastChat's, Rakuda's or LLaVA's answer file, or gpt4-autoeval's preds.jsonl.
Every judgement is kept in OUT/cache.jsonl as soon as it comes: after any interruption the same command resumes, and asks for nothing twice."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("judge", help="let a chat model judge answers", description="Let a chat model judge the answers of other models.", epilog=EPILOG)
    parser.add_argument("answers", nargs="*", type=Path, metavar="ANSWERS", help="the answers of one model each")
    parser.add_argument(
        "--benchmark", required=True, metavar="B", help="ja/elyza-tasks-100, ja/mt-bench, ja/rakuda, ja/heron-bench, ... (docs/judging.md), or a file"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the benchmarks, each in the layout of its upstream repository")
    parser.add_argument("--endpoint", metavar="URL", help="OpenAI-compatible address, ending in /v1")
    parser.add_argument("--judge-model", metavar="NAME", help="name of the judge at the endpoint; without --endpoint the folder of a model")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the judgements; the same folder again resumes")
    parser.add_argument("--takes", type=positive, default=1, metavar="K", help="judge everything K times (default: 1)")
    parser.add_argument("--parallel", type=positive, default=4, metavar="N", help="requests at a time (default: 4)")
    parser.add_argument("--timeout", type=amount, default=120.0, metavar="S", help="seconds for one request (default: 120)")
    parser.add_argument("--temperature", type=temperature, metavar="T", help="instead of the declaration's")
    parser.add_argument("--max-tokens", type=positive, metavar="N", help="most tokens of a judgement, instead of the declaration's")
    parser.add_argument("--turns", type=positive, metavar="N", help="judge the first N turns of each answer alone")
    parser.add_argument("--no-response-format", dest="response_format", action="store_false", help="for endpoints that do not know `response_format`")
    parser.add_argument("--price-in", type=amount, metavar="P", help="price of a million tokens in")
    parser.add_argument("--price-out", type=amount, metavar="P", help="price of a million tokens out")
    parser.add_argument("--max-cost", type=amount, metavar="C", help="ask for nothing once this run has cost so much")
    parser.add_argument("--calibrate", nargs="+", type=Path, default=[], metavar="FILE", help="recorded judgements, or a ranking, to compare with")
    parser.add_argument("--recorded", nargs="+", type=Path, metavar="FILE", help="summarise recorded judgements instead; nothing is asked")
    parser.add_argument("--dry-run", action="store_true", help="say how many requests and tokens it would take")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.judge import estimate_line, judge, plan_judging, summarise_recorded
    from jp_adapt.core.errors import UsageError
    from jp_adapt.report.judge_tables import judging_lines, recorded_lines
    from jp_adapt.report.written import plural

    if bool(args.answers) == bool(args.recorded):
        raise UsageError("give ANSWERS to be judged, or --recorded with judgements to be summarised")
    if args.recorded and args.out is not None:
        raise UsageError("--out: recorded judgements are summarised on stdout, and nothing is written; leave it out (--json prints all of it)")
    if args.recorded:
        recorded = summarise_recorded(args.recorded, args.benchmark, args.calibrate)
        _print(args, asdict(recorded), recorded_lines(recorded))
        return 0
    if args.dry_run:
        plan = plan_judging(args.answers, args.benchmark, _options(args))
        _print(args, asdict(plan), [f"{plan.benchmark}, {plural(len(plan.models), 'model')}: {estimate_line(plan.estimate)}"])
        return 0
    summary = judge(args.answers, args.benchmark, args.out, _options(args))
    _print(args, summary.as_dict(), judging_lines(summary))
    return 1 if summary.requests_failed or summary.models_without_verdict else 0


def _options(args: argparse.Namespace) -> JudgeOptions:
    from jp_adapt.commands.judge import JudgeOptions
    from jp_adapt.evaluation.judge.run import Price

    return JudgeOptions(
        data=args.data,
        endpoint=args.endpoint,
        judge_model=args.judge_model,
        api_key_env=args.api_key_env,
        takes=args.takes,
        parallel=args.parallel,
        timeout_s=args.timeout,
        price=Price(args.price_in, args.price_out),
        max_cost=args.max_cost,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        response_format=args.response_format,
        turns=args.turns,
        calibrate=tuple(args.calibrate),
    )


def _print(args: argparse.Namespace, value: dict[str, Any], lines: list[str]) -> None:
    if args.json:
        print_json(value)
    else:
        print("\n".join(lines))
