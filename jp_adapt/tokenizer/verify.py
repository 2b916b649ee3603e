"""The criteria that an extended tokenizer must hold, counted by encoding with it and with its base."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from jp_adapt.text.scripts import is_japanese
from jp_adapt.tokenizer.byte_level import ByteLevelTokenizer

MAX_EXAMPLES = 5

# Strings at which careless extensions break: what is written here must come back from every tokenizer that holds all bytes.
HOSTILE_TEXTS = (
    "".join(map(chr, range(0x20))) + "\x7f",
    "\r\n\r\n\t  \u3000 ▁▁ a  b   1  2",
    "𠮷野家で𩸽を頼む。葛󠄀城市、辻󠄂さん、神︀",  # Ext-B kanji, ideographic variation selectors
    "👨‍👩‍👧‍👦🇯🇵👍🏽",  # ZWJ sequence, flag, skin tone
    "ﾊﾟﾋﾟﾌﾟ ｶﾞｷﾞｸﾞ ｱｲｳｴｵ｡｢｣､･",
    "か\u3099き\u3099は\u309a がぎぱ",  # decomposed kana
    "①㈱㍻㌔℡№〜～ー―‐－",
    "日本語" * 400,
    "\U000f0000\U0010ffff\ufffd\ufeff\u200b",
)


@dataclass(frozen=True)
class Criterion:
    """One criterion: how often it is broken, and a few examples of it."""

    name: str
    failures: int
    examples: list[str] = field(default_factory=list)


def verify_tokenizer(base: ByteLevelTokenizer, extended: ByteLevelTokenizer, *, japanese: Sequence[str], unchanged: Sequence[str] = ()) -> list[Criterion]:
    """Count what an extension breaks; every number must be 0.

    Args:
        japanese: texts in the new language; no line of them may take more tokens than before.
        unchanged: texts (English, code) of which no line may change its ids, unless it holds Japanese characters or the ideographic space.
    """
    first_new_id = base.vocab_size
    lines = list(dict.fromkeys(chain.from_iterable(text.splitlines() for text in chain(japanese, unchanged, HOSTILE_TEXTS))))
    plain = [line for line in chain.from_iterable(text.splitlines() for text in unchanged) if not _holds_japanese(line)]
    plain += [text for text in HOSTILE_TEXTS if not _holds_japanese(text) and not _has_missing_byte(base, text)]
    return [
        _criterion("base_ids_changed", _changed_ids(base, extended)),
        _criterion("unreachable_new_tokens", _unreachable(extended, first_new_id, extended.vocab_size)),
        _criterion("changed_english_lines", (line for line in plain if base.encode(line) != extended.encode(line))),
        _criterion("longer_inputs", (line for line in lines if not _has_missing_byte(base, line) and len(extended.encode(line)) > len(base.encode(line)))),
        _criterion("round_trip_failures", (text for text in chain(lines, HOSTILE_TEXTS) if _decode(extended, text) != text)),
    ]


def _criterion(name: str, failures: Iterable[str]) -> Criterion:
    found = list(failures)
    return Criterion(name, len(found), [text if len(text) <= 80 else text[:77] + "..." for text in found[:MAX_EXAMPLES]])


def _changed_ids(base: ByteLevelTokenizer, extended: ByteLevelTokenizer) -> Iterable[str]:
    """Base tokens, specials included, that stand at another id now, or at none."""
    before = base.runtime.get_vocab(with_added_tokens=True)
    after = extended.runtime.get_vocab(with_added_tokens=True)
    return (f"{token!r}: {token_id} -> {after.get(token)}" for token, token_id in before.items() if after.get(token) != token_id)


def _unreachable(tokenizer: ByteLevelTokenizer, first: int, end: int) -> Iterable[str]:
    """New tokens that the tokenizer does not produce from their own bytes, and ids without a token."""
    by_id = {token_id: token for token, token_id in tokenizer.ids.items()}
    for token_id in range(first, end):
        token = by_id.get(token_id)
        if token is None or tokenizer.spell(token) != [token_id]:
            yield f"id {token_id}: {token!r}"


def _decode(tokenizer: ByteLevelTokenizer, text: str) -> str:
    return str(tokenizer.runtime.decode(tokenizer.encode(text), skip_special_tokens=False))


def _holds_japanese(text: str) -> bool:
    """U+3000 belongs to no word, yet it is Japanese: it begins with the same two bytes as 、 and 。."""
    return "\u3000" in text or any(map(is_japanese, text))


def _has_missing_byte(tokenizer: ByteLevelTokenizer, text: str) -> bool:
    """Whether the tokenizer would lose a byte of `text`: then its ids are no measure."""
    return any(byte in tokenizer.missing_bytes for byte in text.encode("utf-8"))
