"""`jp-adapt copy`: a shipped recipe with its texts, to change as one likes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "copy", help="copy a shipped recipe, with its texts, into a new folder", description="Copy a shipped recipe and the texts it names into a new folder."
    )
    parser.add_argument("name", help="name as `jp-adapt list` gives it")
    parser.add_argument("folder", type=Path, help="new folder")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.copy_recipe import copy_recipe

    print(copy_recipe(args.name, args.folder))
    return 0
