"""Japanese words and phrases, as UniDic segments them (fugashi + unidic-lite). MeCab is never given more than a piece of a text at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fugashi import GenericTagger, Tagger

# MeCab takes time in proportion to the square of a run of letters, kana or digits (18 s for 100,000 of them) and ends the process on longer ones; and
# fugashi 1.5.2 keeps the number of spaces before a word in 16 bits. Few lines of real text are longer than this, so that those are cut as whole lines.
MAX_PIECE_CHARS = 1000
_SENTENCE_END = re.compile(r"[。．！？!?]+[」』）)】〉》”’]*")
_CLAUSE_END = re.compile(r"[、，,;；:：\s]")
# MeCab ends a text at NUL, and fugashi cannot encode a lone surrogate: one character that is not a word of any dictionary stands for each of them.
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_STAND_IN = "\ufffd"

# UniDic parts of speech that lean on the word before them: a phrase (bunsetsu) continues there.
_LEANING = frozenset({"助詞", "助動詞", "接尾辞", "補助記号"})
_PREFIX = "接頭辞"


@dataclass(frozen=True)
class Token:
    """A UniDic short-unit word: its place in the text, and its parts of speech ("名詞", "数詞")."""

    start: int
    end: int
    pos1: str
    pos2: str


@cache
def _tagger(options: str) -> Tagger:
    from fugashi import Tagger

    return Tagger(options)


@cache
def _ipadic() -> GenericTagger:
    import ipadic
    from fugashi import GenericTagger

    return GenericTagger(ipadic.MECAB_ARGS)


def ipadic_words(text: str) -> list[tuple[str, str]]:
    """(word, part of speech) by MeCab with IPADIC, for protocols that count words of that dictionary."""
    return [(node.surface, node.feature[0]) for _, piece in pieces(text) for node in _ipadic()(piece)]


def pieces(text: str, max_chars: int = MAX_PIECE_CHARS) -> Iterator[tuple[int, str]]:
    """Where each piece of a text starts, and the piece: its lines, and of a line of more than `max_chars` characters pieces no longer than that.

    Joined, with what ends the lines, they are the text. A long line is cut behind the last sentence that fits, else behind the last comma or space.
    Nothing that MeCab reads otherwise is left in a piece: the stand-ins are as long as what they stand for.
    """
    start = 0
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
        for offset, piece in _bounded(body, max_chars):
            yield start + offset, _UNREADABLE.sub(_STAND_IN, piece)
        start += len(line)


def _bounded(line: str, max_chars: int) -> Iterator[tuple[int, str]]:
    start = 0
    while len(line) - start > max_chars:
        window = line[start : start + max_chars]
        size = _last_end(_SENTENCE_END, window) or _last_end(_CLAUSE_END, window) or max_chars
        yield start, line[start : start + size]
        start += size
    yield start, line[start:]


def _last_end(pattern: re.Pattern[str], window: str) -> int:
    """Where the last match ends, or 0."""
    return max((match.end() for match in pattern.finditer(window)), default=0)


def tokens(text: str) -> Iterator[Token]:
    """The words of a text with their places, in order; white space belongs to no word."""
    for start, piece in pieces(text):
        for node in _tagger("")(piece):
            start += len(node.white_space)
            yield Token(start, start + len(node.surface), node.feature.pos1 or "", node.feature.pos2 or "")
            start += len(node.surface)


def count_words(text: str) -> int:
    """Number of UniDic short-unit words in `text`: the denominator of fertility (tokens per word)."""
    return sum(len(_tagger("-O wakati").parse(piece).split()) for _, piece in pieces(text) if piece and not piece.isspace())


def words(run: str) -> list[str]:
    """The UniDic short-unit words of a run of text, a leading space with the first of them; joined they are the run."""
    parts: list[str] = []
    for start, piece in pieces(run):
        at = 0
        for word in str(_tagger("-O wakati").parse(piece)).split():
            at = piece.index(word, at)
            parts.append(run[start + at : start + at + len(word)])
            at += len(word)
    return _with_space(run, parts)


def reading_of(text: str) -> str:
    """The reading of a text in katakana, according to UniDic; unknown words have no reading."""
    return "".join(getattr(node.feature, "kana", None) or "" for _, piece in pieces(text) for node in _tagger("")(piece))


def phrases(run: str) -> list[str]:
    """The phrases (bunsetsu) of a run of text: a content word with the particles, endings and punctuation that lean on it; joined they are the run."""
    parts: list[str] = []
    open_prefix = False
    for token in tokens(run):
        surface = run[token.start : token.end]
        leans = token.pos1 in _LEANING or open_prefix
        if parts and leans:
            parts[-1] += surface
        else:
            parts.append(surface)
        open_prefix = token.pos1 == _PREFIX
    return _with_space(run, parts)


def _with_space(run: str, parts: list[str]) -> list[str]:
    return [" " + parts[0], *parts[1:]] if parts and run.startswith(" ") else parts
