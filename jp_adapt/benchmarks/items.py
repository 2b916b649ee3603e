"""Benchmarks by name or file, with their items: the one loader that recipes, `eval` and tests use."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from jp_adapt.benchmarks.benchmark import Benchmark, Checks, Protocol, Split, Suite
from jp_adapt.benchmarks.checks import check_texts
from jp_adapt.benchmarks.files import Record, read_split
from jp_adapt.benchmarks.part import Part
from jp_adapt.benchmarks.pictures import MARK, Picture, lifted, pictures_of
from jp_adapt.benchmarks.profiles import PROFILES, RETIRED
from jp_adapt.benchmarks.templates import render, value_of
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import is_file
from jp_adapt.core.hashes import git_blob
from jp_adapt.core.schema_words import what_is_needed
from jp_adapt.core.shipped import shipped_benchmarks, shipped_suites
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import load_yaml

Declaration = TypeVar("Declaration", Benchmark, Suite)


@dataclass(frozen=True)
class Item:
    """One item: `fields` is what templates see (the record, the declared fields, `choices` and `answers`, and a mark for each of its `pictures`).

    `answers` are the right answers, any of which will do; or the item's checks (`jp_adapt.benchmarks.checks`), which a good answer passes all of.
    `scored_by` is what else its metrics need.
    """

    id: str
    group: str
    fields: Record
    choices: list[str]
    answer: int | None
    answers: list[str]
    pictures: tuple[Picture, ...] = ()
    scored_by: Any = None


@dataclass(frozen=True)
class LoadedBenchmark:
    """A declaration with its items, the records that examples are drawn from, and the hash of every file read.

    `changed`: the first file of each split whose files are not those that the declaration was made with. None where it does not say which they are.
    """

    id: str
    benchmark: Benchmark
    path: Path
    items: list[Item]
    shots: list[Item]
    sha256: dict[str, str]
    changed: list[str] | None = None


def load_declaration(name: str) -> tuple[Benchmark, Path]:
    """The declaration of a shipped benchmark ("ja/jnli") or of a file, without its items. UsageError with file:line when it is wrong or unknown."""
    shipped = shipped_benchmarks()
    path = shipped.get(name) or Path(name)
    if not is_file(path):
        raise UsageError(f"no benchmark '{name}'{did_you_mean(name, shipped)}; `jp-adapt list` names those that are shipped")
    return _validated(Benchmark, path), path


def load_suite(name: str) -> Suite:
    """A shipped suite ("ja-core"), or a suite file."""
    shipped = shipped_suites()
    path = shipped.get(name) or Path(name)
    if not is_file(path):
        raise UsageError(f"no suite '{name}'{did_you_mean(name, shipped)}; shipped suites: {', '.join(shipped) or 'none'}")
    return _validated(Suite, path)


def load_benchmark(name: str, data: str | Path | None = None, *, shots: bool = True) -> LoadedBenchmark:
    """A shipped benchmark by name, or a declaration file by path, with all its items; `data` holds the upstream repositories.

    Without `shots` the examples are not read, and need not be there.

    Raises:
        UsageError: no such benchmark, or a wrong declaration.
        InputError: items are missing or wrong; the message gives file:line.
    """
    benchmark, path = load_declaration(name)
    folder = path.parent
    if benchmark.data.folder is not None:
        where, pinned = benchmark.data.folder, all(split.pin for split in (benchmark.data.test, benchmark.data.shots) if split is not None)
        if data is None:
            way = f"run `jp-adapt data fetch {name} --to DIR`" if pinned else f"bring it by hand into DIR/{where}"
            raise InputError(f"{name}: its data is not shipped; {way} and give --data DIR ({benchmark.source})")
        folder = Path(data) / where
        if not folder.is_dir():
            way = f"run `jp-adapt data fetch {name} --to {data}`, or bring {benchmark.source} there yourself" if pinned else f"bring {benchmark.source} there"
            raise InputError(f"{folder}: no such folder; {way}")
    items, sha256 = _items(benchmark, benchmark.data.test, folder)
    examples: list[Item] = []
    read = [(benchmark.data.test, sha256)]
    if shots and benchmark.data.shots is not None:
        examples, more = _items(benchmark, benchmark.data.shots, folder)
        read.append((benchmark.data.shots, more))
    changed = [split.files[0] for split, hashes in read if split.pin is not None and split.pin != fingerprint(split, hashes, folder / next(iter(hashes)))]
    known = all(split.pin is not None for split, _ in read)
    everything = {file: value for _, hashes in read for file, value in hashes.items()}
    return LoadedBenchmark(name, benchmark, path, items, examples, everything, changed if known or changed else None)


def fingerprint(split: Split, hashes: dict[str, str], first: Path) -> str:
    """What `split.pin` is for files with these hashes, of which the first one lies at `first`."""
    return git_blob(first) if split.git_blob is not None else digest(hashes)


def digest(hashes: dict[str, str]) -> str:
    """What `Split.sha256` is for files with these hashes."""
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256("".join(f"{value}  {file}\n" for file, value in sorted(hashes.items())).encode()).hexdigest()


def named_benchmarks(suite: str | None, benchmarks: Sequence[str], profile: str | None) -> tuple[list[str], str]:
    """Names of the benchmarks, those of the suite where one is named, each once; and the profile: the given one, the suite's, or our own.

    UsageError for a profile that is neither one of ours nor declared by one of the benchmarks.
    """
    if suite is not None:
        named = load_suite(suite)
        benchmarks, profile = named.benchmarks, profile or named.profile
    profile = profile or "jp-adapt"
    check_profile(profile, benchmarks)
    return list(dict.fromkeys(benchmarks)), profile


def check_profile(profile: str, benchmarks: Sequence[str]) -> None:
    """UsageError for a profile that is neither one of ours nor declared by one of the benchmarks."""
    if profile in RETIRED:
        raise UsageError(f"profile '{profile}': {RETIRED[profile]}")
    if profile in PROFILES:
        return
    known = [*PROFILES, *(own for name in benchmarks for own in load_declaration(name)[0].profiles)]
    if profile not in known:
        raise UsageError(f"no profile '{profile}'{did_you_mean(profile, known)}; profiles: {', '.join(known)}")


def protocol_of(loaded_id: str, benchmark: Benchmark, profile: str) -> Protocol:
    """The protocol of a profile. UsageError where the benchmark has none by that name."""
    for known, protocol in benchmark.protocols.items():
        if known == profile:
            return protocol
    raise UsageError(f"{loaded_id}: no protocol of profile '{profile}'; it has: {', '.join(benchmark.protocols)}")


def reads_shots(loaded_id: str, benchmark: Benchmark, protocol: Protocol, shots: int) -> bool:
    """Whether `shots` examples come from the data's split of them. UsageError where there is nothing to show."""
    if not shots or protocol.examples:
        return False
    if benchmark.data.shots is None:
        raise UsageError(f"{loaded_id}: shots is {shots}, and the benchmark has no examples to show")
    return True


