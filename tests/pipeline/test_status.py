"""The state of a run from those of its stages."""

from __future__ import annotations

import pytest

from jp_adapt.pipeline.status import StageStatus, State, progress_text, run_state


@pytest.mark.parametrize(
    ("stages", "state"),
    [
        ([], "waiting"),
        (["waiting", "waiting"], "waiting"),
        (["done", "waiting"], "stopped"),
        (["done", "stopped", "waiting"], "stopped"),
        (["done", "running", "waiting"], "running"),
        (["done", "done"], "done"),
    ],
)
def test_the_state_of_a_run(stages: list[State], state: State) -> None:
    assert run_state([StageStatus(str(number), "rows", one, None, None) for number, one in enumerate(stages)]) == state


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (StageStatus("a", "rows", "running", None, None), ""),
        (StageStatus("a", "rows", "stopped", 7, None), "step 7"),
        (StageStatus("a", "rows", "running", 1200, None, 5000, 3.8125, 360.4, 4000), "1,200/5,000, loss 3.812, 360 tokens/s, 1 h 6 min left"),
        (StageStatus("a", "pretrain", "running", 12, None, 50, 3.8125, new_tokens=1500), "12/50, 1,500 new tokens, loss 3.812"),
    ],
)
def test_the_progress_of_a_stage_in_words(status: StageStatus, said: str) -> None:
    assert progress_text(status) == said
