"""Mend a folder whose configuration does not let its tokenizer.json be run as it is, or whose rank file is taken for a SentencePiece model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from jp_adapt.core.errors import GateError, InputError
from jp_adapt.core.files import move_file, new_folder, read_json, write_bytes, write_json
from jp_adapt.tokenizer.auto import CANNOT_LOAD, DEFAULT_MODEL, MODEL_CONFIG, disagreements, linked, load_auto
from jp_adapt.tokenizer.hub_config import CONFIG, KEEPING_CLASS, MODEL_INPUTS, HubConfig, keeping_config, read_config, refuse_conflicts
from jp_adapt.tokenizer.load import RANK_FILE, SENTENCEPIECE_MODEL, SPEC, holds_ranks, runnable
from jp_adapt.tokenizer.save import EXTENSION, copy_tokenizer

KEPT = ".before-repair"


@dataclass(frozen=True)
class Repair:
    """What was mended in a tokenizer's folder.

    Attributes:
        folder: where the mended files are.
        changes: a line for each change; empty if nothing had to be mended.
        kept: files as they were before, under other names.
        disagreed, compared: for how many of how many texts AutoTokenizer gave other ids than tokenizer.json before. Now it gives the same for all of them.
        unloadable: why AutoTokenizer could not load the folder before; empty if it could.
    """

    folder: Path
    changes: list[str]
    disagreed: int
    compared: int
    kept: list[Path] = field(default_factory=list)
    unloadable: str = ""


def repair_tokenizer(folder: str | Path, out: str | Path | None = None) -> Repair:
    """Mend a tokenizer's folder, so that AutoTokenizer gives the ids of its tokenizer.json.

    jp-adapt trains with tokenizer.json, which stays as it is. Each file that changes is kept under another name. Nothing changes if nothing
    has to be mended, or if the folder cannot be.

    Args:
        out: a new folder for the mended files of the tokenizer; `folder` stays as it is then.

    Raises:
        InputError: no tokenizer.json there, a damaged file, or a configuration that is of another tokenizer.
        GateError: AutoTokenizer would still give other ids.
        UsageError: `out` exists already.
    """
    folder, out = Path(folder), None if out is None else Path(out)
    spec = _read_spec(folder)
    model_config = read_config(folder, MODEL_CONFIG) or DEFAULT_MODEL
    before, compared = disagreements(folder, model_config, [])
    config = keeping_config(folder, spec)
    if config is None:
        made = [f"{CONFIG}: none -> one that names {KEEPING_CLASS}"] if before else []
        config = HubConfig({"tokenizer_class": KEEPING_CLASS, "model_input_names": MODEL_INPUTS}, made)
    refuse_conflicts(config, folder)
    ranks = (folder / SENTENCEPIECE_MODEL).is_file() and holds_ranks(folder / SENTENCEPIECE_MODEL)
    changes = [*config.changes, *([f"{SENTENCEPIECE_MODEL} -> {RANK_FILE}: it is a rank file, and not the SentencePiece model of that name"] if ranks else [])]
    if out is not None:
        with new_folder(out) as target:
            copy_tokenizer(folder, target)
            if config.changes:
                write_json(target / CONFIG, config.fields)
            if (folder / EXTENSION).is_file():
                shutil.copyfile(folder / EXTENSION, target / EXTENSION)
            _refuse_other_ids(target, model_config, folder)
        return Repair(out, changes, len(before), compared, unloadable=_unloadable(before))
    with linked(folder, {CONFIG: json.dumps(config.fields)} if config.changes else {}) as place:
        _refuse_other_ids(place, model_config, folder)
    kept = []
    if config.changes:
        if (folder / CONFIG).is_file():
            kept.append(_free_name(folder / CONFIG))
            write_bytes(kept[0], (folder / CONFIG).read_bytes())
        write_json(folder / CONFIG, config.fields)
    if ranks:
        kept += _move_ranks(folder)
    return Repair(folder, changes, len(before), compared, kept, _unloadable(before))


def _unloadable(failures: Sequence[str]) -> str:
    return next((text for text in failures if text.startswith(CANNOT_LOAD)), "")


def _read_spec(folder: Path) -> Mapping[str, Any]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a tokenizer or of a model")
    path = folder / SPEC
    if not path.is_file():
        raise InputError(f"{folder}: no {SPEC} here, so nothing says which ids are the right ones")
    spec = read_json(path)
    if not isinstance(spec, dict):
        raise InputError(f"{path}: holds no tokenizer; fetch the file again")
    with runnable(path):
        Tokenizer.from_file(str(path))
    return spec


def _refuse_other_ids(place: Path, model_config: Mapping[str, Any], folder: Path) -> None:
    failures, compared = disagreements(place, model_config, [])
    if reason := _unloadable(failures):
        raise GateError(f"{folder}: cannot be mended: {reason}; nothing was changed")
    if failures:
        kind, loaded_as = model_config.get("model_type"), _class_of(place, model_config)
        raise GateError(
            f"{folder}: cannot be mended: for the model type '{kind}' AutoTokenizer loads it as {loaded_as}, which gives other ids than {SPEC} for "
            f"{len(failures):,} of {compared:,} texts, {failures[0]!r} for example; nothing was changed"
        )


def _class_of(place: Path, model_config: Mapping[str, Any]) -> str:
    try:
        with linked(place, {MODEL_CONFIG: json.dumps(model_config)}) as loaded:
            return type(load_auto(loaded)).__name__
    except Exception as error:  # a configuration can name any class, and each raises errors of its own
        return type(error).__name__


def _move_ranks(folder: Path) -> list[Path]:
    """Give the rank file the name that it has in Llama-3's folders, or another one if that is taken. Returns a name of the second kind."""
    place = folder / RANK_FILE
    kept = [_free_name(folder / SENTENCEPIECE_MODEL)] if place.exists() else []
    move_file(folder / SENTENCEPIECE_MODEL, kept[0] if kept else place)
    return kept


def _free_name(path: Path) -> Path:
    """`path` with `KEPT` at its end, and a number where that is taken."""
    names = (path.with_name(f"{path.name}{KEPT}{number}") for number in ("", *range(2, 1000)))
    return next(name for name in names if not name.exists())
