"""`python -m tests.parity.swallow_instruct CLONE [--data DIR]`: prompts of swallow-evaluation-instruct, and what it takes for the answer, beside ours.

CLONE is swallow-llm/swallow-evaluation-instruct at v202508. Its prompt functions and its patterns are run as they are; the packages that they import beside are
left out. Prompts are made of the items of DIR, else of the invented files. Answers are texts strung together at random from what its patterns look for.
"""

from __future__ import annotations

import argparse
import random
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.extract import extract
from jp_adapt.evaluation.prompts import build_prompts
from tests.benchmark_files import write_benchmark_files

PROFILE = "swallow-instruct-202508"
# benchmark -> module and function of its prompts, and what of our item they read.
PROMPTS = {
    "ja/jemhopqa": ("jemhopqa", "jemhopqa_cot_prompt_fn", ("question", "answer")),
    "ja/jmmlu": ("jmmlu", "swallow_jmmlu_prompt_fn", ("question", "A", "B", "C", "D", "letter")),
    "ja/mmlu-prox-ja": ("mmlu_prox_japanese", "swallow_mmlu_prox_japanese_prompt_fn", ("question", "answer_index", *(f"option_{n}" for n in range(10)))),
    "ja/math-100-ja": ("mclm_MATH_100_japanese", "math100_japanese_prompt_fn", ("ja", "answer")),
    "ja/jhumaneval": ("jhumaneval", "swallow_jhumaneval_prompt_fn", ("prompt", "entry_point", "task_id", "test")),
    "ja/wmt20-en-ja": ("wmt20", "wmt_enja", ()),
    "ja/wmt20-ja-en": ("wmt20", "wmt_jaen", ()),
}
PIECES = [
    *(
        "回答",
        "：",
        ": ",
        "は",
        "答え",
        "正解",
        "【",
        "】",
        "「",
        "」",
        "\\boxed{",
        "\\text{",
        "}",
        "$",
        "A",
        "B",
        "D",
        "J",
        "**",
        "*",
        "です",
        "だ",
        "である",
        "。",
        "．",
        "\n",
    ),
    *(
        "\n\n",
        " ",
        "、",
        "はい",
        "いいえ",
        "TRUE",
        "◯",
        "東京都",
        "ＡＢ",
        "日本語:",
        "日本語: ",
        "English: ",
        "今日は",
        "->",
        "=",
        "(",
        ")",
        "`",
        "```",
        '"',
        "“",
        "”",
        "12",
    ),
]
ANSWERS = 20_000
LEFT_OUT = (
    *(
        "janome",
        "janome.tokenizer",
        "nagisa",
        "pycountry",
        "aenum",
        "sympy",
        "sympy.parsing",
        "lighteval.metrics.utils.math_comparison",
        "lighteval.utils.timeout",
    ),
    *("lighteval.utils.imports", "lighteval.utils.utils", "lighteval.tasks.lighteval_task", "lighteval.tasks.requests", "lighteval.metrics.metrics"),
    *("lighteval.metrics.utils.metric_utils", "lighteval.metrics.metrics_corpus", "lighteval.metrics.sample_preparator", "lighteval.metrics.dynamic_metrics"),
    *("lighteval.tasks.extended.lcb.codegen_metrics", "lighteval.tasks.default_prompts"),
)
PACKAGES = ("", ".metrics", ".metrics.utils", ".tasks", ".tasks.swallow", ".tasks.templates", ".tasks.templates.utils", ".utils")


class _Anything:
    """Called, asked for an attribute, or taken apart, it is itself; a document keeps what it was given."""

    def __init__(self, *values: Any, **named: Any) -> None:
        self.__dict__.update(named)

    def __call__(self, *values: Any, **named: Any) -> Any:
        return values[0] if len(values) == 1 and callable(values[0]) else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class _Empty(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Anything,), {"__getattr__": _Anything.__getattr__})