def chosen_examples(loaded: LoadedBenchmark, protocol: Protocol) -> list[Item]:
    """The records that a protocol shows as examples, as items. InputError for one that cannot be one."""
    items = []
    for number, record in enumerate(protocol.examples, start=1):
        try:
            fields, choices, answer, answers = _filled(loaded.benchmark, record | {"_file": "examples", "_line": number, "_index": number - 1})
        except (UsageError, ValueError) as error:
            raise InputError(f"{loaded.path}: example {number}: {error}") from error
        items.append(Item(f"example {number}", "", fields, choices, answer, answers))
    return items


def _validated(kind: type[Declaration], path: Path) -> Declaration:
    document = load_yaml(path)
    try:
        return kind.model_validate(document.value)
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            key = tuple(detail["loc"])
            file, line = document.place(key) or (str(path), 1)
            near = did_you_mean(str(key[-1]), _keys_of(kind, key)) if detail["type"] == "extra_forbidden" else ""
            lines.append(f"{file}:{line}: {'.'.join(map(str, key)) or 'the declaration'}: {what_is_needed(detail)}{near}")
        raise UsageError("\n".join(lines)) from error


def _keys_of(kind: type[Part], key: tuple[int | str, ...]) -> list[str]:
    """Names that may stand where `key` stands."""
    parts: dict[str, type[Part]] = {"protocols": Protocol, "test": Split, "shots": Split}
    for name in reversed(key[:-1]):
        if name in parts:
            return list(parts[str(name)].model_fields)
    return list(kind.model_fields)


