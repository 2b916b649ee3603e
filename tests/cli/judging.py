"""The command `judge`, as its tests call it."""

from __future__ import annotations

from typing import Any

import pytest

from jp_adapt.cli.main import main

ELYZA = ["--benchmark", "ja/elyza-tasks-100", "--judge-model", "judge-1"]


def run(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    results = main(["judge", *map(str, arguments)])
    said = capsys.readouterr()
    assert results == code, said.err
    return said.out, said.err
