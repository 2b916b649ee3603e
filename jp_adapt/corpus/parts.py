"""Parts of a corpus: some documents at a time go through all steps and into a file of their own, in as many processes as there are.

What is in a part depends on the corpus alone, never on the number of processes or on who was killed when; a part that lies there is whole.
"""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.files import write_bytes
from jp_adapt.corpus.pack import with_end
from jp_adapt.corpus.steps import Counts, Document, Outcome, Step, run_steps
from jp_adapt.text.script_counts import SCRIPTS, count_scripts

PART_CHARS = 2**19  # a part takes a second or so: little is lost by a kill, and the processes end at about the same time
WAITING = 4  # parts for each process that are read ahead: while one of long documents is waited for, the others have work
EncodeAll = Callable[[Sequence[str]], list[list[int]]]
Fingerprint = Callable[[Sequence[str]], tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]]


@dataclass(frozen=True)
class Work:
    """What every part goes through; it is pickled once for each process.

    Attributes:
        sources: their names, in corpus order.
        encode: texts -> ids; None where no tokens are wanted.
        dtype: of the ids.
        fingerprint: texts -> (exact hashes [N], signatures [N, K]); None where repeated documents are kept.
        document_end: id that ends every document, part of its tokens; None for none.
    """

    sources: tuple[str, ...]
    steps: tuple[Step, ...]
    encode: EncodeAll | None
    dtype: str
    fingerprint: Fingerprint | None
    document_end: int | None = None


def iter_parts(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Runs of documents of about PART_CHARS characters."""
    part: list[Document] = []
    chars = 0
    for document in documents:
        part.append(document)
        chars += len(document.text)
        if chars >= PART_CHARS:
            yield part
            part, chars = [], 0
    if part:
        yield part


def part_file(folder: Path, unit: int, number: int) -> Path:
    return folder / f"part-{unit:06d}-{number:07d}.npz"


def do_part(work: Work, documents: Sequence[Document], path: Path) -> None:
    """Run the steps over `documents` and write what is left of them, with the counts, whole or not at all."""
    counts = Counts()
    kept = list(run_steps(documents, work.steps, counts))
    texts = [document.text for document in kept]
    ids: list[list[int]] = [[] for _ in kept]
    if work.encode is not None:
        ids = [with_end(encoded, work.document_end) for encoded in work.encode(texts)]
        for document, encoded in zip(kept, ids, strict=True):
            counts.record("encode", document, Outcome(document.text if encoded else None, "no token"))
        kept, texts, ids = map(list, zip(*(row for row in zip(kept, texts, ids, strict=True) if row[2]), strict=True)) if any(ids) else ([], [], [])
    arrays: dict[str, Any] = {
        "sources": np.array([work.sources.index(document.source) for document in kept], dtype=np.uint16),
        "chars": np.array([len(text) for text in texts], dtype=np.uint32),
        "sizes": np.array([len(encoded) for encoded in ids], dtype=np.int64),
        "tokens": np.concatenate([np.zeros(0, work.dtype), *(np.asarray(encoded, dtype=work.dtype) for encoded in ids)]),
        "scripts": np.array([count_scripts(text) for text in texts], dtype=np.uint32).reshape(len(texts), len(SCRIPTS)),
        "texts": _packed([{"text": document.text, "source": document.source, "place": document.place} for document in kept]),
        "counts": np.frombuffer(json.dumps(counts.to_json()).encode(), dtype=np.uint8),
    }
    if work.fingerprint is not None:
        arrays["exact"], arrays["signatures"] = work.fingerprint(texts)
    file = io.BytesIO()
    np.savez(file, **arrays)
    write_bytes(path, file.getvalue())


def _packed(records: list[dict[str, str]]) -> npt.NDArray[np.uint8]:
    import zstandard

    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode("utf-8")
    return np.frombuffer(zstandard.ZstdCompressor(level=1).compress(lines), dtype=np.uint8)


def unpacked(packed: npt.NDArray[np.uint8]) -> list[bytes]:
    """The JSON lines of the documents of a part."""
    import zstandard

    return zstandard.ZstdDecompressor().decompress(packed.tobytes()).split(b"\n")[:-1]


Task = tuple[Path, Sequence[Document]] | Callable[[], None]


def do_tasks(work: Work, tasks: Iterable[Task], processes: int, on_part: Callable[[int], None] = lambda done: None) -> None:
    """Do parts, given as (file, documents), that do not lie there yet; a task that is a function is called when all before it are done.

    At most a few parts are in memory at a time.

    Raises:
        JpAdaptError: a step failed, the disk is full, or a process was killed; what is finished stays.
    """
    done = count(1)
    if processes == 1:
        for task in tasks:
            if callable(task):
                task()
                continue
            if not task[0].is_file():
                do_part(work, task[1], task[0])
            on_part(next(done))
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (work,))
    pending: deque[Future[None] | Callable[[], None] | None] = deque()

    def finish_one() -> None:
        first = pending.popleft()
        if callable(first):
            return first()
        if first is not None:
            first.result()
        return on_part(next(done))

    try:
        for task in tasks:
            if callable(task):
                pending.append(task)
            else:
                pending.append(None if task[0].is_file() else pool.submit(_do_in_worker, task[1], task[0]))
            while len(pending) > WAITING * processes:
                finish_one()
        while pending:
            finish_one()
    except BrokenProcessPool as error:
        raise JpAdaptError("a worker process was killed (out of memory?); run the same command again, it resumes from the finished parts") from error
    finally:
        pool.shutdown(cancel_futures=True)


_work: Work | None = None


def _begin(work: Work) -> None:
    """Once in each worker: it leaves Ctrl-C to its parent, and ends with it, however that ends."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do_in_worker(part: Sequence[Document], path: Path) -> None:
    assert _work is not None
    do_part(_work, part, path)
