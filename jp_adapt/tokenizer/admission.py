"""Which byte strings may become new tokens."""

from __future__ import annotations

from functools import cache, lru_cache

from jp_adapt.text.scripts import any_japanese_between, is_japanese


@lru_cache(maxsize=1 << 16)
def is_admissible(token: bytes, max_chars: int) -> bool:
    """Whether `token` is at most `max_chars` Japanese characters, with a leading space or without, or the first bytes of one."""
    try:
        text = token.decode("utf-8").removeprefix(" ")
    except UnicodeDecodeError as error:
        return error.start == 0 and error.end == len(token) and error.reason == "unexpected end of data" and begins_japanese(token)
    return len(text) <= max_chars and is_japanese(text)


@cache
def begins_japanese(partial: bytes) -> bool:
    """Whether some Japanese character begins with the bytes `partial`, which are the first of a character (not those of an emoji or of Hangul)."""
    if partial == b"\xef\xbf":  # also the beginning of U+FFFD, which stands in damaged text of every language; ￥ is not worth that
        return False
    length, code = (4, partial[0] & 0x07) if partial[0] >= 0xF0 else (3, partial[0] & 0x0F) if partial[0] >= 0xE0 else (2, partial[0] & 0x1F)
    for byte in partial[1:]:
        code = code << 6 | byte & 0x3F
    bits = 6 * (length - len(partial))
    return any_japanese_between(code << bits, ((code + 1) << bits) - 1)


def may_merge(token: bytes) -> bool:
    """Whether a longer new token may hold `token`: Japanese characters, a space before some or alone, or a part of a character."""
    try:
        text = token.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return text == " " or is_japanese(text.removeprefix(" "))
