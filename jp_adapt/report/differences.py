"""Two texts that are nearly the same, cut into what they share and what only one of them has."""

from __future__ import annotations

from difflib import SequenceMatcher

SHORTEST = 3  # characters of a match: single characters that happen to agree would tear words apart

Piece = tuple[str, bool]  # a piece of a text, and whether the other has it, too


def differences(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    """The pieces of both texts in order."""
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    begun = [0, 0]
    blocks = [block for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks() if block.size >= SHORTEST or not block.size]
    for block in blocks:
        for side, (text, at) in enumerate(((left, block.a), (right, block.b))):
            if at > begun[side]:
                sides[side].append((text[begun[side] : at], False))
            if block.size:
                sides[side].append((text[at : at + block.size], True))
            begun[side] = at + block.size
    return sides
