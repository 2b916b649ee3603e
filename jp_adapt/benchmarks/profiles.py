"""Profiles: whose rules a score follows. Scores of different profiles measure different things and are never compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jp_adapt.benchmarks.benchmark import Profile

Boundary = Literal["safe", "apart", "cut"]
ShotRule = Literal["balanced", "harness", "lm-eval", "first"]
Start = Literal["document", "tokenizer", "nothing"]


@dataclass(frozen=True)
class ProfileRules:
    """What a profile does the same way in every benchmark.

    `boundary`: "safe" encodes prompt and choice together and scores from the first token at which two choices differ; "apart" encodes them one by one
    (a SentencePiece tokenizer then puts a space mark before every choice); "cut" encodes them together and cuts at the length of the encoded prompt
    (a token that spans the border loses its first characters).
    `shots`: "balanced" takes the same examples for every item, right answers in equal shares; "harness" shuffles the items and draws examples for
    each with one `random.Random(42)`; "lm-eval" draws for each item in order with `random.Random(1234)`; "first" takes the first examples.
    `start`: what stands before a text: "document", the token before every document in training; "tokenizer", what the tokenizer itself puts there (BOS for
    Llama, nothing for SmolLM2 and Qwen), as lm-eval's `hf` model does; "nothing", as the fork does (`add_special_tokens=False` in its models) and llm-jp-eval
    (the default of transformers' text-generation pipeline up to 4.38.2, which its releases 1.1.1 and 1.3.0 pin).
    """

    title: str
    source: str
    boundary: Boundary
    shots: ShotRule
    start: Start


STABILITY = "https://github.com/Stability-AI/lm-evaluation-harness/tree/jp-stable/lm_eval/tasks/ja"
PROFILES: dict[Profile, ProfileRules] = {
    "jp-adapt": ProfileRules("boundary-safe, all right answers, budgets in characters, fixed balanced examples", "", "safe", "balanced", "document"),
    "stability-0.2.1": ProfileRules(
        "Stability's fork of lm-evaluation-harness, prompts 0.2 (0.2.1 for JCommonsenseQA)", STABILITY, "apart", "harness", "nothing"
    ),
    "stability-0.3": ProfileRules("Stability's fork of lm-evaluation-harness, prompts 0.3 (Japanese Alpaca)", STABILITY, "apart", "harness", "nothing"),
    "stability-0.6": ProfileRules("Stability's fork of lm-evaluation-harness, prompts 0.6 (Llama-2 chat)", STABILITY, "apart", "harness", "nothing"),
    "lm-eval-ja": ProfileRules(
        "japanese_leaderboard of lm-evaluation-harness",
        "https://github.com/EleutherAI/lm-evaluation-harness/tree/main/lm_eval/tasks/japanese_leaderboard",
        "cut",
        "lm-eval",
        "tokenizer",
    ),
    "llm-jp-eval": ProfileRules("llm-jp-eval 1, answers generated", "https://github.com/llm-jp/llm-jp-eval/tree/v1.0.0", "safe", "first", "nothing"),
}


def score_name(benchmark: str, profile: str, shots: int, metric: str) -> str:
    """The name under which a score may be compared: whose rules it follows, how many examples were shown, what was counted."""
    return f"{benchmark}@{profile}/{shots}-shot/{metric}"
