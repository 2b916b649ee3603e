"""`jp-adapt export`: what leaves the house, as files that others read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("export", help="write a model as files that others read", description="Write a model as files that others read.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_adapter(actions)


def _add_adapter(actions: Any) -> None:
    parser = actions.add_parser(
        "adapter",
        help="an adapter and its base as a plain model folder",
        description="Merge LoRA and new rows into the base, and prove that the merged model computes what was trained.",
    )
    parser.add_argument("adapter", type=Path, help="adapter folder, such as runs/NAME/stages/cpt/final")
    parser.add_argument("--base", type=Path, required=True, help="folder of the model that the adapter was trained on")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--tokenizer", type=Path, help="folder of the adapter's tokenizer, where it lies neither beside the adapter nor in the base")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="type of the written weights (default: float32)")
    parser.set_defaults(main=_adapter)


def _adapter(args: argparse.Namespace) -> int:
    from jp_adapt.core.progress import say
    from jp_adapt.export.adapter import merge_adapter

    difference = merge_adapter(args.adapter, args.base, args.out, tokenizer=args.tokenizer, dtype=args.dtype)
    say(f"merged and attached logits differ by at most {difference:.1e}")
    print(args.out)
    return 0
