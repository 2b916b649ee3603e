"""What one process trains, for those to be compared with it that several train."""

from __future__ import annotations

import pytest

from tests.training.sharded_runs import CASES, go


@pytest.fixture(scope="module")
def bases(pico, pico_untied):
    return {"pico": pico, "pico_untied": pico_untied}


@pytest.fixture(scope="module")
def one(bases, tmp_path_factory):
    """Case -> its model, losses and checkpoints, trained by one process."""
    folder = tmp_path_factory.mktemp("one")
    return {case: (*go(case, bases, folder / case), folder / case) for case in CASES}
