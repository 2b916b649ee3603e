"""Figures from items, and the alarms: what is planted must be caught and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from jp_adapt.benchmarks.benchmark import Extract, Protocol
from jp_adapt.benchmarks.items import load_benchmark, load_declaration, protocol_of
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.evaluation.extract import STEPS, extract
from jp_adapt.evaluation.lm_eval_scores import SCORING, process_results
from jp_adapt.evaluation.metrics.functions import item_function, whole_function
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.evaluation.results import MetricScore, Output, PartScore, PromptSet
from jp_adapt.evaluation.scoring import alarms, answer_scores, chance, choice_scores, majority, metric_score, score_text
from jp_adapt.evaluation.summary import prompt_set, score_benchmark
from tests.data import SHARED

LABELS = ["含意", "矛盾", "中立"]
CHOICES = Protocol.model_validate({"prompt": "x", "metrics": ["accuracy", "balanced_accuracy", "macro_f1", "mcc"]})
ANSWERS = Protocol.model_validate(
    {"prompt": "x", "max_chars": 9, "normalise": ["nfkc", "spaces", "case", "punctuation", "number_commas"], "metrics": ["exact_match", "char_f1"]}
)


def chosen(given: list[int], gold: list[int], choices: list[str] | None = None) -> list[Output]:
    choices = choices or LABELS
    outputs = []
    for n, (answer, right) in enumerate(zip(given, gold, strict=True)):
        values = [-1.0 if at == answer else -2.0 for at in range(len(choices))]
        output = Output("b", str(n), "", "p", choices, values, None, answer, right, {})
        outputs.append(replace(output, scores=choice_scores(output, CHOICES)))
    return outputs


def written(given: list[str], gold: list[list[str]], protocol: Protocol = ANSWERS) -> list[Output]:
    outputs = [Output("b", str(n), "", "p", None, None, text, text, right, {}) for n, (text, right) in enumerate(zip(given, gold, strict=True))]
    return [replace(output, scores=answer_scores(str(output.prediction), protocol, output.gold)) for output in outputs]


def test_every_metric_of_the_table_has_its_functions() -> None:
    for name, metric in METRICS.items():
        if metric.item is not None:
            assert callable(item_function(name)), name
        if metric.whole is not None:
            assert callable(whole_function(name)), name
        assert (metric.whole is None) == (metric.whole_of is None), name
        assert metric.item is not None or metric.of in ("choices", "program", "turns") or metric.whole_of == "numbers", name
    assert set(get_args(Extract)) == STEPS.keys()


def test_the_best_right_answer_counts_but_where_the_first_one_alone_does() -> None:
    protocol = ANSWERS.model_copy(update={"metrics": ["exact_match", "char_f1", "lm_eval_exact_match"]})
    (output,) = written(["東京"], [["大阪", "東京都", "東京"]], protocol)
    assert output.scores == {"exact_match": 1.0, "char_f1": 1.0, "lm_eval_exact_match": 0.0}


def test_a_constant_predictor_is_named() -> None:
    gold = [0] * 30 + [1] * 15 + [2] * 55
    results = alarms(chosen([2] * 100, gold))
    assert results == ["degenerate: answers '中立' on 100 of 100 items; that alone scores 0.5500"]
    generator = np.random.default_rng(0)
    assert alarms(chosen(generator.permutation(gold).tolist(), gold)) == []
    assert alarms(chosen(gold, gold)) == []
    lopsided = [0] * 95 + [1] * 5
    assert alarms(chosen(lopsided, lopsided)) == [], "95 % of one label, and rightly"
    assert len(alarms(chosen([0] * 100, lopsided))) == 1


def test_a_constant_position_is_named() -> None:
    gold = [n % 5 for n in range(100)]
    outputs = [replace(output, choices=[f"{output.item}{k}" for k in range(5)]) for output in chosen([3] * 100, gold, [str(k) for k in range(5)])]
    assert alarms(outputs) == ["degenerate: answers position 4 on 100 of 100 items; that alone scores 0.2000"]


def test_a_constant_text_and_empty_answers_are_named() -> None:
    gold = [[str(n)] for n in range(40)]
    assert alarms(written(["東京"] * 40, gold)) == ["degenerate: answers '東京' on 40 of 40 items"]
    assert alarms(written([""] * 20 + [str(n) for n in range(20)], gold)) == ["degenerate: 20 of 40 answers are empty"]
    assert alarms(written([right[0] for right in gold], gold)) == []


def test_a_swapped_label_is_named() -> None:
    gold = [n % 3 for n in range(300)]
    swapped = [{0: 1, 1: 0, 2: 2}[g] for g in gold]
    results = alarms(chosen(swapped, gold))
    assert results == ["swapped labels? accuracy is 0.333, and 1.000 with '含意' and '矛盾' exchanged"]
    generator = np.random.default_rng(1)
    assert alarms(chosen(generator.integers(0, 3, 300).tolist(), gold)) == [], "a guess is not a swap"


@pytest.mark.parametrize(("text", "gold"), [("１９６４年", "1964年"), ("１２，３４５", "12345"), ("ＡＢＣ。", "abc"), ("12,345", "１２３４５")])
def test_an_answer_in_full_width_characters_is_right(text: str, gold: str) -> None:
    outputs = written([text], [[gold]])
    assert outputs[0].scores == {"exact_match": 1.0, "char_f1": 1.0}
    plain = ANSWERS.model_copy(update={"normalise": []})
    assert written([text], [[gold]], plain)[0].scores["exact_match"] == 0.0


MGSM = [
    *(("1万8000ドル", 18000), ("３万５千円", 35000), ("1.5万円", 15000), ("2千300人", 2300), ("3千円", 3000), ("5百個", 500), ("１億2,000万円", 120000000)),
    *(("1千万円", 10000000), ("5万3,000円", 53000), ("18個で十分です", 18), ("全部で40ドルです。一応の確認", 40), ("12本が一番多い", 12)),
    *(("答えは12個です。万が一", 12), ("それぞれ100、200個", 200), ("答えは△3です", -3), ("合計五千二百円", 5200), ("一人4個で、十六個", 16)),
]
JSTS = [("３．５", 3.5), ("類似度は３．２", 3.2), ("三", 3.0), ("三点五", 3.5), ("-1", -1.0), ("４", 4.0), ("2.40", 2.4), ("わからない", -2.0)]


def both_ways(benchmark: str, profile: str, text: str, gold: str) -> dict[str, float | None]:
    """The scores of an answer in `jp-adapt eval`, after they were found to be those of the task that is exported to lm-eval."""
    declared, _ = load_declaration(benchmark)
    protocol = protocol_of(benchmark, declared, profile)
    scores = score_text(text, protocol, [gold])[1]
    scoring = protocol.model_dump(mode="json", include=set(SCORING))
    assert process_results({"id": "1", "prompt": "", "answers": [gold], "scoring": scoring}, [text]) == scores
    return scores


@pytest.mark.parametrize(("text", "number"), MGSM)
def test_mgsm_takes_the_last_number_that_was_written(text: str, number: int) -> None:
    assert both_ways("ja/mgsm-ja", "jp-adapt", text, f"{number}") == {"number_match": 1.0}
    assert both_ways("ja/mgsm-ja", "jp-adapt", text, f"{number:,}") == {"number_match": 1.0}
    assert both_ways("ja/mgsm-ja", "jp-adapt", text, f"{number + 1}") == {"number_match": 0.0}


@pytest.mark.parametrize(("text", "number"), JSTS)
def test_jsts_takes_the_first_number_that_was_written(text: str, number: float) -> None:
    assert both_ways("ja/jsts", "jp-adapt", text, "3.0") == {"pearson": number, "spearman": number}


@pytest.mark.parametrize("profile", ["llm-jp-eval-1.1", "llm-jp-eval-1.3"])
@pytest.mark.parametrize(("text", "number"), [("３．５", 3.5), ("-1", 1.0), ("三", -2.0), ("4、5", 45.0), ("1.2.3", -2.0), ("3\n\n4", 3.0)])
def test_llm_jp_eval_takes_numbers_as_it_does(profile: str, text: str, number: float) -> None:
    """llm-jp-eval 1.1.1 and 1.3.0, src/llm_jp_eval/utils.py: what is kept of the answer, after NFKC, without all but digits and dots."""
    assert both_ways("ja/jsts", profile, text, "3.0") == {"pearson": number, "spearman": number}


@pytest.mark.parametrize(
    ("text", "first_line", "first_paragraph"),
    [("neutral", 1, 1), ("neutral\nか", 1, 0), ("neutral\n\nか", 1, 1), ("\nneutral", 0, 0), (" neutral", 0, 0), ("neutral\n", 1, 0), ("ｎｅｕｔｒａｌ", 1, 1)],
)
def test_what_llm_jp_eval_takes_for_the_answer(text: str, first_line: int, first_paragraph: int) -> None:
    """1.1.1, evaluate_llm.py: `normalize(output).split("\\n")[0]`; 1.3.0, utils.py: `normalize(output.split("\\n\\n")[0])`; none strips."""
    assert both_ways("ja/jnli", "llm-jp-eval-1.1", text, "neutral") == {"exact_match": first_line}
    assert both_ways("ja/jnli", "llm-jp-eval-1.3", text, "neutral") == {"exact_match": first_paragraph}


@pytest.mark.parametrize(("text", "right"), [("3 + 4 = 7", 1), ("答えは7。", 1), ("答えは7.", 0), ("-7", 0), ("1,7", 0), ("七", 0), ("", 0)])
def test_flexeval_takes_the_last_run_of_digits(text: str, right: int) -> None:
    """flexeval 0.18.3, preset mgsm_ja: RegexExtractor with `-?[0-9.,]+`, then an exact match."""
    assert both_ways("ja/mgsm-ja", "flexeval", text, "7") == {"exact_match": right}


@pytest.mark.parametrize("profile", ["stability-0.3", "lm-eval-ja"])
@pytest.mark.parametrize(
    ("text", "number"), [("1万8000ドル", 8000), ("３万５千円", None), ("18個で十分です", 18), ("答えは1,234", 1234), ("1.5万円", None), ("十八", None)]
)
def test_the_harnesses_take_numbers_as_they_do(profile: str, text: str, number: int | None) -> None:
    for gold in (8000, 5, 18, 1234, 15):
        assert both_ways("ja/mgsm-ja", profile, text, f"{gold}") == {"harness_number_match": float(gold == number)}


def test_no_normaliser_comes_before_a_number_is_read() -> None:
    """Whatever a declaration of one's own names: 「それぞれ100、200」 is no 100200, and ① no digit of 5."""
    fields = {"prompt": "x", "max_chars": 99, "normalise": ["nfkc", "number_commas", "kanji_numerals"], "metrics": ["number_match", "pearson", "exact_match"]}
    protocol = Protocol.model_validate(fields)
    assert score_text("①5", protocol, ["5"])[1] == {"number_match": 1.0, "pearson": 1.0, "exact_match": 0.0}
    assert score_text("１，２００", protocol, ["1200"])[1] == {"number_match": 1.0, "pearson": 1200.0, "exact_match": 1.0}


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        outputs = chosen(generator.integers(0, 3, 60).tolist(), [0] * 60)
        interval = metric_score("accuracy", outputs, CHOICES).interval
        assert interval is not None
        hits += interval[0] <= 1 / 3 <= interval[1]
    assert 180 <= hits <= 199


