"""The sizes of a base, without its weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.recipe.base_sizes import base_architecture
from jp_adapt.recipe.schema import Base


def test_a_folder_and_a_model_that_is_known(pico: Path) -> None:
    assert base_architecture(Base(path=str(pico)), Path("recipe.yaml")).vocab_size == 500
    assert round(base_architecture(Base(model="meta-llama/Llama-2-7b-hf"), Path("recipe.yaml")).parameters / 1e9, 1) == 6.7


def test_a_model_that_is_not_known() -> None:
    with pytest.raises(InputError, match=r"recipe\.yaml: the sizes of org/llama are not known here"):
        base_architecture(Base(model="org/llama"), Path("recipe.yaml"))
