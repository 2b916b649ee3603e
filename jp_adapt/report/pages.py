"""Pages from the templates of this room: one self-contained HTML file each, in which every value is text and nothing is fetched.

Templates escape by themselves, and every value that they show goes through `visible` first. Markup that is trusted is marked so at a single place each: the
drawings of `svg`, the scripts and the style sheet of the package, and the page's data.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jp_adapt.core.visible import plain, visible
from jp_adapt.report.token_parts import criterion_name, runtime_name, script_name
from jp_adapt.report.written import DASH, duration_text, finite, number_text, plural, range_text, size_text, value_text
from jp_adapt.text.scripts import script_of

_WORDS = "@words@"  # where the Japanese phrases go, in the head, before anything of a run
SCRIPTS = ("language.js", "theme.js", "address.js", "tables.js")  # of every page, in this order


def render(template: str, sections: dict[str, str], *, script: str = "", data: Any = None, **values: Any) -> str:
    """The page of a template with `sections` (anchor -> heading, in order).

    A content policy keeps the browser from running or loading anything but the theme's script and `script`, a file of this room. `data` becomes JSON in the
    element #data, which no parser can take for markup.
    """
    scripts = [Markup("".join(_file(name) for name in names)) for names in (SCRIPTS, (script,)) if any(names)]
    digests = [base64.b64encode(hashlib.sha256(entry.encode()).digest()).decode() for entry in scripts]
    own = {"page_scripts": scripts, "page_digests": digests, "page_style": Markup(_file("report.css"))}
    own["page_data"] = None if data is None else Markup(json_text(data))
    page = _environment().get_template(template).render(sections=sections, page_words=Markup(_WORDS), **own, **values)
    return page.replace(_WORDS, json_text(_words_of(page)), 1)


def japanese() -> dict[str, str]:
    """English phrase -> Japanese phrase; {} stands for what differs, {0} and {1} for its parts where their order changes. The local page has the same words."""
    table: dict[str, str] = json.loads(_file("japanese.json"))
    return table


def _words_of(page: str) -> dict[str, str]:
    """Those of the Japanese phrases that a page has use for."""
    text = " ".join(html.unescape(page).split())
    return {phrase: words for phrase, words in japanese().items() if all(part in text for part in phrase.split("{}"))}


def drawing(svg: str) -> Markup:
    """A drawing of `svg`, whose texts are escaped already."""
    return Markup(svg)


def json_text(value: Any) -> str:
    """JSON without a character that could end the element, begin a comment, or be illegal in a page; NaN is refused."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub(r"[<>&\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", lambda results: f"\\u{ord(results.group()):04x}", text)


def lang(text: object) -> Markup:
    """The language attribute for a text with a Japanese character in it: it picks the Japanese glyphs and the Japanese voice."""
    return Markup(' lang="ja"') if any(script_of(char) for char in plain(text)) else Markup("")


def _shown(value: Any) -> Any:
    return value if isinstance(value, Markup) else visible(value)


def _token_text(text: object) -> str:
    """A token with its white space made visible: a chip of nothing but a space would look like a gap."""
    return plain(text).replace("\n", "\u21b5").replace("\t", "\u21e5").replace(" ", "\u2423").replace("\u3000", "\u25a1")


def _line_text(text: object) -> str:
    """A text on one line, its line ends and tabs made visible: it stands for a string, not for a paragraph."""
    return plain(text).replace("\n", "\u21b5").replace("\t", "\u21e5")


def _grouped(rows: Sequence[Any], attribute: str) -> list[tuple[Any, list[Any]]]:
    """Rows by the value of an attribute, in the order in which the values first occur."""
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, attribute), []).append(row)
    return list(groups.items())


@cache
def _file(name: str) -> str:
    return files("jp_adapt.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jp_adapt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": number_text,
        "range": range_text,
        "duration": duration_text,
        "size": size_text,
        "script_name": script_name,
        "runtime": runtime_name,
        "decapitalised": lambda text: text[:1].lower() + text[1:],
        "groupby_order": _grouped,
        "value": value_text,
        "criterion_name": criterion_name,
        "token": _token_text,
        "line": _line_text,
        "finite": finite,
    }
    environment.globals |= {"lang": lang, "plural": plural, "DASH": DASH}
    return environment
