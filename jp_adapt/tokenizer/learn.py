"""Learn new tokens in order of worth: byte-pair encoding continued from the base segmentation (Purason et al. 2512.03989), one list for every size.

Next comes what is worth most of all that two neighbours could make then: the sum over the sources of the square root of its uses, times the tokens that a
use saves. A phrase that one source repeats is worth less than one that all have, since the text to come is of another source.

Characters compete by use like everything else. Those of everyday Japanese (kana, punctuation, the 2,965 kanji of JIS level 1) count as if they stood once more
in `EXPECTED_CHARS` characters, because a technical corpus lacks many that the text to come has. Where few tokens are asked for, all of them are worth more
than such a character, and nothing changes.

Every beginning of the list is a tokenizer of its own: tokens are merged by rank, and the parts of each stand before it, so that what its own text is cut
into depends on the tokens up to it alone. Numbers of this and of what did not win: docs/log.md.
"""

from __future__ import annotations

import heapq
import re
import sys
from collections.abc import Iterable
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from jp_adapt.core.errors import InputError
from jp_adapt.text.code_points import code_points
from jp_adapt.text.scripts import EVERYDAY_CHARS, script_of
from jp_adapt.tokenizer.admission import is_admissible, may_merge
from jp_adapt.tokenizer.bpe import BpeTokenizer, bare_runtime, cut
from jp_adapt.tokenizer.candidates import Candidate, Candidates, Spellings
from jp_adapt.tokenizer.merges import Pair
from jp_adapt.tokenizer.units import ABSENT, LOW, SHIFT, Ints, Table, Units, Uses, halves, lookup, pair_of, sums
from jp_adapt.tokenizer.words import Words

EXPECTED_CHARS = 40_000
BLOCK = 4_000_000
UNSEEN = 0.2  # of that, where no word has the character
INSIDE = re.compile(rb"[ \x80-\xff]*")  # what a Japanese word can hold


class TooFewStrings(InputError):
    """A corpus that cannot give as many tokens; it may give fewer."""


def learn_tokens(
    base: BpeTokenizer, words: Words, num_tokens: int | None, *, min_count: int = 2, max_token_chars: int = 12, cover: bool = True
) -> tuple[list[bytes], NDArray[np.float64]]:
    """Learn `num_tokens` Japanese tokens, the most useful first.

    Args:
        base: the tokenizer to extend; none of its tokens is learned again.
        words: what to learn from; no token ever crosses a word.
        num_tokens: None for all that occur `min_count` times.
        min_count: a token occurs at least this often (weighted) when it is added; longer ones that are made of it may take most of its uses later.
        max_token_chars: longest token in characters, a leading space apart.
        cover: whether everyday characters count for more than they occur, so that some are added below `min_count`. Not where `num_tokens` is None.

    Returns:
        The tokens as bytes in order of worth, parts before what is made of them, and [num_tokens] how often each occurs in the corpus. What is learned for
        a smaller number is the beginning of the same list.

    Raises:
        InputError: the words cannot give as many tokens.
    """
    learner = _Learner(base, words, min_count, max_token_chars, cover=cover and num_tokens is not None)
    learner.learn(num_tokens)
    tokens = list(learner.learned)
    if len(tokens) < (num_tokens or 0):
        raise TooFewStrings(
            f"asked for {num_tokens:,} new tokens, and the corpus gives {len(tokens):,} Japanese strings that stand at least {min_count} times; "
            "give more Japanese text, ask for fewer tokens, or lower min_count"
        )
    return tokens, learner.uses()