def _items(benchmark: Benchmark, split: Split, folder: Path) -> tuple[list[Item], dict[str, str]]:
    read = read_split(split, folder)
    items: list[Item] = []
    sha256 = dict(read.sha256)
    first_place: dict[str, str] = {}
    for record, place in zip(read.records, read.places, strict=True):
        try:
            if split.where is not None and not value_of(split.where, lifted(record)[0]):
                continue
            item = _item(benchmark, record, folder)
        except (UsageError, ValueError) as error:
            raise InputError(f"{place}: {error}") from error
        if item.id in first_place:
            raise InputError(f"{place}: id '{item.id}' stands in {first_place[item.id]} already")
        first_place[item.id] = place
        items.append(item)
        sha256 |= {picture.name: picture.sha256 for picture in item.pictures if (folder / picture.name).is_file()}
        if len(items) == split.first:
            break
    if not items:
        raise InputError(f"{folder / split.files[0]}: no items")
    return items, sha256


def _item(benchmark: Benchmark, record: Record, folder: Path) -> Item:
    """One record as an item. ValueError or UsageError where it cannot be one."""
    record, cells = lifted(record)
    pictures: tuple[Picture, ...] = ()
    if benchmark.images is not None:
        pictures = pictures_of(value_of(benchmark.images, record), cells, folder)
        record |= {"image": MARK, "images": MARK * len(pictures)}
    fields, choices, answer, answers = _filled(benchmark, record)
    if not render(benchmark.question, fields).strip():
        raise ValueError("the question is empty")
    scored_by = None if benchmark.scored_by is None else value_of(benchmark.scored_by, record)
    return Item(render(benchmark.id, fields), render(benchmark.group, fields), fields, choices, answer, answers, pictures, scored_by)


def _filled(benchmark: Benchmark, record: Record) -> tuple[Record, list[str], int | None, list[str]]:
    """What templates see of a record; its choices, the index of the right one, and its right answers."""
    fields = dict(record)
    for name, template in benchmark.fields.items():
        fields[name] = render(template, fields)
    choices = _texts(benchmark.choices, fields)
    answers = _texts(benchmark.answers, fields) if benchmark.checks is None else _checks(benchmark.checks, fields)
    answer = None
    if benchmark.choices is not None:
        if "" in choices:
            raise ValueError(f"choice {choices.index('') + 1} of {len(choices)} is empty; an empty text is certain, and would be chosen every time")
        if len(set(choices)) < len(choices):
            raise ValueError(f"two choices are the same text: {', '.join(choices)}")
        if len(choices) < 2:
            raise ValueError("a question needs at least two choices")
        answer = _index(value_of(str(benchmark.answer), fields), choices)
        answers = answers or [choices[answer]]
    if benchmark.answers is not None and not answers:
        raise ValueError("no right answer")
    return fields | {"choices": choices, "answers": answers, "answer_index": answer}, choices, answer, answers


def _checks(declared: Checks, fields: Record) -> list[str]:
    return check_texts(value_of(declared.names, fields), value_of(declared.arguments, fields))


def _texts(declared: list[str] | str | None, fields: Record) -> list[str]:
    if declared is None:
        return []
    if isinstance(declared, list):
        return [render(template, fields) for template in declared]
    value = value_of(declared, fields)
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"{declared!r} is not a list of texts, but {str(value)[:60]!r}")
    return value


def _index(value: Any, choices: list[str]) -> int:
    """Index of the right choice, from an index or from the text of a choice."""
    if isinstance(value, str) and value in choices:
        return choices.index(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(choices):
        raise ValueError(f"answer is {value!r}, and there are choices 0 to {len(choices) - 1}: {', '.join(choices)}"[:200])
    return value
