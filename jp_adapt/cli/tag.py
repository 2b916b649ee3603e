"""`jp-adapt runs tag`: words by which runs are found and grouped."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "runs tag",
        description="Give a run, an evaluation, a corpus, a tokenizer or a merge tags, by which jp-adapt runs and the page of jp-adapt ui filter and group. "
        "They lie in its folder, in the file TAGS, and move with it. Without a tag, those that it has are printed.",
    )
    parser.add_argument("path", type=Path, metavar="RUN", help="folder of the run, evaluation, corpus, tokenizer or merge")
    parser.add_argument("tags", nargs="*", metavar="TAG", help="letters, digits and . _ - : + /")
    parser.add_argument("--remove", action="append", default=[], metavar="TAG", help="take a tag away; may be given several times")
    parser.set_defaults(main=main, rest="tags")


def main(args: argparse.Namespace) -> int:
    from jp_adapt.core.errors import UsageError
    from jp_adapt.ui.tags import change_tags

    if args.tags and not args.path.exists() and Path(args.tags[-1]).is_dir():
        turned = shlex.join([args.tags[-1], str(args.path), *args.tags[:-1]])
        raise UsageError(f"{args.path}: no such folder; the folder stands before its tags: jp-adapt runs tag {turned}")
    tags = change_tags(args.path, add=args.tags, remove=args.remove)
    print(f"{args.path}: {', '.join(tags) or 'no tags'}")
    return 0
