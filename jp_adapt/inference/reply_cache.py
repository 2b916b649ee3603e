"""Replies of a model on disk: one line as soon as it came, so that nothing paid for is lost and nothing is asked twice."""

from __future__ import annotations

import json
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from jp_adapt.core.errors import InputError, JpAdaptError
from jp_adapt.core.files import MAX_TEXT_BYTES
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.hashes import sha256_json

OURS = re.compile(rb'\{"key": "[0-9a-f]{64}", .*\}')  # a line that `store` wrote


class ReplyCache:
    """An append-only JSONL file of replies, by the hash of the whole request. Safe for threads; one process at a time (the caller's lock).

    A line is on the disk (fsync) before `store` returns. A last line that a killed process left half written is cut off when the file is opened, and
    counted in `cut_lines`; any other broken line is an error, for then the file is not what this program wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut_lines = 0
        self._entries: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._held: dict[str, threading.Lock] = {}
        self._load()
        self._file = path.open("ab", buffering=0)  # a buffer would be written again when the file is closed, on a disk that is full

    def __enter__(self) -> ReplyCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._entries)

    @staticmethod
    def key(request: dict[str, Any]) -> str:
        """The hash of everything that makes a reply another reply: model, text, settings."""
        return sha256_json(request)

    def held(self, key: str) -> threading.Lock:
        """The lock of a key, to be held from `get` to `store`: two models that gave the same answer ask once."""
        with self._lock:
            return self._held.setdefault(key, threading.Lock())

    def get(self, key: str) -> dict[str, Any] | None:
        """The stored value, or None."""
        return self._entries.get(key)

    def store(self, key: str, value: dict[str, Any]) -> None:
        """Write one value; it is on the disk afterwards. The first value of a key stays."""
        line = json.dumps({"key": key, **value}, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            if key in self._entries:
                return
            size = os.fstat(self._file.fileno()).st_size
            try:
                written = 0
                while written < len(line):
                    written += self._file.write(line[written:])
                os.fsync(self._file.fileno())
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(self._file.fileno(), size)  # no half line before one that another worker writes
                raise JpAdaptError(f"{self.path}: cannot be written ({error.strerror}); free some space, then run the same command again") from error
            self._entries[key] = value

    def _load(self) -> None:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self.cut_lines = 1
            os.truncate(self.path, whole)
        for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
            try:
                value = parse_json(line, f"{self.path}:{number}", max_bytes=MAX_TEXT_BYTES)
                key = value.pop("key")
            except (InputError, KeyError, AttributeError, TypeError) as error:
                if OURS.fullmatch(line):
                    continue  # a whole line over a bound, as a number of 400 digits, which an earlier version stored: it is asked for again
                raise InputError(f"{self.path}:{number}: no reply that this program stored; move the file away, and everything is asked for anew") from error
            self._entries.setdefault(key, value)
