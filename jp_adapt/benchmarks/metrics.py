"""The metrics: what each one scores, on which scale, and where its function is. A new metric is a function in a file of its own and a row here.

A function of `texts` takes an answer and one right answer and returns a score, 0 to `perfect`; the best over all right answers counts. One of `choices`
takes the log-likelihoods (nats), the texts of the choices and the index of the right one. A `whole` function takes all answers and all right answers.
One of `checks` takes an answer and the checks of its item, one that is `scored_by` something else an answer (text, or index of a choice) and what the
benchmark's `scored_by` gives of its record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from jp_adapt.core.suggest import did_you_mean

Function = str | Callable[..., Any]  # "module:function" in jp_adapt.evaluation.metrics, imported when it is needed; or the function itself


@dataclass(frozen=True)
class Metric:
    """What is known of a metric before anything is measured.

    Attributes:
        of: what it scores: the choice that is most likely, a generated text, either of the two, a program that is run, or the turns of a conversation.
        item: scores one item; None where the item's part is the answer itself (a label, a number) or whether it is right.
        whole: scores the whole set, where that is not the mean of the items.
        whole_of: what `whole` takes: labels, numbers, texts, or the scores of the items (NaN where an item has none).
        share: every item is right or wrong, so that the value is a share of the items.
        perfect: the best score.
        as_written: it reads numbers, and gets the answer without normalisers: what rewrites a text first makes numbers that nobody wrote.
        first_answer: only the first right answer counts.
        checks: it scores which of an item's checks an answer passes; its function takes the answer and all of them.
        scored_by: it needs what the benchmark's `scored_by` gives.
        weighted: an item counts as often as it has right answers or checks, so that the value is the mean over all of them.
        by_language: the functions take the language of the answers as `language`.
        by_tokens: its function takes the model's own tokenizer as `encode`.
        extra: optional packages of jp-adapt that it needs.
        lm_eval: name of the metric of the same definition in lm-evaluation-harness; None where it has none.
        lm_eval_aggregation: how lm-evaluation-harness gets the value from its items.
    """

    of: Literal["choices", "texts", "answers", "program", "turns"]
    item: Function | None = None
    whole: Function | None = None
    whole_of: Literal["labels", "numbers", "texts", "scores"] | None = None
    share: bool = False
    perfect: float = 1.0
    as_written: bool = False
    first_answer: bool = False
    checks: bool = False
    scored_by: bool = False
    weighted: bool = False
    by_language: bool = False
    by_tokens: bool = False
    extra: str | None = None
    lm_eval: str | None = None
    lm_eval_aggregation: str = "mean"


def _of_known(function: str) -> Metric:
    """The mean of a function of `prejudice` over the items that it gives a score."""
    return Metric("answers", f"prejudice:{function}", "prejudice:mean_of_known", "scores", scored_by=True)


METRICS: dict[str, Metric] = {
    "accuracy": Metric("choices", share=True, lm_eval="acc"),
    "accuracy_per_char": Metric("choices", "labels:right_per_char", share=True, lm_eval="acc_norm"),
    "balanced_accuracy": Metric("choices", whole="labels:balanced_accuracy", whole_of="labels"),
    "macro_f1": Metric("choices", whole="labels:macro_f1", whole_of="labels"),
    "mcc": Metric("choices", whole="labels:mcc", whole_of="labels", lm_eval="mcc", lm_eval_aggregation="matthews_corrcoef"),
    "exact_match": Metric("texts", "strings:exact_match", share=True),
    "f1": Metric("texts", "strings:word_f1"),
    "char_f1": Metric("texts", "strings:char_f1"),
    "swallow_char_f1": Metric("texts", "strings:swallow_char_f1"),
    "llm_jp_char_f1": Metric("texts", "strings:llm_jp_char_f1"),
    "flexeval_char_f1": Metric("texts", "strings:flexeval_char_f1"),
    "jasquad_exact_match": Metric("texts", "harness:jasquad_exact_match", share=True),
    "jasquad_f1": Metric("texts", "harness:jasquad_f1"),
    "lm_eval_exact_match": Metric("texts", "strings:lm_eval_exact_match", share=True, first_answer=True),
    "number_match": Metric("texts", "strings:number_match", share=True, as_written=True),
    "harness_number_match": Metric("texts", "strings:harness_number_match", share=True),
    "math_match": Metric("texts", "mathematics:math_match", share=True, as_written=True),
    "jfinqa_exact_match": Metric("texts", "finance:jfinqa_exact_match", share=True, as_written=True),
    "jfinqa_numerical_match": Metric("texts", "finance:jfinqa_numerical_match", share=True, as_written=True),
    "rouge1": Metric("texts", "texts:rouge1", by_language=True),
    "rouge2": Metric("texts", "texts:rouge2", by_language=True),
    "rougeL": Metric("texts", "texts:rouge_l", by_language=True),
    "harness_rouge2": Metric("texts", "texts:harness_rouge2"),
    "token_rouge2": Metric("texts", "texts:token_rouge2", by_tokens=True),
    "sakana_rougeL": Metric("texts", "texts:sakana_rouge_l"),
    "llm_jp_mm_rougeL": Metric("texts", "texts:llm_jp_mm_rouge_l"),
    "bleu": Metric("texts", "texts:sentence_bleu", "texts:bleu", "texts", perfect=100, first_answer=True, by_language=True),
    "swallow_bleu": Metric("texts", "texts:sentence_swallow_bleu", "texts:swallow_bleu", "texts", perfect=100, first_answer=True),
    "nagisa_bleu": Metric("texts", "texts:sentence_nagisa_bleu", "texts:nagisa_bleu", "texts", perfect=100, first_answer=True, extra="nagisa"),
    "chrf": Metric("texts", "texts:sentence_chrf", "texts:chrf", "texts", perfect=100, first_answer=True),
    "pearson": Metric("texts", whole="labels:pearson", whole_of="numbers", as_written=True),
    "spearman": Metric("texts", whole="labels:spearman", whole_of="numbers", as_written=True),
    "prompt_level_strict_acc": Metric("texts", "checks:prompt_strict", share=True, checks=True),
    "inst_level_strict_acc": Metric("texts", "checks:instruction_strict", checks=True, weighted=True),
    "prompt_level_loose_acc": Metric("texts", "checks:prompt_loose", share=True, checks=True),
    "inst_level_loose_acc": Metric("texts", "checks:instruction_loose", checks=True, weighted=True),
    "tool_calls": Metric("texts", "calls:tool_calls", share=True, scored_by=True),
    "pfgen_score": Metric("texts", "pfgen:pfgen_score", scored_by=True),
    "pfgen_fluency": Metric("texts", "pfgen:pfgen_fluency", scored_by=True),
    "pfgen_truthfulness": Metric("texts", "pfgen:pfgen_truthfulness", scored_by=True),
    "pfgen_helpfulness": Metric("texts", "pfgen:pfgen_helpfulness", scored_by=True),
    "accuracy_ambiguous": _of_known("accuracy_ambiguous"),
    "accuracy_disambiguated": _of_known("accuracy_disambiguated"),
    "bias_ambiguous": _of_known("bias_ambiguous"),
    "bias_disambiguated": _of_known("bias_disambiguated"),
    "accuracy_biased": _of_known("accuracy_biased"),
    "accuracy_counter_biased": _of_known("accuracy_counter_biased"),
    "pass@1": Metric("program", share=True),
    "answered": Metric("turns", share=True),
}


def add_metric(name: str, metric: Metric) -> None:
    """Add a metric, for a plugin. ValueError where the name is taken by another one."""
    if METRICS.setdefault(name, metric) != metric:
        raise ValueError(f"there is a metric '{name}' already; choose another name")


def _known(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"no metric '{name}'{did_you_mean(name, METRICS)}; metrics: {', '.join(METRICS)}")
    return name


MetricName = Annotated[str, AfterValidator(_known)]
