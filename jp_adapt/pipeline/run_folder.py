"""The run folder: what a run is made of, which stages are done, and whether they are still the same work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from jp_adapt.core.errors import InputError, RunFolderError
from jp_adapt.core.files import read_json, write_json, write_text
from jp_adapt.core.hashes import sha256_file, sha256_json


@dataclass(frozen=True)
class Identity:
    """Everything that decides what a stage computes: never a path, a device or a time."""

    parts: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return sha256_json(self.parts)


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

    def record(self) -> dict[str, Any]:
        """`stage.json`, or an empty dict before the stage began."""
        path = self.path / "stage.json"
        return dict(read_json(path)) if path.is_file() else {}

    def refuse_other_work(self, identity: Identity) -> None:
        """RunFolderError, with the keys that differ, when what lies here is another stage than `identity`."""
        record = self.record()
        if record and record["fingerprint"] != identity.fingerprint:
            lines = [f"  {key}: {old!r} there, {new!r} now" for key, old, new in differences(record["identity"], _as_json(identity.parts))]
            raise RunFolderError(
                f"{self.path}: holds the stage of another recipe or other inputs:\n" + "\n".join(lines) + "\n"
                f"Give another --out, or redo from here and keep what lies there: --from {self.path.name}"
            )

    def begin(self, identity: Identity) -> None:
        """Begin the stage, or go on with it; a result that was never marked done is removed (its maker was killed between the two)."""
        if not self.record():
            write_json(self.path / "stage.json", {"id": self.path.name, "fingerprint": identity.fingerprint, "identity": identity.parts})
        if self.final.exists():
            shutil.rmtree(self.final)

    def finish(self, results: dict[str, Any]) -> None:
        """Record what came out, then mark the stage done and drop its checkpoints."""
        write_json(self.path / "stage.json", self.record() | results)
        write_text(self.path / "DONE", f"{self.record()['fingerprint']}\n")
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
        """All complete lines of metrics.jsonl."""
        if not self.metrics.is_file():
            return []
        text = self.metrics.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class RunFolder:
    """`runs/NAME`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stage(self, stage_id: str) -> StageFolder:
        return StageFolder(self.path / "stages" / stage_id)

    def record(self, files: dict[str, str]) -> None:
        """Write the files at the top of the run folder. A recipe that was changed where nothing had begun yet takes the old one's place, which is kept."""
        for name, text in files.items():
            path = self.path / name
            if name.endswith(".yaml") and path.is_file() and path.read_text(encoding="utf-8") != text:
                _set_aside(path)
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
                _set_aside(path)

    def hash_inputs(self, paths: list[Path]) -> dict[Path, str]:
        """SHA-256 of input files. inputs.json remembers them by size and modification time, so that a finished run answers at once."""
        record_path = self.path / "inputs.json"
        known: dict[str, Any] = read_json(record_path) if record_path.is_file() else {}
        found: dict[str, Any] = {}
        for path in paths:
            status = path.stat()
            key, stamp = str(path.resolve()), {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
            old = known.get(key, {})
            fresh = old if all(old.get(name) == value for name, value in stamp.items()) else {"sha256": sha256_file(path), **stamp}
            found[key] = fresh
        if known | found != known:
            write_json(record_path, known | found)
        return {path: found[str(path.resolve())]["sha256"] for path in paths}


def _set_aside(path: Path) -> None:
    """Give `path` the first free name of NAME.old-1, NAME.old-2, ..."""
    number = 1
    while (kept := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(kept)


def differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, old value, new value) of every leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key, old, new


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def resolved_recipe(path: Path) -> dict[str, Any]:
    """The recipe of a run with all defaults filled in. InputError when `path` is no run folder."""
    if not (path / "run.json").is_file():
        raise InputError(f"{path}: no run folder (it has no run.json); runs lie in runs/NAME unless --out said otherwise")
    return dict(yaml.safe_load((path / "resolved.yaml").read_text(encoding="utf-8")))
