"""Mojibake within good text: runs of UTF-8 that were read as CP1252 or Latin-1, once or twice. A run is decoded again if all of it gives Japanese."""

from __future__ import annotations

import re

from jp_adapt.text.scripts import script_of

# CP1252 as browsers read it (WHATWG Encoding): the five bytes that it leaves undefined are C1 controls, so Latin-1 is read by the same table.
_CP1252 = {bytes([byte]).decode("cp1252", errors="ignore") or chr(byte): byte for byte in range(0x80, 0xA0)}
_BYTES = {ord(char): byte for char, byte in _CP1252.items()} | {byte: byte for byte in range(0x100)}
_TAIL = "".join(map(re.escape, _CP1252)) + "\x80-\xbf"  # what a continuation byte of UTF-8 is read as
_RUN = re.compile(f"[{_TAIL}\xc0-\xff]{{3,}}")
# e3 to e9 begin the kana and nearly all kanji in UTF-8, ef the full-width forms; ã, ä, å, æ, ç, è, é, ï before two signs are no word of any language.
# Ã£Â is what is left of ã and its next byte after a second wrong reading.
_LEAD = re.compile(f"[ãäåæçèéï][{_TAIL}]{{2}}|Ã[£-©¯][Ââ]")


def repair_runs(text: str) -> tuple[str, int]:
    """The text and the number of repaired runs. A single kanji proves nothing: the end of a French quotation (é, no-break space, ») gives one, too."""
    if not _LEAD.search(text):
        return text, 0
    results = [(match, _decode(match[0])) for match in _RUN.finditer(text) if _LEAD.search(match[0])]
    if not any(new is not None and len(new) >= 2 for _, new in results):
        return text, 0
    parts, end, repairs = [], 0, 0
    for match, new in results:
        if new is not None:
            parts += [text[end : match.start()], new]
            end, repairs = match.end(), repairs + 1
    return "".join([*parts, text[end:]]), repairs


def _decode(text: str) -> str | None:
    for _ in range(2):
        raw = bytes(_BYTES[ord(char)] for char in text)
        try:
            new = raw.decode("utf-8")
        except UnicodeDecodeError:
            return None
        if 2 * sum(script_of(char) is not None for char in new) > len(new):
            return new
        if not all(ord(char) in _BYTES for char in new):
            return None
        text = new
    return None
