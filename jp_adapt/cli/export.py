"""`jp-adapt export`: what leaves the house, as files that others read."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.cli.arguments import names, positive
from jp_adapt.cli.output import print_json

if TYPE_CHECKING:
    from jp_adapt.export.gguf import GgufExport


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("export", help="write a model as files that others read", description="Write a model as files that others read.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_adapter(actions)
    _add_gguf(actions)
    _add_ollama(actions)
    _add_vllm_adapter(actions)
    _add_hub(actions)


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


def _add_gguf(actions: Any) -> None:
    parser = actions.add_parser(
        "gguf",
        help="a model folder as GGUF files, for llama.cpp and what is built on it",
        description="Write a model folder as GGUF, and prove that the file holds the same tokenizer and weights; with jp-adapt[gguf] also that llama.cpp "
        "computes the same from it. A file that differs does not appear.",
    )
    parser.add_argument("model", type=Path, help="folder of a Hugging Face model, such as runs/NAME/stages/model/final")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file; of several types each gets its type into its name: FILE-Q8_0.gguf")
    parser.add_argument(
        "--type",
        "--outtype",
        type=names,
        default=("auto",),
        metavar="T,...",
        dest="types",
        help="auto (BF16 for bfloat16 weights, else F16; the default), F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0; with jp-adapt[gguf] Q6_K, Q5_K_M, Q4_K_M",
    )
    parser.add_argument("--name", help="name of the model in the file (default: the folder's)")
    parser.add_argument("--json", action="store_true", help="print what was written and proven as JSON")
    parser.set_defaults(main=_gguf)


def _gguf(args: argparse.Namespace) -> int:
    from jp_adapt.export.gguf import export_gguf

    exports = export_gguf(args.model, args.out, args.types, name=args.name)
    _tell(exports)
    if args.json:
        print_json([asdict(export) | {"path": str(export.path)} for export in exports])
    else:
        print("\n".join(str(export.path) for export in exports))
    return 0


def _tell(exports: Sequence[GgufExport]) -> None:
    """What was written and proven, on stderr."""
    from jp_adapt.core.progress import say

    for export in exports:
        say(f"{export.path.name}: {export.bytes / 1e6:,.0f} MB")
        for line in export.proven:
            say(f"  {line}")
    for note in dict.fromkeys(note for export in exports for note in export.notes):
        say(f"note: {note}")


def _add_ollama(actions: Any) -> None:
    parser = actions.add_parser(
        "ollama",
        help="a folder for Ollama: GGUF and Modelfile",
        description="Write a folder for `ollama create`: the model as GGUF, and a Modelfile with its chat template in Go's syntax.",
    )
    parser.add_argument("model", type=Path, help="folder of a Hugging Face model, such as runs/NAME/stages/model/final")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder")
    parser.add_argument("--type", default="auto", metavar="T", help="type of the GGUF file, as in export gguf (default: auto)")
    parser.add_argument("--system", metavar="TEXT", help="system prompt (default: the one of the model's chat template)")
    parser.add_argument("--template", metavar="NAME", help="one of our chat templates (default: the one that renders as the model's own)")
    parser.add_argument("--num-ctx", type=positive, metavar="N", help="tokens of a conversation (default: the model's length, at most 8192)")
    parser.add_argument("--name", help="name of the model (default: the folder's)")
    parser.set_defaults(main=_ollama)


def _ollama(args: argparse.Namespace) -> int:
    from jp_adapt.core.progress import say
    from jp_adapt.export.ollama import export_ollama

    export = export_ollama(args.model, args.out, args.type, system=args.system, template=args.template, num_ctx=args.num_ctx, name=args.name)
    _tell([export])
    say(f"next: ollama create NAME -f {args.out / 'Modelfile'}")
    print(args.out)
    return 0


def _add_vllm_adapter(actions: Any) -> None:
    parser = actions.add_parser(
        "vllm-adapter",
        help="an adapter without new rows as a LoRA module of vLLM",
        description="Write a LoRA adapter that vLLM serves beside others over one base, and print the command. It must have the base's vocabulary.",
    )
    parser.add_argument("adapter", type=Path, help="adapter folder, such as runs/NAME/stages/sft/final")
    parser.add_argument("--base", type=Path, required=True, help="folder of the model that the adapter was trained on")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder")
    parser.set_defaults(main=_vllm_adapter)


def _vllm_adapter(args: argparse.Namespace) -> int:
    from jp_adapt.export.vllm_adapter import export_vllm_adapter

    print(shlex.join(export_vllm_adapter(args.adapter, args.base, args.out)))
    return 0


def _add_hub(actions: Any) -> None:
    parser = actions.add_parser(
        "hub",
        help="a model folder to the hub, with its card",
        description="Send a model folder to the Hugging Face hub in one commit: weights, tokenizer, its GGUF files, and a card in English and Japanese "
        "with scores, criteria of the tokenizer, and the licence of the base.",
    )
    parser.add_argument("model", type=Path, help="folder of a Hugging Face model, such as runs/NAME/stages/model/final")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="repository to make")
    parser.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="result folders of jp-adapt eval, for the card (default: what the run of the model measured)",
    )
    parser.add_argument("--license", "--licence", dest="licence", metavar="ID", help="license (default: the card's, or the base's)")
    parser.add_argument("--base-model", metavar="ID", help="hub id of the base (default: the card's, or the run's)")
    parser.add_argument("--private", action="store_true", help="make a private repository")
    parser.add_argument("--update", action="store_true", help="add a commit to a repository that exists")
    parser.add_argument("--dry-run", action="store_true", help="print the card and the files, and send nothing")
    parser.set_defaults(main=_hub)


def _hub(args: argparse.Namespace) -> int:
    from jp_adapt.commands.hub import plan_upload, send
    from jp_adapt.core.progress import say

    plan = plan_upload(args.model, args.repo, scores=args.scores, licence=args.licence, base_model=args.base_model)
    for path in plan.files:
        say(f"{path.relative_to(args.model)}  {path.stat().st_size / 1e6:,.1f} MB")
    if args.dry_run:
        for name, text in plan.texts.items():
            print(f"=== {name}\n{text}")
        return 0
    print(send(args.model, plan, private=args.private, update=args.update))
    return 0
