"""`jp-adapt tokenizer`: extend a vocabulary, shorten an extension, verify an extension, compare tokenizers, repair a tokenizer's folder."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.cli.arguments import positive, positive_or_auto, sizes
from jp_adapt.cli.output import print_json
from jp_adapt.core.errors import UsageError
from jp_adapt.corpus.lines import TEXT_FORMATS

if TYPE_CHECKING:
    from jp_adapt.commands.tokenizer import ExtendOptions
    from jp_adapt.report.tokenizer_report import ComparedSource

EPILOG = f"""A tokenizer is a folder, a tokenizer.json, a SentencePiece tokenizer.model, a tiktoken rank file, or ORG/NAME@REVISION of the hub. Texts are read
from {TEXT_FORMATS}, from patterns of these, or from hub:NAME@REVISION."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "tokenizer",
        help="extend, shorten, verify, compare and repair tokenizers",
        description="Extend, shorten, verify, compare and repair tokenizers.",
        epilog=EPILOG,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_extend(actions)
    verify = actions.add_parser("verify", help="check every criterion on a base and its extension", epilog=EPILOG)
    verify.add_argument("base", help="the tokenizer that was extended")
    verify.add_argument("extended", help="its extension")
    verify.set_defaults(main=_verify)
    compare = actions.add_parser("compare", help="measure tokenizers of any family side by side", epilog=EPILOG)
    compare.add_argument(
        "tokenizers", nargs="+", metavar="TOKENIZER", help="tokenizers to measure: whatever AutoTokenizer loads from a folder, and single files"
    )
    compare.set_defaults(main=_compare)
    for action in (verify, compare):
        action.add_argument("--texts", nargs="+", required=True, metavar="FILE", help="texts to measure or to check with")
        action.add_argument("--out", type=Path, help="new folder for report.json and report.html")
    for action in actions.choices.values():
        action.add_argument("--field", default="text", help="field of a line, or column, that holds the text (default: text)")
    _add_prefix(actions)
    _add_repair(actions)
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="print the report as JSON")


def _add_extend(actions: Any) -> None:
    extend = actions.add_parser("extend", help="add Japanese tokens to a tokenizer", epilog=EPILOG)
    extend.add_argument("--base", required=True, help="the tokenizer to extend")
    extend.add_argument("--corpus", nargs="+", required=True, metavar="FILE", help="Japanese text to learn from; each file is a source")
    extend.add_argument("--new-tokens", type=positive_or_auto, metavar="N", help="how many tokens to add; auto: as many as the texts can teach")
    extend.add_argument("--out", type=Path, help="new folder for the extended tokenizer")
    extend.add_argument("--heldout", nargs="+", default=[], metavar="FILE", help="text to measure the gain on (default: every 20th document, not learned from)")
    extend.add_argument("--sweep", type=sizes, metavar="N,N,N", help="in place of --new-tokens and --out: the gain of each of these numbers, and no tokenizer")
    extend.add_argument("--weights", nargs="+", type=_weight, default=[], metavar="W", help="one factor for each corpus, on its counts")
    extend.add_argument("--boundaries", choices=("none", "phrase", "word"), default="none", help="UniDic boundaries that no token may cross while learning")
    extend.add_argument("--max-token-chars", type=positive, default=12, metavar="K", help="longest token in characters (default: 12)")
    extend.add_argument("--min-count", type=positive, metavar="K", help="a new token occurs in the texts at least this often (default: 2; auto: 20)")
    extend.add_argument("--no-cover", dest="cover", action="store_false", help="let everyday characters compete by their use alone")
    extend.add_argument("--pad-to", type=positive, default=1, metavar="M", help="report the number of embedding rows as a multiple of M")
    extend.add_argument("--unchanged", nargs="+", default=[], metavar="FILE", help="texts (English, code) no line of which may change its ids")
    extend.set_defaults(main=_extend)


def _add_prefix(actions: Any) -> None:
    prefix = actions.add_parser(
        "prefix",
        help="cut a shorter extension from a longer one",
        description="Keep the first new tokens of an extended tokenizer, which are the most useful ones, and check every criterion on the result.",
    )
    prefix.add_argument("folder", type=Path, metavar="DIR", help="what `tokenizer extend` wrote, or a tokenizer stage: RUN/stages/ID/final")
    prefix.add_argument("--new-tokens", type=positive, required=True, metavar="N", help="how many of its new tokens to keep")
    prefix.add_argument("--out", type=Path, required=True, help="new folder for the shorter tokenizer")
    prefix.set_defaults(main=_prefix)


