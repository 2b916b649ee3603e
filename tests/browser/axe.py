"""axe-core, where `JP_ADAPT_AXE` names its axe.min.js: the accessibility engine of Deque, which is no dependency (`npm pack axe-core@4.14.1`)."""

from __future__ import annotations

import os
from pathlib import Path

from tests.browser.chromium import Tab


def axe_findings(tab: Tab) -> list[str]:
    """What axe finds in the page of a tab, as "rule: element"; nothing where axe is not there."""
    script = os.environ.get("JP_ADAPT_AXE")
    if not script:
        return []
    tab.js(f"{Path(script).read_text(encoding='utf-8')}; 0")
    found: list[str] = tab.js(
        "axe.run().then(found => found.violations.flatMap(one => one.nodes.map(node => `${one.id} (${one.impact}): ${node.html.slice(0, 120)}`)))"
    )
    return found
