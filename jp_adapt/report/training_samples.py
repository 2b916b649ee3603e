"""What a model wrote while it trained: samples.jsonl of a training stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json_lines
from jp_adapt.report.run_summary import TrainingSample

SAMPLES = "samples.jsonl"


def read_samples(stage: Path) -> list[TrainingSample]:
    """The samples in the folder of a stage, in order; none where it wrote none. InputError, with file:line, for a line that is none."""
    file = stage / SAMPLES
    return [_sample(value, place) for place, value in read_json_lines(file)] if file.is_file() else []


def _sample(value: Any, place: str) -> TrainingSample:
    fields: list[Any] = [value.get(key) for key in ("step", "prompt", "continuation")] if isinstance(value, dict) else []
    if list(map(type, fields)) != [int, str, str]:
        raise InputError(f"{place}: no sample of a training stage; every line of this file has a step, a prompt and a continuation")
    return TrainingSample(*fields)


def first_and_last(samples: Sequence[TrainingSample]) -> list[TrainingSample]:
    """The samples of the first step that has any, and of the last."""
    return [sample for sample in samples if sample.step in (samples[0].step, samples[-1].step)]
