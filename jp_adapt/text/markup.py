"""HTML and wiki markup out of running text; code is never touched: fenced, indented, `inline`, or lines that look like it."""

from __future__ import annotations

import html
import re
from bisect import bisect_right

from jp_adapt.text.code_lines import code_lines

TAGS = (
    "a abbr address article aside b blockquote body br button center cite code col dd del div dl dt em fieldset figcaption figure font footer "
    "form h1 h2 h3 h4 h5 h6 head header hr html i iframe  img input ins label legend li link main meta nav noscript ol option p pre q s script "
    "section select small span strong style sub sup svg table tbody td textarea tfoot th thead title tr u ul video "
)
_NAMES = "|".join(TAGS.split())
_BLOCKS = "article|aside|blockquote|br|dd|div|dl|dt|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|tr|ul"
TAG = re.compile(rf"<!DOCTYPE[^<>]*>|</?(?:{_NAMES})(?:\s[^<>]*|\s*/)?>", re.IGNORECASE)
_BLOCK = re.compile(rf"</?(?:{_BLOCKS})(?:\s[^<>]*|\s*/)?>", re.IGNORECASE)
_UNSEEN = "script|style|head|nav|footer|noscript|iframe|svg"
_OPENER, _CLOSER = (re.compile(rf"<({_UNSEEN})\b[^<>]*>", re.IGNORECASE), re.compile(rf"</({_UNSEEN})\s*>", re.IGNORECASE))
_REF, _REF_END = re.compile(r"<(ref)\b[^<>]*(?<!/)>"), re.compile(r"</(ref)>")
# A link has a title that begins with a letter, and is no index of what stands before it: `[[ -f a ]]` of a shell, `n=[[0]]`, `x[["a"]]` are none.
_LINK = r"(?<![A-Za-z0-9_=])\[\[(?=[:\w])(?![\d\s.,:-]+\]\])"
_BOLD = re.compile(r"(?<!')('{2,3}|'{5})(?!')((?:[^'\n]|'(?!'))+)\1(?!')")
_HEADING = re.compile(r"^={2,5}[ \t]*(?=[^\s=])([^=\n]+)={2,5}$", re.MULTILINE)
_TEMPLATE = re.compile(r"\{\{(?![\s{])[^{}]*\}\}")
_SURE = re.compile(rf"{_LINK}[^\[\]\n]*\]\]|'''(?!')[^'\n]+'''|<ref\b[^<>]*>|{_HEADING.pattern}", re.MULTILINE)
_WIKI_RULES = (
    (re.compile(r"<ref\b[^<>]*/>"), ""),
    (_TEMPLATE, ""),
    (re.compile(rf"{_LINK}(?:File|Image|ファイル|画像|Category|カテゴリ):[^\[\]]*\]\]", re.IGNORECASE), ""),
    (re.compile(rf"{_LINK}(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]"), r"\1"),
    (re.compile(r"\[https?://[^\s\[\]]+ ([^\[\]\n]+)\]"), r"\1"),
    (_BOLD, r"\2"),
    (_HEADING, r"\1"),
)
# Lines that are navigation and not text, whole lines only.
BOILERPLATE = re.compile(
    r"^(?=.{1,160}$)[^\S\n|]*(?:[|｜>＞»・\[【][^\S\n]*)*(?:"
    r"(?:この)?ページの?(?:先頭|トップ|上部)(?:へ|に)(?:戻る)?|トップへ戻る|(?:前|次)の(?:ページ|記事)(?:へ)?|続きを読む|もっと見る|サイトマップ|プライバシーポリシー|利用規約|お問い合わせ(?:はこちら)?"
    r"|ログイン|新規(?:会員)?登録|会員登録|カートに入れる|シェアする?|ツイートする?|いいね!?"
    r"|コメントを(?:書く|投稿する)|トラックバック|(?:Copyright\b|©|\(c\)).{0,80}|.{0,40}All rights reserved\.?"
    r"|(?:当|この)サイトは?では?、?(?:Cookie|クッキー)を(?:使用|利用).{0,60}|JavaScriptを有効に.{0,40}"
    r")[^\S\n]*(?:[|｜<＜«・\]】][^\S\n]*)*$",
    re.IGNORECASE | re.MULTILINE,
)
MIN_TAGS = 3
MIN_TAG_SHARE = 0.02  # of the characters outside of code: documentation that mentions <p> has less, a page's source more
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_PAGE = re.compile(rf"\s*<(?:!DOCTYPE|!--|(?:{_NAMES})[\s/>])", re.IGNORECASE)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_HOLE = re.compile("\x00(\\d+)\x00")
Span = tuple[int, int]