def _add_repair(actions: Any) -> None:
    repair = actions.add_parser(
        "repair",
        help="let AutoTokenizer give the ids of a folder's tokenizer.json",
        description="Mend the configuration of a tokenizer's or a model's folder, so that whatever reads it by AutoTokenizer gets the ids of its "
        "tokenizer.json. Files that change are kept under other names. Exit code 4 where it cannot be mended.",
    )
    repair.add_argument("folder", type=Path, metavar="DIR", help="folder of a tokenizer or a model")
    repair.add_argument("--out", type=Path, help="new folder for the mended tokenizer files; DIR stays as it is")
    repair.set_defaults(main=_repair)


def _weight(text: str) -> float:
    from jp_adapt.tokenizer.words import MAX_WEIGHT  # numpy comes with it

    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= MAX_WEIGHT:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0 and up to {MAX_WEIGHT:g}")
    return number


def _sweep(args: argparse.Namespace, options: ExtendOptions) -> int:
    from jp_adapt.commands.tokenizer import sweep
    from jp_adapt.report.terminal import table

    if args.new_tokens is not None or args.out is not None:
        raise UsageError("--sweep measures and writes no tokenizer; leave --new-tokens and --out out")
    report = sweep(args.base, args.corpus, args.sweep, options)
    if args.json:
        print_json(report.as_dict())
        return 0
    rows = [("0", f"{report.base_chars_per_token:.3f}", "-")]
    rows += [(f"{row.new_tokens:,}", f"{row.chars_per_token:.3f}", f"{row.rare_tokens:,} ({row.rare_tokens / row.new_tokens:.0%})") for row in report.rows]
    print("\n".join(table(("new tokens", "chars/token", f"stand fewer than {report.rare_below} times"), rows)))
    print(f"held out: {report.heldout_documents:,} documents, {report.heldout_chars:,} characters; learned from {report.corpus_chars:,} characters")
    return 0


def _extend(args: argparse.Namespace) -> int:
    from jp_adapt.commands.tokenizer import ExtendOptions, extend
    from jp_adapt.report.terminal import table

    options = ExtendOptions(
        weights=tuple(args.weights),
        boundaries=args.boundaries,
        max_token_chars=args.max_token_chars,
        min_count=args.min_count,
        cover=args.cover,
        pad_to=args.pad_to,
        field=args.field,
        unchanged=tuple(args.unchanged),
        heldout=tuple(args.heldout),
    )
    if args.sweep is not None:
        return _sweep(args, options)
    if args.new_tokens is None or args.out is None:
        raise UsageError("give --new-tokens N and --out DIR, or --sweep N,N,N to see what each number gains")
    report = extend(args.base, args.corpus, None if args.new_tokens == "auto" else args.new_tokens, args.out, options)
    if args.json:
        print_json(report.as_dict())
        return 0
    from jp_adapt.report.written import plural

    base, added = report.base, report.extension
    missing = f" + {plural(added.added_bytes, 'byte')} that the base cannot spell" if added.added_bytes else ""
    print(f"{base.family}: {base.vocab_size:,} + {added.new_tokens:,} tokens{missing} = {added.vocab_size:,}; all criteria hold.")
    rows = [(entry.source, f"{entry.base.chars_per_token:.3f}", f"{entry.extended.chars_per_token:.3f}") for entry in report.measures]
    print("\n".join(table(("characters per token", "base", "extended"), rows)))
    if base.unused_rows:
        print(f"{base.unused_rows:,} embedding rows of the base belong to none of its tokens: the first new tokens have their ids.")
    print(f"Tokenizer: {args.out}\nReport: {args.out / 'report.html'}")
    return 0


