"""Names of paths and models."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.names import distinct_tails, model_name


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/home/me/llama2/tokenizer.model", "/home/me/llama3/tokenizer.model"], ["llama2/tokenizer.model", "llama3/tokenizer.model"]),
        (["/data/a", "/data/b"], ["a", "b"]),
        (["x/a/final", "y/a/final", "y/b/final"], ["x/a/final", "y/a/final", "b/final"]),
        (["a/x", "a/x"], ["x", "x"]),
        (["a", "b/a"], ["a", "b/a"]),
        ([], []),
    ],
)
def test_as_much_of_a_path_as_tells_it_from_the_others(paths: list[str], names: list[str]) -> None:
    assert distinct_tails(paths) == names


def test_a_model_is_called_by_its_folder_or_by_run_and_stage() -> None:
    assert model_name(Path("/models/SmolLM2-135M")) == "SmolLM2-135M"
    assert model_name(Path("/runs/mine/stages/model/final")) == "mine/model"
    assert model_name(Path("/final")) == "final"
