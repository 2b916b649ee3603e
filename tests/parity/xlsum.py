"""`python -m tests.parity.xlsum CLONE`: how XL-Sum's prompts are shortened, and its ROUGE-2 of a model's tokens, beside ours.

CLONE is Stability-AI/lm-evaluation-harness at effdbea, or the folder `lm-evaluation-harness-jp` of swallow-llm/swallow-evaluation at 57c4ecd. The task classes
and `rouge2_mecab` are run as they are, with a tokenizer of characters and with SmolLM2's, on invented articles and models of every length.
"""

from __future__ import annotations

import importlib
import random
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jp_adapt.benchmarks.items import load_declaration
from jp_adapt.evaluation.metrics.texts import token_rouge2
from jp_adapt.evaluation.shorten import shortened
from jp_adapt.tokenizer.load import load_tokenizer
from tests.parity.stability import CHARACTERS, TASKS, make_importable
from tests.perf.export_models import smollm2

BENCHMARK = "ja/xlsum-ja"
WORDS = ["今日は", "雨が", "降った", "東京で", "新しい", "駅が", "開いた", "人々は", "喜んだ", "a new ", "12", "、"]
ARTICLES = 30


def main() -> int:
    """Print how many prompts and scores are equal; 1 where any is not."""
    make_importable(Path(sys.argv[1]))
    warnings.simplefilter("ignore")
    equal = prompts = 0
    classes = importlib.import_module("lm_eval.tasks.ja.xlsum_ja").construct_tasks()
    benchmark, _ = load_declaration(BENCHMARK)
    tokenizer = load_tokenizer(smollm2()).tokenizer
    smol = SimpleNamespace(encode=lambda text, add_special_tokens=False: tokenizer.encode(text), tokenize=tokenizer.encode)
    for profile, versions in TASKS[BENCHMARK][2].items():
        marks = benchmark.protocols[profile].shorten
        assert marks is not None
        for peer in (CHARACTERS, smol):
            task = type("Offline", (classes[f"xlsum_ja-{versions}"],), {"download": lambda self, *given, **named: None, "DID_WARNING": True})()
            task.tokenizer = peer
            for text, most in contexts(task):
                own = shortened(text, marks, most, lambda part, peer=peer: len(peer.encode(part)))
                equal += own == task.preprocess_ctx(text, max_length=most)
                prompts += 1
    print(f"{equal:,} of {prompts:,} prompts shortened alike")
    scored = list(scores(smol))
    alike = sum(abs(a - b) < 1e-12 for a, b in scored)
    print(f"{alike:,} of {len(scored):,} answers scored alike")
    return 1 if equal < prompts or alike < len(scored) else 0


def contexts(task: Any) -> list[tuple[str, int]]:
    """Prompts with an example, and for each the tokens that a model has for it: from those that hold every first sentence to more than enough."""
    draw, results = random.Random(0), []
    separator = getattr(task, "FEWSHOT_SEP", "\n\n")
    for _ in range(ARTICLES):
        example, asked = ({"text": article(draw), "summary": sentence(draw)} for _ in range(2))
        text = f"{task.DESCRIPTION}{task.doc_to_text(example)}{example['summary']}{separator}{task.doc_to_text(asked)}"
        whole = len(task._tokenize(text))
        results += [(text, most) for most in (whole - 1, whole, whole // 2, 3 * whole // 4, draw.randrange(300, 2 * whole))]
    return results


def sentence(draw: random.Random) -> str:
    return "".join(draw.choices(WORDS, k=draw.randrange(2, 12))) + "。"


def article(draw: random.Random) -> str:
    return "".join(sentence(draw) + draw.choice(["", "", "\n\n"]) for _ in range(draw.randrange(8, 60)))


def scores(peer: Any) -> list[tuple[float, float]]:
    """Ours and theirs of answers, one at a time: the mean of more is drawn at random there."""
    draw, rouge = random.Random(1), importlib.import_module("lm_eval.utils").rouge2_mecab
    pairs = [("", "雨。"), ("雨", "雨。"), ("今日は雨。", "今日は雨。"), *((sentence(draw), sentence(draw)) for _ in range(500))]
    return [(token_rouge2(given, right, peer.encode), rouge(refs=[right], preds=[given], tokenizer=peer)["rouge2"] / 100) for given, right in pairs]


if __name__ == "__main__":
    sys.exit(main())
