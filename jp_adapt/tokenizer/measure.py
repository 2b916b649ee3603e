"""What a tokenizer makes of a text: chars/token, bytes/token, fertility, and how a sentence is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from jp_adapt.text.morphology import count_words
from jp_adapt.tokenizer.byte_level import ByteLevelTokenizer


@dataclass(frozen=True)
class Measure:
    """Counts over a list of texts."""

    documents: int
    chars: int
    bytes: int
    tokens: int
    words: int

    @property
    def chars_per_token(self) -> float:
        return self.chars / self.tokens

    @property
    def tokens_per_word(self) -> float | None:
        """Fertility: tokens per UniDic word; None where there is no word."""
        return self.tokens / self.words if self.words else None

    def as_dict(self) -> dict[str, float | int | None]:
        return asdict(self) | {"chars_per_token": self.chars_per_token, "tokens_per_word": self.tokens_per_word}


def measure_tokenizer(tokenizer: ByteLevelTokenizer, texts: Sequence[str]) -> Measure:
    """Count characters, UTF-8 bytes, tokens and UniDic words of `texts`."""
    return Measure(
        documents=len(texts),
        chars=sum(map(len, texts)),
        bytes=sum(len(text.encode("utf-8")) for text in texts),
        tokens=sum(len(tokenizer.encode(text)) for text in texts),
        words=sum(map(count_words, texts)),
    )


@dataclass(frozen=True)
class Chip:
    """One token of a segmented text: its characters, or its bytes in hex when they are no whole characters."""

    text: str
    new: bool
    partial: bool


def segment(tokenizer: ByteLevelTokenizer, text: str, first_new_id: int) -> list[Chip]:
    """The tokens of `text` in order; ids from `first_new_id` on are new."""
    token_bytes = {token_id: token for token, token_id in tokenizer.ids.items()}
    token_bytes |= {token["id"]: token["content"].encode("utf-8") for token in tokenizer.spec["added_tokens"]}
    chips = []
    for token_id in tokenizer.encode(text):
        token = token_bytes[token_id]
        try:
            chips.append(Chip(token.decode("utf-8"), token_id >= first_new_id, partial=False))
        except UnicodeDecodeError:
            chips.append(Chip(token.hex(" ").upper(), token_id >= first_new_id, partial=True))
    return chips
