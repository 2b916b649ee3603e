"""`tokenizer extend --sweep`: how many tokens to add, by what they gain on text that none was learned from, and by how rare they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

from jp_adapt.core.documents import Document
from jp_adapt.core.errors import UsageError
from jp_adapt.core.progress import say
from jp_adapt.report.written import plural
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Boundaries, Extension, extend_tokenizer
from jp_adapt.tokenizer.learn import TooFewStrings
from jp_adapt.tokenizer.measurable import Measurable
from jp_adapt.tokenizer.measure import measure_tokenizer
from jp_adapt.tokenizer.prefix import shorten
from jp_adapt.tokenizer.save import extension_record
from jp_adapt.tokenizer.words import Corpus

HELD_OUT_EVERY = 20  # documents of a corpus: each last of so many is measured, and not learned from
RARE = 10  # a token that stands less often in the corpus learns little (docs/howto/choose-a-size.md)


@dataclass(frozen=True)
class SizeRow:
    """An extension by `new_tokens`: characters per token of the held-out text, how many of its tokens stand fewer than `RARE` times in the corpus, and how many
    would, were the corpus as long as the budget of a training."""

    new_tokens: int
    chars_per_token: float
    rare_tokens: int
    rare_in_budget: int | None = None


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


@dataclass(frozen=True)
class Learning:
    """How tokens are learned, as `extend_tokenizer` takes it."""

    min_count: int | None = None
    max_token_chars: int = 12
    boundaries: Boundaries = "none"
    cover: bool = True


def sweep_sizes(
    base: BpeTokenizer,
    corpus: Corpus,
    heldout: Sequence[str],
    sizes: Sequence[int],
    learning: Learning,
    *,
    budget: Callable[[int], int] | None = None,
    as_far_as_given: bool = False,
) -> SizesReport:
    """Extend `base` by the largest size, of which the others are beginnings, and measure the held-out documents with each.

    Args:
        budget: tokens that a training with so many new ones will read of texts like the corpus, to say how often each will stand in it.
        as_far_as_given: leave out sizes, but the smallest, for which the corpus holds too little text, with a word.

    Raises:
        UsageError: nothing is held out. InputError: as of `extend_tokenizer`, such as a corpus that cannot give so many tokens.
    """
    _refuse_nothing(heldout)
    longest, kept = _longest(base, corpus, sorted(set(sizes)), learning, as_far_as_given=as_far_as_given)
    record, rows = extension_record(longest), []
    for size in kept:
        extension = shorten(base, record, size)
        learned = extension.counts[len(base.missing_bytes) :]
        gained = measure_tokenizer(extension.tokenizer, heldout, words=0).chars_per_token  # words are not asked for
        longer = None if budget is None else budget(size) * gained / sum(corpus.chars)  # the budget in characters, over those of the corpus
        in_budget = None if longer is None else sum(count * longer < RARE for count in learned)
        rows.append(SizeRow(size, gained, sum(count < RARE for count in learned), in_budget))
        say(f"{plural(size, 'new token')}: {rows[-1].chars_per_token:.3f} chars/token")
    return sizes_report(base, corpus, heldout, rows)


def sizes_report(base: Measurable, corpus: Corpus, heldout: Sequence[str], rows: list[SizeRow]) -> SizesReport:
    """The report of `rows`, with what the base does. UsageError where nothing is held out."""
    _refuse_nothing(heldout)
    before = measure_tokenizer(base, heldout, words=0)
    return SizesReport(before.chars_per_token, before.documents, before.chars, sum(corpus.chars), RARE, rows)


def _refuse_nothing(heldout: Sequence[str]) -> None:
    if not heldout:
        raise UsageError(f"nothing is held out: fewer than {HELD_OUT_EVERY} documents in each corpus; name text to measure with --heldout FILE")


def _longest(base: BpeTokenizer, corpus: Corpus, sizes: list[int], learning: Learning, *, as_far_as_given: bool) -> tuple[Extension, list[int]]:
    """The extension by the largest size, of which the smaller ones are beginnings, and the sizes that it has."""
    while True:
        try:
            return extend_tokenizer(base, corpus, sizes[-1], **asdict(learning)), sizes
        except TooFewStrings as error:
            if not as_far_as_given or len(sizes) == 1:
                raise
            say(f"{sizes[-1]:,} new tokens are left out: {str(error).partition('; ')[0]}")
            sizes = sizes[:-1]
