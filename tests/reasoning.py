"""Answers of reasoning models with known results, in the documented forms of Qwen3, DeepSeek-R1, gpt-oss and LLM-jp-4: thoughts that hold decoys and quoted
marks, and answers said in the ways in which such models say them. Written by a generator, so that what is right is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

PAIR = "<think>\n{thought}\n</think>\n\n{answer}"
CHANNELS = "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{answer}"
# family: how the template ends the prompt, and what the model writes
FORMS = {
    "qwen3": ("<|im_start|>assistant\n", PAIR),
    "qwen3, thinking off": ("<|im_start|>assistant\n", "<think>\n\n</think>\n\n{answer}"),
    "deepseek-r1": ("<｜Assistant｜><think>\n", "{thought}\n</think>\n\n{answer}"),
    "deepseek-r1, older template": ("<｜Assistant｜>", PAIR),
    "gpt-oss": ("<|start|>assistant", CHANNELS),
    "gpt-oss, special tokens dropped": ("<|start|>assistant", "analysis{thought}assistantfinal{answer}"),
    "llm-jp-4": ("<|start|>assistant", CHANNELS + "<|return|>"),
    "llm-jp-4, two thoughts": ("<|start|>assistant", "<|channel|>analysis<|message|>まず整理する。<|end|><|start|>assistant" + CHANNELS),
}
QUOTED = {
    "<think>": ("「<think>」から始めるのだったか。", "印の<think>と</think>は答えに書かない。"),
    "<|channel|>": ("finalのチャンネルで答える。", "analysisでは何を書いてもよい。"),
}
SPANS = ("徳川家康", "琵琶湖", "1964年", "ブルーノ・タウト", "走れメロス", "十七条憲法", "NHK", "三島由紀夫")
KANJI = {12: "十二", 30: "三十", 108: "百八", 1200: "千二百", 18000: "1万8000"}


@dataclass(frozen=True)
class Recorded:
    """An answer as it was written, and what of it is right. `kind` is "number", "letter" or "span"."""

    family: str
    prompt: str
    text: str
    thought: str
    kind: str
    gold: str


def recorded(count: int = 200, seed: int = 16) -> Iterator[Recorded]:
    """`count` answers, families and kinds in turn."""
    draw = random.Random(seed)
    for number in range(count):
        family = list(FORMS)[number % len(FORMS)]
        prompt, form = FORMS[family]
        kind = ("number", "letter", "span")[number // len(FORMS) % 3]
        gold, decoys, answer = {"number": _number, "letter": _letter, "span": _span}[kind](draw)
        quoted = QUOTED["<|channel|>" if "channel" in form else "<think>"] if "dropped" not in family else ("わかった。",)
        thought = "\n".join(draw.sample([*decoys, *quoted, "問題をもう一度読む。", "待てよ、違うかもしれない。"], k=4))
        yield Recorded(family, prompt, form.format(thought=thought, answer=answer), "" if "off" in family else thought, kind, gold)


def _number(draw: random.Random) -> tuple[str, list[str], str]:
    gold = draw.choice([*KANJI, draw.randrange(2, 99999)])
    wrong = gold + draw.randrange(1, 50)
    wide = str(gold).translate({ord("0") + n: ord("０") + n for n in range(10)})
    steps = f"まず{gold + 3}個あり、3個を引きます。\n"
    return (
        str(gold),
        [f"答え：{wrong}", f"\\boxed{{{wrong}}} かな。", f"{wrong}個。"],
        draw.choice(
            [
                f"{steps}答え：{gold}",
                f"{steps}\n**答え：{gold}円**",
                f"{steps}答え：{wide}個です。",
                f"{steps}\n答え：\n\n{gold}",
                f"{steps}よって、答えは $\\boxed{{{gold}}}$ です。",
                f"{steps}### 答え\n{KANJI.get(gold, gold)}個",
                f"{steps}**答え**： {gold:,}",
                f"{steps}したがって、最終的な答えは：{gold}",
            ]
        ),
    )


def _letter(draw: random.Random) -> tuple[str, list[str], str]:
    gold, wrong = draw.sample("ABCDE", k=2)
    wide = chr(ord(gold) - ord("A") + ord("Ａ"))
    return (
        gold,
        [f"答え：{wrong}", f"{wrong}がよさそうだ。", "AかBかCか。"],
        draw.choice(
            [
                f"答え：{gold}",
                f"{wrong}は誤りです。\n\n**答え：** {gold}",
                f"選択肢を比べます。{wrong}ではありません。\n答え：（{wide}）",
                f"答え：{gold}. 犬\n\n理由：{wrong}は猫だからです。",
                f"{wrong}ではないので、正解は{gold}です。",
                f"【答え】{gold}",
                f"$\\boxed{{{gold}}}$",
            ]
        ),
    )


def _span(draw: random.Random) -> tuple[str, list[str], str]:
    gold, wrong = draw.sample(SPANS, k=2)
    return (
        gold,
        [f"答え：{wrong}", f"{wrong}だったか。", f"{wrong}ではないはず。"],
        draw.choice(
            [
                f"答え：{gold}",
                f"答え：「{gold}」",
                f"{wrong}とよく間違えられます。\n\n**答え**：{gold}です。",
                f"答え:\n{gold}\n",
                f"**答え：{gold}**\n\n{wrong}ではありません。",
                f"解説です。\n最終回答：{gold}。",
            ]
        ),
    )
