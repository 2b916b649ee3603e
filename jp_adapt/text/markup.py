"""Remove HTML and wiki markup from running text. Code is never touched: fenced, indented or `inline` code, or lines that look like code."""

from __future__ import annotations

import re

from jp_adapt.text.code_lines import code_lines
from jp_adapt.text.html_tags import Span, as_text, comments, evidence, tag_starts, tags
from jp_adapt.text.ruby import Readings, strip_readings
from jp_adapt.text.spans import closed, cut

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
_PAGE = re.compile(r"\s*<(?:!DOCTYPE|!--|(?:html|head|body|div|p|table|article|section|main|h[1-6]|ul|ol|dl|span|a|center|font|br)[\s/>])", re.IGNORECASE)
_WHOLE_PAGE = re.compile(r"\s*<(?:!DOCTYPE|html)[\s>]", re.IGNORECASE)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_HOLE = re.compile("\x00(\\d+)\x00")
_READINGS = ("《", "［＃", "{{")
_WIKI_MARKS = ("[[", "'''", "\n==", "<ref", "{{")


def strip_markup(text: str, readings: Readings = "drop") -> tuple[str, dict[str, int]]:
    """The running text, and how many tags, wiki marks and readings were removed. A text that merely mentions markup is returned unchanged.

    Takes time in proportion to the text, whatever stands in it: what an opening mark closes with is looked up, never searched for from each mark.

    Args:
        readings: what happens to readings of kanji (ruby, furigana): they are removed, or put in （ ） after their word.
    """
    if not _may_hold_markup(text) or "\x00" in text:
        return text, {}
    codes: list[str] = []
    prose = _without_code(text, codes)
    prose, number = strip_readings(prose, readings)
    changes: dict[str, int] = {"ruby": number} if number else {}
    page = _WHOLE_PAGE.match(prose) is not None
    marks = comments(prose) + evidence(tags(prose, page)) if "<" in prose else []
    if _enough(marks, prose):
        changes["html"] = len(marks)
        prose = as_text(prose, page)
    sure = [match.span() for match in _SURE.finditer(prose)]
    marks = sure + [match.span() for match in _TEMPLATE.finditer(prose)]
    if sure and _enough(marks, prose):
        changes["wiki"] = len(marks)
        prose = cut(prose, ((start, end, "") for start, end in closed(prose, _REF, _REF_END)))
        for pattern, replacement in _WIKI_RULES:
            prose = pattern.sub(replacement, prose)
    if not changes:
        return text, {}
    return _HOLE.sub(lambda match: codes[int(match[1])], prose.strip()), changes


def strip_boilerplate(text: str) -> tuple[str, int]:
    """The text without lines of navigation, and how many were removed."""
    text, number = BOILERPLATE.subn("\x00", text)
    return re.sub("\x00\n?", "", text) if number else text, number


def _may_hold_markup(text: str) -> bool:
    """Whether a text holds what any markup begins with, as often as it takes: with code put aside, which takes ten times as long, there can only be less."""
    if any(mark in text for mark in _READINGS):
        return True
    wiki = sum(map(text.count, _WIKI_MARKS)) + text.startswith("==")
    starts = tag_starts(text) if "<" in text else []
    return wiki >= MIN_TAGS or len(starts) >= MIN_TAGS or any(start.lower() == "<ruby" for start in starts)


def _enough(marks: list[Span], text: str) -> bool:
    return len(marks) >= MIN_TAGS and sum(end - start for start, end in marks) >= MIN_TAG_SHARE * len(text)


def _without_code(text: str, codes: list[str]) -> str:
    """The text with each piece of code replaced by a placeholder that holds its index in `codes`."""

    def put_aside(code: str) -> str:
        codes.append(code)
        return f"\x00{len(codes) - 1}\x00"

    lines = text.split("\n")
    is_code = code_lines(lines, prose_page=_PAGE.match(text) is not None)
    return "\n".join(put_aside(line) if code else _INLINE_CODE.sub(lambda match: put_aside(match[0]), line) for line, code in zip(lines, is_code, strict=True))
