"""Files that appear whole or not at all, always UTF-8."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.foreign_json import MAX_BYTES, parse_json

MAX_TEXT_BYTES = 256 * 2**20  # of a text that is read in one piece


def read_text(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a UTF-8 file. InputError, with the line, when it is missing, unreadable, too large or not UTF-8."""
    data = bytearray()
    with _read_errors(path), path.open("rb") as file:
        while piece := file.read(2**20):  # the size that the system tells is 0 for a pipe or a device
            data += piece
            if len(data) > max_bytes:
                raise InputError(f"{path}: has more than {max_bytes:,} bytes, too much for a file that is read in one piece")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise not_utf8(f"{path}:{line}", data[error.start]) from error


def not_utf8(place: str, byte: int) -> InputError:
    """The error for a byte that is not UTF-8, at `place` (file:line)."""
    return InputError(f"{place}: byte 0x{byte:02X} is not UTF-8; convert the file (for example: iconv -f CP932 -t UTF-8) and run again")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all: temporary name, fsync, rename."""
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, Japanese text readable as it is; NaN is refused."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, *, max_bytes: int = MAX_BYTES, allow_nan: bool = False) -> Any:
    """The value of a JSON file, with the bounds of `parse_json`. InputError, with the line, when it is missing, unreadable, broken or over a bound."""
    return parse_json(read_text(path, max_bytes), str(path), max_bytes=max_bytes, number_lines=True, allow_nan=allow_nan)


def read_json_lines(path: Path, *, max_bytes: int = MAX_BYTES, lone_surrogates: Literal["refuse", "replace"] = "refuse") -> Iterator[tuple[str, Any]]:
    """(file:line, value) of every line of a JSONL file that is not empty; one line is in memory at a time, and none may have more than `max_bytes`.

    Raises:
        InputError: at file:line, what `parse_json` refuses; the file is missing or unreadable.
    """
    with _read_errors(path), path.open("rb") as file:
        number = 0
        while line := file.readline(max_bytes + 1):
            number += 1
            if line.strip():
                place = f"{path}:{number}"
                yield place, parse_json(line, place, max_bytes=max_bytes, lone_surrogates=lone_surrogates)


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name beside `path`; it takes the name `path` only when the block ends well.

    An existing `path` is a UsageError, also one that appears meanwhile: nothing is ever overwritten. Whatever the block wrote is removed when it fails,
    and what a killed process of this machine left is removed by the next one.
    """
    if path.exists():
        raise _exists(path)
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{path.name}.{platform.node()}-*.tmp"):
            if not _is_running(int(stale.name.split("-")[-2])):
                shutil.rmtree(stale)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.{platform.node()}-{os.getpid()}-", suffix=".tmp", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            for file in sorted(temporary.rglob("*")):
                if file.is_file():
                    _sync_file(file)
            try:
                temporary.rename(path)
            except OSError as error:
                if not path.exists():
                    raise
                raise _exists(path) from error
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_folder(path.parent)


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path}: exists already; give another name, or move it away")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError):
            place, reason = error.filename or path, error.strerror or str(error)
        elif _is_safetensors_write_error(error):
            place, reason = path, str(error)
        else:
            raise
        raise JpAdaptError(f"{place}: cannot be written ({reason}); free some space or choose another --out, then run again") from error


def _is_safetensors_write_error(error: Exception) -> bool:
    """safetensors reports a full disk as an exception of its own kind; it is not imported for that, since it may not be in use."""
    module = sys.modules.get("safetensors")
    return module is not None and isinstance(error, module.SafetensorError) and "I/O error" in str(error)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
