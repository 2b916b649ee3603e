"""A shorter extension out of a longer one: its first tokens, which are the most useful ones (`learn_tokens`)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import new_folder, read_json, refuse_existing
from jp_adapt.tokenizer.bpe import BpeTokenizer, text_of
from jp_adapt.tokenizer.extend import Extension, append_tokens
from jp_adapt.tokenizer.fuzz import fuzz_strings
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.save import EXTENSION, save_tokenizer
from jp_adapt.tokenizer.verify import Criterion, check_criteria, verify_tokenizer

FUZZ_STRINGS = 2_000


def prefix_tokenizer(folder: str | Path, num_tokens: int, out: str | Path, *, texts: Sequence[str] = ()) -> tuple[Extension, list[Criterion]]:
    """Write the extension of the first `num_tokens` new tokens of an extended tokenizer's folder, once every criterion holds.

    Args:
        folder: what `tokenizer extend` wrote, or a tokenizer stage.
        num_tokens: how many to keep; bytes that the base lacked stay beside them.
        out: a new folder.
        texts: what the criteria are counted on, beside strings made to break tokenizers.

    Raises:
        InputError: `folder` holds no extension of jp-adapt. UsageError: it has fewer tokens, or `out` exists. GateError: a criterion does not hold, which
            may be so where the tokens do not stand in order of worth: extended by an older version, the tokenizer has to be learned again.
    """
    folder, out = Path(folder), Path(out)
    refuse_existing(out)
    longer, record = load_tokenizer(folder), read_record(folder)
    base = base_of(longer, int(record["first_new_id"]))
    extension = shorten(base.tokenizer, record, num_tokens)
    with new_folder(out) as target:
        save_tokenizer(base, extension, folder, target)
        criteria = verify_tokenizer(base, load_tokenizer(target), japanese=[*texts, *fuzz_strings(FUZZ_STRINGS)], unchanged=texts)
        check_criteria(criteria)
    return extension, criteria


def read_record(folder: Path) -> dict[str, Any]:
    """The extension.json of a folder. InputError where there is none that jp-adapt wrote."""
    path = folder / EXTENSION
    if not path.is_file():
        raise InputError(f"{folder}: no {EXTENSION} here; give a folder that `tokenizer extend` wrote, or of a tokenizer stage: RUN/stages/ID/final")
    record = read_json(path)
    tokens = record.get("tokens") if isinstance(record, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, dict) and {"bytes", "sources", "count"} <= token.keys() for token in tokens):
        raise InputError(f"{path}: does not tell of new tokens; it was not written by jp-adapt")
    return dict(record)


def base_of(extended: LoadedTokenizer, first_new_id: int) -> LoadedTokenizer:
    """The tokenizer that an extension was made of: all that stands before its first new id."""
    spec: dict[str, Any] = copy.copy(extended.tokenizer.spec)
    vocab = {text: token_id for text, token_id in spec["model"]["vocab"].items() if token_id < first_new_id}
    merges = [rule for rule, pair in zip(spec["model"]["merges"], extended.tokenizer.merges, strict=True) if {*pair, "".join(pair)} <= vocab.keys()]
    spec["model"] = spec["model"] | {"vocab": vocab, "merges": merges}
    model = extended.sentencepiece
    if model is not None:
        model = type(model)()
        model.CopyFrom(extended.sentencepiece)
        del model.pieces[first_new_id:]
    ranks = None if extended.ranks is None else {token: rank for token, rank in extended.ranks.items() if rank < first_new_id}
    return LoadedTokenizer(BpeTokenizer(spec), extended.files, model, ranks, extended.folder)


def shorten(base: BpeTokenizer, record: Mapping[str, Any], num_tokens: int) -> Extension:
    """The extension of `base` by the first `num_tokens` learned tokens of an extension.json. UsageError where it has fewer."""
    missing, entries = len(base.missing_bytes), record["tokens"]
    if not 1 <= num_tokens <= len(entries) - missing:
        raise UsageError(f"{num_tokens:,} new tokens are asked for, and the extension has {len(entries) - missing:,}; ask for 1 to that many")
    tokens = [bytes.fromhex(entry["bytes"]) for entry in entries]
    sources = [list(entry["sources"]) for entry in entries]
    size = missing + num_tokens
    return Extension(
        tokenizer=append_tokens(base, tokens[:missing], tokens[missing:size]),
        first_new_id=base.vocab_size,
        tokens=tokens[:size],
        sources=sources[:size],
        counts=_counts_of_first(base, tokens, sources, [int(entry["count"]) for entry in entries], size),
    )


def tokens_by_size(extended: BpeTokenizer, record: Mapping[str, Any], ids: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """How many tokens the text of `ids`, which `extended` gave, takes with the first so many learned tokens alone, for each of `sizes`; 0 is the base.

    Nothing is encoded again: tokens are merged in the order of their worth, so one that is not there falls into the two parts that it was made of, and so on;
    SentencePiece writes a character without a piece of its own as bytes.
    """
    first, entries = int(record["first_new_id"]), record["tokens"]
    tokens = [bytes.fromhex(entry["bytes"]) for entry in entries]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    added = sum(len(token) == 1 for token in tokens)  # bytes that the base lacked; they stand first
    known = {token for token_id, token in extended.token_bytes.items() if token_id < first}

    def count(token: bytes, size: int, made: dict[bytes, int]) -> int:
        if token not in made:
            rank = ranks.get(token)
            if rank is None:
                made[token] = 1 if token in known else len(token)
            elif rank < added + size:
                made[token] = 1
            else:
                parts = _parts(extended, entries[rank]["sources"], ranks, rank)
                made[token] = len(token) if parts == [token] else sum(count(part, size, made) for part in parts)
        return made[token]

    results = []
    for size in sizes:
        made: dict[bytes, int] = {}
        results.append(sum(1 if token_id < first else count(tokens[token_id - first], size, made) for token_id in ids))
    return results


def _counts_of_first(base: BpeTokenizer, tokens: Sequence[bytes], sources: Sequence[Sequence[int]], counts: Sequence[int], size: int) -> list[int]:
    """How often the first `size` tokens occur without the others: each of those gives its uses to its two parts, and so on."""
    ranks = {token: rank for rank, token in enumerate(tokens)}
    results = list(counts)
    for rank in range(len(tokens) - 1, size - 1, -1):
        for part in _parts(base, sources[rank], ranks, rank):
            if part in ranks:
                results[ranks[part]] += results[rank]
    return results[:size]


def _parts(base: BpeTokenizer, source: Sequence[int], ranks: Mapping[bytes, int], rank: int) -> list[bytes]:
    """What the token of a rank is made of, by the tokens before it."""
    units: list[bytes] = []
    for token_id in source:
        unit = base.token_bytes[token_id]
        if base.is_sentencepiece and units and text_of(units[-1]) is None:  # a character is one unit there, whatever bytes stand for it
            units[-1] += unit
        else:
            units.append(unit)
    while True:
        found = [(ranks.get(left + right, rank), place) for place, (left, right) in enumerate(pairwise(units))]
        lowest, place = min(found, default=(rank, 0))
        if lowest >= rank:
            return units
        units[place : place + 2] = [units[place] + units[place + 1]]
