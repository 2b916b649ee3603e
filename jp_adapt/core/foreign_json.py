"""JSON written by another program: server replies, files from the hub, other people's results. Its contents are bounded, and anything wrong is one error with
its place.

`json.loads` alone raises RecursionError (nesting), ValueError (an integer of 4,301 digits) and UnicodeDecodeError besides its own error, and lets pass what
breaks later: integers that no float can hold, NaN, half a surrogate pair. Files are read by `files.read_json` and `files.read_json_lines`, which end here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, Literal, NoReturn

from jp_adapt.core.errors import InputError

MAX_BYTES = 64 * 2**20  # the largest tokenizer.json of the hub has about 35 MB; parsed, `[[],[],...]` takes 20 times its size
MAX_DEPTH = 100  # what is nested deeper cannot be written, compared or walked without running into Python's own limit
MAX_DIGITS = 300  # a float holds integers of up to 308 digits

# an escape of a string: a whole surrogate pair, half of one (caught), or any other
ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def parse_json(
    text: str | bytes,
    where: str,
    *,
    max_bytes: int = MAX_BYTES,
    number_lines: bool = False,
    allow_nan: bool = False,
    unique_keys: bool = False,
    lone_surrogates: Literal["refuse", "replace"] = "refuse",
) -> Any:
    """The value of a JSON text.

    Args:
        where: what the text is, for the error: a file, file:line, or an address.
        max_bytes: bytes of UTF-8, or characters of a str.
        number_lines: put the number of the line behind `where`, for a text of many lines.
        allow_nan: take NaN, Infinity and numbers too large for a float, as configurations of the hub have them.
        unique_keys: refuse an object that names a key twice.
        lone_surrogates: what half a surrogate pair (`\\ud83d` alone) becomes: an error, or U+FFFD.

    Raises:
        InputError: no JSON, or over a bound; the message begins with `where`.
    """
    if len(text) > max_bytes:
        raise InputError(f"{where}: has more than {max_bytes:,} bytes, too much for JSON that is read in one piece")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: not valid JSON (byte 0x{text[error.start]:02X} is not UTF-8)") from error
    text = text.removeprefix("\ufeff")
    if "\\ud" in text or "\\uD" in text:
        text = ESCAPE.sub(lambda match: _whole_escape(match, where, lone_surrogates), text)
    try:
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=None if allow_nan else _finite,
            parse_constant=None if allow_nan else _no_number,
            object_pairs_hook=_once if unique_keys else None,
        )
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}" if number_lines else where
        raise InputError(f"{place}: not valid JSON ({error.msg})") from error
    except _RefusedError as error:
        raise InputError(f"{where}: {error}") from error
    except RecursionError:
        raise _too_deep(where) from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _refuse_depth(value, where)
    return value


class _RefusedError(Exception):
    """Valid JSON that exceeds a bound; the message does not yet name the place."""


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise _RefusedError(f"a number of {len(digits):,} digits; at most {MAX_DIGITS} are read")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _RefusedError(f"the number {digits[:40]} is too large")
    return number


def _no_number(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _RefusedError(f"the key {twice[:40]!r} stands twice")
    return value


def _whole_escape(match: re.Match[str], where: str, lone_surrogates: str) -> str:
    if match.group(1) is None:
        return match.group()
    if lone_surrogates == "refuse":
        raise InputError(f"{where}: holds a lone surrogate (\\{match.group(1)}), which is not a text")
    return "\\ufffd"


def _refuse_depth(value: Any, where: str) -> None:
    """InputError where `value` is nested deeper than MAX_DEPTH; goes down level by level, so that no depth is too much for it."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = (child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent))
        level = [child for child in inner if isinstance(child, (dict, list))]
        if not level:
            return
    raise _too_deep(where)


def _too_deep(where: str) -> InputError:
    return InputError(f"{where}: JSON nested deeper than {MAX_DEPTH} levels")
