"""Models to merge, made once."""

from __future__ import annotations

import pytest

from tests.merging.models import extended, tuned


@pytest.fixture(scope="session")
def ja(pico, tmp_path_factory):
    return tuned(pico, tmp_path_factory.mktemp("tuned") / "ja", 1)


@pytest.fixture(scope="session")
def math(pico, tmp_path_factory):
    return tuned(pico, tmp_path_factory.mktemp("tuned") / "math", 2)


@pytest.fixture(scope="session")
def longer(pico, tmp_path_factory):
    """With Japanese tokens of its own."""
    return extended(pico, tmp_path_factory.mktemp("tuned") / "longer", 3)