def _prefix(args: argparse.Namespace) -> int:
    from jp_adapt.tokenizer.prefix import prefix_tokenizer

    extension, criteria = prefix_tokenizer(args.folder, args.new_tokens, args.out)
    if args.json:
        facts = {"first_new_id": extension.first_new_id, "new_tokens": args.new_tokens, "vocab_size": extension.vocab_size}
        print_json({"format": 1, **facts, "criteria": [asdict(criterion) for criterion in criteria]})
        return 0
    print(f"{extension.first_new_id:,} + {args.new_tokens:,} tokens = {extension.vocab_size:,}; all criteria hold.\nTokenizer: {args.out}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from jp_adapt.commands.tokenizer import verify, write_page
    from jp_adapt.core.files import refuse_existing
    from jp_adapt.report.terminal import table

    if args.out:
        refuse_existing(args.out)
    report = verify(args.base, args.extended, args.texts, args.field)
    if args.out:
        write_page(report, args.out)
    if args.json:
        print_json(report.as_dict())
    else:
        rows = [(entry.name, entry.runtime, f"{entry.failures:,}", f"{entry.checked:,}") for entry in report.criteria]
        print("\n".join(table(("criterion", "runtime", "failures", "checked"), rows, words=2)))
        for entry in report.criteria:
            for example in entry.examples:
                print(f"  {entry.name} ({entry.runtime}): {example!r}")
        print("All criteria hold." if report.holds else "Not a safe extension: each number must be 0 (llama_cpp_check_string apart).")
        if report.extended.vocab_size < report.base.vocab_size:
            sizes = f"{args.extended} has {report.extended.vocab_size:,} tokens, and {args.base} has {report.base.vocab_size:,}"
            print(f"An extension has more tokens than its base: {sizes}. Are the two swapped? The base comes first.")
        if any(entry.name == "auto_tokenizer_disagrees" and entry.failures for entry in report.criteria):
            print(f"AutoTokenizer does not run tokenizer.json as it is; to mend the folder: jp-adapt tokenizer repair {args.extended}")
    return 0 if report.holds else 4


def _repair(args: argparse.Namespace) -> int:
    from jp_adapt.core.files import refuse_existing
    from jp_adapt.tokenizer.repair import repair_tokenizer

    if args.out:
        refuse_existing(args.out)
    repair = repair_tokenizer(args.folder, args.out)
    if args.json:
        print_json({"format": 1, **asdict(repair), "folder": str(repair.folder), "kept": [str(path) for path in repair.kept]})
        return 0
    if repair.unloadable:
        print(f"{repair.unloadable}.")
    elif repair.disagreed:
        print(f"AutoTokenizer gave other ids than tokenizer.json for {repair.disagreed:,} of {repair.compared:,} texts.")
    else:
        print(f"AutoTokenizer gives the ids of tokenizer.json for all of {repair.compared:,} texts.")
    for line in repair.changes:
        print(f"  {line}")
    if not repair.changes:
        print("Nothing had to be mended.")
    elif repair.unloadable or repair.disagreed:
        print(f"Mended: {repair.folder}; the ids are those of tokenizer.json for all of {repair.compared:,} texts now.")
    else:
        print(f"Changed in {repair.folder}, so that it does not depend on the class; the ids are as they were.")
    for path in repair.kept:
        print(f"Kept as it was: {path}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from jp_adapt.commands.tokenizer import compare, write_page
    from jp_adapt.core.files import refuse_existing
    from jp_adapt.report.terminal import table

    if args.out:
        refuse_existing(args.out)
    report = compare(args.tokenizers, args.texts, args.field)
    if args.out:
        write_page(report, args.out)
    if args.json:
        print_json(report.as_dict())
        return 0
    columns = ("tokenizer", "text", "chars/token", "bytes/token", "tokens/word", "byte %", "broken %", "Renyi", "vocab %")
    print("\n".join(table(columns, [_compared(row) for row in report.rows], words=2)))
    return 0


def _compared(row: ComparedSource) -> tuple[str, ...]:
    m = row.measure
    ratios = (m.chars_per_token, m.bytes_per_token, m.tokens_per_word)
    shares = (100 * m.byte_fallback_share, 100 * m.broken_share)
    written = [*("-" if ratio is None else f"{ratio:.3f}" for ratio in ratios), *(f"{share:.2f}" for share in shares)]
    return row.tokenizer, row.source, *written, f"{m.renyi_efficiency:.3f}", f"{100 * m.vocabulary_use:.2f}"
