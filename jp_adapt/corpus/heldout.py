"""Hold documents out of training: which ones depends on their text alone, so that a copy of one is held out with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from jp_adapt.core.errors import InputError

Item = TypeVar("Item")


def split_heldout(items: Sequence[Item], share: float, key: Callable[[Item], str]) -> tuple[list[Item], list[Item]]:
    """(items to train on, held-out items), each in order: of the distinct keys those with the smallest hashes are held out, `share` of them, and at least one.

    Args:
        key: the text of an item; items of the same text stay together.

    Raises:
        InputError: there are fewer than two distinct items.
    """
    keys = [key(item) for item in items]
    ranked = sorted(set(keys), key=lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    if len(ranked) < 2:
        raise InputError(f"{len(ranked)} distinct document, and one must stay for training; bring more documents, or take 'heldout' out")
    held = set(ranked[: min(len(ranked) - 1, max(1, round(share * len(ranked))))])
    return [item for item, text in zip(items, keys, strict=True) if text not in held], [item for item, text in zip(items, keys, strict=True) if text in held]


def split_documents(documents: Sequence[str], share: float) -> tuple[list[str], list[str]]:
    """(documents to train on, held-out documents), as `split_heldout`. Of a single document the last lines are held out, at least `share` of its characters.

    Raises:
        InputError: a single document of one line.
    """
    if len(documents) != 1:
        return split_heldout(documents, share, str)
    lines = documents[0].splitlines(keepends=True)
    position, chars = len(lines), 0
    while position > 1 and (not "".join(lines[position:]).strip() or chars < share * len(documents[0])):
        position -= 1
        chars += len(lines[position])
    parts = ["".join(lines[:position]), "".join(lines[position:])]
    if not all(part.strip() for part in parts):
        raise InputError("one document of one line, of which nothing can be held out; bring more documents, or take 'heldout' out")
    return [parts[0]], [parts[1]]
