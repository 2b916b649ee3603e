"""`jp-adapt check`: is a recipe right? Nothing runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json
from jp_adapt.core.errors import UsageError
from jp_adapt.report.written import plural

UNTESTED = "Nobody has run this recipe at its size yet."


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "check", help="check a recipe without running it", description="Check a recipe and the files it names, or a declaration; all problems are listed."
    )
    parser.add_argument("recipe", help="name of a shipped recipe or corpus recipe, or path of one; or of a merge recipe, benchmark, suite or judge")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--json", action="store_true", help="print the resolved recipe as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    path, resolved, summary = _checker(args.recipe)(args)
    if args.json:
        print_json(resolved)
    else:
        print(f"{path}: OK, no problems\n{summary}")
    return 0


def _checker(name: str) -> Callable[[argparse.Namespace], tuple[Path, dict[str, Any], str]]:
    """What checks a file: told by the keys that only its kind has, as a benchmark has `protocols`."""
    from jp_adapt.core.yaml_lines import load_yaml
    from jp_adapt.recipe.load_corpus import is_corpus_recipe

    path = Path(name)
    value = load_yaml(path).value if path.suffix in (".yaml", ".yml") and path.is_file() else None
    kinds = {"protocols": _benchmark, "answer_format": _judge, "method": _merge, "benchmarks": _suite}
    own = [check for key, check in kinds.items() if isinstance(value, dict) and key in value and not {"stages", "extends"} & value.keys()]
    return own[0] if own else _corpus if is_corpus_recipe(name) else _recipe


def _benchmark(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.benchmarks.items import load_benchmark, load_declaration

    _no_settings(args)
    benchmark, path = load_declaration(args.recipe)
    what = f"benchmark: {benchmark.title} ({benchmark.kind})"
    if benchmark.data.folder is not None:
        return path, benchmark.model_dump(mode="json"), f"{what}; its items are read with eval --data"
    return path, benchmark.model_dump(mode="json"), f"{what}, {len(load_benchmark(args.recipe).items):,} items"


def _suite(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.benchmarks.benchmark import Suite
    from jp_adapt.benchmarks.declaration import load_declaration
    from jp_adapt.benchmarks.items import load_declaration as load_benchmark_declaration

    _no_settings(args)
    path = Path(args.recipe)
    suite = load_declaration(path, Suite)
    for name in suite.benchmarks:
        load_benchmark_declaration(name)
    return path, suite.model_dump(mode="json"), f"suite: {suite.title}; {plural(len(suite.benchmarks), 'benchmark')}"


def _judge(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.benchmarks.judge import load_judge_task

    _no_settings(args)
    task, path = load_judge_task(args.recipe)
    return path, task.model_dump(mode="json"), f"judge: {task.title}; {plural(len(task.prompts), 'prompt')}"


def _merge(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.recipe.load_merge import load_merge

    loaded = load_merge(Path(args.recipe), args.set)
    return (
        loaded.path,
        loaded.recipe.model_dump(mode="json", by_alias=True, exclude_none=True),
        f"merge: {loaded.recipe.method} of {', '.join(loaded.recipe.models)}",
    )


def _no_settings(args: argparse.Namespace) -> None:
    if args.set:
        raise UsageError(f"-s {args.set[0]}: settings are of recipes; change the declaration {args.recipe} itself")


def _recipe(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.core.progress import say
    from jp_adapt.pipeline.inputs import load_checked

    loaded, notes = load_checked(args.recipe, args.set)
    for note in notes:
        say(f"note: {note}")
    stages = " -> ".join(f"{stage.id} ({stage.kind})" for stage in loaded.recipe.stages)
    return loaded.path, loaded.recipe.model_dump(mode="json"), stages + (f"\n{UNTESTED}" if loaded.recipe.untested else "")


def _corpus(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.commands.corpus import check_corpus
    from jp_adapt.recipe.load_corpus import load_corpus

    loaded = load_corpus(args.recipe, args.set)
    check_corpus(loaded)
    recipe = loaded.recipe
    steps = [str(step["kind"]) for step in recipe.steps] + (["deduplicate"] if recipe.deduplicate != "none" else [])
    return loaded.path, recipe.model_dump(mode="json"), " -> ".join([f"{', '.join(recipe.sources)} (sources)", *steps])
