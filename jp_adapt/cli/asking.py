"""The options that say how models are asked, of `jp-adapt eval` and of `jp-adapt eval matrix`."""

from __future__ import annotations

import argparse
from typing import Any

from jp_adapt.cli.arguments import count, positive, seed, share, temperature

ASKING = ("profile", "shots", "seed", "system", "thought_tokens", "temperature", "top_p", "top_k", "samples")


def add_asking(parser: argparse.ArgumentParser) -> None:
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--profile", metavar="P", help="whose prompts and scorers (default: the suite's, else jp-adapt)")
    whose.add_argument("--chat", action="store_const", const="jp-adapt-chat", dest="profile", help="ask in the model's chat template: --profile jp-adapt-chat")
    parser.add_argument("--system", default="", metavar="TEXT", help="system prompt of --chat (default: none)")
    parser.add_argument(
        "--thought-tokens", type=count, metavar="N", help="what a thought may take beside the answer's budget (default: 2048 for a model that thinks)"
    )
    parser.add_argument("--temperature", type=temperature, default=0.0, metavar="T", help="of drawn answers (default: 0, the most probable tokens)")
    parser.add_argument("--top-p", type=share, default=1.0, metavar="P", help="draw from the most probable tokens that have this share together (default: 1)")
    parser.add_argument("--top-k", type=count, default=0, metavar="K", help="draw from the K most probable tokens (default: 0, all)")
    parser.add_argument("--samples", type=positive, default=1, metavar="N", help="draw N answers to an item: means, pass@k, majority@N (default: 1)")
    parser.add_argument("--shots", type=_shots, metavar="K", help="examples before each item (default: the protocol's)")
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="of the sample, the same items for every model, and of drawn answers (default: 0)")


def asking(args: argparse.Namespace) -> dict[str, Any]:
    """What they say, as fields of `EvalOptions`."""
    return {name: getattr(args, name) for name in ASKING}


def _shots(text: str) -> int:
    if not text.isdecimal() or int(text) > 64:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to 64")
    return int(text)
