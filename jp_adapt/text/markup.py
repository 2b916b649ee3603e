"""HTML and wiki markup out of running text, and code left alone: fenced blocks and `inline code` of Markdown are never touched."""

from __future__ import annotations

import html
import re
from functools import partial

TAGS = (
    "a abbr address article aside b blockquote body br button center cite code col dd del div dl dt em fieldset figcaption figure font footer "
    "form h1 h2 h3 h4 h5 h6 head header hr html i iframe  img input ins label legend li link main meta nav noscript ol option p pre q s script "
    "section select small span strong style sub sup svg table tbody td textarea tfoot th thead title tr u ul video "
)
_NAMES = "|".join(TAGS.split())
_BLOCKS = "article|aside|blockquote|br|dd|div|dl|dt|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|tr|ul"
CODE = re.compile(r"^(?P<fence>```+|~~~+)[^\n]*\n.*?(?:^(?P=fence)[^\n]*$|\Z)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
TAG = re.compile(rf"<!--.*?-->|<!DOCTYPE[^>]*>|</?(?:{_NAMES})(?:\s[^<>]*|\s*/)?>", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style|head|nav|footer|noscript|iframe|svg)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BLOCK = re.compile(rf"</?(?:{_BLOCKS})(?:\s[^<>]*|\s*/)?>", re.IGNORECASE)
WIKI = re.compile(r"\[\[[^\[\]\n]*\]\]|\{\{[^{}]*\}\}|'''|<ref[^>]*>|^=={1,4}[^=\n]+={2,5}$", re.MULTILINE)
_WIKI_RULES = (
    (re.compile(r"<ref[^>/]*/>|<ref[^>]*>.*?</ref>", re.DOTALL), ""),
    (re.compile(r"\{\{[^{}]*\}\}"), ""),
    (re.compile(r"\[\[(?:File|Image|ファイル|画像|Category|カテゴリ):[^\[\]]*\]\]", re.IGNORECASE), ""),
    (re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]"), r"\1"),
    (re.compile(r"\[https?://\S+ ([^\]\n]+)\]"), r"\1"),
    (re.compile(r"'{2,5}"), ""),
    (re.compile(r"^=={1,4}\s*([^=\n]+?)\s*={2,5}$", re.MULTILINE), r"\1"),
)
# Lines that are navigation and not text, whole lines only.
BOILERPLATE = re.compile(
    r"^[\s　|｜>＞»・\[【]*(?:"
    r"(?:この)?ページの?(?:先頭|トップ|上部)(?:へ|に)(?:戻る)?|トップへ戻る|(?:前|次)の(?:ページ|記事)(?:へ)?|続きを読む|もっと見る|サイトマップ|プライバシーポリシー|利用規約|お問い合わせ(?:はこちら)?"
    r"|ログイン|新規(?:会員)?登録|会員登録|カートに入れる|シェアする?|ツイートする?|いいね!?"
    r"|コメントを(?:書く|投稿する)|トラックバック|(?:Copyright\b|©|\(c\)).{0,80}|.{0,40}All rights reserved\.?"
    r"|(?:当|この)サイトは?では?、?(?:Cookie|クッキー)を(?:使用|利用).{0,60}|JavaScriptを有効に.{0,40}"
    r")[\s　|｜<＜«・\]】]*$",
    re.IGNORECASE | re.MULTILINE,
)
MIN_TAGS = 3
MIN_TAG_SHARE = 0.02  # of the characters outside of code: documentation that mentions <p> has less, a page's source more
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_SPACES = re.compile(r"[ \t]*\n[ \t]*")
_HOLE = re.compile("\x00(\\d+)\x00")


def strip_markup(text: str) -> tuple[str, dict[str, int]]:
    """The running text, and how many tags and wiki marks were taken out of it. A text that merely mentions markup comes back as it is."""
    if "<" not in text and "[[" not in text and "{{" not in text:
        return text, {}
    if "\x00" in text:
        return text, {}
    codes: list[str] = []
    prose = CODE.sub(partial(_put_aside, codes), text)
    changes: dict[str, int] = {}
    tags = TAG.findall(prose)
    if len(tags) >= MIN_TAGS and sum(map(len, tags)) >= MIN_TAG_SHARE * len(prose):
        changes["html"] = len(tags)
        prose = _without_html(prose)
    marks = WIKI.findall(prose)
    if len(marks) >= MIN_TAGS and sum(map(len, marks)) >= MIN_TAG_SHARE * len(prose):
        changes["wiki"] = len(marks)
        for pattern, replacement in _WIKI_RULES:
            prose = pattern.sub(replacement, prose)
    if not changes:
        return text, {}
    return _HOLE.sub(lambda match: codes[int(match[1])], prose).strip(), changes


def strip_boilerplate(text: str) -> tuple[str, int]:
    """The text without lines of navigation, and how many there were."""
    text, number = BOILERPLATE.subn("\x00", text)
    return re.sub("\x00\n?", "", text) if number else text, number


def _put_aside(codes: list[str], match: re.Match[str]) -> str:
    codes.append(match[0])
    return f"\x00{len(codes) - 1}\x00"


def _without_html(text: str) -> str:
    text = _UNSEEN.sub("\n", text)
    text = _BLOCK.sub("\n", text)
    text = TAG.sub("", text)
    text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return re.sub(r"\n{3,}", "\n\n", _SPACES.sub("\n", text))
