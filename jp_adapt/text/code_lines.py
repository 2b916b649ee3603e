"""Which lines of a text are code: fenced and indented blocks of Markdown, and lines that do not look like prose. Every pattern looks at one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FENCE = re.compile(r"[ \t]*(?:(?P<ticks>`{3,})[^`]*|(?P<waves>~{3,}).*)$")
_INDENTED = re.compile(r"(?: {4}|\t)[ \t]*\S")
_JSX = re.compile(r"\bclassName=|[\w-]=\{|</\w+>[;)]|/>[;)]|^\s*\{/\*")
_CODE = re.compile(
    r"^\s*(?:[)\]}]+[;,]|[)}]|(?:const|let|var)\s+[\w{\[]+.*=|import\s+[\w{*\"'].*(?:from\b|;)|export\s+(?:default|const|function|class)\b|return\s*[(<]"
    r"|(?:async\s+)?(?:function|def|fn)\s+\w+\s*\(|\#include\b|>>>\s|\$\s\S|(?:if|while|for)\s*[(\[]|[A-Za-z_][\w.]*\s?[-+*/]?=\s?[^\s=])"
    r"|[)\]\"'\w>];\s*$|(?<!\{)\{\s*$|[\w=,(]\s*\(\s*$|\s&&\s|=>\s*[{(<]",
    re.ASCII,  # a Japanese sentence may end in a semicolon
)
_ENTITY_END = re.compile(r"&#?\w{2,8};\s*$")


def code_lines(lines: Sequence[str], *, prose_page: bool = False) -> list[bool]:
    """For each line, whether it is code. What stands between two lines of code in a paragraph is code too: the tags between `return (` and `);`.

    Args:
        prose_page: the text is the source of a web page, where indentation and scripts mean nothing; only fences and JSX are code then.
    """
    results = _fenced(lines)
    looks = _JSX if prose_page else _CODE
    first: int | None = None  # of the code in this paragraph
    after_blank, in_block = False, False
    for number, line in enumerate(lines):
        blank = not line or line.isspace()
        if results[number] or blank:
            first, after_blank = None, blank
            continue
        in_block = not prose_page and _INDENTED.match(line) is not None and (after_blank or in_block)
        after_blank = False
        if in_block:
            results[number] = True
        elif _JSX.search(line) or (looks.search(line) and not _ENTITY_END.search(line[-12:])):
            first = number if first is None else first
            results[first : number + 1] = [True] * (number + 1 - first)
            first = number
    return results


def _fenced(lines: Sequence[str]) -> list[bool]:
    results, fence = [], ""
    for line in lines:
        match = _FENCE.match(line) if "```" in line or "~~~" in line else None
        mark = (match["ticks"] or match["waves"]) if match else ""
        results.append(bool(fence or mark))
        if not fence:
            fence = mark
        elif mark.startswith(fence) and line.strip() == mark:
            fence = ""
    return results