def _prepare(clone: Path) -> None:
    root = clone / "lighteval" / "src" / "lighteval"
    for name in PACKAGES:
        package = ModuleType(f"lighteval{name}")
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[package.__name__] = package
    sys.modules |= {name: _Empty(name) for name in LEFT_OUT}
    sys.modules["lighteval.metrics.metrics"].Metrics = _Anything()  # type: ignore[attr-defined]
    for name in ("lighteval.metrics.metrics", "lighteval.metrics.utils.metric_utils"):
        for category in ("MetricCategory", "MetricUseCase"):
            setattr(sys.modules[name], category, _Anything())
    sys.modules["lighteval.tasks.default_prompts"].LETTER_INDICES = list("ABCDEFGHIJ")  # type: ignore[attr-defined]
    sys.modules["lighteval.utils.utils"].as_list = lambda value: value if isinstance(value, list) else [value]  # type: ignore[attr-defined]
    sys.modules["lighteval.utils.imports"].requires_latex2sympy2_extended = lambda function: function  # type: ignore[attr-defined]
    sys.modules["lighteval.utils.timeout"].timeout = lambda *values, **named: lambda function: function  # type: ignore[attr-defined]


def _task(name: str) -> ModuleType:
    return import_module(f"lighteval.tasks.swallow.{name}")


def _prompts(data: Path) -> bool:
    """Whether all prompts are equal; says how many are."""
    same = True
    for name, (module, function, fields) in PROMPTS.items():
        try:
            _, prompts = build_prompts(load_benchmark(name, data), PROFILE)
        except InputError as error:
            print(f"{name}: not compared: {error}")
            continue
        peer, equal = getattr(_task(module), function), 0
        for prompt in prompts:
            item = prompt.item.fields
            languages = ("en", "ja") if name.endswith("en-ja") else ("ja", "en")
            line = {key: item[key] for key in fields} or {"translation": dict(zip(languages, (item["original"], item["reference"]), strict=True))}
            equal += peer(line | {"answer": item["letter"]} if "letter" in line else line).query == prompt.text
        print(f"{name}: {equal:,} of {len(prompts):,} prompts equal")
        same &= equal == len(prompts)
    return same


def _answers() -> bool:
    """Whether all answers are found alike; says how many are."""
    letters, language = import_module("lighteval.metrics.utils.extractive_match_utils"), import_module("lighteval.utils.language").Language.JAPANESE
    target = letters.IndicesExtractionConfig(prefix_for_extraction="NativeLetters")
    answer, line = _task("metrics_sample_openqa_japanese").default_quasi_exact_match_pred_extractor, _task("metrics_translation_japanese")
    draw, counts = random.Random(1), dict.fromkeys(("lighteval_a_to_d", "lighteval_a_to_j", "swallow_answer", "swallow_japanese", "swallow_english"), 0)
    for _ in range(ANSWERS):
        text = "".join(draw.choice(PIECES) for _ in range(draw.randint(0, 14)))
        theirs = {"swallow_answer": answer(text)[0]}
        for step, number in (("lighteval_a_to_d", 4), ("lighteval_a_to_j", 10)):
            patterns = letters.get_extraction_regexes(_Anything(choices=[""] * number), [target], language)
            theirs[step] = next(iter(letters.extract_target_from_pred(text, patterns)), "")
        for step, prefix in (("swallow_japanese", "日本語:"), ("swallow_english", "English:")):
            theirs[step] = next(iter(line._prefixed_line_extraction_function(text, prefix, "last_match")), "")
        for step, found in theirs.items():
            counts[step] += extract(text, [step]) == found
    for step, number in counts.items():
        print(f"{step}: {number:,} of {ANSWERS:,} answers found alike")
    return all(number == ANSWERS for number in counts.values())


def main() -> int:
    """1 where anything differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clone", type=Path)
    parser.add_argument("--data", type=Path)
    args = parser.parse_args()
    _prepare(args.clone)
    with TemporaryDirectory() as folder:
        same = _prompts(args.data or write_benchmark_files(Path(folder)))
    return 0 if _answers() and same else 1


if __name__ == "__main__":
    sys.exit(main())
