"""The commands `data list` and `data fetch`: the files of benchmarks from their pinned commits, each checked by SHA-256."""

from __future__ import annotations

import fnmatch
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx2

from jp_adapt.benchmarks.benchmark import Benchmark, Split
from jp_adapt.benchmarks.items import fingerprint, load_declaration, named_benchmarks
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import refuse_unwritable, set_aside
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.progress import progress, say
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.report.written import plural

GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)/?")
TRIES = 4
FIRST_WAIT_S = 1.0
MAX_FILE_BYTES = 1_000_000_000
MAX_LISTING_BYTES = 64_000_000
SLOW_AFTER_S, MIN_BYTES_PER_S = 60.0, 1_000  # a slower server is taken for one that hangs


@dataclass(frozen=True)
class Wanted:
    """The files of one split, as paths or patterns below the benchmark's folder, and the hash that they must have together."""

    benchmark: str
    declaration: Benchmark
    split: Split

    @property
    def folder(self) -> str:
        return str(self.declaration.data.folder)

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name.partition("!")[0] for name in self.split.all_files))


@dataclass(frozen=True)
class Availability:
    """A benchmark and its data.

    Attributes:
        data: "shipped", "present" (the files are the pinned ones), "changed" (they are not), "unknown" (their hash is not declared), or "missing".
        fetchable: why `data fetch` cannot bring it; empty where it can.
    """

    name: str
    title: str
    licence: str
    licence_note: str
    source: str
    data: str
    fetchable: str


def list_data(to: Path | None, names: Sequence[str] = (), suite: str | None = None) -> list[Availability]:
    """Every shipped benchmark (or the named ones), and whether its data lies in the folder `to`."""
    rows = []
    for name in _names(names, suite) if names or suite else shipped_benchmarks():
        benchmark, _ = load_declaration(name)
        state = "shipped" if benchmark.data.folder is None else "missing" if to is None else _state(name, benchmark, to)
        rows.append(
            Availability(
                name, benchmark.title, benchmark.license, benchmark.license_note, benchmark.source, state, _obstacle(name, benchmark, from_mirror=False)
            )
        )
    return rows


def fetch_data(
    names: Sequence[str], to: Path, *, suite: str | None = None, mirror: str | None = None, accept: Sequence[str] = (), timeout_s: float = 30.0
) -> list[str]:
    """Bring the files of benchmarks into the folder `to`, laid out as `eval --data` reads them. Files that are there and right are not fetched again.

    Args:
        names, suite: which benchmarks.
        mirror: folder or http address that holds the files in that same layout; by default they come from the pinned commit of the source on GitHub.
        accept: benchmarks whose special terms (`licence_note`) the user has read and accepts.
        timeout_s: without a byte from the server, before the request is tried again.

    Returns:
        The files that were fetched, relative to `to`.

    Raises:
        UsageError: an unknown benchmark or suite, or one named benchmark whose special terms were not accepted.
        InputError: a line for each benchmark that did not come, or is not the pinned one. The others came; whole files stay, and the same call resumes.
    """
    chosen = [(name, load_declaration(name)[0]) for name in _names(names, suite)]
    _check_mirror(mirror)
    wanted = [Wanted(name, benchmark, split) for name, benchmark in chosen for split in _splits(benchmark) if not _present(benchmark, split, to)]
    missing = {part.benchmark: part.declaration for part in wanted}
    for name, benchmark in missing.items():
        say(f"{name}: {benchmark.title}, licence {benchmark.license}, {benchmark.source}")
    absent = {name: text for name, benchmark in missing.items() if (text := _open_terms(name, benchmark, accept))}
    if absent and suite is None and len(chosen) == 1:
        raise UsageError("\n".join(absent.values()))
    absent |= {name: text for name, benchmark in missing.items() if (text := _obstacle(name, benchmark, from_mirror=mirror is not None))}
    refuse_unwritable(to, "--to")
    fetched: list[str] = []
    with httpx2.Client(timeout=timeout_s, follow_redirects=True, max_redirects=5) as client:
        for part in wanted:
            if part.benchmark in absent:
                continue
            try:
                fetched += _fetch(part, to, _open_mirror(mirror, client) if mirror is not None else _GitHub(part.declaration, client))
            except _Unreachable as error:  # one server has all the files
                absent[part.benchmark] = f"{part.benchmark}: {error}"
                absent |= {
                    later.benchmark: f"{later.benchmark}: not tried after that" for later in wanted[wanted.index(part) :] if later.benchmark not in absent
                }
                break
            except InputError as error:
                absent[part.benchmark] = f"{part.benchmark}: {error}"
    if absent:
        came = [f"{to}: {files_text(to, fetched)} came; `eval --missing skip` measures the benchmarks that are whole"] if fetched else []
        raise InputError("\n".join([*absent.values(), *came]))
    return fetched


