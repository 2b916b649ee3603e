"""A prompt of articles that is too long for a model, shortened as Stability's fork does it with XL-Sum (`preprocess_ctx` in lm_eval/tasks/ja/xlsum_ja.py)."""

from __future__ import annotations

from collections.abc import Callable

from jp_adapt.benchmarks.benchmark import Shorten

SENTENCE_END = "。"


def shortened(text: str, marks: Shorten, room: int, count: Callable[[str], int]) -> str:
    """`text` itself where it has at most `room` tokens, by `count`. Else its articles, those of the examples and the one that is asked of, have an equal
    share of them each: what is longer ends behind the last sentence that fits, with a newline. What follows an article is kept, and not counted.

    Of a first sentence that does not fit by itself so many characters are kept as do; the fork keeps so many tokens, of which the last may be half a character.
    """
    if marks.before not in text or count(text) <= room:
        return text
    head, *parts = text.split(marks.before)
    return head + "".join(_shortened(marks.before + part, marks.after, room // len(parts), count) for part in parts)


def _shortened(part: str, mark: str, share: int, count: Callable[[str], int]) -> str:
    """An article with what follows it."""
    article, *after = part.partition(mark)
    sentences = article.split(SENTENCE_END)
    kept = next((at for at in range(len(sentences)) if count(SENTENCE_END.join(sentences[: at + 1])) > share), None)
    if kept is None:
        return part
    article = "".join(sentence + SENTENCE_END for sentence in sentences[:kept]) if kept else _beginning(sentences[0], share, count)
    return "".join((article, "\n", *after))


def _beginning(sentence: str, share: int, count: Callable[[str], int]) -> str:
    """As much of a sentence as fits."""
    end = len(sentence)
    while end and (tokens := count(sentence[:end])) > share:
        end = min(end - 1, end * share // tokens)
    return sentence[:end]