class _Base:
    """The base's tokens that a Japanese word can hold: a space and bytes from 0x80 on. They are few, where Llama-3 has 128,000 tokens and 280,147 rules."""

    def __init__(self, base: BpeTokenizer) -> None:
        self.base = base
        vocab: dict[str, int] = base.spec["model"]["vocab"]
        self.vocab = {text: token_id for text, token_id in vocab.items() if text not in base.special_texts and INSIDE.fullmatch(base.token_bytes[token_id])}
        if base.is_sentencepiece:
            self.vocab |= {text: token_id for text, token_id in vocab.items() if text.startswith("<0x") or text == base.spec["model"].get("unk_token")}
        inside = self.vocab
        self.merges: list[Pair] = [pair for pair in base.merges if pair[0] in inside and pair[1] in inside and pair[0] + pair[1] in inside]
        self.ranks = {pair_of(inside[left], inside[right]): rank for rank, (left, right) in enumerate(self.merges)}

    def characters(self, chars: Iterable[str]) -> dict[bytes, list[int]]:
        """Those of some characters that the base spells with several tokens, and these tokens."""
        runtime = bare_runtime(self.vocab, self.merges, sentencepiece=self.base.is_sentencepiece)
        tokens = [char.encode("utf-8") for char in chars]
        spelled = cut(runtime, [self.base.to_text(token) for token in tokens])
        return {token: pieces for token, pieces in zip(tokens, spelled, strict=True) if len(pieces) > 1}

    def cut(self, symbols: Table, lengths: Ints) -> tuple[Table, Ints]:
        """Words as the base cuts them: the pair whose rule stands first is merged, in all words at once, until no rule is left for any."""
        units = Units(symbols, lengths)
        heap: list[tuple[int, int]] = []
        pairs = units.first
        while True:
            for pair in pairs.numbers.tolist():
                if (rank := self.ranks.get(pair)) is not None:
                    heapq.heappush(heap, (rank, pair))
            if not heap:
                return units.words()
            rank, pair = heapq.heappop(heap)
            left, right = self.merges[rank]
            pairs = units.merge(pair, self.vocab[left + right])


def _num_chars(base: BpeTokenizer, words: Words) -> NDArray[np.float64]:
    """[S] weighted number of characters in each source."""
    codes = code_points("".join(words.texts))
    inner = [code for code in np.flatnonzero(np.bincount(codes)).tolist() if base.to_bytes(chr(code))[0] & 0xC0 == 0x80]  # bytes inside a character
    begins = 1 - lookup(dict.fromkeys(inner, 1), 0, size=sys.maxunicode + 1)
    chars = np.diff(np.cumsum(begins[codes])[np.cumsum(_lengths(words.texts)) - 1], prepend=0)
    source, count, weight = words.groups
    return sums(source, count * chars[words.word], len(weight)) * weight


def _lengths(texts: list[str]) -> Ints:
    return np.fromiter(map(len, texts), np.int64, len(texts))


def _blocks(texts: list[str]) -> list[list[str]]:
    """Texts of some BLOCK characters at a time: what is known of each place while words are cut takes 50 times its memory."""
    numbers = np.cumsum(_lengths(texts)) // BLOCK
    ends = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(texts)]
    return [texts[start:end] for start, end in pairwise(ends)]


