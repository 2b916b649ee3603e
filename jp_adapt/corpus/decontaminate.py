"""Remove benchmark items from training text: which documents contain which items, by the share of an item's character n-grams.

Only letters and digits are compared, after NFKC and in lower case: a pasted question is found whatever became of its spaces, brackets and punctuation. An
item is one or more texts (question, choices, passage); it is held where one of them is. Texts of 8 to 12 letters must stand in a document as a whole, those
of 4 to 7 as a line of their own; shorter ones cannot be told from ordinary words and are left out, and counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from jp_adapt.corpus.steps import Outcome
from jp_adapt.text.code_points import code_points

NGRAM = 13  # letters; GPT-3 took 13 words, of which Japanese letters say about half as much each: shared idioms stay below
SHORT = 8
LINE = 4
LONG = 400  # letters of a text of which every fourth n-gram is kept: the index of passages stays small
MAX_FILTER_BITS = 24  # 16 MB
SHORT_LINE = (4, 16)  # characters of a line that may hold the letters of a short item
_ODD = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Index:
    """N-grams of all items, ready to be sent to other processes.

    Attributes:
        items: ids.
        hashes: [G] sorted n-gram hashes; texts: [G] the text that each belongs to.
        sizes: [T] n-grams of each text; owner: [T] its item.
        short: first SHORT letters, hashed, sorted; short_texts: the letters and the item of each.
        lines: letters of a line -> its item; left_out: texts with fewer than LINE letters.
    """

    items: tuple[str, ...]
    hashes: Hashes
    texts: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]
    short: Hashes
    short_texts: tuple[tuple[str, int], ...]
    lines: Mapping[str, int]
    left_out: int


def build_index(items: Mapping[str, Sequence[str]]) -> Index:
    """The index of items: id -> texts. Their order does not matter for what is found."""
    texts = [(number, text) for number, results in enumerate(items.values()) for text in dict.fromkeys(results)]
    owner = np.array([number for number, _ in texts], np.int32)
    letters, places = _letters("\n".join(text for _, text in texts))  # all at once: 25,000 items in one second instead of five
    ends = np.searchsorted(places, np.cumsum([len(text) + 1 for _, text in texts]))
    counts = np.diff(ends, prepend=0)
    has_ngrams = counts >= NGRAM
    hashes, of = _text_ngrams(letters, counts)
    number_of = np.cumsum(has_ngrams) - 1  # among those that have n-grams
    short: list[tuple[int, str, int]] = []
    lines: dict[str, int] = {}
    left_out = 0
    for number in np.flatnonzero(~has_ngrams).tolist():
        own, item = letters[ends[number] - counts[number] : ends[number]], int(owner[number])
        if len(own) >= SHORT:
            short.append((int(_hashes(own[:SHORT], SHORT)[0][0]), _string(own), item))
        elif len(own) >= LINE:
            lines.setdefault(_string(own), item)
        else:
            left_out += 1
    short.sort()
    return Index(
        tuple(items),
        hashes,
        number_of[of].astype(np.int32),
        np.bincount(number_of[of], minlength=int(has_ngrams.sum())).astype(np.int32),
        owner[has_ngrams],
        np.array([first for first, _, _ in short], np.uint64),
        tuple((text, item) for _, text, item in short),
        lines,
        left_out,
    )


def _text_ngrams(letters: Hashes, counts: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """N-gram hashes, ascending, and the text of each, each once in a text; `letters` are those of all texts, one after the other, `counts` of each."""
    (hashes,), of = _hashes(letters, NGRAM), np.repeat(np.arange(len(counts)), counts)
    first, last = of[: len(hashes)], of[NGRAM - 1 :]
    kept = np.flatnonzero((first == last) & ((counts <= LONG)[first] | (hashes % np.uint64(4) == 0)))
    kept = kept[np.argsort(hashes[kept], kind="stable")]
    hashes, of = hashes[kept], of[kept]
    new = np.ones(len(hashes), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (of[1:] != of[:-1])
    return hashes[new], of[new]


@dataclass(frozen=True)
class Decontaminate:
    """Drops documents that hold at least `min_share` of the n-grams of an item, or takes the n-grams of such items out of them (`action="mask"`).

    Attributes:
        inputs: benchmark or file -> SHA-256 of its texts, which are in the index.
    """

    index: Index = field(repr=False, compare=False)
    min_share: float = 0.5
    action: Literal["drop", "mask"] = "drop"
    inputs: Mapping[str, str] = field(default_factory=dict)
    name: str = field(default="decontaminate", init=False)
    _filters: tuple[npt.NDArray[np.bool_], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_filters", (_filter(self.index.hashes), _filter(self.index.short)))

    def __reduce__(self) -> tuple[type[Decontaminate], tuple[object, ...]]:
        return Decontaminate, (self.index, self.min_share, self.action, self.inputs)

    def __call__(self, text: str) -> Outcome:
        letters, places = _letters(text)
        results = self._found(letters)
        if self.index.lines:
            self._lines(text, letters, places, results)
        if not results:
            return Outcome(text)
        matches = tuple((self.index.items[item], round(share, 4)) for item, (share, _) in sorted(results.items()))
        if self.action == "drop":
            return Outcome(None, "holds a benchmark item", matches=matches)
        held = np.zeros(len(text), np.bool_)
        for _, spans in results.values():
            for start, end in spans:
                held[places[start] : places[end - 1] + 1] = True
        kept = "".join(char for char, gone in zip(text, held.tolist(), strict=True) if not gone)
        return Outcome(kept or None, "" if kept else "nothing but benchmark items", {"items masked": len(results)}, matches)

    def _found(self, letters: Hashes) -> dict[int, tuple[float, list[tuple[int, int]]]]:
        """item -> (largest share of one of its texts, spans of letters that it covers)."""
        index, results = self.index, dict[int, tuple[float, list[tuple[int, int]]]]()
        ngrams, shorts = _hashes(letters, NGRAM, SHORT)
        hashes, at = self._hits(ngrams, self._filters[0], index.hashes)
        if len(hashes):
            grams, first = np.unique(hashes, return_index=True)
            left, right = np.searchsorted(index.hashes, grams), np.searchsorted(index.hashes, grams, side="right")
            counts = right - left
            texts = index.texts[np.repeat(left - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())]
            numbers, held = np.unique(texts, return_counts=True)
            for text, share in zip(numbers.tolist(), (held / index.sizes[numbers]).tolist(), strict=True):
                if share >= self.min_share:
                    own = np.isin(hashes, index.hashes[index.texts == text]) if self.action == "mask" else first[:0]
                    _add(results, int(index.owner[text]), share, [(start, start + NGRAM) for start in at[own].tolist()])
        hashes, at = self._hits(shorts, self._filters[1], index.short)
        for value, start in zip(hashes.tolist(), at.tolist(), strict=True):
            for candidate in range(int(np.searchsorted(index.short, np.uint64(value))), int(np.searchsorted(index.short, np.uint64(value), side="right"))):
                string, item = index.short_texts[candidate]
                if _string(letters[start : start + len(string)]) == string:
                    _add(results, item, 1.0, [(start, start + len(string))])
        return results

    def _lines(self, text: str, letters: Hashes, places: npt.NDArray[np.int64], overlaps: dict[int, tuple[float, list[tuple[int, int]]]]) -> None:
        """Add the items that are a line of the text."""
        lengths = np.fromiter(map(len, text.split("\n")), np.int64)
        short = np.flatnonzero((lengths >= SHORT_LINE[0]) & (lengths <= SHORT_LINE[1]))
        begin = np.cumsum(lengths + 1)[short] - lengths[short] - 1
        string = _string(letters)
        for start, end in zip(np.searchsorted(places, begin).tolist(), np.searchsorted(places, begin + lengths[short]).tolist(), strict=True):
            item = self.index.lines.get(string[start:end])
            if item is not None:
                _add(overlaps, item, 1.0, [(start, end)])

    @staticmethod
    def _hits(hashes: Hashes, bits: npt.NDArray[np.bool_], known: Hashes) -> tuple[Hashes, npt.NDArray[np.int64]]:
        """Hashes of the n-grams that are in `known`, and where they begin."""
        if not len(known):
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        first, second = _places(hashes, bits)
        at = np.flatnonzero(bits[first])
        at = at[bits[second[at]]]
        at = at[np.take(known, np.searchsorted(known, hashes[at]), mode="clip") == hashes[at]]
        return hashes[at], at


def _add(overlaps: dict[int, tuple[float, list[tuple[int, int]]]], item: int, share: float, spans: Iterable[tuple[int, int]]) -> None:
    before, known = overlaps.get(item, (0.0, []))
    overlaps[item] = (max(before, share), known + list(spans))


def _filter(hashes: Hashes) -> npt.NDArray[np.bool_]:
    """A Bloom filter of two places a hash, which is small where they are few: what lies in the caches is looked up at no cost."""
    bits = np.zeros(2 ** min(MAX_FILTER_BITS, len(hashes).bit_length() + 4), np.bool_)
    for places in _places(hashes, bits):
        bits[places] = True
    return bits


def _places(hashes: Hashes, bits: npt.NDArray[np.bool_]) -> tuple[Hashes, Hashes]:
    return hashes >> np.uint64(65 - len(bits).bit_length()), hashes & np.uint64(len(bits) - 1)


def _letters(text: str) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Code points of the letters and digits of a text, in their plainest spelling, and the place in the text of each."""
    codes = _plain()[code_points(text)]
    places = np.flatnonzero(codes)
    return codes[places].astype(np.uint64), places


