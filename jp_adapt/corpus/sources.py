"""Read documents from local files. A document that cannot be read stops the reading, with its file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import not_utf8, read_text


def read_documents(path: Path, field: str = "text") -> list[str]:
    """All documents of one file: a line each in .jsonl and .jsonl.gz (the text in `field`), the whole file in .txt.

    Raises:
        InputError: the file is missing, empty, not UTF-8, cut short, or a line is not what it must be. Nothing is skipped.
    """
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        documents = list(_jsonl(path, field))
    elif name.endswith(".txt"):
        documents = [text] if (text := read_text(path)).strip() else []
    else:
        raise InputError(f"{path}: texts are read from .jsonl, .jsonl.gz and .txt; convert this file")
    if not documents:
        raise InputError(f"{path}: holds no document; give a file with text")
    return documents


def _jsonl(path: Path, field: str) -> Iterator[str]:
    for number, raw in enumerate(_lines(path), start=1):
        place = f"{path}:{number}"
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(place, raw[error.start]) from error
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{place}: not valid JSON ({error.msg})") from error
        text = record.get(field) if isinstance(record, dict) else None
        if not isinstance(text, str):
            raise InputError(f"{place}: no text in field '{field}'; name the right one with 'field:' in the source")
        if not text.strip():
            raise InputError(f"{place}: field '{field}' is empty; take the line out")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{place}: holds a lone surrogate (U+{ord(text[error.start]):04X}), which is no text; mend the line") from error
        yield text


def _lines(path: Path) -> Iterator[bytes]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for line in file:
                number += 1
                yield line
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}:{number + 1}: the gzip file is damaged or cut short here ({error}); fetch it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