def strip_markup(text: str) -> tuple[str, dict[str, int]]:
    """The running text, and how many tags and wiki marks were taken out of it. A text that merely mentions markup comes back as it is.

    Takes time in proportion to the text, whatever stands in it: what an opening mark closes with is looked up, never searched for from each mark.
    """
    if "<" not in text and "[[" not in text and "'''" not in text and "==" not in text:
        return text, {}
    if "\x00" in text:
        return text, {}
    codes: list[str] = []
    prose = _without_code(text, codes)
    changes: dict[str, int] = {}
    marks = _comments(prose) + [match.span() for match in TAG.finditer(prose)]
    if _enough(marks, prose):
        changes["html"] = len(marks)
        prose = _without_html(prose)
    sure = [match.span() for match in _SURE.finditer(prose)]
    marks = sure + [match.span() for match in _TEMPLATE.finditer(prose)]
    if sure and _enough(marks, prose):
        changes["wiki"] = len(marks)
        prose = _cut(prose, _closed(prose, _REF, _REF_END), "")
        for pattern, replacement in _WIKI_RULES:
            prose = pattern.sub(replacement, prose)
    if not changes:
        return text, {}
    return _HOLE.sub(lambda match: codes[int(match[1])], prose.strip()), changes


def strip_boilerplate(text: str) -> tuple[str, int]:
    """The text without lines of navigation, and how many there were."""
    text, number = BOILERPLATE.subn("\x00", text)
    return re.sub("\x00\n?", "", text) if number else text, number


def _enough(marks: list[Span], text: str) -> bool:
    return len(marks) >= MIN_TAGS and sum(end - start for start, end in marks) >= MIN_TAG_SHARE * len(text)


def _without_code(text: str, codes: list[str]) -> str:
    """The text with each piece of code as a hole that carries its number in `codes`."""

    def put_aside(code: str) -> str:
        codes.append(code)
        return f"\x00{len(codes) - 1}\x00"

    lines = text.split("\n")
    is_code = code_lines(lines, prose_page=_PAGE.match(text) is not None)
    return "\n".join(put_aside(line) if code else _INLINE_CODE.sub(lambda match: put_aside(match[0]), line) for line, code in zip(lines, is_code, strict=True))


def _without_html(text: str) -> str:
    text = _cut(text, _comments(text), "")
    text = _cut(text, _closed(text, _OPENER, _CLOSER), "\n")
    text = _BLOCK.sub("\n", text)
    text = TAG.sub("", text)
    text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip(" \t") for line in text.split("\n")))


def _comments(text: str) -> list[Span]:
    spans, start = [], text.find("<!--")
    while start >= 0 and (end := text.find("-->", start)) >= 0:
        spans.append((start, end + 3))
        start = text.find("<!--", end)
    return spans


def _closed(text: str, opener: re.Pattern[str], closer: re.Pattern[str]) -> list[Span]:
    """From each opening tag to the next closing one of its name; what is never closed is no span."""
    ends: dict[str, list[int]] = {}
    for match in closer.finditer(text):
        ends.setdefault(match[1].lower(), []).append(match.end())
    spans: list[Span] = []
    for match in opener.finditer(text):
        of_name = ends.get(match[1].lower(), [])
        place = bisect_right(of_name, match.end())
        if place < len(of_name) and (not spans or match.start() >= spans[-1][1]):
            spans.append((match.start(), of_name[place]))
    return spans


def _cut(text: str, spans: list[Span], instead: str) -> str:
    parts, end = [], 0
    for start, after in spans:
        parts += [text[end:start], instead]
        end = after
    return "".join([*parts, text[end:]])
