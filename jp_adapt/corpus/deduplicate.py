"""Exact and near duplicates: fingerprints of each document, made in any number of processes, then one decision over all of them.

Near duplicates are documents that share most of their letters and most of their 3-grams, as multisets: a Jaccard index of at least 0.88 and of at least 0.65.
With five in a hundred characters edited, anywhere, both hold (at least 0.89 and 0.69 on 400 real documents); neither alone would do, since 5 % of edits all
over a text and a chapter of 15 % that two pages of one manual do not share leave the same index of 3-grams (0.75), and the letters of the second are at 0.74.

MinHash (Broder 1997) with bands over the 3-grams finds candidates, estimates from the signatures leave out those that are far from it, and the texts of the
rest decide: no document is left out by an estimate. White space, punctuation and case do not count. Measured in docs/log.md. Of documents that repeat each
other the first in corpus order is kept: the result depends on the order of the corpus alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from jp_adapt.text.code_points import code_points

NGRAM = 3
ROWS = 4  # of a band
NGRAM_PERMUTATIONS = 96  # 24 bands of 4: a pair at 0.65 becomes a candidate with 0.99, at 0.7 with 0.999
LETTER_PERMUTATIONS = 128  # kept as 16 bits each
MIN_NGRAMS = 0.65  # Jaccard index, of 3-grams
MIN_LETTERS = 0.88  # and of letters
MARGIN = 3.3  # standard deviations of an estimate that a candidate may lie below a bound: one in 2,000 of those at the bound is lost
SEED = 20261124
NEIGHBOURS = 8  # documents of one bucket that a document is compared with, from the bucket's start and from before it
PAIRS = 2**16  # compared at a time
CACHED = 64  # documents whose n-grams are kept while they are compared
_ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64)

Hashes = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Bag = tuple[Hashes, Indices]  # the values of a multiset, ascending, and how often each is in it
Fetch = Callable[[Indices], Callable[[int], str]]  # the documents that will be looked at, ascending -> a function from one of them to its text


def fingerprint(texts: Sequence[str]) -> tuple[Hashes, Signatures]:
    """Fingerprints of `texts`: exact hashes [N] and signatures [N, 160] of both MinHashes. Those of parts are concatenated to those of the corpus."""
    exact, _ = fingerprint_exact(texts)
    letters = [_letters(text) for text in texts]
    ngrams = minhash([_multiset(ngram_hashes(codes, NGRAM)) for codes in letters], NGRAM_PERMUTATIONS)
    singles = minhash([_multiset(ngram_hashes(codes, 1)) for codes in letters], LETTER_PERMUTATIONS)
    return exact, np.concatenate([ngrams, singles.astype("<u2").view("<u4")], axis=1)


def fingerprint_exact(texts: Sequence[str]) -> tuple[Hashes, Signatures]:
    """As `fingerprint`, without signatures [N, 0]: enough for `find_exact_duplicates`."""
    exact = np.fromiter((int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "little") for text in texts), np.uint64, len(texts))
    return exact, np.zeros((len(texts), 0), np.uint32)


def find_duplicates(exact: Hashes, signatures: Signatures, fetch: Fetch) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """For each document [N] the index of the earlier, kept document that it repeats, or -1, and [N] whether it repeats one exactly."""
    of, repeated = find_exact_duplicates(exact, signatures, fetch)
    later, earlier = _likely_pairs(signatures, np.flatnonzero(~repeated))
    text = fetch(np.unique(np.concatenate([later, earlier])))
    bags = lru_cache(CACHED)(lambda document: _bags(text(document)))  # the first of many alike is compared with all of them
    for document, other in zip(later.tolist(), earlier.tolist(), strict=True):
        if of[document] < 0 and of[other] < 0 and _near(bags(document), bags(other)):
            of[document] = other
    chained = np.flatnonzero(repeated & (of[of] >= 0))  # it repeats a document that is a near duplicate itself
    of[chained] = of[of[chained]]
    return of, repeated


def find_exact_duplicates(exact: Hashes, signatures: Signatures, fetch: Fetch) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """As `find_duplicates`, of equal texts only."""
    _, first, inverse = np.unique(exact, return_index=True, return_inverse=True)
    of = first[inverse].astype(np.int64)
    repeated = of != np.arange(len(exact))
    of[~repeated] = -1
    return of, repeated


def _likely_pairs(signatures: Signatures, documents: Indices) -> tuple[Indices, Indices]:
    """Pairs (later, earlier), in corpus order of both, whose estimated indices are not far below the bounds."""
    later, earlier = _candidates(signatures, documents)
    likely = np.ones(len(later), np.bool_)
    for start in range(0, len(later), PAIRS):
        own, other = signatures[later[start : start + PAIRS]], signatures[earlier[start : start + PAIRS]]
        ngrams = np.mean(own[:, :NGRAM_PERMUTATIONS] == other[:, :NGRAM_PERMUTATIONS], axis=1)
        letters = np.mean(own[:, NGRAM_PERMUTATIONS:].copy().view("<u2") == other[:, NGRAM_PERMUTATIONS:].copy().view("<u2"), axis=1)
        likely[start : start + PAIRS] = (ngrams >= _lowest(MIN_NGRAMS, NGRAM_PERMUTATIONS)) & (letters >= _lowest(MIN_LETTERS, LETTER_PERMUTATIONS))
    return later[likely], earlier[likely]


def _lowest(bound: float, permutations: int) -> float:
    """The lowest estimate that a pair at the bound is likely to get."""
    return bound - MARGIN * float(np.sqrt(bound * (1 - bound) / permutations))


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


def minhash(sets: list[Hashes], permutations: int) -> Signatures:
    """[N, permutations] MinHash signatures of sets of hashes."""
    from rensa import RMinHash

    if not sets:
        return np.zeros((0, permutations), np.uint32)
    offsets = np.concatenate([[0], np.cumsum([len(results) for results in sets])]).tolist()
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
    codes = code_points(text)
    letters = _letter_table()[codes]
    letters = letters[letters > 0]
    results: Hashes = (letters if len(letters) >= NGRAM else codes).astype(np.uint64)
    return np.pad(results, (0, max(0, NGRAM - len(results))))


def _trigrams(letters: Hashes) -> Hashes:
    """The 3-grams themselves: three code points of 21 bits each."""
    grams: Hashes = letters[:-2] << np.uint64(42) | letters[1:-1] << np.uint64(21) | letters[2:]
    return grams


def _bags(text: str) -> tuple[Bag, Bag]:
    """The letters and the 3-grams of a text as multisets."""
    letters = _letters(text)
    return np.unique(letters, return_counts=True), np.unique(_trigrams(letters), return_counts=True)


def _near(left: tuple[Bag, Bag], right: tuple[Bag, Bag]) -> bool:
    return _jaccard(left[0], right[0]) >= MIN_LETTERS and _jaccard(left[1], right[1]) >= MIN_NGRAMS


def _jaccard(left: Bag, right: Bag) -> float:
    """Jaccard index of two multisets."""
    _, at, existing = np.intersect1d(left[0], right[0], assume_unique=True, return_indices=True)
    shared = int(np.minimum(left[1][at], right[1][existing]).sum())
    return shared / (int(left[1].sum()) + int(right[1].sum()) - shared)


def ngram_hashes(codes: Hashes, size: int) -> Hashes:
    """[len(codes) - size + 1] hashes of the n-grams of code points."""
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
