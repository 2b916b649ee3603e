"""What the README promises is there: every command parses, every target exists, every linked file lies where it is said to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jp_adapt.cli.main import build_parser, joined
from tests.conftest import ROOT

PAGES = ("README.md", "README_ja.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))


def lines(page: str) -> list[str]:
    return (ROOT / page).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse_and_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    results = 0
    for line in lines(page):
        command = re.split(r" #| > | \\$", line.strip())[0].split()
        if line.startswith("    ") and command[:1] == ["jp-adapt"]:
            assert build_parser().parse_args(joined(command[1:])).verb.split()[0] == command[1]
            results += 1
        elif line.startswith("    ") and command[:1] == ["make"]:
            assert command[1] in targets
            results += 1
    assert results or page not in ("README.md", "README_ja.md", "CONTRIBUTING.md", "docs/guide.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", "\n".join(lines(page))):
        assert "://" in target or ((ROOT / page).parent / target).exists(), target


def test_both_readmes_show_the_two_commands_on_the_first_screen():
    for page in ("README.md", "README_ja.md"):
        first = "\n".join(lines(page)[:12])
        assert "make quickstart" in first
        assert "make test" in first


def test_the_japanese_readme_gives_the_same_figures():
    figures = [set(re.findall(r"\d+\.\d+", (Path(ROOT) / page).read_text(encoding="utf-8"))) for page in ("README.md", "README_ja.md")]
    assert figures[0] == figures[1]
