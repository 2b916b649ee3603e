"""Personal information in text: mail addresses, Japanese telephone numbers, individual numbers (My Number) with a right check digit; half and full width."""

from __future__ import annotations

import re
from collections.abc import Callable

MASKS = {"mail": "<EMAIL>", "phone": "<PHONE>", "my_number": "<MY_NUMBER>"}
_MAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])(?P<user>[A-Za-z0-9][A-Za-z0-9._%+-]{0,63})[@＠]"  # RFC 5321 4.5.3.1: 64 characters; the bound also keeps long lines linear
    r"(?P<domain>(?!\d+\.\d)(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z-])"  # react@18.2.0 is a version
)
# Reserved for examples (RFC 2606 and 6761, JPRS): documentation is full of them, and they belong to nobody.
_NOBODY = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org|jp|co\.jp))?|localhost|invalid|test|domain|host)$", re.IGNORECASE)
_DIGIT, _HYPHEN = r"[0-9０-９]", "[-‐‑–−－ー]"
# Neither within a number nor behind one of its hyphens or points, nor at the end of a name: UUIDs, versions and dates go on.
_START = r"(?<![0-9０-９_])(?<![0-9A-Za-z０-９][-‐‑–−－ー.．])(?<![0-9０-９)）][-‐‑–−－])"
_END = rf"(?!{_HYPHEN}?{_DIGIT})(?![A-Za-z_]|[.]{_DIGIT})"
_PHONE = re.compile(
    rf"(?=[0０(（+＋]){_START}(?:"
    rf"(?:(?P<country>[+＋][8８][1１])[- －]?(?:[(（][0０][)）])?[- －]?)?"
    rf"(?:[(（](?P<a1>{_DIGIT}{{1,5}})[)）] ?{_HYPHEN}?|(?P<a2>{_DIGIT}{{1,5}})(?:{_HYPHEN}| (?=\d)))"
    rf"(?P<b1>{_DIGIT}{{1,4}})(?:{_HYPHEN}| (?=\d))(?P<c1>{_DIGIT}{{3,4}})"
    rf"|(?P<a3>[0０]{_DIGIT}{{1,4}})[(（](?P<b3>{_DIGIT}{{1,4}})[)）](?P<c3>{_DIGIT}{{4}})"
    rf"|(?P<a4>[0０][7-9７-９][0０])(?P<b4>{_DIGIT}{{4}})(?P<c4>{_DIGIT}{{4}})){_END}"
)
_PARTS = (("a1", "a2", "a3", "a4"), ("b1", "b3", "b4"), ("c1", "c3", "c4"))  # of the number, in each form
# Digits of area code, exchange and subscriber (Ministry of Internal Affairs, telephone numbering plan): nine digits after the 0, ten for 050 to 090.
_LAND = {(2, 4, 4), (3, 3, 4), (4, 2, 4), (5, 1, 4)}
_MOBILE, _FREE = (3, 4, 4), {"0120": (4, 3, 3), "0570": (4, 3, 3), "0990": (4, 3, 3), "0800": (4, 3, 4)}
_NUMBER = re.compile(rf"(?<![A-Za-z_.]){_START}{_DIGIT}{{4}}([ \u3000]|{_HYPHEN}|){_DIGIT}{{4}}\1{_DIGIT}{{4}}{_END}")


def is_my_number(digits: str) -> bool:
    """Whether 12 digits are an individual number: the last one checks the others (Ordinance No. 85 of 2014 of the Ministry of Internal Affairs, article 5)."""
    if len(digits) != 12 or not digits.isascii() or not digits.isdigit() or len(set(digits)) == 1:
        return False
    total = sum(int(digit) * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits[:11]), start=1))
    rest = total % 11
    return int(digits[11]) == (0 if rest <= 1 else 11 - rest)


def is_phone(area: str, exchange: str, subscriber: str) -> bool:
    """Whether the parts of a number, the area code with its 0, are as long as the Japanese numbering plan has them."""
    lengths = (len(area), len(exchange), len(subscriber))
    if area in _FREE:
        return lengths == _FREE[area]
    if area in ("020", "050", "060", "070", "080", "090"):
        return lengths == _MOBILE
    return area[0] == "0" and area[1:2] != "0" and lengths in _LAND


def mask_personal(text: str) -> tuple[str, dict[str, int]]:
    """The text with personal information replaced by MASKS, and how often."""
    changes: dict[str, int] = {}
    before = None
    while text != before:  # a mask may set free what stood against the masked: 03-1234-5678a@b.jp after another address
        before = text
        for kind, pattern, is_personal in _KINDS:
            if kind == "mail" and "@" not in text and "＠" not in text:
                continue

            def mask(match: re.Match[str], kind: str = kind, is_personal: Callable[[re.Match[str]], bool] = is_personal) -> str:
                if not is_personal(match):
                    return match[0]
                changes[kind] = changes.get(kind, 0) + 1
                return MASKS[kind]

            text = pattern.sub(mask, text)
    return text, changes


def _is_mail(match: re.Match[str]) -> bool:
    return match["user"] != "git" and not _NOBODY.search(match["domain"])


def _is_phone(match: re.Match[str]) -> bool:
    if match["a2"] and not match["country"] and " " in match[0]:
        return False  # columns of a table: 01 1024 2048
    area, exchange, subscriber = (_digits("".join(match[name] or "" for name in names)) for names in _PARTS)
    return is_phone(area if area[0] == "0" or not match["country"] else "0" + area, exchange, subscriber)


def _digits(text: str) -> str:
    return "".join(str(int(char)) for char in text if char.isdecimal())


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    ("mail", _MAIL, _is_mail),
    ("my_number", _NUMBER, lambda match: is_my_number(_digits(match[0]))),
    ("phone", _PHONE, _is_phone),
)