def test_chance_and_majority_stand_beside_the_score() -> None:
    outputs = chosen([0, 1, 2, 2], [2, 2, 2, 1])
    assert (chance("accuracy", outputs), majority("accuracy", outputs, CHOICES)) == (pytest.approx(1 / 3), 0.75)
    assert (chance("balanced_accuracy", outputs), majority("balanced_accuracy", outputs, CHOICES)) == (pytest.approx(1 / 3), 0.5)
    assert (chance("mcc", outputs), majority("mcc", outputs, CHOICES)) == (0.0, 0.0)
    assert chance("exact_match", written(["a"], [["a"]])) is None


def test_the_mean_of_groups_is_not_the_mean_of_items() -> None:
    outputs = [replace(output, group="large" if n < 9 else "small") for n, output in enumerate(chosen([0] * 10, [0] * 9 + [1]))]
    assert metric_score("accuracy", outputs, CHOICES, macro=True).value == 0.5
    assert metric_score("accuracy", outputs, CHOICES).value == 0.9


def test_planted_contamination_is_named_and_told_apart(benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/jcommonsenseqa", benchmark_data)
    protocol, prompts = build_prompts(loaded, "jp-adapt")
    gold = [prompt.item.answer or 0 for prompt in prompts]
    given = [right if n < 6 else (right + 1) % 5 for n, right in enumerate(gold)]
    outputs = [replace(output, item=prompt.item.id) for output, prompt in zip(chosen(given, gold, list("abcde")), prompts, strict=True)]
    overlap = {prompt.item.id: 1.0 for prompt in prompts[:6]} | {prompts[6].item.id: 0.2}
    score = score_benchmark(loaded, "jp-adapt", protocol, outputs, overlap)
    assert score.name == "ja/jcommonsenseqa@jp-adapt/3-shot/accuracy"
    assert score.touched is not None
    assert score.touched.items == 6
    assert score.touched.touched == PartScore(6, {"accuracy": 1.0})
    assert score.touched.clean == PartScore(6, {"accuracy": 0.0})
    assert score.touched.ids == [prompt.item.id for prompt in prompts[:6]]
    assert any(warning.startswith("contamination: 6 of 12 items stand in the training corpus") for warning in score.warnings)


def test_a_correlation_with_a_constant_is_no_number(benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/jsts", benchmark_data)
    protocol, prompts = build_prompts(loaded, "jp-adapt")
    outputs = written(["3"] * 12, [prompt.answers for prompt in prompts], protocol)
    score = score_benchmark(loaded, "jp-adapt", protocol, outputs)
    assert score.metrics["pearson"].value is None
    assert "pearson is not defined: the answers are all the same" in score.warnings
    right = score_benchmark(loaded, "jp-adapt", protocol, written([prompt.answers[0] for prompt in prompts], [prompt.answers for prompt in prompts], protocol))
    assert right.metrics["pearson"].value == pytest.approx(1.0)
    assert right.metrics["spearman"].value == pytest.approx(1.0)


def test_a_prompt_set_has_mean_and_range(benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/jcommonsenseqa", benchmark_data)
    protocol, _ = build_prompts(loaded, "jp-adapt")
    scores = {
        name: score_benchmark(loaded, "jp-adapt", protocol, chosen([0] * right + [1] * (4 - right), [0] * 4)) for name, right in (("default", 2), ("bare", 4))
    }
    assert prompt_set(scores) == PromptSet("accuracy", 0.75, (0.5, 1.0), {"default": 0.5, "bare": 1.0})


@pytest.mark.parametrize(
    ("text", "steps", "out"),
    [
        ("\n 東京\n大阪", ["first_line", "strip"], "東京"),
        ("a\nb\n\nc", ["first_paragraph"], "a\nb"),
        ("近さは4.5です 3", ["first_number"], "4.5"),
        ("なし", ["first_number"], ""),
        ("類似度は３．２", ["first_line", "first_number"], "3.2"),
        ("三点五\n4", ["first_line", "first_number"], "3.5"),
        ("-1", ["first_number"], "-1"),
        ("1個1.5万円で2個、答えは３万円。十分です", ["last_number"], "30000"),
        ("なし", ["last_number"], ""),
        ("類似度は３．２", ["llm_jp_number"], "3.2"),
        ("-1", ["llm_jp_number"], "1"),
        ("三", ["llm_jp_number"], ""),
        ("1.2.3", ["llm_jp_number"], ""),
    ],
)
def test_what_of_a_text_is_the_answer(text: str, steps: list[str], out: str) -> None:
    assert extract(text, steps) == out


DATA = SHARED / "benchmarks"


@pytest.mark.skipif(not DATA.is_dir(), reason="development data is not here (JP_ADAPT_DATA names it)")
def test_an_accuracy_that_is_reported_for_eight_models_is_one_label() -> None:
    """0.30156 on JNLI, in Stability's result files, is 734 of 2,434: "contradiction" on every item of version 1.1. Version 1.3 has one more of them."""
    loaded = load_benchmark("ja/jnli", DATA, shots=False)  # the examples there are stand-ins
    protocol, prompts = build_prompts(loaded, "jp-adapt", shots=0)
    outputs = chosen([1] * len(prompts), [prompt.item.answer or 0 for prompt in prompts])
    score = score_benchmark(loaded, "jp-adapt", protocol, outputs)
    assert f"{734 / 2434:.5f}" == "0.30156"
    assert score.metrics["accuracy"].value == 735 / 2434
    assert score.metrics["balanced_accuracy"].value == pytest.approx(1 / 3)
    assert score.warnings == ["degenerate: answers '矛盾' on 2434 of 2434 items; that alone scores 0.3020"]


def test_no_interval_is_said_where_no_resample_differs() -> None:
    one_each = [replace(output, group=f"g{n}") for n, output in enumerate(chosen([0, 1, 2, 0], [0, 1, 1, 1]))]
    assert metric_score("accuracy", one_each, CHOICES, macro=True) == MetricScore(0.5, None, None)
    two_each = [replace(output, group=f"g{n % 2}") for n, output in enumerate(one_each)]
    assert metric_score("accuracy", two_each, CHOICES, macro=True).interval is not None
    assert metric_score("char_f1", written(["x"] * 5, [["あ"]] * 5), ANSWERS) == MetricScore(0.0, None, None)
    assert metric_score("accuracy", chosen([0] * 5, [1] * 5), CHOICES).interval is not None, "Wilson's has a width at 0"
