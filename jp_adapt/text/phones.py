"""Japanese telephone numbers: the ways to write them, and the numbering plan (`phonenumbers`, Google's libphonenumber) that says which ones exist."""

from __future__ import annotations

import re

_HYPHEN = "[-‐‑‒–—―−ーｰ]"
_SPACE = "[ \u00a0\u3000]"
# Neither within a number nor behind one of its hyphens or points, nor at the end of a name: UUIDs, versions and dates continue.
_START = rf"(?:(?<=[Tt]el\.)|(?<=[Ff]ax\.)|(?<=TEL\.)|(?<=FAX\.)|(?<![0-9_])(?<![0-9A-Za-z]{_HYPHEN})(?<![0-9A-Za-z]\.)(?<![0-9)]{_HYPHEN}))"
_END = rf"(?!{_HYPHEN}?[0-9])(?![A-Za-z_]|\.[0-9])"
_COUNTRY = rf"\+81(?:{_HYPHEN}|{_SPACE}|\.)?(?:\(0\)(?:{_HYPHEN}|{_SPACE})?)?"
_BETWEEN = rf"{_SPACE}?{_HYPHEN}{_SPACE}?|{_SPACE}?\({_SPACE}?|{_SPACE}?\){_SPACE}?{_HYPHEN}?|{_SPACE}|[./]"
PHONE = re.compile(
    rf"(?=[0(+]){_START}(?P<country>{_COUNTRY})?(?:"
    rf"(?P<all>[0-9]{{9,11}}){_END}"
    rf"|(?P<open>\()?(?P<a>[0-9]{{1,5}})(?P<s>{_BETWEEN})(?P<b>[0-9]{{1,4}})(?P<t>{_BETWEEN})(?P<c>[0-9]{{3,4}}){_END}"
    rf"|(?P<open2>\()?(?P<a2>[0-9]{{2,5}})(?P<s2>{_BETWEEN})(?P<b2>[0-9]{{6,8}}){_END})"
)
# Digits of area code, exchange and subscriber (Ministry of Internal Affairs, telephone numbering plan): nine digits after the 0, ten for 050 to 090.
_LAND = {(2, 4, 4), (3, 3, 4), (4, 2, 4), (5, 1, 4)}
_MOBILE, _FREE = (3, 4, 4), {"0120": (4, 3, 3), "0570": (4, 3, 3), "0990": (4, 3, 3), "0800": (4, 3, 4)}
_SURE = re.compile(rf"{_HYPHEN}|[()]|\) ?{_HYPHEN}")
_CALLED = re.compile(r"(?:tel|fax|phone|mobile)[:.=]?$", re.IGNORECASE)
_NAMED = re.compile(r"[A-Za-z#&?%=.~$]$|(?<![0-9])/$|ISBN[-‐ :：0-9]{0,8}$", re.IGNORECASE)  # the end of a name, an address or a key; a book
_NUMBER_BEFORE, _NUMBER_AFTER = re.compile("[0-9](?:[ \t\u00a0\u3000]{1,3}|/)$"), re.compile("(?:[ \t\u00a0\u3000]{1,3}|/)[0-9]")
_COUNTED = ("0123456789", "9876543210")


def is_phone(area: str, exchange: str, subscriber: str) -> bool:
    """Whether the parts of a number, the area code with its 0, are as long as the Japanese numbering plan has them."""
    lengths = (len(area), len(exchange), len(subscriber))
    if area in _FREE:
        return lengths == _FREE[area]
    if area in ("020", "050", "060", "070", "080", "090"):
        return lengths == _MOBILE
    return area[0] == "0" and area[1:2] != "0" and lengths in _LAND


def is_phone_number(match: re.Match[str]) -> bool:
    """Whether a match of PHONE is a telephone number.

    Hyphens, parentheses and +81 are how a number is written: parts of the right lengths are enough. Without separators, or with spaces, points and slashes,
    which tables, versions and dates have, too, it must be a number that the plan has given out, cut as it is cut in its region.
    """
    country = match["country"]
    if match["all"]:
        digits = _national(match["all"], country)
        if country:
            return len(digits) in (10, 11) and digits[1] != "0"
        return not (_is_named(match) or any(digits in run for run in _COUNTED) or len(set(digits)) < 3) and _cut(digits) is not None
    parts: tuple[str, ...]
    if match["a2"]:
        separators, parts = [match["s2"]], (_national(match["a2"], country), match["b2"])
    else:
        separators, parts = [match["s"], match["t"]], (_national(match["a"], country), match["b"], match["c"])
        if all(_SURE.fullmatch(separator) for separator in separators) or (country and all(map(str.isspace, separators))):
            return _closed(match["open"], separators) and is_phone(*parts)
    if not _closed(match["open"] or match["open2"], separators) or _in_a_row(match) or _is_named(match):
        return False
    cut = _cut("".join(parts))
    if cut is None or len({separator.strip("()") for separator in separators}) > 2:
        return False
    return parts == cut if len(parts) == 3 else parts[0] == cut[0]


def _national(area: str, country: str | None) -> str:
    return "0" + area if country and area[0] != "0" else area


def _closed(opened: str | None, separators: list[str]) -> bool:
    """Whether the parentheses are paired: (03)1234-5678, 03(1234)5678."""
    marks = (opened or "") + "".join(char for separator in separators for char in separator if char in "()")
    return marks in ("", "()")


def _is_named(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 20) : match.start()]
    return _NAMED.search(before) is not None and _CALLED.search(before) is None


def _in_a_row(match: re.Match[str]) -> bool:
    """Whether there are other numbers next to it, as in the columns of a table."""
    before = match.string[max(0, match.start() - 4) : match.start()]
    return _NUMBER_BEFORE.search(before) is not None or _NUMBER_AFTER.match(match.string, match.end()) is not None


def _cut(digits: str) -> tuple[str, ...] | None:
    """The parts of a number that is assigned in the plan; None for any other."""
    import phonenumbers

    if len(digits) not in (10, 11) or digits[0] != "0":
        return None
    number = phonenumbers.parse(digits, "JP")
    if not phonenumbers.is_valid_number(number):
        return None
    return tuple(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL).split("-"))
