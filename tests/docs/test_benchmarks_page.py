"""The tables of docs/benchmarks.md say what the declarations say."""

from __future__ import annotations

import re

import pytest

from jp_adapt.benchmarks.items import load_declaration, load_suite
from jp_adapt.commands.data import Availability, list_data
from jp_adapt.core.shipped import shipped_benchmarks, shipped_suites
from tests.conftest import ROOT

ROWS = [line.split("|")[1:-1] for line in (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
SUITES = {name: row for row in ROWS if len(row) == 3 for name in re.findall("`([^`]+)`", row[0])}
BENCHMARKS = {name: row for row in ROWS if len(row) == 7 for name in re.findall("`([^`]+)`", row[0])}


def test_every_benchmark_and_suite_stands_in_a_table() -> None:
    assert BENCHMARKS.keys() == shipped_benchmarks().keys()
    assert SUITES.keys() == shipped_suites().keys()


def test_the_profile_of_a_suite_is_its_own() -> None:
    for name, row in SUITES.items():
        assert row[2].strip() in (f"`{load_suite(name).profile}`", "theirs"), name


@pytest.mark.parametrize("listed", list_data(None), ids=lambda listed: str(listed.name))
def test_licence_and_data_are_those_of_the_declaration(listed: Availability) -> None:
    _, _, items, licence, data, _, tested = map(str.strip, BENCHMARKS[listed.name])
    assert listed.licence in licence
    assert ("shipped" if listed.data == "shipped" else "fetched" if not listed.fetchable else "by hand") == data.replace("clone", "by hand").split(",")[0]
    assert (tested == "real") == bool(items), "what was counted was there"


def test_peers_are_those_that_a_declaration_has_protocols_of() -> None:
    marks = {
        "stability-0.3": "Stability",
        "lm-eval-ja": "lm-eval",
        "llm-jp-eval-1.3": "llm-jp-eval",
        "swallow": "Swallow",
        "swallow-instruct-202508": "Swallow instruct",
        "flexeval": "flexeval",
    }
    for name, row in BENCHMARKS.items():
        if row[5].strip() == "the same":
            row = BENCHMARKS["ja/jcommonsenseqa"]
        protocols = load_declaration(name)[0].protocols
        for profile, mark in marks.items():
            if profile in protocols:
                assert mark in row[5], (name, mark)
