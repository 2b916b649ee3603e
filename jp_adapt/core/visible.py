"""Text of anybody's as a page or a terminal may show it: nothing in it is markup, hides, or reorders what stands beside it."""

from __future__ import annotations

import html
import math


def plain(value: object) -> str:
    """Text of `value`; nothing for None and for a number that is not a number."""
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else str(value)


def visible(value: object) -> str:
    """Text of `value`, nothing for None and NaN, without characters that a page must not have.

    Control characters, lone surrogates, non-characters and the marks that reorder text are replaced by something visible: they are illegal in
    XML, or would let model output hide or scramble what stands beside it. Newlines and tabs stay.
    """
    out = []
    for char in plain(value).replace("\r\n", "\n"):
        code = ord(char)
        if char in "\n\t":
            out.append(char)
        elif code < 0x20:
            out.append(chr(0x2400 + code))  # the control picture: NUL becomes the sign that reads NUL
        elif code == 0x7F:
            out.append("\u2421")
        elif 0x80 <= code < 0xA0 or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069 or code in (0x200E, 0x200F, 0x061C):
            out.append(f"[U+{code:04X}]")
        elif 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
            out.append("\ufffd")
        else:
            out.append(char)
    return "".join(out)


def escape(value: object) -> str:
    """`visible` text that is also safe between tags and inside quoted attributes of HTML and XML. Templates do this by themselves."""
    return html.escape(visible(value), quote=True)
