"""The pictures of a report that README shows: `python -m tests.browser.picture REPORT.html docs/report` writes docs/report-light.png and -dark.png."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import open_tab

WIDTH, HEIGHT = 1200, 1150  # pixels: down to the curve and the sample beside the headline


def main() -> None:
    page, out = Path(sys.argv[1]).resolve(), sys.argv[2]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, open_tab(Path(profile)) as tab:
        tab.size(WIDTH, HEIGHT)
        tab.open(page.as_uri(), "!document.getElementById('theme').hidden")
        for theme in ("light", "dark"):
            tab.js(f"document.documentElement.dataset.theme = '{theme}'")
            tab.screenshot(Path(f"{out}-{theme}.png"))


if __name__ == "__main__":
    main()
