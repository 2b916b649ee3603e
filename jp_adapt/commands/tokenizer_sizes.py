"""`tokenizer extend --sweep`: how many tokens to add, by what they gain on text that none was learned from, and by how rare they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from jp_adapt.core.documents import Document
from jp_adapt.core.errors import UsageError
from jp_adapt.core.progress import say
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Boundaries, extend_tokenizer
from jp_adapt.tokenizer.measure import measure_tokenizer
from jp_adapt.tokenizer.words import Corpus

HELD_OUT_EVERY = 20  # documents of a corpus: each last of so many is measured, and not learned from
RARE = 10  # a token that stands less often in the corpus learns little (docs/howto/choose-a-size.md)


@dataclass(frozen=True)
class SizeRow:
    """An extension by `new_tokens`: characters per token of the held-out text, and how many of its tokens stand fewer than `RARE` times in the corpus."""

    new_tokens: int
    chars_per_token: float
    rare_tokens: int


@dataclass(frozen=True)
class SizesReport(Document):
    """What `tokenizer extend --sweep` measured; `heldout_chars` characters of `heldout_documents` documents."""

    WHAT: ClassVar[str] = "the report of a sweep over sizes"
    WAY_OUT: ClassVar[str] = "make it again with `jp-adapt tokenizer extend --sweep`"

    base_chars_per_token: float
    heldout_documents: int
    heldout_chars: int
    corpus_chars: int
    rare_below: int
    rows: list[SizeRow]
    kind: Literal["sizes"] = "sizes"
    format: Literal[1] = 1


def hold_out(documents: Iterable[str], held: list[str], most_chars: int) -> Iterator[str]:
    """Pass documents on but every twentieth, which goes into `held` instead, up to `most_chars` characters."""
    chars = 0
    for number, text in enumerate(documents, start=1):
        if number % HELD_OUT_EVERY:
            yield text
        elif chars < most_chars:
            held.append(text)
            chars += len(text)


def sweep_sizes(
    base: BpeTokenizer,
    corpus: Corpus,
    heldout: Sequence[str],
    sizes: Sequence[int],
    *,
    min_count: int,
    max_token_chars: int,
    boundaries: Boundaries,
    cover: bool,
) -> SizesReport:
    """Extend `base` by each size and measure the held-out documents.

    Raises:
        UsageError: nothing is held out. InputError: as of `extend_tokenizer`, such as a corpus that cannot give so many tokens.
    """
    if not heldout:
        raise UsageError(f"nothing is held out: fewer than {HELD_OUT_EVERY} documents in each corpus; name text to measure with --heldout FILE")
    rows = []
    for size in sorted(set(sizes)):
        extension = extend_tokenizer(base, corpus, size, min_count=min_count, max_token_chars=max_token_chars, boundaries=boundaries, cover=cover)
        learned = extension.counts[len(base.missing_bytes) :]
        rows.append(SizeRow(size, measure_tokenizer(extension.tokenizer, heldout).chars_per_token, sum(count < RARE for count in learned)))
        say(f"{size:,} new tokens: {rows[-1].chars_per_token:.3f} chars/token")
    before = measure_tokenizer(base, heldout)
    return SizesReport(before.chars_per_token, before.documents, before.chars, sum(corpus.chars), RARE, rows)
