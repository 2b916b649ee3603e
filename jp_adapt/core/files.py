"""Files that appear whole or not at all, always UTF-8."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.foreign_json import MAX_BYTES, parse_json

MAX_NAME_BYTES = 255  # of a file, on every file system in use
MAX_SHOWN = 200  # characters of a path in a message
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
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


def is_file(path: Path) -> bool:
    """Whether `path` is a file. InputError if the system cannot say: the name is impossible, or a folder may not be entered."""
    try:
        return path.is_file()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{_shown(path)}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def not_utf8(place: str, byte: int) -> InputError:
    """The error for a byte that is not UTF-8, at `place` (file:line)."""
    return InputError(f"{place}: byte 0x{byte:02X} is not UTF-8; convert the file (for example: iconv -f CP932 -t UTF-8) and run again")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all: temporary name, fsync, rename. Its mode is what the user's umask says."""
    temporary = _temporary_name(path)
    with _disk_errors(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
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


def refuse_existing(path: Path, option: str = "--out") -> None:
    """UsageError if `path` exists or cannot be made: nothing is ever overwritten, and nobody waits for a result that cannot be kept."""
    try:
        existing = bool(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        existing = False
    except OSError as error:
        raise _unusable(path, error, option) from error
    if existing:
        raise UsageError(f"{path}: exists already; give another {option}, or move it away")
    refuse_unwritable(path.parent, option)


def refuse_unwritable(folder: Path, option: str = "--out") -> None:
    """UsageError where the system would not let this process make `folder`, or write into it where it exists. Nothing is written to find out."""
    try:
        long = next((part for part in folder.parts if len(os.fsencode(part)) > MAX_NAME_BYTES), None)
        if long is not None:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
        if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))
    except OSError as error:
        raise _unusable(folder, error, option) from error


def _unusable(path: Path, error: OSError, option: str) -> UsageError:
    return UsageError(f"{error.filename or _shown(path)}: cannot be written ({error.strerror}); give another {option}, or the right to write there")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name beside `path`; it takes the name `path` only when the block ends well.

    An existing `path` is a UsageError, also one that appears meanwhile: nothing is ever overwritten. Whatever the block wrote is removed when it fails,
    and what a killed process of this machine left is removed by the next one. All files get the mode that the user's umask says; some libraries write
    weights that nobody else may read.
    """
    refuse_existing(path)
    with _temporary_folder(path, path) as temporary:
        yield temporary
        _settle(temporary)
        try:
            temporary.rename(path)
        except OSError as error:
            refuse_existing(path)
            raise error from None


@contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Write files of one folder under temporary names; they take the names `paths` only when the block ends well, and all or none. See `new_folder`."""
    for path in paths:
        refuse_existing(path)
    with _temporary_folder(paths[0], paths[0].parent) as folder:
        temporary = [folder / path.name for path in paths]
        yield temporary
        _settle(folder)
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
    """Give `file` the name `path`, which must be free. A hard link fails if the name is taken; a rename, used on file systems without links, does not."""
    try:
        path.hardlink_to(file)
    except OSError:
        refuse_existing(path)
        file.rename(path)


@contextmanager
def _temporary_folder(path: Path, place: Path) -> Iterator[Path]:
    """A folder beside `path`, removed when the block fails. Errors name `place`, not it."""
    temporary = _temporary_name(path)
    with _disk_errors(place, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        temporary.mkdir()
        try:
            yield temporary
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_folder(path.parent)


def _temporary_name(path: Path) -> Path:
    """A name beside `path` for what is still being written; it says which process writes."""
    return path.with_name(f"{_temporary_prefix(path)}{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _temporary_prefix(path: Path) -> str:
    return f".{_short(path.name)}.{platform.node()}-"


def is_unfinished(path: Path) -> bool:
    """Whether `path` has the name of what is still being written here, or was when its process was killed."""
    return re.fullmatch(r"\..+-\d+-[0-9a-f]{8}\.tmp", path.name) is not None


def _remove_stale(path: Path) -> None:
    """Remove what processes of this machine that are gone (killed, or shut out of the folder) left half-written for `path`."""
    prefix = _temporary_prefix(path)
    for stale in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
        process = re.fullmatch(r"(\d+)-\w+\.tmp", stale.name.removeprefix(prefix))
        if process is not None and not _is_running(int(process.group(1))):
            if stale.is_dir():
                shutil.rmtree(stale, ignore_errors=True)
            else:
                stale.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Give `path` the first free name of NAME.old-1, NAME.old-2, ...; that name."""
    number = 1
    while (kept := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(kept)
    return kept


def move_file(path: Path, target: Path) -> None:
    """Rename a file within its file system; the new folder is made if it does not exist."""
    with _disk_errors(target, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _settle(folder: Path) -> None:
    """Give all files the mode that the user's umask asks for, and flush them to the disk."""
    mode = folder.stat().st_mode & 0o666
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)
            _sync_file(file)


def _short(name: str) -> str:
    """The name, shortened so that a temporary name made from it is not too long."""
    return name if len(os.fsencode(name)) <= MAX_NAME_BYTES // 2 else hashlib.sha256(os.fsencode(name)).hexdigest()


def _shown(path: Path) -> str:
    return str(path) if len(str(path)) <= MAX_SHOWN else f"{str(path)[:MAX_SHOWN]}..."


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextmanager
def _disk_errors(path: Path, temporary: Path) -> Iterator[None]:
    """What keeps `path` from being written becomes one error that names the file as the user knows it, and not by its temporary name.

    An error about a file elsewhere, one that was read, passes through.
    """
    try:
        yield
    except OSError as error:
        place = _place(error, path, temporary)
        if not (place.is_relative_to(path) or path.is_relative_to(place)) or (error.filename is None and error.errno not in DISK_ERRORS):
            raise
        raise _not_written(place, error.errno, error.strerror or str(error)) from error
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))  # so the libraries written in Rust end theirs: safetensors, tokenizers
        if number is None or isinstance(error, JpAdaptError) or int(number[1]) not in DISK_ERRORS:
            raise
        raise _not_written(path, int(number[1]), os.strerror(int(number[1]))) from error


def _place(error: OSError, path: Path, temporary: Path) -> Path:
    """The file that an error is about; for a copy or a rename, the second one."""
    name = error.filename2 or error.filename
    named = Path(os.fsdecode(name)) if isinstance(name, (str, bytes)) else path
    return path / named.relative_to(temporary) if named.is_relative_to(temporary) else named


def _not_written(place: Path, number: int | None, reason: str) -> JpAdaptError:
    way = "free some space or choose another place" if number in NO_SPACE else "choose another place"
    return JpAdaptError(f"{_shown(place)}: cannot be written ({reason}); {way}, then run again")


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
