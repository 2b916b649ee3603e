"""Profiles: whose rules a score follows. Scores of different profiles measure different things and are never compared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jp_adapt.benchmarks.part import Part

Boundary = Literal["safe", "apart", "cut"]
ShotRule = Literal["balanced", "harness", "lm-eval", "flexeval", "first", "pfgen"]
Start = Literal["document", "tokenizer", "nothing"]


class ProfileRules(Part):
    """What a profile does the same way in every benchmark.

    `boundary`: "safe" encodes prompt and choice together and scores from the first token at which two choices differ; "apart" encodes them one by one
    (a SentencePiece tokenizer then puts a space mark before every choice); "cut" encodes them together and cuts at the length of the encoded prompt
    (a token that spans the border loses its first characters).
    `shots`: "balanced" takes the same examples for every item, right answers in equal shares; "harness" shuffles the items and draws examples for
    each with one `random.Random(42)`; "lm-eval" draws for each item in order with `random.Random(1234)`, "flexeval" with `random.Random(42)`; "pfgen"
    takes the first of the other questions, ordered by hash; "first" takes the first examples, as every rule does where a protocol names its examples or divides
    the data.
    `start`: what stands before a text: "document", the token before every document in training; "tokenizer", what the tokenizer itself puts there (BOS for
    Llama, nothing for SmolLM2 and Qwen), as lm-eval's `hf` model does; "nothing", as the fork does (`add_special_tokens=False` in its models) and llm-jp-eval
    (the default of transformers' text-generation pipeline up to 4.38.2, which its releases 1.1.1 and 1.3.0 pin).
    `chat`: what is asked is one message of a user in the model's own chat template, without examples, and the answer comes behind the model's thought.
    """

    title: str = Field("", description="whose rules, in a line")
    source: str = Field("", description="address of the harness whose rules they are")
    boundary: Boundary = Field("safe", description="how tokens are taken where prompt and choice meet")
    shots: ShotRule = Field("balanced", description="which examples stand before an item")
    start: Start = Field("document", description="what stands before a text")
    chat: bool = Field(False, description="an item is the message of a user, in the model's own chat template")


STABILITY_PROMPTS = {
    "0.2.1": "0.2 (0.2.1 for JCommonsenseQA)",
    "0.3": "0.3 (Japanese Alpaca)",
    "0.4": "0.4 (rinna's)",
    "0.5": "0.5 (rinna's bilingual)",
    "0.6": "0.6 (Llama-2 chat)",
}


def _stability(prompts: str) -> ProfileRules:
    return ProfileRules(
        title=f"Stability's fork of lm-evaluation-harness, {prompts}",
        source="https://github.com/Stability-AI/lm-evaluation-harness/tree/jp-stable/lm_eval/tasks/ja",
        boundary="apart",
        shots="harness",
        start="nothing",
    )


def _llm_jp_eval(release: str) -> ProfileRules:
    return ProfileRules(
        title=f"llm-jp-eval {release}, answers generated",
        source=f"https://github.com/llm-jp/llm-jp-eval/tree/v{release}",
        shots="first",
        start="nothing",
    )


PROFILES: dict[str, ProfileRules] = {
    "jp-adapt": ProfileRules(title="boundary-safe, all right answers, budgets in characters, fixed balanced examples"),
    "jp-adapt-chat": ProfileRules(title="asked in the model's chat template, thought and answer apart, no examples", start="nothing", chat=True),
    **{f"stability-{version}": _stability(f"prompts {prompts}") for version, prompts in STABILITY_PROMPTS.items()},
    **{f"stability-{version}-late": _stability(f"prompts {prompts}; tasks JNLI 1.3 and JSQuAD 1.2") for version, prompts in STABILITY_PROMPTS.items()},
    "lm-eval-ja": ProfileRules(
        title="japanese_leaderboard of lm-evaluation-harness",
        source="https://github.com/EleutherAI/lm-evaluation-harness/tree/main/lm_eval/tasks/japanese_leaderboard",
        boundary="cut",
        shots="lm-eval",
        start="tokenizer",
    ),
    "llm-jp-eval-1.1": _llm_jp_eval("1.1.1"),
    "llm-jp-eval-1.3": _llm_jp_eval("1.3.0"),
    "swallow": ProfileRules(
        title="swallow-evaluation 202411: llm-jp-eval 1.3.0 with stripped answers, and a fork of Stability's fork",
        source="https://github.com/swallow-llm/swallow-evaluation/tree/57c4ecd",
        shots="harness",
        start="nothing",
    ),
    "swallow-instruct-202508": ProfileRules(
        title="swallow-evaluation-instruct v202508: zero shots in a chat, answers found by patterns",
        source="https://github.com/swallow-llm/swallow-evaluation-instruct/tree/v202508",
        start="nothing",
        chat=True,
    ),
    "sakana-vlm": ProfileRules(
        title="Sakana's evaluation of EvoVLM-JP: one question a picture, ROUGE-L",
        source="https://github.com/SakanaAI/evolutionary-model-merge/tree/c6a19da/evomerge/eval",
        start="nothing",
        chat=True,
    ),
    "llm-jp-eval-mm": ProfileRules(
        title="llm-jp-eval-mm: all questions of each picture",
        source="https://github.com/llm-jp/llm-jp-eval-mm/tree/03757c7/src/eval_mm/tasks",
        start="nothing",
        chat=True,
    ),
    "pfgen-bench": ProfileRules(
        title="pfgen-bench, questions continued (mode completion)",
        source="https://github.com/pfnet-research/pfgen-bench/tree/03db7c4",
        shots="pfgen",
        start="tokenizer",
    ),
    "flexeval": ProfileRules(
        title="presets of flexeval 0.18", source="https://github.com/sbintuitions/flexeval/tree/v0.18.3", shots="flexeval", start="nothing"
    ),
}
# Names that scores were recorded under and that nothing is measured under any more -> what to take instead.
RETIRED = {"llm-jp-eval": "it followed no release to the letter; llm-jp-eval-1.1 follows 1.1.1, and llm-jp-eval-1.3 follows 1.3.0"}


def score_name(benchmark: str, profile: str, shots: int, metric: str, drawn: int = 0) -> str:
    """The name under which a score may be compared: whose rules it follows, how many examples were shown, what was counted, and how many answers an item were
    drawn (0: the most probable tokens)."""
    return f"{benchmark}@{profile}/{shots}-shot/{metric}" + (f"/mean-of-{drawn}" if drawn else "")
