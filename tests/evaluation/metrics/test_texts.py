"""ROUGE, BLEU and chrF: the libraries' own values, and Japanese that is cut into words."""

from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu, corpus_chrf

from jp_adapt.evaluation.metrics import texts

JA = [("猫が庭で眠っている。", "猫は庭で眠っていた。"), ("東京は日本の首都です。", "日本の首都は東京です。")]


def test_rouge_cuts_japanese_into_words() -> None:
    assert texts.rouge(*JA[0], "rouge1") == pytest.approx(2 * 5 / 14, abs=0.15)
    assert texts.rouge(*JA[0], "rouge2") < texts.rouge(*JA[0], "rouge1") < 1.0
    assert texts.rouge("猫", "猫", "rougeL") == 1.0
    assert RougeScorer(["rouge1"]).score(JA[0][1], JA[0][0])["rouge1"].fmeasure == 0.0, "rouge-score's own tokenizer drops every Japanese character"


def test_rouge_of_english_is_rouge_scores_own() -> None:
    theirs = RougeScorer(["rougeL"]).score("the cat sat on the mat", "a cat sat on a mat")["rougeL"].fmeasure
    assert texts.rouge("a cat sat on a mat", "the cat sat on the mat", "rougeL", "en") == theirs


def test_bleu_and_chrf_are_sacrebleus() -> None:
    given, references = [a for a, _ in JA], [b for _, b in JA]
    assert texts.bleu(given, references, "ja") == corpus_bleu(given, [references], tokenize="ja-mecab").score
    assert texts.chrf(given, references) == corpus_chrf(given, [references]).score
    assert texts.bleu(references, references, "ja") == pytest.approx(100)


def test_rouge_l_as_sakana_and_llm_jp_eval_mm_count_it() -> None:
    """The values of the examples in llm-jp-eval-mm's own test; the two differ in how they take full-width signs and long vowels."""
    for count in (texts.sakana_rouge_l, texts.llm_jp_mm_rouge_l):
        assert count("私は猫です。", "私は猫です。") == 1.0
        assert count("たかしが公園にいたようだ。", "たかしが公園で遊んでいた。") == pytest.approx(0.6666, abs=1e-4)
        assert count("ここは湖の岸です。", "池のほとりです。") == pytest.approx(0.5)
        assert count("猫です😀。", "猫です。") == 1.0
    assert texts.sakana_rouge_l("すごーーーーい", "すごーい") == 1.0
    assert texts.llm_jp_mm_rouge_l("すごーーーーい", "すごーい") < 1.0


def test_rouge_2_of_a_models_own_tokens() -> None:
    """Pairs of tokens: 2 of 3 and 2 of 2 are common; with words there would be none of them."""
    assert texts.token_rouge2("abcd", "abc", lambda text: [ord(char) for char in text]) == pytest.approx(0.8)
    assert texts.token_rouge2("", "abc", lambda text: [ord(char) for char in text]) == 0.0
    assert texts.harness_rouge2("abcd", "abc") == 0.0


def test_swallows_bleu_counts_words_of_ipadic() -> None:
    given, right = ["東京都は雨だ。"], ["東京は雨だ。"]
    assert texts.swallow_bleu(right, right) == pytest.approx(100.0)
    assert texts.swallow_bleu(given, right) == texts.bleu(["東京 都 は 雨 だ 。"], ["東京 は 雨 だ 。"], "en")
    assert texts.sentence_swallow_bleu("", right[0]) == 0.0


def test_nagisas_words_are_those_of_the_harness() -> None:
    """lm_eval/tasks/translation.py of lm-evaluation-harness 0.3: " ".join(nagisa.tagging(text.strip()).words), and sacrebleu's BLEU of that."""
    nagisa = pytest.importorskip("nagisa", reason="nagisa is not installed (pip install 'jp-adapt[nagisa]')")
    given, right = [f" {a}\n" for a, _ in JA], [b for _, b in JA]
    split = [[" ".join(nagisa.tagging(text.strip()).words) for text in side] for side in (given, right)]
    assert texts.nagisa_bleu(given, right) == corpus_bleu(split[0], [split[1]]).score > 0
    assert texts.sentence_nagisa_bleu(given[0], right[0]) > 0
