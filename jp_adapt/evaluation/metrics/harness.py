"""Scorers of Stability's fork of lm-evaluation-harness (lm_eval/jasquad/evaluate.py, lm_eval/utils.py): neologdn, emoji, MeCab, in their order."""

from __future__ import annotations

import re
import string
import unicodedata

from jp_adapt.evaluation.metrics.strings import overlap_f1
from jp_adapt.text import morphology

PUNCTUATION = frozenset(
    "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏." + string.punctuation
)
_EMOJI = re.compile("[\U0001f600-\U0001f64f\U0001f300-\U0001f5ff\U0001f680-\U0001f6ff\U0001f1e0-\U0001f1ff\U00002702-\U000027b0]+")


def normalise(text: str) -> str:
    """Emoji away, neologdn, single spaces."""
    import neologdn

    return " ".join(neologdn.normalize(_without_emoji(text)).split())


def _without_emoji(text: str) -> str:
    import emoji

    return _EMOJI.sub("", "".join("" if emoji.is_emoji(char) else char for char in text))


def words(text: str) -> list[str]:
    """Words of the normalised text, by fugashi with the dictionary that the fork finds (unidic-lite)."""
    return morphology.words(normalise(text))


def jasquad_exact_match(prediction: str, answer: str) -> float:
    return float(normalise(prediction) == normalise(answer))


def jasquad_f1(prediction: str, answer: str) -> float:
    """F1 of words without punctuation marks; 0 where nothing is left to compare."""
    left, right = ([word for word in words(text) if word not in PUNCTUATION] for text in (prediction, answer))
    return overlap_f1(left, right) if left and right else 0.0


class HarnessTokenizer:
    """For rouge_score: the words that the forks give it."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


class NfkcTokenizer:
    """For rouge_score: the words that llm-jp-eval-mm gives it."""

    def tokenize(self, text: str) -> list[str]:
        return morphology.words(" ".join(unicodedata.normalize("NFKC", _without_emoji(text)).split()))
