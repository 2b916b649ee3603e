"""Several answers to one item: their means, whether one of k is right (pass@k), and what most of them say (self-consistency).

pass@k is the unbiased estimate of Chen et al. 2021 (arXiv 2107.03374); the vote is that of Wang et al. 2022 (arXiv 2203.11171).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.evaluation.results import DrawnAnswer
from jp_adapt.text.normalise import normalise


def combined(answers: Sequence[DrawnAnswer], protocol: Protocol) -> tuple[DrawnAnswer, dict[str, float | None]]:
    """The answer that stands for all of them, and their scores together.

    It is the first that says what most say. A metric is the mean over the answers, or that of the one where it is of a whole set (BLEU, a correlation).
    Where the first metric is right or wrong, `pass@k` and `majority@n` stand beside it.
    """
    chosen = answers[voted([str(answer.prediction) for answer in answers], protocol)]
    scores: dict[str, float | None] = {}
    for metric in protocol.metrics:
        values = [answer.scores[metric] or 0.0 for answer in answers]
        scores[metric] = chosen.scores[metric] if METRICS[metric].whole is not None else sum(values) / len(values)
    facts, primary = METRICS[protocol.primary_metric], protocol.primary_metric
    if facts.share:
        right = sum(answer.scores[primary] == facts.perfect for answer in answers)
        scores |= {f"pass@{k}": pass_at_k(len(answers), right, k) for k in _ks(len(answers))}
        if facts.of == "texts":
            scores[f"majority@{len(answers)}"] = chosen.scores[primary]
    return chosen, scores


def voted(predictions: Sequence[str], protocol: Protocol) -> int:
    """Index of the first answer that says what most say, after the normalisers; of two as frequent the earlier. One that is empty has no vote."""
    texts = [normalise(prediction, protocol.normalise) for prediction in predictions]
    votes = Counter(text for text in texts if text.strip())
    return texts.index(votes.most_common(1)[0][0]) if votes else 0


def pass_at_k(answers: int, right: int, k: int) -> float:
    """The chance that one of `k` answers is right, of which `right` of `answers` were."""
    return 1.0 - comb(answers - right, k) / comb(answers, k)


def _ks(answers: int) -> list[int]:
    """Powers of two from 2, and the number of answers."""
    return sorted({2**power for power in range(1, answers.bit_length()) if 2**power < answers} | {answers})
