"""What a model wrote while it trained, read from its stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.report.run_summary import TrainingSample
from jp_adapt.report.training_samples import SAMPLES, first_and_last, read_samples


def test_samples_come_in_order_and_a_stage_without_any_has_none(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
    (tmp_path / SAMPLES).write_text(
        '{"step": 0, "prompt": "今日は", "continuation": ""}\n\n{"step": 5, "prompt": "", "continuation": "雨"}\n', encoding="utf-8"
    )
    assert read_samples(tmp_path) == [TrainingSample(0, "今日は", ""), TrainingSample(5, "", "雨")]


@pytest.mark.parametrize(
    "line", ["[1]", "{}", '{"step": true, "prompt": "a", "continuation": "b"}', '{"step": 1, "prompt": "a"}', '{"step": 1, "prompt": 2, "continuation": "b"}']
)
def test_a_line_that_is_no_sample_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / SAMPLES).write_text(f'{{"step": 0, "prompt": "a", "continuation": "b"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"samples.jsonl:2: no sample of a training stage"):
        read_samples(tmp_path)


def test_the_first_and_the_last_step_are_picked() -> None:
    samples = [TrainingSample(step, prompt, "") for step in (0, 5, 10) for prompt in "ab"]
    assert first_and_last(samples) == [*samples[:2], *samples[-2:]]
    assert first_and_last([]) == []
