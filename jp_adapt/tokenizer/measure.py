"""How a tokenizer encodes a text: chars/token, bytes/token, fertility, broken characters, use of the vocabulary, and the tokens of a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import TYPE_CHECKING

from jp_adapt.text.morphology import count_words
from jp_adapt.text.scripts import script_of
from jp_adapt.tokenizer.bpe import BpeTokenizer, text_of

if TYPE_CHECKING:
    from jp_adapt.tokenizer.measurable import Measurable

RENYI_ORDER = 2.5  # the order that Zouhar et al. (2306.16842) found closest to translation quality


@dataclass(frozen=True)
class Measure:
    """Counts over a list of texts."""

    documents: int
    chars: int
    bytes: int
    tokens: int
    words: int
    byte_tokens: int  # tokens of one byte that is not a character
    broken_tokens: int  # tokens that are no whole characters, those of one byte included
    renyi_efficiency: float  # Renyi entropy of the tokens over that of a uniform use of the whole vocabulary (reported, never optimised: 2402.14614)
    vocabulary_use: float  # share of the vocabulary that stands in the texts

    @property
    def chars_per_token(self) -> float:
        return self.chars / self.tokens

    @property
    def tokens_per_word(self) -> float | None:
        """Fertility: tokens per UniDic word; None where there is no word."""
        return self.tokens / self.words if self.words else None

    def as_dict(self) -> dict[str, float | int | None]:
        return asdict(self) | {
            "chars_per_token": self.chars_per_token,
            "bytes_per_token": self.bytes / self.tokens,
            "tokens_per_word": self.tokens_per_word,
            "byte_fallback_share": self.byte_tokens / self.tokens,
            "broken_share": self.broken_tokens / self.tokens,
        }


def measure_tokenizer(tokenizer: Measurable, texts: Sequence[str], *, words: int | None = None) -> Measure:
    """Count characters, UTF-8 bytes, tokens and UniDic words of `texts`. ValueError if they give no token.

    `words` is the number of UniDic words where it is known from another measure of the same texts.
    """
    uses: Counter[int] = Counter()
    for ids in tokenizer.encode_batch(texts):
        uses.update(ids)
    total = sum(uses.values())
    if not total:
        raise ValueError("the texts give no token; give text to measure on")
    broken = {token_id for token_id in uses if text_of(tokenizer.token_bytes[token_id]) is None}
    return Measure(
        documents=len(texts),
        chars=sum(map(len, texts)),
        bytes=sum(len(text.encode("utf-8")) for text in texts),
        tokens=total,
        words=sum(map(count_words, texts)) if words is None else words,
        byte_tokens=sum(uses[token_id] for token_id in broken if len(tokenizer.token_bytes[token_id]) == 1),
        broken_tokens=sum(uses[token_id] for token_id in broken),
        renyi_efficiency=_renyi_entropy(uses.values(), total) / log(tokenizer.vocab_size),
        vocabulary_use=len(uses) / tokenizer.vocab_size,
    )


def _renyi_entropy(counts: Iterable[int], total: int) -> float:
    return log(sum((count / total) ** RENYI_ORDER for count in counts)) / (1 - RENYI_ORDER)


def token_script(token: bytes) -> str:
    """Script of a token: the one that all its characters have ("kanji" for " 日": a leading space is let go), "mixed" for several, "other" where it is not
    Japanese, and "partial" for bytes that are no whole characters."""
    text = text_of(token)
    if text is None:
        return "partial"
    scripts = {script_of(char) or "other" for char in text.removeprefix(" ")}
    return "mixed" if len(scripts) > 1 else next(iter(scripts), "other")


@dataclass(frozen=True)
class Chip:
    """One token of a segmented text: its characters, or its bytes in hex when they are no whole characters."""

    text: str
    new: bool
    partial: bool


def segment(tokenizer: BpeTokenizer, text: str, first_new_id: int) -> list[Chip]:
    """The tokens of `text` in order; ids from `first_new_id` on are new."""
    chips = []
    for token_id in tokenizer.encode(text):
        token = tokenizer.token_bytes[token_id]
        whole = text_of(token)
        chips.append(Chip(token.hex(" ").upper() if whole is None else whole, token_id >= first_new_id, partial=whole is None))
    return chips


def new_pieces(tokenizer: BpeTokenizer, text: str, first_new_id: int) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether new tokens spell it; a character that several tokens spell is new where one of them is.

    A text that the tokenizer does not give back as it is comes in one piece, unmarked.
    """
    pieces: list[tuple[str, bool]] = []
    spelled, new = b"", False
    for token_id in tokenizer.encode(text):
        spelled, new = spelled + tokenizer.token_bytes[token_id], new or token_id >= first_new_id
        piece = text_of(spelled)
        if piece is None:
            continue
        if pieces and pieces[-1][1] == new:
            piece = pieces.pop()[0] + piece
        pieces.append((piece, new))
        spelled, new = b"", False
    return pieces if not spelled and "".join(piece for piece, _ in pieces) == text else [(text, False)]
