"""Word problems of one step, in English to learn from and in Japanese to be asked: `python -m tests.word_problems` writes them, always the same.

A problem is a story with two numbers and the calculation that answers it. No Japanese problem has the numbers and the operation of an English one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEED, ENGLISH, JAPANESE = 20, 700, 360
ROOT = Path(__file__).resolve().parents[1]
SIGNS = ("+", "-", "×")
# Of each operation, stories in both languages that tell the same: {who}, {what}, {unit} (a Japanese counter), and two numbers.
STORIES = {
    "+": (
        (
            "{who} has {a} {what} and gets {b} more. How many {what} does {who} have now?",
            "{who}は{what}を{a}{unit}持っています。{b}{unit}もらいました。今、{what}は何{unit}ありますか。",
        ),
        (
            "There are {a} {what} in a box. {who} puts in {b} more. How many are in the box?",
            "箱に{what}が{a}{unit}あります。{who}が{b}{unit}入れました。箱の{what}は何{unit}になりましたか。",
        ),
        (
            "{who} bought {a} {what} yesterday and {b} today. How many {what} in all?",
            "{who}は{what}を昨日{a}{unit}、今日{b}{unit}買いました。全部で何{unit}ですか。",
        ),
    ),
    "-": (
        (
            "{who} has {a} {what} and gives away {b}. How many {what} are left?",
            "{who}は{what}を{a}{unit}持っています。{b}{unit}あげました。残りは何{unit}ですか。",
        ),
        (
            "There are {a} {what} on the table. {who} takes {b}. How many are left on the table?",
            "机に{what}が{a}{unit}あります。{who}が{b}{unit}取りました。机の{what}は何{unit}残っていますか。",
        ),
        (
            "{who} had {a} {what} and lost {b} of them. How many {what} remain?",
            "{who}は{what}を{a}{unit}持っていましたが、{b}{unit}なくしました。{what}は何{unit}残りましたか。",
        ),
    ),
    "×": (
        (
            "Each bag holds {a} {what}. {who} has {b} bags. How many {what} in all?",
            "1袋に{what}が{a}{unit}入っています。{who}は{b}袋持っています。{what}は全部で何{unit}ですか。",
        ),
        (
            "{who} buys {a} {what} every day for {b} days. How many {what} in all?",
            "{who}は毎日{what}を{a}{unit}ずつ、{b}日買います。{what}は全部で何{unit}ですか。",
        ),
    ),
}
PEOPLE = (("Tom", "太郎"), ("Anna", "花子"), ("Ken", "健"), ("Mary", "真理"), ("Mr. Sato", "佐藤さん"), ("Emi", "恵美"))
THINGS = (
    ("apples", "りんご", "個"),
    ("eggs", "卵", "個"),
    ("pencils", "鉛筆", "本"),
    ("books", "本", "冊"),
    ("stamps", "切手", "枚"),
    ("oranges", "みかん", "個"),
    ("flowers", "花", "本"),
    ("plates", "皿", "枚"),
)


def result_of(a: int, sign: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "×": a * b}[sign]


def calculations(draw: random.Random) -> Iterator[tuple[int, str, int]]:
    """Every calculation once, in random order, the three operations in turn."""
    every = {
        "+": [(a, b) for a in range(11, 60) for b in range(3, 40)],
        "-": [(a, b) for a in range(20, 90) for b in range(3, 40) if a - b > 2],
        "×": [(a, b) for a in range(2, 25) for b in range(2, 10)],
    }
    for pairs in every.values():
        draw.shuffle(pairs)
    for turn in range(max(map(len, every.values()))):
        for sign in SIGNS:
            if turn < len(every[sign]):
                yield every[sign][turn][0], sign, every[sign][turn][1]


def told(draw: random.Random, sign: str, a: int, b: int, language: int) -> tuple[str, str]:
    """The story of a calculation, and the counter of its things. `language`: 0 English, 1 Japanese."""
    thing, who = draw.choice(THINGS), draw.choice(PEOPLE)[language]
    return draw.choice(STORIES[sign])[language].format(who=who, what=thing[language], unit=thing[2], a=a, b=b), thing[2]


def japanese(draw: random.Random, number: int, a: int, sign: str, b: int) -> dict[str, Any]:
    """A problem with four answers: the right one, a slip in the calculation, a misread number, and another operation."""
    question, unit = told(draw, sign, a, b, 1)
    other = draw.choice([entry for entry in SIGNS if entry != sign])
    misread = b + draw.choice([1, 2, 10])
    slip = draw.choice([-10, -2, -1, 1, 2, 10])
    wanted = [(a, sign, b, 0), (a, sign, b, slip), (a, sign, misread, 0), (a, other, b, 0)]
    results = [result_of(left, by, right) + off for left, by, right, off in wanted]
    choices = [f"{left} {by} {right} = {result}。答えは{result}{unit}です。" for (left, by, right, _), result in zip(wanted, results, strict=True)]
    order = draw.sample(range(4), 4)
    return {"id": f"{number:03}", "operation": sign, "question": question, "choices": [choices[at] for at in order], "answer": order.index(0)}


def files() -> dict[str, str]:
    """Path from the top -> text."""
    draw = random.Random(SEED)
    coming = calculations(draw)
    asked = [japanese(draw, number, *next(coming)) for number in range(JAPANESE)]
    learned = []
    for number in range(ENGLISH):
        a, sign, b = next(coming)
        result = result_of(a, sign, b)
        learned.append({"id": f"{number:03}", "text": f"{told(draw, sign, a, b, 0)[0]}\n{a} {sign} {b} = {result}. The answer is {result}."})
    named = {"eval/quickstart/ja-problems.jsonl": asked, "recipes/data/evolve/en_problems.jsonl": learned}
    return {name: "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries) for name, entries in named.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (ROOT / name).write_text(text, encoding="utf-8")
