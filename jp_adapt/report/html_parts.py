"""What the pages of jp-adapt are made of: the document around the sections, tables, facts, chips of tokens.

Every value that comes from outside goes through `escape` here or at the caller's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from jp_adapt.report.written import escape, plain
from jp_adapt.text.scripts import script_of

_SCRIPT = """(function () {
  var root = document.documentElement, button = document.getElementById("theme");
  function dark() { return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; }
  function name() { button.textContent = dark() ? "Light theme" : "Dark theme"; button.hidden = false; }
  button.onclick = function () { root.dataset.theme = dark() ? "light" : "dark"; name(); };
  name();
})();"""


def page(
    title: str, lead: str, named: str, sections: Sequence[tuple[str, str, str]], *, css: str = "", script: str = "", data: Any = None, version: str = ""
) -> str:
    """The document around `sections` of (anchor, heading, HTML).

    Nothing is fetched, and a content policy keeps the browser from running or loading anything but the script here and `script`, a trusted text of the
    package. `data` becomes JSON in the element #data, which no parser can take for markup. All but `css`, `script` and `data` is HTML.
    """
    scripts = [_SCRIPT, script] if script else [_SCRIPT]
    stored = f'<script type="application/json" id="data">{_json(data)}</script>\n' if data is not None else ""
    style = files("jp_adapt.report").joinpath("report.css").read_text(encoding="utf-8") + css
    digests = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {digests}; img-src data:; base-uri 'none'; form-action 'none'"
    links = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name, _ in sections)
    bodies = (f'<section id="{anchor}" aria-labelledby="h-{anchor}">\n<h2 id="h-{anchor}">{name}</h2>\n{body}\n</section>' for anchor, name, body in sections)
    parts = [
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">',
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n<body>',
        f'<header>\n<div class="top"><h1{lang(title)}>{title}</h1><button type="button" id="theme" hidden>Dark theme</button></div>',
        f'<p class="lead">{lead}</p>\n{named}\n<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>\n<main>',
        *bodies,
        f'</main>\n<footer><p class="note">Written by jp-adapt {version}</p></footer>',
        stored + "".join(f"<script>{one}</script>\n" for one in scripts) + "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _json(value: Any) -> str:
    """JSON without a character that could end the element, begin a comment, or be illegal in a page; NaN is refused."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub(r"[<>&\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", lambda found: f"\\u{ord(found.group()):04x}", text)


def cell(value: str, below: str = "") -> str:
    return f'<td class="n">{value}{f"<small>{below}</small>" if below else ""}</td>'


def fact_list(named: Iterable[tuple[str, str]]) -> str:
    """Named values; `named` holds plain names and values that are already HTML. Those without a value are left out."""
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in named if value)
    return f'<dl class="facts">{shown}</dl>' if shown else ""


def short_hash(value: Any) -> str:
    """The first twelve digits, the whole in the hover title."""
    text = plain(value)
    return f'<code title="{escape(text)}">{escape(text[:12])}\u2026</code>' if len(text) > 12 else escape(text) or ""


def lang(text: str) -> str:
    """The language attribute for a text with a Japanese character in it: it picks the Japanese glyphs and the Japanese voice."""
    return ' lang="ja"' if any(script_of(char) for char in text) else ""


def none(sentence: str) -> str:
    return f'<p class="note">{sentence}</p>'


def table(caption: str, columns: Sequence[str], bodies: str, words: int = 1) -> str:
    """A table in a frame that scrolls by itself on a narrow screen. The first `words` columns hold words, the others numbers."""
    body = bodies if bodies.startswith("<tbody>") else f"<tbody>{bodies}</tbody>"
    heads = "".join(f'<th scope="col"{"" if index < words else " class=n"}>{name}</th>' for index, name in enumerate(columns))
    frame = f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
    return f"{frame}<table><caption><span>{caption}</span></caption><thead><tr>{heads}</tr></thead>{body}</table></div>"
