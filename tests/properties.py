"""What all property tests share: the same examples on every run and every machine, and no clock (a busy machine is not a bug)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FEWEST = 30
ALL = os.environ.get("JP_ADAPT_EXAMPLES") == "all"

settings.register_profile("any speed", deadline=None)  # an example takes longer where others work on the same cores
settings.load_profile("any speed")


def examples(number: int) -> settings:
    """Settings for a property test that tries `number` examples where JP_ADAPT_EXAMPLES=all, else a third of them."""
    tried = number if ALL else min(number, max(FEWEST, number // 3))
    return settings(
        max_examples=tried, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