def _string(letters: Hashes) -> str:
    return letters.astype("<u4").tobytes().decode("utf-32-le", "replace")


@cache
def _plain() -> npt.NDArray[np.uint32]:
    """Code point -> the first letter of its NFKC, in lower case; 0 where it is not a letter or digit."""
    table = np.zeros(0x110000, np.uint32)
    for code in range(0x20000):
        plain = unicodedata.normalize("NFKC", chr(code)).lower()[:1]
        table[code] = ord(plain) if plain.isalnum() else 0
    table[0x20000:0x40000] = np.arange(0x20000, 0x40000)
    return table


def _hashes(letters: Hashes, *sizes: int) -> list[Hashes]:
    """For each size [len(letters) - size + 1] hashes of n-grams, by doubling: those of 13 letters are made of 8, 4 and 1, and those of 8 come with them."""
    totals: list[Hashes] = [np.zeros(max(0, len(letters) - size + 1), np.uint64) for size in sizes]
    power, width = letters * _ODD, 1
    while width <= max(sizes):
        for index, size in enumerate(sizes):
            if size & width and len(totals[index]):
                done = size & (width - 1)
                totals[index] = (totals[index] ^ (totals[index] >> np.uint64(31))) * _ODD + power[done : done + len(totals[index])]
        width *= 2
        if width <= max(sizes):
            half = width // 2
            power = (power[:-half] ^ (power[:-half] >> np.uint64(29))) * _ODD + power[half:]
    for total in totals:
        total ^= total >> np.uint64(32)
        total *= _ODD
        total ^= total >> np.uint64(29)
    return totals
