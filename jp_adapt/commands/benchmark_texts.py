"""The texts of benchmark items, for decontamination: what must not stand in training text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from jp_adapt.benchmarks.items import load_benchmark, load_declaration
from jp_adapt.benchmarks.templates import render
from jp_adapt.core.errors import InputError
from jp_adapt.core.progress import say
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.corpus.decontaminate import Decontaminate, build_index
from jp_adapt.corpus.sources import expand_paths, iter_documents

LONG_FIELD = 60  # characters: passages, answers and code are texts of their own; a choice or a name is not, it stands in any text
SHORT_QUESTION = 16  # characters


def benchmark_texts(names: Sequence[str], data: Path | None) -> dict[str, list[str]]:
    """item ("ja/jnli:12") -> its question and its long fields, of the named benchmarks; "all" stands for every shipped one.

    Raises:
        InputError: a benchmark's data is not there.
    """
    wanted = list(shipped_benchmarks()) if list(names) == ["all"] else list(names)
    items: dict[str, list[str]] = {}
    for name in wanted:
        loaded = load_benchmark(name, data, shots=False)
        for item in loaded.items:
            fields = [value for value in item.fields.values() if isinstance(value, str) and len(value) >= LONG_FIELD]
            question = render(loaded.benchmark.question, item.fields)
            if len(question) < SHORT_QUESTION:  # 「国は？」 says nothing without its choices
                fields.append("\n".join([question, *item.choices]))
            items[f"{name}:{item.id}"] = [question, *fields]
    return items


def available_benchmarks(data: Path | None) -> tuple[list[str], list[str]]:
    """Shipped benchmarks whose data is there, and those whose is not."""
    existing: list[str] = []
    missing: list[str] = []
    for name in shipped_benchmarks():
        folder = load_declaration(name)[0].data.folder
        results = folder is None or (data is not None and (data / folder).is_dir())
        (existing if results else missing).append(name)
    return existing, missing


def file_texts(paths: Sequence[Path], field: str = "text") -> dict[str, list[str]]:
    """item ("FILE:number of the document") -> its text, of .jsonl, .txt or .parquet files that a user names; a second file of one name is "FILE (2)"."""
    items: dict[str, list[str]] = {}
    for index, path in enumerate(paths):
        before = [other.name for other in paths[:index]].count(path.name)
        name = f"{path.name} ({before + 1})" if before else path.name
        items |= {f"{name}:{number}": [text] for number, text in enumerate(iter_documents(path, field), start=1)}
    return items


def decontaminate(
    benchmarks: tuple[str, ...] = ("all",),
    data: Path | None = None,
    files: tuple[str, ...] = (),
    missing: Literal["refuse", "skip"] = "refuse",
    min_share: float = 0.5,
    action: Literal["drop", "mask"] = "drop",
) -> Decontaminate:
    """The step that keeps benchmarks and the texts of `files` out; without the `data` of a benchmark it refuses to start, or leaves that one out and says so.

    Args:
        benchmarks: names of benchmarks, or "all".
        data: data folder of the benchmarks, as `eval --data` takes it.
        files: texts of your own to keep out (patterns too).
        missing: what becomes of a benchmark whose data is not there.
        min_share: share of the n-grams of an item that a document must hold to count.
        action: drop the document, or mask what it shares with the item.

    Raises:
        InputError: the data of a benchmark or a file is missing.
    """
    if missing == "skip":
        _, absent = available_benchmarks(data)
        wanted = list(shipped_benchmarks()) if benchmarks == ("all",) else list(benchmarks)
        benchmarks = tuple(name for name in wanted if name not in absent)
        if left := [name for name in wanted if name in absent]:
            say(f"decontaminate: there is no data of {', '.join(left)}; left out")
    items = benchmark_texts(benchmarks, data) | (file_texts(expand_paths(files)) if files else {})
    if not items:
        raise InputError("decontaminate: no benchmark and no file to keep out; name some in 'benchmarks' or 'files', or take the step out")
    return Decontaminate(build_index(items), min_share, action, _digests(items))


def _digests(items: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Benchmark or file -> SHA-256 of its texts, in their order: another file, declaration or choice of texts is another corpus."""
    results: dict[str, Any] = {}
    for item, texts in items.items():
        digest = results.setdefault(item.partition(":")[0], hashlib.sha256())
        digest.update(json.dumps([item, *texts]).encode("utf-8"))
    return {name: digest.hexdigest() for name, digest in results.items()}
