"""What keeps a page from being read by everyone: names and contrast, by scripts of our own; and all that axe-core finds.

axe-core is the accessibility engine of Deque, and no dependency (`npm pack axe-core@4.14.1`): `JP_ADAPT_AXE` names its axe.min.js.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.browser.chromium import Tab

# Controls that a screen reader has no name for.
NAMELESS = """[...document.querySelectorAll('button, a, select, input, textarea')].filter(node =>
    !(node.textContent.trim() || node.ariaLabel || node.labels?.[0]?.textContent.trim())).map(node => node.outerHTML)"""

# Texts whose contrast with what is behind them is below 4.5.
CONTRAST = """(() => {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parse = (text) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data;
  };
  const linear = (value) => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = ([red, green, blue]) => .2126 * linear(red / 255) + .7152 * linear(green / 255) + .0722 * linear(blue / 255);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !node.checkVisibility() || node.closest('.sr, .skip, noscript, option')) continue;
    const [bright, dark] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
    const contrast = (bright + .05) / (dark + .05);
    if (contrast < 4.5) found.push(walk.currentNode.textContent.slice(0, 40) + ' ' + contrast.toFixed(2));
  }
  return [...new Set(found)];
})()"""


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
