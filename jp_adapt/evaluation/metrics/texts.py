"""Metrics of longer texts by the libraries that define them: ROUGE (rouge-score), BLEU and chrF (sacrebleu)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from jp_adapt.evaluation.metrics.harness import HarnessTokenizer, NfkcTokenizer
from jp_adapt.inference.answer import Encode

SENTENCE_TOKENIZERS = {"ja": "ja-mecab", "en": "13a"}


class JapaneseTokenizer:
    """For rouge_score: UniDic short-unit words, so that Japanese is not one long word."""

    def tokenize(self, text: str) -> list[str]:
        from jp_adapt.text.morphology import words

        return words(text.strip())


class _Tokens:
    """For rouge_score: the ids of a model's tokens."""

    def __init__(self, encode: Encode) -> None:
        self.tokenize = encode


@cache
def _rouge(name: str, language: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    tokenizers = {"ja": JapaneseTokenizer, "harness": HarnessTokenizer, "llm-jp-eval-mm": NfkcTokenizer}
    return RougeScorer([name], tokenizer=tokenizers[language]()) if language in tokenizers else RougeScorer([name], use_stemmer=False)


def rouge(prediction: str, answer: str, name: str, language: str = "ja") -> float:
    """F of ROUGE-1, ROUGE-2 or ROUGE-L (Lin 2004), of Japanese words or, in English, of rouge-score's own."""
    return float(_rouge(name, language).score(answer, prediction)[name].fmeasure)


def rouge1(prediction: str, answer: str, language: str) -> float:
    return rouge(prediction, answer, "rouge1", language)


def rouge2(prediction: str, answer: str, language: str) -> float:
    return rouge(prediction, answer, "rouge2", language)


def rouge_l(prediction: str, answer: str, language: str) -> float:
    return rouge(prediction, answer, "rougeL", language)


def harness_rouge2(prediction: str, answer: str) -> float:
    return rouge(prediction, answer, "rouge2", "harness")


def token_rouge2(prediction: str, answer: str, encode: Encode) -> float:
    """The same of the model's own tokens, which Stability's fork and Swallow's copy of it really count: their evaluator puts the model's tokenizer in the
    place of MeCab (`set_tokenizer` in lm_eval/evaluator.py)."""
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rouge2"], tokenizer=_Tokens(encode)).score(answer, prediction)["rouge2"].fmeasure)


def sakana_rouge_l(prediction: str, answer: str) -> float:
    """ROUGE-L as Sakana's evolutionary-model-merge counts it (evomerge/eval/metrics.py, commit c6a19da): the words of Stability's fork."""
    return rouge(prediction, answer, "rougeL", "harness")


def llm_jp_mm_rouge_l(prediction: str, answer: str) -> float:
    """ROUGE-L as llm-jp-eval-mm counts it (metrics/rougel_scorer.py, commit 03757c7): NFKC in the place of neologdn."""
    return rouge(prediction, answer, "rougeL", "llm-jp-eval-mm")


def bleu(predictions: Sequence[str], references: Sequence[str], language: str) -> float:
    """Corpus BLEU of sacrebleu (1804.08771), 0 to 100; Japanese is cut by MeCab with ipadic (`ja-mecab`)."""
    from sacrebleu.metrics.bleu import BLEU

    return float(BLEU(tokenize=SENTENCE_TOKENIZERS[language]).corpus_score(list(predictions), [list(references)]).score)


def chrf(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF of sacrebleu, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().corpus_score(list(predictions), [list(references)]).score)


def sentence_bleu(prediction: str, reference: str, language: str) -> float:
    from sacrebleu.metrics.bleu import BLEU

    return float(BLEU(tokenize=SENTENCE_TOKENIZERS[language], effective_order=True).sentence_score(prediction, [reference]).score)


def swallow_bleu(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU of IPADIC's words, divided once more at punctuation (sacrebleu's 13a), as swallow-evaluation-instruct has it for Japanese. It takes the
    words of Janome, which has the same dictionary."""
    return bleu([_spaced(text, _ipadic) for text in predictions], [_spaced(text, _ipadic) for text in references], "en")


def sentence_swallow_bleu(prediction: str, reference: str) -> float:
    return sentence_bleu(_spaced(prediction, _ipadic), _spaced(reference, _ipadic), "en")


def nagisa_bleu(predictions: Sequence[str], references: Sequence[str]) -> float:
    """The same of nagisa's words, as lm-evaluation-harness 0.3 and its forks have it for Japanese (lm_eval/tasks/translation.py)."""
    return bleu([_spaced(text, _nagisa) for text in predictions], [_spaced(text, _nagisa) for text in references], "en")


def sentence_nagisa_bleu(prediction: str, reference: str) -> float:
    return sentence_bleu(_spaced(prediction, _nagisa), _spaced(reference, _nagisa), "en")


def _spaced(text: str, words: Callable[[str], list[str]]) -> str:
    return " ".join(words(text))


def _ipadic(text: str) -> list[str]:
    from jp_adapt.text.morphology import ipadic_words

    return [word for word, _ in ipadic_words(text)]


def _nagisa(text: str) -> list[str]:
    import nagisa

    return list(nagisa.tagging(text.strip()).words)


def sentence_chrf(prediction: str, reference: str) -> float:
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(prediction, [reference]).score)
