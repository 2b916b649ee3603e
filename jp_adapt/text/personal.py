"""Personal information in text: mail addresses, Japanese telephone numbers, individual numbers (My Number) with a right check digit."""

from __future__ import annotations

import re
from collections.abc import Callable

MASKS = {"mail": "<EMAIL>", "phone": "<PHONE>", "my_number": "<MY_NUMBER>"}
# Reserved for examples (RFC 2606 and 6761, JPRS): documentation is full of them, and they belong to nobody.
_NOBODY = re.compile(r"@(?:[\w-]+\.)*(?:example(?:\.(?:com|net|org|jp|co\.jp))?|localhost|invalid|test|domain|host)(?:\.?$)", re.IGNORECASE)
_MAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![A-Za-z0-9-])")
# Area code, exchange and number with separators, as Japan writes them: 03-1234-5678, (03)1234-5678, 0120-123-456, +81-3-1234-5678; a mobile also without.
_PHONE = re.compile(
    r"(?<![A-Za-z0-9_.+-])(?:"
    r"\(0\d{1,4}\)[ ]?\d{1,4}-\d{4}|（0\d{1,4}）\d{1,4}-\d{4}"
    r"|0\d{1,4}-\d{1,4}-\d{3,4}|0\d{1,4}\(\d{1,4}\)\d{4}|\+81[- ]?\d{1,4}[- ]\d{1,4}[- ]\d{3,4}|0[789]0\d{8}"
    r")(?![A-Za-z0-9_-])"
)
_NUMBER = re.compile(r"(?<![\d.-])(?:\d{12}|\d{4}[- ]\d{4}[- ]\d{4})(?![\d-]|\.\d)")
_DIGITS = re.compile(r"\D")


def is_my_number(digits: str) -> bool:
    """Whether 12 digits are an individual number: the last one checks the others (Ordinance No. 85 of 2014 of the Ministry of Internal Affairs, article 5)."""
    if len(digits) != 12 or not digits.isascii() or not digits.isdigit() or len(set(digits)) == 1:
        return False
    total = sum(int(digit) * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits[:11]), start=1))
    rest = total % 11
    return int(digits[11]) == (0 if rest <= 1 else 11 - rest)


def mask_personal(text: str) -> tuple[str, dict[str, int]]:
    """The text with personal information replaced by MASKS, and how often."""
    changes: dict[str, int] = {}
    for kind, pattern, is_personal in _KINDS:
        if kind == "mail" and "@" not in text:
            continue

        def mask(match: re.Match[str], kind: str = kind, is_personal: Callable[[str], bool] = is_personal) -> str:
            if not is_personal(match[0]):
                return match[0]
            changes[kind] = changes.get(kind, 0) + 1
            return MASKS[kind]

        text = pattern.sub(mask, text)
    return text, changes


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("mail", _MAIL, lambda found: _NOBODY.search(found) is None),
    ("my_number", _NUMBER, lambda found: is_my_number(_DIGITS.sub("", found))),
    ("phone", _PHONE, lambda found: 10 <= len(_DIGITS.sub("", found)) <= 12),
)
