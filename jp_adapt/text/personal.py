"""Personal information in text: e-mail addresses, Japanese telephone numbers, My Numbers with a valid check digit; in half and full width."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

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
    before = None
    while text != before:  # a mask may set free what stood against the masked: 03-1234-5678a@b.jp after another address
        before = text
        for kind, sign, pattern, is_personal in _KINDS:
            if sign.search(text) is None:
                continue
            spans = [match.span() for match in _matches(pattern, text) if is_personal(match)]
            if spans:
                changes[kind] = changes.get(kind, 0) + len(spans)
                text = _replaced(text, spans, MASKS[kind])
    return text, changes


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    return pattern.finditer(text.translate(_HALF_WIDTH) if _WIDE.search(text) else text)


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


# Kind, what a text without it never holds, its form, and whether it is one.
_KINDS: tuple[tuple[str, re.Pattern[str], re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    ("mail", re.compile("[@＠]"), _MAIL, _is_mail),
    ("my_number", re.compile(r"\d{4}"), _MY_NUMBER, _is_my_number),
    ("phone", re.compile("[0０][0-9０-９]|[(（][0０]|[+＋][8８]"), PHONE, is_phone_number),
)
