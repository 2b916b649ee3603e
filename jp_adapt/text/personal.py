"""Personal information in text: e-mail addresses, Japanese telephone numbers, My Numbers with a valid check digit; in half and full width."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from jp_adapt.text.phones import PHONE, is_phone_number

MASKS = {"mail": "<EMAIL>", "phone": "<PHONE>", "my_number": "<MY_NUMBER>"}
# Everything is looked for in a copy of the same length, in which full-width letters, digits and signs are ASCII.
_WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ＠]")
_HALF_WIDTH = str.maketrans({chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})
_MAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])(?P<user>[A-Za-z0-9][A-Za-z0-9._%+-]{0,63})@"  # RFC 5321 4.5.3.1: 64 characters; the bound also keeps long lines linear
    r"(?P<domain>(?!\d+\.\d)(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z-])"  # react@18.2.0 is a version
)
# Reserved for examples (RFC 2606 and 6761, JPRS): documentation is full of them, and they belong to nobody.
_NOBODY = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org|jp|co\.jp))?|localhost|invalid|test|domain|host)$", re.IGNORECASE)
_MY_NUMBER = re.compile(r"(?<![A-Za-z_.\d])(?<![\dA-Za-z][-‐‑–−ー.])\d{4}([ \u3000]|[-‐‑–−ー]|)\d{4}\1\d{4}(?![-‐‑–−ー]?\d)(?![A-Za-z_]|\.\d)")


def is_my_number(digits: str) -> bool:
    """Whether 12 digits are an individual number: the last one checks the others (Ordinance No. 85 of 2014 of the Ministry of Internal Affairs, article 5)."""
    if len(digits) != 12 or not digits.isascii() or not digits.isdigit() or len(set(digits)) == 1:
        return False
    total = sum(int(digit) * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits[:11]), start=1))
    rest = total % 11
    return int(digits[11]) == (0 if rest <= 1 else 11 - rest)


def mask_personal(text: str) -> tuple[str, dict[str, int]]:
    """The text with personal information replaced by MASKS, and the number of replacements."""
    changes: dict[str, int] = {}
    before, plain = None, _in_half_width(text)
    while text != before:  # a mask may set free what stood against the masked: 03-1234-5678a@b.jp after another address
        before = text
        for kind, matches, is_personal in _KINDS:
            spans = [match.span() for match in matches(plain) if is_personal(match)]
            if spans:
                changes[kind] = changes.get(kind, 0) + len(spans)
                text = _replaced(text, spans, MASKS[kind])
                plain = _in_half_width(text)
    return text, changes


def _in_half_width(text: str) -> str:
    return text.translate(_HALF_WIDTH) if _WIDE.search(text) else text


def _mails(text: str) -> Iterator[re.Match[str]]:
    return _MAIL.finditer(text) if "@" in text else iter(())


def _tried(pattern: re.Pattern[str], starts: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """As `pattern.finditer(text)`, but tried only where `starts` finds something: Python's own search tries every place, which takes ten times as long."""
    end = 0
    for place in starts.finditer(text):
        match = pattern.match(text, place.start()) if place.start() >= end else None
        if match is not None:
            end = match.end()
            yield match


def _replaced(text: str, spans: list[tuple[int, int]], mask: str) -> str:
    parts, done = [], 0
    for start, end in spans:
        parts += [text[done:start], mask]
        done = end
    return "".join([*parts, text[done:]])


def _is_mail(match: re.Match[str]) -> bool:
    return match["user"] != "git" and not _NOBODY.search(match["domain"])


def _is_my_number(match: re.Match[str]) -> bool:
    return is_my_number("".join(filter(str.isdigit, match[0])))


# Kind, where a text may hold it, and whether that is one.
_KINDS: tuple[tuple[str, Callable[[str], Iterator[re.Match[str]]], Callable[[re.Match[str]], bool]], ...] = (
    ("mail", _mails, _is_mail),
    ("my_number", partial(_tried, _MY_NUMBER, re.compile(r"\d{4}")), _is_my_number),
    ("phone", partial(_tried, PHONE, re.compile(r"0|\((?=[0-9])|\+81")), is_phone_number),
)
