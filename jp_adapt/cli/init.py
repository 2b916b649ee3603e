"""`jp-adapt init`: a first recipe from a base, texts and conversations of one's own."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.cli.arguments import count

if TYPE_CHECKING:
    from jp_adapt.recipe.load import LoadedRecipe
    from jp_adapt.recipe.new_recipe import RecipeParts

EPILOG = """The recipe is checked as `jp-adapt check` does before it stays. It is meant to be read and changed: it is short, and its comments say what each
part is for."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "init",
        help="write a recipe from your model, your text, your chats",
        description="Write a recipe from your model, your Japanese text and your conversations. Nothing is asked, and nothing runs.",
        epilog=EPILOG,
    )
    parser.add_argument("recipe", type=Path, metavar="FILE.yaml", help="new recipe file")
    parser.add_argument(
        "--base",
        required=True,
        help="model to adapt: a folder, a GGUF file, ORG/NAME[@REVISION] of the hub, or a shipped recipe (quickstart), whose base it is",
    )
    parser.add_argument("--texts", nargs="+", default=(), metavar="FILE", help="Japanese text: .jsonl, .txt, .csv, .parquet, or patterns of these")
    parser.add_argument("--english", nargs="+", default=(), metavar="FILE", help="English text, so that the model keeps its English")
    parser.add_argument("--chats", nargs="+", default=(), metavar="FILE", help="conversations to tune on (.jsonl; docs/sft.md)")
    parser.add_argument("--field", default="text", help="field of the text in .jsonl, .csv and .parquet (default: text)")
    parser.add_argument(
        "--new-tokens",
        type=count,
        metavar="N",
        help="Japanese tokens to add (default: by the size of the text, none where the tokenizer cannot be extended; 0: none)",
    )
    parser.add_argument("--epochs", type=_share_or_more, default=1.0, metavar="E", help="how often the text is read (default: 1)")
    parser.add_argument("--heldout", type=_share, default=0.01, metavar="S", help="share of each source that is held out (default: 0.01; 0: none)")
    parser.set_defaults(main=main)


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share below 1: something must stay to learn from")
    return number


def _share_or_more(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0 and at most 1000")
    return number


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.json_schema import place_schema
    from jp_adapt.core.errors import InputError, UsageError
    from jp_adapt.core.files import refuse_existing, write_text
    from jp_adapt.core.progress import say
    from jp_adapt.pipeline.inputs import load_checked
    from jp_adapt.recipe.new_recipe import RecipeParts, recipe_text, repeated_files

    if args.recipe == Path():
        raise UsageError("no recipe file is named; give FILE.yaml")
    if args.recipe.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{args.recipe}: a recipe is a file that ends in .yaml; give {args.recipe.name}.yaml")
    refuse_existing(args.recipe, "FILE.yaml")

    def written(parts: RecipeParts) -> tuple[LoadedRecipe, list[str]]:
        """The recipe, checked, and what should be known of it. One that is refused does not stay."""
        write_text(args.recipe, recipe_text(parts, args.recipe))
        try:
            return load_checked(args.recipe)
        except BaseException:
            args.recipe.unlink()
            raise

    files = (tuple(args.texts), tuple(args.english), tuple(args.chats))
    parts = RecipeParts(args.base, *files, args.new_tokens, args.epochs, args.heldout, args.field)
    unextended: list[str] = []
    try:
        loaded, notes = written(parts)
    except InputError as error:
        if not args.texts or args.new_tokens is not None:
            raise
        loaded, notes = written(replace(parts, new_tokens=0))  # raises again where something else is wrong
        unextended = [f"no new tokens are added: {error}"]
    place_schema("recipe", args.recipe.parent)
    for note in [*unextended, *repeated_files(parts), *notes]:
        say(f"note: {note}")
    print(f"{args.recipe}: " + " -> ".join(f"{stage.id} ({stage.kind})" for stage in loaded.recipe.stages))
    recipe = shlex.quote(str(args.recipe))
    print(f"Next: jp-adapt plan {recipe}\n      jp-adapt run {recipe} --out runs/{loaded.recipe.name}")
    return 0
