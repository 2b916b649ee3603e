"""`jp-adapt eval`: score a model on benchmarks, or continue with it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.cli.arguments import names_or_paths, positive, processes
from jp_adapt.cli.asking import add_asking, asking
from jp_adapt.cli.output import print_json
from jp_adapt.core.errors import UsageError

if TYPE_CHECKING:
    from jp_adapt.inference.model_source import Served

EPILOG = """A benchmark is a name as `jp-adapt list` gives it, or the path of a declaration of your own.
Those whose data is not shipped read it from --data, which holds the upstream repositories as folders
(`jp-adapt data fetch` fills it). A score's name says whose rules it follows: scores of different
profiles are never comparable.

what to do with results (jp-adapt eval ACTION --help says more):
  eval matrix          many models on many suites, and a leaderboard
  eval server          our engine behind an OpenAI-compatible address, for other harnesses
  eval compare         compare evaluations item by item
  eval published       an evaluation beside published scores of the same protocol
  eval page            an evaluation as a page with every item
  eval export-lm-eval  benchmarks as tasks of lm-eval"""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "eval",
        help="score a model on benchmarks",
        description="Score a model on benchmarks; the same command resumes after an interruption.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", type=Path, help="folder of a Hugging Face model, or ORG/NAME[@REVISION] of the hub; with --endpoint the name that the model has there"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--suite", metavar="S", help="suite of benchmarks (default: quick)")
    what.add_argument("--benchmarks", type=names_or_paths, default=(), metavar="A,B", help="benchmarks by name or path")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder that holds the upstream repositories of the benchmarks")
    parser.add_argument(
        "--missing", choices=("refuse", "skip"), default="refuse", help="benchmarks whose data is not there: an error, or left out (default: refuse)"
    )
    add_asking(parser)
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="measure a sample of N items of each benchmark, categories and labels in their shares; of a mean over categories at least one item of each",
    )
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="arithmetic (default: auto)")
    parser.add_argument("--prompt-set", action="store_true", help="measure every wording of the prompt: mean and range")
    parser.add_argument("--overlap", type=Path, metavar="FILE", help="overlap of items with a training corpus: clean and touched items apart")
    parser.add_argument("--texts", nargs="+", default=[], metavar="FILE", help="texts to measure in bits per byte and character")
    parser.add_argument("--field", default="text", metavar="NAME", help="field of a line, or column, that holds the text of --texts (default: text)")
    parser.add_argument("--allow-code-execution", action="store_true", help="run programs that the model writes, in a sandbox (Linux)")
    parser.add_argument(
        "--baseline", type=Path, metavar="RUN", help="results of the base model on the same benchmarks: the page compares the two, item by item"
    )
    parser.add_argument(
        "--check-batches", type=positive, metavar="N", help="ask N items of each benchmark again, alone and in other batches: answers that flip"
    )
    parser.add_argument("--processes", type=processes, metavar="N", help="measure with N processes of this machine (one per GPU)")
    parser.add_argument("--backend", default="local", metavar="NAME", help="what computes: local, vllm, or an engine of a plugin (default: local)")
    parser.add_argument("--plugin", action="append", default=[], metavar="NAME", help="use an installed plugin: its metrics and engines")
    parser.add_argument("--endpoint", metavar="URL", help="ask a model behind an OpenAI-compatible address, ending in /v1")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key of --endpoint")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="tokenizer of the model behind --endpoint: tokens are sent, not texts")
    parser.add_argument("--parallel", type=positive, metavar="N", help="requests at a time to --endpoint (default: 4)")
    parser.add_argument("--timeout", type=positive, metavar="S", help="seconds for one request to --endpoint (default: 120)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: runs/eval-NAME)")
    parser.add_argument("--name", metavar="NAME", help="what the model is called in results and pages (default: its folder; RUN/STAGE for what a stage made)")
    parser.add_argument("--json", action="store_true", help="print scores.json")
    parser.set_defaults(main=main)


def _served(args: argparse.Namespace) -> Served | None:
    """What the options say of an endpoint. UsageError for options of one that is not named."""
    from jp_adapt.inference.model_source import Served

    given = {"api_key_env": args.api_key_env, "tokenizer": args.tokenizer, "parallel": args.parallel, "timeout_s": args.timeout}
    given = {name: value for name, value in given.items() if value is not None}
    if args.endpoint is not None:
        return Served(args.endpoint, **given)
    if given:
        flags = {"api_key_env": "--api-key-env", "timeout_s": "--timeout"}
        raise UsageError(f"{', '.join(flags.get(name, f'--{name}') for name in given)}: only together with --endpoint")
    return None


def main(args: argparse.Namespace) -> int:
    from jp_adapt.core.launch import LAUNCHED, end_with_launcher, is_first_process, run_processes

    if args.processes is not None and LAUNCHED not in os.environ:
        return run_processes(args.processes, args.given)
    end_with_launcher()
    from jp_adapt.commands.compare import PAGE, compare
    from jp_adapt.commands.evaluate import EvalOptions, evaluate
    from jp_adapt.commands.processes import joined_processes
    from jp_adapt.core.files import read_json
    from jp_adapt.core.names import folder_name, model_name
    from jp_adapt.evaluation.results import SCORES
    from jp_adapt.report.tables import comparison_lines, summary_table

    options = EvalOptions(
        suite=args.suite,
        benchmarks=args.benchmarks,
        data=args.data,
        **asking(args),
        limit=args.limit,
        dtype=args.dtype,
        prompt_set=args.prompt_set,
        allow_code_execution=args.allow_code_execution,
        overlap=args.overlap,
        texts=tuple(args.texts),
        field=args.field,
        baseline=args.baseline,
        backend=args.backend,
        served=_served(args),
        check_batches=args.check_batches,
        plugins=tuple(args.plugin),
        name=args.name,
        missing=args.missing,
    )
    named = args.name or (str(args.model) if args.endpoint is not None else model_name(args.model))
    out = args.out or Path("runs") / f"eval-{folder_name(named)}"
    scores = evaluate(args.model, out, options, processes=joined_processes())
    if not is_first_process():
        return 0
    if args.json:
        print_json(read_json(out / SCORES))
        return 0
    print(summary_table(scores))
    if args.baseline is not None:
        print("\n".join(comparison_lines(compare([args.baseline, out]))))
    print(f"Scores: {out / SCORES}")
    print(f"Page: {out / PAGE}")
    return 0