class _Learner:
    """Words in units, and a heap of what could become a token.

    A unit is a token by its id, or a character that a SentencePiece base spells with bytes: it sleeps, and merges with nothing, until it becomes a token.
    """

    def __init__(self, base: BpeTokenizer, words: Words, min_count: int, max_chars: int, *, cover: bool) -> None:
        self.base, self.min_count, self.max_chars, self.first_new = base, min_count, max_chars, base.vocab_size
        inside = _Base(base)
        self.ranks = inside.ranks
        seen = set(base.to_bytes("".join(words.texts)).decode("utf-8", errors="replace"))
        self.pieces = inside.characters(sorted({char for char in seen if script_of(char)}.union(EVERYDAY_CHARS)))
        self.sleepers = {char: base.vocab_size + place for place, char in enumerate(self.pieces if base.is_sentencepiece else ())}
        self.waiting: dict[int, list[tuple[int, float]]] = {unit: [] for unit in self.sleepers.values()}  # the pairs of each sleeper, and their worths
        self.next_unit = base.vocab_size + len(self.sleepers)
        self.asleep = np.zeros(self.next_unit + 1, bool)
        self.asleep[list(self.waiting)] = True
        self.unit_of = {base.to_bytes(text): token_id for text, token_id in inside.vocab.items()}  # of tokens: sleepers are none yet
        self.bytes_of = {unit: token for token, unit in (self.unit_of | self.sleepers).items()}
        symbols, lengths = self._cut(inside, [words.texts[word] for word in words.word.tolist()])
        self.units, self.counts = Units(symbols, lengths), Uses(lengths, *words.groups)
        self.learned: dict[bytes, int] = {}  # the unit of each new token, in order of worth
        self.expected = _num_chars(base, words) / EXPECTED_CHARS  # [S] uses of an everyday character
        self.steps = self._everyday_steps(base.is_sentencepiece) if cover else {}
        self.prior: dict[bytes, float] = {}  # of the tokens that everyday characters need: how often each is expected, in units of `expected`
        self.after: dict[bytes, list[bytes]] = {}  # the everyday characters that have a step after this token
        for char, steps in self.steps.items():
            for token in steps:
                self.prior[token] = self.prior.get(token, 0.0) + (1.0 if char.decode() in seen else UNSEEN)
            for token in steps[:-1]:
                self.after.setdefault(token, []).append(char)
        self.candidates = Candidates(self.bytes_of)
        self.spellings = Spellings(self.bytes_of)
        for unit in self.unit_of.values():
            self.spellings.exists(unit)
        self._enter(self.units.first.numbers, self.counts.by_pair(self.units.first))
        self._enter_sleepers()
        if not base.is_sentencepiece:
            self._enter_steps(self.steps)

    def _cut(self, inside: _Base, texts: list[str]) -> tuple[Table, Ints]:
        """The base's units of all words, one word after the other, ABSENT for those that no new token may hold; and how many each word has."""
        symbols = {ord(text): unit for unit, token in self.bytes_of.items() if len(text := self.base.to_text(token)) == 1}
        first = lookup(symbols, ABSENT, size=sys.maxunicode + 1)
        kept = lookup({unit: unit for unit, token in self.bytes_of.items() if may_merge(token)}, ABSENT, size=self.next_unit)
        blocks = [inside.cut(first[code_points("".join(block))], _lengths(block)) for block in _blocks(texts)]
        units, lengths = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return np.where(units >= 0, kept[units], ABSENT).astype(np.int32), lengths

    def learn(self, num_tokens: int | None) -> None:
        """Learn tokens until there are `num_tokens`, or nothing is left."""
        while num_tokens is None or len(self.learned) < num_tokens:
            best = self._best()
            if best is None:
                return
            self._add(best[1], best[2])

    def uses(self) -> NDArray[np.float64]:
        """[tokens] how often each new token occurs now."""
        uses: NDArray[np.float64] = self.counts.by_unit(self.units, list(self.learned.values())).sum(axis=1)
        return uses

    def _uses(self, pair: int) -> NDArray[np.float64]:
        """[S] how often a pair occurs now."""
        return self.counts.at(self.units.places(pair))

    def _worth(self, token: bytes, uses: NDArray[np.float64]) -> float:
        saved = len(self.pieces[token]) - 1 if token in self.sleepers else 1
        return saved * float(np.sqrt(uses + self.prior.get(token, 0.0) * self.expected).sum())

    def _best(self) -> Candidate | None:
        """What is worth most now. A worth only falls, so that an old one is a bound."""
        while (candidate := self.candidates.pop()) is not None:
            _, token, pair = candidate
            if token in self.unit_of or not is_admissible(token, self.max_chars):
                continue
            if pair >= 0:
                uses = self._uses(pair)
                if uses.sum() < self.min_count and token not in self.prior:
                    continue
                candidate = -self._worth(token, uses), token, pair
                if not self.candidates.is_best(candidate):
                    self.candidates.push(candidate)
                    continue
            return candidate
        return None

    def _add(self, token: bytes, pair: int) -> None:
        """Make `token` of a pair, or of the sleeper ~pair."""
        unit = ~pair if pair < 0 else self.next_unit
        self.learned[token] = self.unit_of[token] = unit
        self.bytes_of[unit] = token
        self.spellings.add(unit, token)
        self.spellings.exists(unit)
        if pair < 0:
            self._merge(self._wake(unit))
            return
        self.next_unit += 1
        self._merge([(unit, pair)])
        self._enter_steps(self.after.get(token, ()))

    def _merge(self, waiting: list[tuple[int, int]]) -> None:
        """Merge pairs into units, and at once whatever then spells a token that is there already, as a runtime does by that token's earlier rank.

        Llama-3 has ーション, which its own rules never reach; with ーシ and ョン it is reached, before anything longer is made of ーシ.
        """
        heapq.heapify(waiting)
        while waiting:
            unit, pair = heapq.heappop(waiting)
            created = self.units.merge(pair, unit)
            for again in self._enter(created.numbers, self.counts.by_pair(created)):
                heapq.heappush(waiting, again)

    def _has_rule(self, pair: int) -> bool:
        """Whether a runtime merges two tokens whose text is a token: always where one is new (`append_merges`), else by the base's own rules."""
        return max(halves(pair)) >= self.first_new or pair in self.ranks

    def _enter(self, pairs: Ints, uses: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Make candidates of pairs that are frequent enough. Those that a runtime merges into a token that is there come back, after its unit."""
        frequent = uses.sum(axis=1) >= self.min_count
        return self._put(pairs[frequent], np.sqrt(uses[frequent]).sum(axis=1))

    def _put(self, pairs: Ints, worths: NDArray[np.float64]) -> list[tuple[int, int]]:
        """The same, of pairs and their worths. Those of a sleeper wait until it is a token."""
        left, right = pairs >> SHIFT, pairs & LOW
        last = len(self.asleep) - 1
        free = ~(self.asleep[np.minimum(left, last)] | self.asleep[np.minimum(right, last)])
        for place in np.flatnonzero(~free).tolist():
            sleeper = next(unit for unit in (int(left[place]), int(right[place])) if unit in self.waiting)
            self.waiting[sleeper].append((int(pairs[place]), float(worths[place])))
        again = []
        for place in np.flatnonzero(free & self.spellings.may_exist(left, right)).tolist():
            pair = int(pairs[place])
            token = self.bytes_of[int(left[place])] + self.bytes_of[int(right[place])]
            if (unit := self.unit_of.get(token)) is not None:
                free[place] = False
                if may_merge(token) and self._has_rule(pair):
                    again.append((unit, pair))
        self.candidates.put(worths[free], pairs[free])
        return again

    def _wake(self, unit: int) -> list[tuple[int, int]]:
        """Make candidates of a sleeper's pairs, as `_put` does. What they were worth when they were counted bounds what they are worth."""
        self.asleep[unit] = False
        waiting = self.waiting.pop(unit)
        return self._put(np.array([pair for pair, _ in waiting], np.int64), np.array([worth for _, worth in waiting]))

    def _enter_sleepers(self) -> None:
        uses = self.counts.by_unit(self.units, list(self.waiting))
        for (char, unit), each in zip(self.sleepers.items(), uses, strict=True):
            if each.sum() >= self.min_count or char in self.prior:
                self.candidates.push((-self._worth(char, each), char, ~unit))

    def _everyday_steps(self, whole: bool) -> dict[bytes, list[bytes]]:
        """The tokens by which each everyday character becomes one: parts of it, and itself. `whole`: itself alone."""
        results = {}
        for char in (char.encode("utf-8") for char in EVERYDAY_CHARS):
            if char in self.pieces:
                pieces = [self.bytes_of[piece] for piece in self.pieces[char]]
                steps = [char] if whole else [token for token in list(accumulate(pieces))[1:] if token not in self.unit_of]
                if all(is_admissible(token, self.max_chars) for token in steps):
                    results[char] = steps
        return results

    def _enter_steps(self, chars: Iterable[bytes]) -> None:
        """Put the next step of each everyday character into the heap: it may stand nowhere in the words."""
        for char in chars:
            left = self.bytes_of[self.pieces[char][0]]
            for piece in self.pieces[char][1:]:
                token = left + self.bytes_of[piece]
                if token not in self.unit_of:
                    pair = pair_of(self.unit_of[left], piece)
                    self.candidates.push((-self._worth(token, self._uses(pair)), token, pair))
                    break
                left = token
