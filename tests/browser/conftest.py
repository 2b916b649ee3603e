"""One Chromium for the tests of a file, and its tab for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Tab, open_tab


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with open_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """The tab; a test in which the page complains of anything fails."""
    browser.size(1280)
    browser.complaints.clear()
    yield browser
    assert browser.complaints == []
