"""HTML as running text, as a browser shows it (`innerText` of the HTML standard): blocks on lines of their own, cells of a table apart by a tab.

A parser would take too much for markup: the rest of a page behind a `<script>` or `<!--` that nobody closed, and every `<name>` of a manual. Here a name is
a tag where it is HTML's own (by lxml's list), or where the text closes it, so that any element of any language may come (math, o:p, my-card).
"""

from __future__ import annotations

import html
import re
from functools import cache

from jp_adapt.text.spans import closed, cut

_ATTRIBUTES = r"(?:\s(?:(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*|[^<>]*)|\s*/)?"
TAG = re.compile(rf"<!DOCTYPE[^<>]*>|<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:_.-]*){_ATTRIBUTES}>", re.IGNORECASE)
# Names of HTML that manuals give to arguments (`docker <command> <source>`): tags only where they are closed.
_ARGUMENTS = frozenset(
    {"area", "base", "code", "command", "data", "details", "dir", "keygen", "map", "mark", "menu", "meter", "object", "output", "param", "progress", "source"}
    | {"summary", "time", "track", "var"}
)
_CELLS = frozenset({"td", "th"})
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "br", "caption", "center", "dd", "details", "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure"}
    | {"footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "section"}
    | {"summary", "table", "tr", "ul"}
)
_UNSEEN = "script|style|head|nav|footer|noscript|iframe|svg|template"
_OPENER, _CLOSER = re.compile(rf"<({_UNSEEN})\b[^<>]*>", re.IGNORECASE), re.compile(rf"</({_UNSEEN})\s*>", re.IGNORECASE)
_BETWEEN_CELLS = re.compile(r"(?<=</t[dh]>)\s+(?=<t[dh][\s>])", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
Span = tuple[int, int]


@cache
def _known() -> frozenset[str]:
    """The names of the elements of HTML, from lxml."""
    from lxml.html import defs

    return frozenset(defs.tags) | {"rb", "rtc", "main", "dialog", "picture", "template"}


def tag_starts(text: str) -> list[str]:
    """The beginnings of all that may be `evidence`, in code or not: comments, declarations, and names of HTML behind a `<`."""
    return _start().findall(text)


@cache
def _start() -> re.Pattern[str]:
    return re.compile(rf"<(?:!|/?(?:{'|'.join(sorted(_known()))})(?![A-Za-z0-9:_.-]))", re.IGNORECASE)


def tags(text: str, page: bool = False) -> list[re.Match[str]]:
    """The tags of a text, in order. In a `page` every one counts; elsewhere `<name>` is taken for a placeholder unless something closes it."""
    results = [match for match in TAG.finditer(text) if match["name"] is not None or page or match[0].startswith("<!")]
    opened = {match["name"].lower() for match in results if match["name"] and not match["close"]}
    shut = {match["name"].lower() for match in results if match["name"] and match["close"]}
    meant = (opened & shut) | (_known() - _ARGUMENTS)
    return [match for match in results if page or match["name"] is None or match["name"].lower() in meant]


def evidence(tags: list[re.Match[str]]) -> list[Span]:
    """Spans of the tags that belong to HTML: other XML does not make a text a web page."""
    return [match.span() for match in tags if match["name"] is None or match["name"].lower() in _known()]


def comments(text: str) -> list[Span]:
    """From `<!--` to `-->`."""
    spans, start = [], text.find("<!--")
    while start >= 0 and (end := text.find("-->", start)) >= 0:
        spans.append((start, end + 3))
        start = text.find("<!--", end)
    return spans


def as_text(text: str, page: bool = False) -> str:
    """The running text of HTML."""
    text = cut(text, ((start, end, "") for start, end in comments(text)))
    text = cut(text, ((start, end, "\n") for start, end in closed(text, _OPENER, _CLOSER)))
    text = _BETWEEN_CELLS.sub("", text)
    text = cut(text, ((match.start(), match.end(), _instead(match)) for match in tags(text, page)))
    text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip(" \t") for line in text.split("\n")))


def _instead(tag: re.Match[str]) -> str:
    name = (tag["name"] or "").lower()
    return "\n" if name in _BLOCKS else "\t" if name in _CELLS and not tag["close"] else ""
