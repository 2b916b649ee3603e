"""Exact and near duplicates: fingerprints of each document, made in any number of processes, then one decision over all of them.

Near duplicates are documents of which some five in a hundred characters differ. MinHash (Broder 1997) with bands over the 3-grams of the letters finds
candidates; it cannot tell 5 % of edits all over a text from a chapter of 15 % that two pages of one manual do not share: both leave a Jaccard index of 0.75.
A second MinHash, over single letters, can (0.90 and 0.74), and decides. Both are over multisets, the second "the" apart from the first: over sets, the index
of long documents falls with their length. White space, punctuation and case do not count. Measured in docs/log.md. Of documents that repeat each other the
first in corpus order is kept: the result depends on the order of the corpus alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

NGRAM = 3
ROWS = 4  # of a band
NGRAM_PERMUTATIONS = 96  # 24 bands of 4: a pair at 0.55 becomes a candidate with 0.91, at 0.65 with 0.99
LETTER_PERMUTATIONS = 128  # kept as 16 bits each
MIN_NGRAMS = 0.55  # Jaccard index, of 3-grams
MIN_LETTERS = 0.84  # and of letters
SEED = 20261124
NEIGHBOURS = 8  # documents of one bucket that a document is compared with, from the bucket's start and from before it
PAIRS = 2**16  # compared at a time
_ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64)

Hashes = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]


def fingerprint(texts: Sequence[str]) -> tuple[Hashes, Signatures]:
    """Fingerprints of `texts`: exact hashes [N] and signatures [N, 160] of both MinHashes. Those of parts are concatenated to those of the corpus."""
    exact, _ = fingerprint_exact(texts)
    letters = [_letters(text) for text in texts]
    ngrams = _minhash([_multiset(_ngram_hashes(codes, NGRAM)) for codes in letters], NGRAM_PERMUTATIONS)
    singles = _minhash([_multiset(_ngram_hashes(codes, 1)) for codes in letters], LETTER_PERMUTATIONS)
    return exact, np.concatenate([ngrams, singles.astype("<u2").view("<u4")], axis=1)


def fingerprint_exact(texts: Sequence[str]) -> tuple[Hashes, Signatures]:
    """As `fingerprint`, without signatures [N, 0]: enough for `find_exact_duplicates`."""
    exact = np.fromiter((int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "little") for text in texts), np.uint64, len(texts))
    return exact, np.zeros((len(texts), 0), np.uint32)


def find_duplicates(exact: Hashes, signatures: Signatures) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """For each document [N] the index of the earlier, kept document that it repeats, or -1, and [N] whether it repeats one exactly."""
    of, repeated = find_exact_duplicates(exact, signatures)
    for document, kept in _near_pairs(signatures, np.flatnonzero(~repeated)):
        if of[document] < 0 and of[kept] < 0:
            of[document] = kept
    chained = np.flatnonzero(repeated & (of[of] >= 0))  # it repeats a document that is a near duplicate itself
    of[chained] = of[of[chained]]
    return of, repeated


def find_exact_duplicates(exact: Hashes, signatures: Signatures) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """As `find_duplicates`, of equal texts only."""
    _, first, inverse = np.unique(exact, return_index=True, return_inverse=True)
    of = first[inverse].astype(np.int64)
    repeated = of != np.arange(len(exact))
    of[~repeated] = -1
    return of, repeated


def _near_pairs(signatures: Signatures, documents: Indices) -> list[tuple[int, int]]:
    """(document, earlier near duplicate), in corpus order of both."""
    later, earlier = _candidates(signatures, documents)
    found: list[tuple[int, int]] = []
    for start in range(0, len(later), PAIRS):
        left, right = later[start : start + PAIRS], earlier[start : start + PAIRS]
        mine, other = signatures[left], signatures[right]
        ngrams = np.mean(mine[:, :NGRAM_PERMUTATIONS] == other[:, :NGRAM_PERMUTATIONS], axis=1)
        letters = np.mean(mine[:, NGRAM_PERMUTATIONS:].copy().view("<u2") == other[:, NGRAM_PERMUTATIONS:].copy().view("<u2"), axis=1)
        near = (ngrams >= MIN_NGRAMS) & (letters >= MIN_LETTERS)
        found += zip(left[near].tolist(), right[near].tolist(), strict=True)
    return found


def _candidates(signatures: Signatures, documents: Indices) -> tuple[Indices, Indices]:
    """Pairs (later, earlier) that agree in a whole band, each once, sorted. In a full bucket not every pair is made: no N ** 2 on a million equal pages."""
    packed = [np.zeros(0, np.int64)]
    for band in range(0, NGRAM_PERMUTATIONS, ROWS):
        keys = _mix(signatures[documents, band : band + ROWS].astype(np.uint64))
        order = np.argsort(keys, kind="stable")
        ordered, position = documents[order], np.arange(len(keys))
        begin = _run_starts(keys[order])
        for nth in range(NEIGHBOURS):
            for other, inside in ((begin + nth, position > begin + nth), (position - 1 - nth, position - 1 - nth >= begin + NEIGHBOURS)):
                packed.append(ordered[inside] << 32 | ordered[other[inside]])
    pairs = np.unique(np.concatenate(packed))
    return pairs >> 32, pairs & 0xFFFFFFFF


def _run_starts(ordered: npt.NDArray[np.uint64]) -> Indices:
    """For each of sorted values the index of the first that is equal to it."""
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(ordered)), np.bool_), ordered[1:] != ordered[:-1]]))
    return np.repeat(starts, np.diff(np.append(starts, len(ordered))))


def _minhash(sets: list[Hashes], permutations: int) -> Signatures:
    """[N, permutations] MinHash signatures of sets of hashes."""
    from rensa import RMinHash

    if not sets:
        return np.zeros((0, permutations), np.uint32)
    offsets = np.concatenate([[0], np.cumsum([len(found) for found in sets])]).tolist()
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(np.concatenate(sets), offsets, permutations, SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32)


def _mix(columns: npt.NDArray[np.uint64]) -> Hashes:
    key = np.zeros(len(columns), np.uint64)
    for column in columns.T:
        key = (key ^ column) * _ODD[0]
        key ^= key >> np.uint64(29)
    return key


@cache
def _letter_table() -> npt.NDArray[np.uint32]:
    """Code point -> itself in lower case where it is a letter or a digit, else 0."""
    table = np.zeros(0x110000, np.uint32)
    table[:0x20000] = [ord(char.lower()[0]) if char.isalnum() else 0 for char in map(chr, range(0x20000))]
    table[0x20000:0x40000] = np.arange(0x20000, 0x40000)  # kanji
    return table


def _letters(text: str) -> Hashes:
    """Code points of the letters and digits of a text; of a text with hardly any, all of it."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    letters = _letter_table()[codes]
    letters = letters[letters > 0]
    found: Hashes = (letters if len(letters) >= NGRAM else codes).astype(np.uint64)
    return np.pad(found, (0, max(0, NGRAM - len(found))))


def _ngram_hashes(codes: Hashes, size: int) -> Hashes:
    count = len(codes) - size + 1
    hashes = np.zeros(count, np.uint64)
    for offset in range(size):
        hashes += codes[offset : offset + count] * _ODD[offset]
    return _scramble(hashes)


def _multiset(hashes: Hashes) -> Hashes:
    """A hash of its own for every repetition of a value."""
    hashes = np.sort(hashes)
    repetition = np.arange(len(hashes)) - _run_starts(hashes)
    hashes ^= repetition.astype(np.uint64) * _ODD[3]
    return _scramble(hashes)


def _scramble(hashes: Hashes) -> Hashes:
    """In place: every bit of a result depends on every bit of a value."""
    hashes ^= hashes >> np.uint64(32)
    hashes *= _ODD[1]
    hashes ^= hashes >> np.uint64(29)
    return hashes