def _names(names: Sequence[str], suite: str | None) -> list[str]:
    if not names and suite is None:
        raise UsageError("name benchmarks, or a suite with --suite")
    return named_benchmarks(suite, tuple(names), None)[0]


def _open_terms(name: str, benchmark: Benchmark, accept: Sequence[str]) -> str:
    """The special terms that are not accepted yet; empty where there are none."""
    return f"{name}: {benchmark.license_note}; if you accept these terms: --accept {name}" if benchmark.license_note and name not in accept else ""


def _splits(benchmark: Benchmark) -> list[Split]:
    splits = [split for split in (benchmark.data.test, benchmark.data.shots) if split is not None]
    return [] if benchmark.data.folder is None else splits


def _obstacle(name: str, benchmark: Benchmark, *, from_mirror: bool) -> str:
    """Why the data cannot be fetched; empty where it can."""
    if benchmark.data.folder is None:
        return ""
    if any(split.pin is None for split in _splits(benchmark)):
        return f"{name}: the declaration pins no hash of its files; bring them by hand from {benchmark.source} into '{benchmark.data.folder}'"
    if not from_mirror and (GITHUB.fullmatch(benchmark.source) is None or benchmark.revision is None):
        return (
            f"{name}: {benchmark.source} is not a pinned commit on GitHub; bring the files by hand into '{benchmark.data.folder}', or fetch with --from MIRROR"
        )
    return ""


def _local_files(folder: Path, split: Split) -> list[Path]:
    names = (name.partition("!")[0] for name in split.all_files)
    return [path for name in dict.fromkeys(names) for path in (sorted(folder.glob(name)) if _is_pattern(name) else [folder / name]) if path.is_file()]


def _is_pattern(name: str) -> bool:
    return any(char in name for char in "*?[")


def _is_pinned(split: Split, folder: Path, files: Sequence[Path]) -> bool:
    return fingerprint(split, {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}, files[0]) == split.pin


def _present(benchmark: Benchmark, split: Split, to: Path) -> bool:
    folder = to / str(benchmark.data.folder)
    files = _local_files(folder, split)
    return bool(files) and split.pin is not None and _is_pinned(split, folder, files)


def _state(name: str, benchmark: Benchmark, to: Path) -> str:
    folder, states = to / str(benchmark.data.folder), set[str]()
    for split in _splits(benchmark):
        files = _local_files(folder, split)
        if len(files) < len(split.all_files):
            return "missing"
        states.add("unknown" if split.pin is None else "present" if _is_pinned(split, folder, files) else "changed")
    return next(state for state in ("changed", "unknown", "present") if state in states)


