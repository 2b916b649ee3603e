"""A writer of numbers in the ways of Japanese text, independent of the reader: every spelling says which number it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

FULL_WIDTH = str.maketrans("0123456789,.-", "０１２３４５６７８９，．－")
KANJI = "〇一二三四五六七八九"
FORMAL = str.maketrans("一二三十百千万", "壱弐参拾佰阡萬")
BIG = ("", "万", "億", "兆", "京")


@dataclass(frozen=True)
class Spelled:
    """A number in one of its spellings."""

    text: str
    value: Fraction
    spelling: str


def below_myriad(number: int, *, one: str = "") -> str:
    """三百二十: a number below 10,000; `one` is what stands for 1 before 十, 百 and 千."""
    parts = ""
    for size, unit in ((1000, "千"), (100, "百"), (10, "十")):
        digit, number = divmod(number, size)
        parts += (one if digit == 1 else KANJI[digit]) + unit if digit else ""
    return parts + (KANJI[number] if number else "")


def sections(number: int) -> list[tuple[int, str]]:
    """The myriads of a number, from the highest, with their units; those of zero left out."""
    results = []
    for unit in BIG:
        number, low = divmod(number, 10_000)
        results.append((low, unit))
    assert not number
    return [(low, unit) for low, unit in reversed(results) if low]


def in_kanji(number: int) -> str:
    return "".join(below_myriad(low) + unit for low, unit in sections(number)) or "〇"


def formal(number: int) -> str:
    return "".join(below_myriad(low, one="一") + unit for low, unit in sections(number)).translate(FORMAL) or "零"


def by_place(number: int) -> str:
    return "".join(KANJI[int(digit)] for digit in str(number))


def mixed(number: int, rng: random.Random) -> str:
    """1億2,345万6789, 3万5千4百, 2千300: digits between the units, any of them in full width."""
    text = ""
    for low, unit in sections(number):
        if rng.random() < 0.4:
            text += f"{low:,}" if rng.random() < 0.5 else str(low)
        else:
            for size, small in ((1000, "千"), (100, "百"), (10, "十")):
                if low >= size and rng.random() < 0.7:
                    digit, low = divmod(low, size)
                    text += (str(digit) if digit < 10 else "") + small if digit < 10 else ""
                    if digit >= 10:
                        low += digit * size
            text += str(low) if low else ""
        text += unit
    text = text or "0"
    return text.translate(FULL_WIDTH) if rng.random() < 0.4 else text


def decimal_text(value: Fraction) -> str:
    """The shortest decimal of a value that has one."""
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    digits = str(int(value * 10**places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def spell(rng: random.Random) -> Spelled:
    """A random number, of one digit or of twenty, in one of the spellings."""
    number = rng.randrange(10 ** rng.choice([1, 2, 3, 4, 5, 6, 8, 10, 13, 16]))
    spellings: dict[str, Callable[[], tuple[str, Fraction]]] = {
        "digits": lambda: (str(number), Fraction(number)),
        "thousands": lambda: (f"{number:,}", Fraction(number)),
        "full width": lambda: (str(number).translate(FULL_WIDTH), Fraction(number)),
        "full width, thousands": lambda: (f"{number:,}".translate(FULL_WIDTH), Fraction(number)),
        "kanji": lambda: (in_kanji(number), Fraction(number)),
        "kanji by place": lambda: (by_place(number), Fraction(number)),
        "formal": lambda: (formal(number + 10), Fraction(number + 10)),
        "mixed": lambda: (mixed(number, rng), Fraction(number)),
        "decimals": lambda: _decimals(rng),
        "decimals of a unit": lambda: _decimals_of_a_unit(rng),
        "decimals in kanji": lambda: _decimals_in_kanji(rng),
        "fraction": lambda: _fraction(rng),
    }
    name = rng.choice(list(spellings))
    text, value = spellings[name]()
    sign = rng.choice(["", "", "", "", "-", "－", "−", "マイナス", "△", "▲"])
    return Spelled(sign + text, -value if sign else value, f"{name}, {sign}" if sign else name)


def _decimals(rng: random.Random) -> tuple[str, Fraction]:
    value = Fraction(rng.randrange(10**7), 10 ** rng.randrange(1, 5))
    whole, _, part = decimal_text(value).partition(".")
    text = (f"{int(whole):,}" if rng.random() < 0.5 else whole) + (f".{part}" if part else "")
    return (text.translate(FULL_WIDTH) if rng.random() < 0.5 else text), value


def _decimals_of_a_unit(rng: random.Random) -> tuple[str, Fraction]:
    unit, size = rng.choice([("千", 3), ("万", 4), ("億", 8), ("兆", 12), ("百万", 6), ("千万", 7)])
    value = Fraction(rng.randrange(1, 100), 10)
    text = decimal_text(value)
    return (text.translate(FULL_WIDTH) if rng.random() < 0.5 else text) + unit, value * 10**size


def _decimals_in_kanji(rng: random.Random) -> tuple[str, Fraction]:
    whole, part = rng.randrange(1000), rng.randrange(1000)
    point = rng.choice(["点", "コンマ"])
    return f"{in_kanji(whole) if rng.random() < 0.5 else by_place(whole)}{point}{by_place(part)}", whole + Fraction(part, 10 ** len(str(part)))


def _fraction(rng: random.Random) -> tuple[str, Fraction]:
    below, above = rng.randrange(2, 100), rng.randrange(1, 100)
    if rng.random() < 0.3:
        return f"{above}/{below}", Fraction(above, below)
    write = rng.choice([str, in_kanji, lambda number: str(number).translate(FULL_WIDTH)])
    return f"{write(below)}分の{write(above)}", Fraction(above, below)


# Around a number; in the first group nothing else counts, in the second other numbers come before.
AROUND = (
    "答えは{}です。",
    "{}",
    "答え：{}",
    "合計{}",
    "よって{}となり、十分です。",
    "一応、{}になる。",
    "「{}」",
    "(答) {}。一番多い。",
    "それは{}で、四捨五入は不要です",
)
BEFORE = (
    "まず100、次に{}です。",
    "3個と4個で、{}",
    "二つ目は{}。もう一度確認します。",
    "1つ目：5\n2つ目：{}\n",
    "80〜90ではなく、{}でした。万が一のため。",
    "三人とも{}です",
)
COUNTERS = ("", "", "円", "ドル", "個", "人", "本", "枚", "%", "パーセント", "キロ", "回", "匹", "歳", "kg", "度", "つ分")
MEASURES = ("", "円", "%", "パーセント", "キロ", "kg", "度", "倍", "メートル")


def in_a_sentence(rng: random.Random) -> tuple[str, Spelled]:
    """A sentence whose last number is the spelled one."""
    spelled = spell(rng)
    counter = rng.choice(COUNTERS)
    if "分の" in spelled.text or "/" in spelled.text:
        counter = ""
    elif "点" in spelled.text:  # 960点5人 are 960 points of five people
        counter = rng.choice(MEASURES)
    return rng.choice(AROUND + BEFORE).format(spelled.text + counter), spelled
