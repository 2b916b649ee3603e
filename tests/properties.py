"""What all property tests share: the same examples on every run and every machine, and no clock (a busy machine is not a bug)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def examples(number: int) -> settings:
    """Settings for a property test that tries `number` examples."""
    return settings(
        max_examples=number, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