class _GitHub:
    """The files of a repository at the pinned commit."""

    def __init__(self, benchmark: Benchmark, client: httpx2.Client) -> None:
        match = GITHUB.fullmatch(benchmark.source)
        assert match is not None
        self.repository, self.revision, self.client = f"{match[1]}/{match[2].removesuffix('.git')}", str(benchmark.revision), client

    def expand(self, folder: str, pattern: str) -> list[str]:
        url = f"https://api.github.com/repos/{self.repository}/git/trees/{self.revision}?recursive=1"
        tree = parse_json(_read(self.client, url, MAX_LISTING_BYTES), url)
        entries = tree.get("tree") if isinstance(tree, dict) else None
        if not isinstance(entries, list) or tree.get("truncated"):
            raise InputError(f"{url}: no whole listing of the repository came; fetch with --from MIRROR")
        paths = (str(entry["path"]) for entry in entries if isinstance(entry, dict) and entry.get("type") == "blob" and "path" in entry)
        return _matching(paths, pattern)

    def bring(self, folder: str, name: str, target: Path) -> None:
        _download(self.client, f"https://raw.githubusercontent.com/{self.repository}/{self.revision}/{quote(name)}", target)


class _Address:
    """The files below an http address; patterns cannot be listed there, so that an `index.txt` (one path a line) has to stand in the benchmark's folder."""

    def __init__(self, address: str, client: httpx2.Client) -> None:
        self.address, self.client = address.rstrip("/"), client

    def expand(self, folder: str, pattern: str) -> list[str]:
        listing = _read(self.client, f"{self.address}/{quote(folder)}/index.txt", MAX_LISTING_BYTES).decode("utf-8", "replace")
        return _matching(listing.splitlines(), pattern)

    def bring(self, folder: str, name: str, target: Path) -> None:
        _download(self.client, f"{self.address}/{quote(folder)}/{quote(name)}", target)


