"""The pictures of a report that README shows.

`python -m tests.browser.picture REPORT.html docs/pictures/report` writes report-light.png and report-dark.png there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.chromium import open_tab

WIDTH, HEIGHT = 1200, 1150  # pixels: down to the curve and the sample beside the headline


def main() -> None:
    page, out = Path(sys.argv[1]).resolve(), sys.argv[2]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, open_tab(Path(profile)) as tab:
        tab.size(WIDTH, HEIGHT)
        tab.open(page.as_uri(), "!document.getElementById('theme').hidden")
        for theme in ("light", "dark"):
            if theme == "dark":
                tab.js("document.getElementById('theme').click()")
            picture = Path(f"{out}-{theme}.png")
            tab.screenshot(picture)
            with Image.open(picture) as full:
                full.convert("RGB").quantize(256).save(picture, optimize=True)  # text and lines: a third of the size, and no difference to be seen


if __name__ == "__main__":
    main()
