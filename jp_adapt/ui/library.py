"""What the page may read: what was found in the folder, remembered between looks, and nothing else of the disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.lock import is_locked
from jp_adapt.tokenizer.load import NATIVE, SPEC
from jp_adapt.ui.catalogue import PASSED_OVER, Found, candidates
from jp_adapt.ui.listing import Entry, entry_of, unreadable

LOOK_EVERY_S = 1.0  # several tabs that ask at once share one look
DOCUMENTS = frozenset({".json", ".jsonl", ".yaml", ""})  # whose change makes a thing another: figures, metrics, DONE
Stamp = tuple[int, int, int, bool]


@dataclass(frozen=True)
class _Known:
    stamp: Stamp
    entry: Entry


class Library:
    """The things in a folder by kind and path below it.

    A path that the page names is looked up among what was found, never opened by itself: nothing outside of the folder can be asked for, and no link
    inside of it leads out. Documents are read again only where a file of theirs has changed.

    Args:
        folder: what is shown.
        models: folders or GGUF files elsewhere that the playgrounds may use, by their names.
    """

    def __init__(self, folder: Path, models: Mapping[str, Path] | None = None) -> None:
        self.folder = folder.resolve()
        self.models = dict(models or {})
        self._known: dict[tuple[str, str], _Known] = {}
        self._looked = -LOOK_EVERY_S
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """The table, the newest first."""
        self._look(LOOK_EVERY_S)
        return sorted((known.entry for known in self._known.values()), key=lambda entry: (entry.date, entry.path), reverse=True)

    def run(self, path: str) -> Path:
        """The folder of a run. InputError where none lies at `path`."""
        return self._path(path, {"run"})

    def evaluation(self, path: str) -> Path:
        """The folder of an evaluation or a judgement."""
        return self._path(path, {"evaluation", "judgement"})

    def corpus(self, path: str) -> Path:
        """The folder of a prepared corpus."""
        return self._path(path, {"corpus"})

    def leaderboard(self, path: str) -> Path:
        """The folder of an evaluated matrix of models and suites."""
        return self._path(path, {"leaderboard"})

    def playground(self, *, tokenizers: bool) -> dict[str, Path]:
        """Model folders and GGUF files, or folders with a tokenizer, by the names that the page has for them."""
        playable = _has_tokenizer if tokenizers else _is_model
        results = {name: path for name, path in self.models.items() if playable(path)}
        for place, folders, files in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not PASSED_OVER.fullmatch(name))
            for path in (Path(place), *(Path(place, name) for name in sorted(files) if name.endswith(".gguf"))):
                if playable(path) and not _leads_out(path, self.folder):
                    results[path.relative_to(self.folder).as_posix()] = path
        return results

    def _path(self, path: str, kinds: set[str]) -> Path:
        for age_s in (LOOK_EVERY_S, 0.0):  # what is not there may have come since the last look
            self._look(age_s)
            if any(known.entry.path == path and known.entry.kind in kinds for known in self._known.values()):
                return self.folder / path
        raise InputError(f"'{path}' is no {' or '.join(sorted(kinds))} of this folder; it may have been moved, or cannot be read")

    def _look(self, age_s: float) -> None:
        with self._lock:
            if time.monotonic() - self._looked < age_s:
                return
            before, self._known = self._known, {}
            for path, read in candidates(self.folder):
                key = (path.as_posix(), read.__name__)
                stamp = _stamp(path)
                known = before.get(key)
                self._known[key] = known if known is not None and known.stamp == stamp else self._read(path, read, stamp)
            self._looked = time.monotonic()

    def _read(self, path: Path, read: Callable[[Path], Found], stamp: Stamp) -> _Known:
        try:
            refuse_links_out(path, self.folder)
            return _Known(stamp, entry_of(read(path), self.folder))
        except (InputError, OSError) as error:  # OSError: it goes while it is read
            return _Known(stamp, unreadable(path, str(error), self.folder))


def refuse_links_out(path: Path, folder: Path) -> None:
    """InputError where a document below `path` is a link to a place outside of `folder`."""
    for file in _documents(path):
        if file.is_symlink() and not Path(file.path).resolve().is_relative_to(folder):
            raise InputError(f"{file.path}: is a link that leads out of the folder, so it is not read")


def _documents(path: Path) -> Iterator[os.DirEntry[str]]:
    """Documents below a folder, and everything that is a link."""
    try:
        with os.scandir(path) as inside:
            for one in inside:
                if one.is_symlink() or (one.is_file() and os.path.splitext(one.name)[1] in DOCUMENTS):  # noqa: PTH122 - names of 10,000 files
                    yield one
                elif one.is_dir() and one.name != "checkpoints":
                    yield from _documents(Path(one.path))
    except OSError:
        return


def _stamp(path: Path) -> Stamp:
    """What changes when a document below `path` does: number, bytes, newest time, and whether a process works there."""
    count = size = newest = 0
    for file in _documents(path):
        try:
            status = file.stat(follow_symlinks=False)
        except OSError:
            continue
        count, size, newest = count + 1, size + status.st_size, max(newest, status.st_mtime_ns)
    return count, size, newest, is_locked(path)


def _has_tokenizer(path: Path) -> bool:
    return any((path / name).is_file() for name in (SPEC, *NATIVE))


def _is_model(path: Path) -> bool:
    """Whether `path` is what `open_speaker` takes: a GGUF file, or a folder with a configuration, a tokenizer and weights."""
    if path.suffix == ".gguf":
        return path.is_file()
    return (path / "config.json").is_file() and (path / SPEC).is_file() and next(path.glob("*.safetensors"), None) is not None


def _leads_out(path: Path, folder: Path) -> bool:
    """Whether `path`, or a file right below it, is a link to a place outside of `folder`."""
    inside = path.iterdir() if path.is_dir() else ()
    return any(file.is_symlink() and not file.resolve().is_relative_to(folder) for file in (path, *inside))