class _Folder:
    """The files of another data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def expand(self, folder: str, pattern: str) -> list[str]:
        return [path.relative_to(self.folder / folder).as_posix() for path in sorted((self.folder / folder).glob(pattern)) if path.is_file()]

    def bring(self, folder: str, name: str, target: Path) -> None:
        source = self.folder / folder / name
        if not source.is_file():
            raise InputError(f"{source}: no such file; put it there, or leave --from away to take it from its source")
        shutil.copyfile(source, target)


def _check_mirror(mirror: str | None) -> None:
    if mirror is not None and not _is_address(mirror) and not Path(mirror).is_dir():
        raise InputError(f"--from {mirror}: no such folder; give a folder, or an address that begins with http:// or https://")


def _is_address(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def _open_mirror(mirror: str, client: httpx2.Client) -> _Address | _Folder:
    return _Address(mirror, client) if _is_address(mirror) else _Folder(Path(mirror))


def _matching(paths: Iterator[str] | Sequence[str], pattern: str) -> list[str]:
    """Paths that a pattern without ** names; one that leaves the folder is none."""
    depth = pattern.count("/")
    safe = (path for path in paths if ".." not in path.split("/") and not path.startswith("/"))
    return sorted(path for path in safe if path.count("/") == depth and fnmatch.fnmatchcase(path, pattern))


def _fetch(part: Wanted, to: Path, source: _GitHub | _Address | _Folder) -> list[str]:
    """The files of a split. They get their names when all are there and have the pinned hash; until then each lies beside its place as NAME.part."""
    folder = to / part.folder
    names = [file for name in part.names for file in (source.expand(part.folder, name) if _is_pattern(name) else [name])]
    if not names:
        raise InputError(f"nothing matches {', '.join(part.names)} where its files should come from")
    hashes: dict[str, str] = {}
    with progress(part.benchmark, len(names)) as advance:
        for count, name in enumerate(names, start=1):
            partial = folder / f"{name}.part"
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.bring(part.folder, name, partial)
            finally:
                if partial.is_file() and not partial.stat().st_size:  # nothing came that a later call could go on from
                    partial.unlink()
            hashes[name] = sha256_file(partial)
            advance(count, name)
    came = fingerprint(part.split, hashes, folder / f"{names[0]}.part")
    if came != part.split.pin:
        for name in names:
            (folder / f"{name}.part").unlink()
        raise InputError(
            f"the files that came are not the pinned ones (their hash is {came[:12]}..., and {str(part.split.pin)[:12]}... is pinned); nothing of them was kept"
        )
    for name in names:
        path = folder / name
        if path.exists() and sha256_file(path) != hashes[name]:
            say(f"{path}: was another file; it is kept as {set_aside(path).name}")
        (folder / f"{name}.part").replace(path)
    return [f"{part.folder}/{name}" for name in names]


def _read(client: httpx2.Client, url: str, most: int) -> bytes:
    """The body at an address, of at most `most` bytes."""
    body = bytearray()

    def keep(part: bytes) -> None:
        body.extend(part)
        if len(body) > most:
            raise InputError(f"{url}: more than {most:,} bytes; that is not a listing")

    _tried(url, lambda: _stream(client, url, 0, keep, body.clear))
    return bytes(body)


def _download(client: httpx2.Client, url: str, target: Path) -> None:
    """The file at an address; one that was cut short resumes from where it is."""

    def once() -> None:
        start = target.stat().st_size if target.is_file() else 0
        with target.open("ab") as file:

            def keep(part: bytes) -> None:
                file.write(part)
                if file.tell() > MAX_FILE_BYTES:
                    raise InputError(f"{url}: more than {MAX_FILE_BYTES:,} bytes; no benchmark is so large")

            _stream(client, url, start, keep, lambda: file.truncate(0))

    _tried(url, once)


def _stream(client: httpx2.Client, url: str, start: int, keep: Callable[[bytes], None], again: Callable[[], object]) -> None:
    """Hand over what stands at an address from byte `start` on; `again` is called first where the server begins at 0 all the same."""
    headers = {"accept-encoding": "identity"} | ({"range": f"bytes={start}-"} if start else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416 and start:  # nothing is left: the file is whole, or another one; its hash tells
            return
        if response.status_code not in (200, 206):
            raise _Refused(f"{url}: HTTP {response.status_code}", response.status_code)
        if not start or response.status_code == 200:
            again()
        expected, received, started = response.headers.get("content-length"), 0, time.monotonic()
        for part in response.iter_bytes():
            received += len(part)
            keep(part)
            elapsed_s = time.monotonic() - started
            if elapsed_s > SLOW_AFTER_S and received < MIN_BYTES_PER_S * elapsed_s:
                raise httpx2.ReadTimeout(f"{received:,} bytes in {elapsed_s:.0f} s")
        if expected is not None and expected.isdecimal() and received < int(expected):
            raise httpx2.ReadError(f"{received:,} of {expected} bytes came")


class _Unreachable(InputError):
    """No answer from a server, however often it was asked."""


class _Refused(InputError):
    """A status that is not a success."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def _tried(url: str, once: Callable[[], None]) -> None:
    """Do `once`, again after a while where the network or the server fails. InputError with the cause when it fails every time."""
    for attempt in range(1, TRIES + 1):
        try:
            return once()
        except _Refused as error:
            if error.status not in (408, 429) and error.status < 500:
                raise
            trouble, kind = str(error), InputError
        except httpx2.RequestError as error:
            trouble, kind = f"{url}: {type(error).__name__}: {error}".rstrip(": "), _Unreachable
        if attempt < TRIES:
            wait = FIRST_WAIT_S * 2 ** (attempt - 1)
            say(f"{trouble}; trying again in {wait:.0f} s ({attempt} of {TRIES})")
            time.sleep(wait)
    raise kind(f"{trouble}, {TRIES} times; whole files are kept, and the same command resumes")


def files_text(to: Path, files: Sequence[str]) -> str:
    """How many files were fetched, and their size."""
    return f"{plural(len(files), 'file')}, {plural(sum((to / name).stat().st_size for name in files), 'byte')}"
