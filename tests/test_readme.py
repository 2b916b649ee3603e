"""What the README promises is there: every command parses, every target exists, every linked file lies where it is said to."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from jp_adapt.cli.main import build_parser, joined
from tests.conftest import ROOT

PAGES = ("README.md", "README_ja.md", "CONTRIBUTING.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))))


def lines(page: str) -> list[str]:
    return (ROOT / page).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse_and_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    results = 0
    for line in lines(page):
        command = re.split(r" #| > | \\$", line.strip())[0]
        command = shlex.split(command) if command.startswith("jp-adapt") else command.split()
        if line.startswith("    ") and command[:1] == ["jp-adapt"]:
            assert build_parser().parse_args(joined(command[1:])).verb.split()[0] == command[1]
            results += 1
        elif line.startswith("    ") and command[:1] == ["make"]:
            assert command[1] in targets
            results += 1
    assert results or page not in ("README.md", "README_ja.md", "CONTRIBUTING.md", "docs/guide.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", "\n".join(lines(page))):
        if "://" in target:
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What a link into a page may name: its headings, as a site and a code host write them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_the_documentation_is_in_the_site():
    named = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named == {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_prose_are_short(page):
    prose = re.sub(r"^( *)```.*?^\1```$", "", "\n".join(lines(page)), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.lstrip().startswith(("|", "<picture>")) and not line.startswith("    ")] == []
