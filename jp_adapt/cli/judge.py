"""`jp-adapt judge`: let a chat model judge the answers of other models."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import amount, positive
from jp_adapt.cli.output import print_json

EPILOG = """Answers are the outputs.jsonl of an evaluation (or its folder), FastChat's or Rakuda's answer file, or gpt4-autoeval's preds.jsonl. Every
judgement is kept in OUT/cache.jsonl as soon as it comes: after any interruption the same command resumes, and asks for nothing twice."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("judge", help="let a chat model judge answers", description="Let a chat model judge the answers of other models.", epilog=EPILOG)
    parser.add_argument("answers", nargs="*", type=Path, metavar="ANSWERS", help="the answers of one model each")
    parser.add_argument("--benchmark", required=True, metavar="B", help="ja/elyza-tasks-100, ja/mt-bench, ja/rakuda, or the file of a declaration")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the benchmarks, each in the layout of its upstream repository")
    parser.add_argument("--endpoint", metavar="URL", help="OpenAI-compatible address, ending in /v1")
    parser.add_argument("--judge-model", metavar="NAME", help="name of the judge at the endpoint; without --endpoint the folder of a model")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the judgements; the same folder again resumes")
    parser.add_argument("--takes", type=positive, default=1, metavar="K", help="judge everything K times (default: 1)")
    parser.add_argument("--parallel", type=positive, default=4, metavar="N", help="requests at a time (default: 4)")
    parser.add_argument("--timeout", type=amount, default=120.0, metavar="S", help="seconds for one request (default: 120)")
    parser.add_argument("--temperature", type=amount, metavar="T", help="instead of the declaration's")
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
    from jp_adapt.commands.judge import JudgeOptions, judge, summarise_recorded
    from jp_adapt.core.errors import UsageError
    from jp_adapt.evaluation.judge.run import Price

    if bool(args.answers) == bool(args.recorded):
        raise UsageError("give ANSWERS to be judged, or --recorded with judgements to be summarised")
    if args.recorded:
        report = summarise_recorded(args.recorded, args.benchmark, args.calibrate)
    else:
        options = JudgeOptions(
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
        report = judge(args.answers, args.benchmark, args.out, options, dry_run=args.dry_run)
    if args.json:
        print_json(report)
    else:
        print("\n".join(_lines(report)))
    return 1 if report.get("requests_failed") or report.get("models_without_verdict") else 0


def _lines(report: dict[str, Any]) -> list[str]:
    """The report for a reader."""
    if "estimate" in report and "usage" not in report:
        from jp_adapt.commands.judge import estimate_line

        return [f"{report['benchmark']}, {len(report['models'])} models: {estimate_line(report['estimate'])}"]
    lines = []
    for entry in report.get("models", []):
        low, high = entry["interval"]
        error = "" if entry["stderr"] is None else f" ± {entry['stderr']:.3f}"
        lines.append(f"{entry['mean']:6.3f}{error}  [{low:.2f}, {high:.2f}]  {entry['model']} ({entry['items']} items, {len(entry['takes'])} takes)")
        if entry["agreement"]:
            counts = ", ".join(f"{same} of {all}" for same, all in zip(entry["agreement"]["same"], entry["agreement"]["compared"], strict=True))
            lines.append(f"        takes agree on {counts}; at most one apart {100 * entry['agreement']['within_one_share']:.0f} %")
    ranking = report.get("ranking")
    for entry in ranking["strengths"] if ranking else []:
        lines.append(
            f"{entry['points']:7.0f}  [{entry['interval'][0]:.0f}, {entry['interval'][1]:.0f}]  wins {100 * entry['win_share']:.1f} %  {entry['model']}"
        )
    if ranking and ranking["decided_by_order"] is not None:
        lines.append(
            f"        first place worth {ranking['first_place_advantage']:+.0f} points; order decides {100 * ranking['decided_by_order']:.1f} % of pairs"
        )
    for model, entry in (report.get("calibration") or {}).items():
        if isinstance(entry, dict):
            lines.append(
                f"        {model} against the record: same {entry['same']} of {entry['judgements']}, kappa {_shown(entry['kappa'])}, "
                f"Pearson {_shown(entry['pearson'])}, mean shift {_shown(entry['mean_shift'])}"
            )
    return lines + _costs(report)


def _costs(report: dict[str, Any]) -> list[str]:
    if "usage" not in report:
        return []
    usage, lines = report["usage"], []
    cost = "cost unknown" if usage["cost"] is None else f"cost {usage['cost']:.4f}, of this run {usage['fresh_cost']:.4f}"
    unknown = f" ({usage['uncounted']} answers came without a count)" if usage["uncounted"] else ""
    lines.append(
        f"{usage['requests']:,} requests ({usage['fresh_requests']:,} now), {usage['tokens_in']:,} tokens in, {usage['tokens_out']:,} out{unknown}: {cost}"
    )
    if report["asked_again"]:
        lines.append(f"{report['asked_again']} of {report['judgements']} judgements were asked for again: the first answer was not in the form asked for")
    if report["without_verdict"]:
        why = "; ".join(sorted({failure["why"] for failure in report["failures"]})[:3])
        lines.append(f"{report['without_verdict']} of {report['judgements']} judgements have no verdict: {why}")
    lines += [f"no answer of {model} has a verdict" for model in report["models_without_verdict"]]
    return lines


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
