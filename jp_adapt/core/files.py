"""Files that appear whole or not at all, always UTF-8."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. InputError, with the line, when it is missing, unreadable or not UTF-8."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
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


def read_json(path: Path) -> Any:
    """Parse a JSON file. InputError, with the line, when it is missing or broken."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON ({error.msg})") from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name beside `path`; it takes the name `path` only when the block ends well.

    An existing `path` is a UsageError, also one that appears meanwhile: nothing is ever overwritten. Whatever the block wrote is removed when it fails,
    and what a killed process of this machine left is removed by the next one.
    """
    with _temporary_folder(path) as temporary:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                file.chmod(0o644)  # some libraries write files that nobody else may read
                _sync_file(file)
        try:
            temporary.rename(path)
        except OSError as error:
            if not path.exists():
                raise
            raise _exists(path) from error


@contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Write files under temporary names beside `paths`, all in one folder; they take their names only when the block ends well, and all or none.

    What holds of `new_folder` holds of them.
    """
    for path in paths:
        if path.exists():
            raise _exists(path)
    with _temporary_folder(paths[0]) as folder:
        temporary = [folder / path.name for path in paths]
        yield temporary
        for file in temporary:
            file.chmod(0o644)
            _sync_file(file)
        named: list[Path] = []
        try:
            for file, path in zip(temporary, paths, strict=True):
                _take_name(file, path)
                named.append(path)
        except BaseException:
            for path in named:
                path.unlink()
            raise
        shutil.rmtree(folder)


def _take_name(file: Path, path: Path) -> None:
    """Give `file` the name `path`, which nothing may have. A hard link fails where a name is taken; a rename, for file systems without links, does not."""
    try:
        path.hardlink_to(file)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:
        if path.exists():
            raise _exists(path) from None
        file.rename(path)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    if path.exists():
        raise _exists(path)
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{path.name}.{platform.node()}-*.tmp"):
            if not _is_running(int(stale.name.split("-")[-2])):
                shutil.rmtree(stale)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.{platform.node()}-{os.getpid()}-", suffix=".tmp", dir=path.parent))
        temporary.chmod(0o755)
        try:
            yield temporary
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
