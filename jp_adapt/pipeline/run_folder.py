"""The run folder: what a run is made of, which stages are done, and whether they are still the same work."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar, Literal

from jp_adapt.core.claim import refuse_other_work
from jp_adapt.core.documents import Document
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_json, set_aside, write_json, write_text
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.hashes import sha256_file, sha256_json
from jp_adapt.core.yaml_lines import load_yaml

RUN, STAGE = "run.json", "stage.json"
RESOLVED = "resolved.yaml"  # the recipe with all defaults filled in
TAIL_BYTES = 2**14  # of metrics.jsonl: some forty steps


@dataclass(frozen=True)
class Identity:
    """Everything that decides what a stage computes: never a path, a device or a time."""

    parts: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return sha256_json(self.parts)


@dataclass(frozen=True)
class RunRecord(Document):
    """run.json: what the run is, and the command that began it."""

    WHAT: ClassVar[str] = "the record of a run"
    WAY_OUT: ClassVar[str] = "give a folder that `jp-adapt run` wrote; runs lie in runs/NAME unless --out said otherwise"

    name: str
    created: str
    jp_adapt: str
    recipe: str
    command: list[str] = field(default_factory=list)  # that repeats the run; empty in runs of earlier versions
    format: Literal[1] = 1


@dataclass(frozen=True)
class StageRecord(Document):
    """stage.json: what the stage computes, and, once it is finished, what came out."""

    WHAT: ClassVar[str] = "the record of a stage"
    WAY_OUT: ClassVar[str] = "redo the stage with `jp-adapt run ... --from ID`; what lies there is kept"

    id: str
    fingerprint: str
    identity: dict[str, Any]
    kind: str = ""
    elapsed_s: float | None = None
    peak_memory_bytes: int | None = None
    results: dict[str, Any] = field(default_factory=dict)
    format: Literal[1] = 1

    @classmethod
    def upgraded(cls, value: dict[str, Any]) -> dict[str, Any] | None:
        """Earlier versions named no format."""
        return value | {"format": 1} if "format" not in value else None


class StageFolder:
    """`stages/ID`: stage.json, metrics.jsonl, checkpoints/, final/, and DONE, which is written last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.final = path / "final"
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"

    @property
    def done(self) -> bool:
        return (self.path / "DONE").is_file()

    def record(self) -> StageRecord | None:
        """`stage.json`; None before the stage began. InputError if it cannot be read."""
        path = self.path / STAGE
        return StageRecord.read(path) if path.is_file() else None

    def refuse_other_work(self, identity: Identity) -> None:
        """RunFolderError, with the keys that differ, when this folder holds another stage than `identity`."""
        record = self.record()
        if record is not None and record.fingerprint != identity.fingerprint:
            way_out = f"give another --out, or redo from here and keep what lies there: --from {self.path.name}"
            refuse_other_work(self.path, record.identity, identity.parts, "stage, of another recipe or of other inputs", way_out)

    def begin(self, identity: Identity) -> None:
        """Begin the stage, or continue with it; a result that was never marked done is removed (its maker was killed between the two)."""
        if self.record() is None:
            StageRecord(self.path.name, identity.fingerprint, identity.parts).write(self.path / STAGE)
        if self.final.exists():
            shutil.rmtree(self.final)

    def finish(self, kind: str, elapsed_s: float, peak_memory_bytes: int | None, results: dict[str, Any]) -> None:
        """Record what came out of a stage that began, then mark it done and drop its checkpoints."""
        record = replace(StageRecord.read(self.path / STAGE), kind=kind, elapsed_s=elapsed_s, peak_memory_bytes=peak_memory_bytes, results=results)
        record.write(self.path / STAGE)
        write_text(self.path / "DONE", f"{record.fingerprint}\n")
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def keep_metrics_until(self, step: int) -> None:
        """Drop metrics of steps after `step`, and a last line cut short: a resumed run writes them again."""
        kept = [line for line in self.read_metrics() if line["step"] <= step]
        write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))

    def add_metrics(self, line: dict[str, Any]) -> None:
        """Append one line of metrics."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """All whole lines of metrics.jsonl. What a kill or a power cut leaves is passed over: a last line cut short, and NUL bytes in place of what was not
        on the disk yet. InputError, with file:line, for any other line that is not an object with a step."""
        if not self.metrics.is_file():
            return []
        lines = self.metrics.read_bytes().split(b"\n")[:-1]
        return [_metrics(line, f"{self.metrics}:{number}") for number, line in enumerate(lines, start=1) if line.strip() and b"\0" not in line]

    def last_metrics(self) -> list[dict[str, Any]]:
        """`read_metrics` of the end of a file that may be long: the whole lines of its last `TAIL_BYTES`."""
        if not self.metrics.is_file():
            return []
        with self.metrics.open("rb") as file:
            size = file.seek(0, 2)
            if size <= TAIL_BYTES:
                return self.read_metrics()
            file.seek(size - TAIL_BYTES)
            lines = file.read().split(b"\n")[1:-1]
        return [_metrics(line, f"{self.metrics}, near its end") for line in lines if line.strip() and b"\0" not in line]


class RunFolder:
    """`runs/NAME`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stage(self, stage_id: str) -> StageFolder:
        return StageFolder(self.path / "stages" / stage_id)

    @property
    def began(self) -> bool:
        """Whether a stage has begun here."""
        return any(self.path.glob(f"stages/*/{STAGE}"))

    def record(self, files: dict[str, str]) -> None:
        """Write the files at the top of the run folder. A recipe that was changed where nothing had begun yet takes the old one's place, which is kept."""
        for name, text in files.items():
            path = self.path / name
            if name.endswith(".yaml") and path.is_file() and path.read_text(encoding="utf-8") != text:
                set_aside(path)
            if not path.exists():
                write_text(path, text)

    def log(self, message: str) -> None:
        """One line, with the time, into log.txt."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{now()} {message}\n")

    def sweep(self) -> None:
        """Remove what a killed process left half written under its temporary name; the caller holds the lock."""
        for path in list(self.path.rglob(".*.tmp")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def set_aside(self, stage_ids: list[str]) -> None:
        """Rename the folders of `stage_ids` so that they can be redone; nothing is removed."""
        for stage_id in stage_ids:
            path = self.stage(stage_id).path
            if path.exists():
                set_aside(path)

    def hash_inputs(self, paths: list[Path]) -> dict[Path, str]:
        """SHA-256 of input files. inputs.json remembers them by size and modification time, so that a finished run answers at once."""
        record_path = self.path / "inputs.json"
        known: dict[str, Any] = read_json(record_path) if record_path.is_file() else {}
        results: dict[str, Any] = {}
        for path in paths:
            status = path.stat()
            key, stamp = str(path.resolve()), {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
            old = known.get(key, {})
            fresh = old if all(old.get(name) == value for name, value in stamp.items()) else {"sha256": sha256_file(path), **stamp}
            results[key] = fresh
        if known | results != known:
            write_json(record_path, known | results)
        return {path: results[str(path.resolve())]["sha256"] for path in paths}


def _metrics(line: bytes, place: str) -> dict[str, Any]:
    value = parse_json(line, place, allow_nan=True)
    if not isinstance(value, dict) or type(value.get("step")) is not int:
        raise InputError(f"{place}: not the metrics of a step; every line of this file is an object with a whole number under 'step'")
    return value


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def run_record(path: Path) -> RunRecord:
    """run.json of the run folder `path`. InputError if it is not a run folder."""
    if not (path / RUN).is_file():
        raise InputError(f"{path}: no run folder (it has no {RUN}); runs lie in runs/NAME unless --out said otherwise")
    return RunRecord.read(path / RUN)


def resolved_recipe(path: Path) -> dict[str, Any]:
    """The recipe of a run with all defaults filled in. InputError when `path` is not a run folder, or its resolved.yaml lists no stages."""
    run_record(path)
    file = path / RESOLVED
    try:
        recipe = load_yaml(file).value
    except UsageError as error:
        raise InputError(str(error)) from error
    stages = recipe.get("stages") if isinstance(recipe, dict) else None
    if not isinstance(stages, list) or not all(isinstance(stage, dict) and {"id", "kind"} <= stage.keys() for stage in stages):
        raise InputError(f"{file}: not the recipe of a run (it lists no stages with an id and a kind); run the recipe again with another --out")
    if not all(isinstance(stage[key], str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", stage[key]) for stage in stages for key in ("id", "kind")):
        raise InputError(f"{file}: not the recipe of a run (the id of a stage is not a name); run the recipe again with another --out")
    return dict(recipe)
