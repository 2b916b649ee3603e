"""Numeral characters that are not numbers: 一応, 一番, 十分, 万が一, 千葉. UniDic's words in context show most of them; the tables hold the rest."""

from __future__ import annotations

import re

from jp_adapt.text.morphology import tokens

DIGITS = "〇零一二三四五六七八九"
SMALL_UNITS = "十百千"
BIG_UNITS = "万億兆京垓"
TENS = "廿卅卌"  # 20, 30, 40
# 大字, the forms of contracts and cheques, each with the numeral that it stands for.
FORMAL = dict(zip("壱壹弌弐貳貮弍弎佰阡萬", "一一一二二二二三百千万", strict=True))
# These are everyday kanji, too (参加, 上陸, 拾う): numerals where UniDic says so, or beside another of them or a unit.
FORMAL_BESIDE_OTHERS = dict(zip("参參肆伍陸漆柒捌玖拾陌仟", "三三四五六七七八九十百千", strict=True))
NO_NUMERAL = "\ufffc"  # what a numeral character becomes that counts nothing

_NUMERALS = frozenset(DIGITS + SMALL_UNITS + BIG_UNITS + TENS) | FORMAL.keys() | FORMAL_BESIDE_OTHERS.keys()
_ANY_NUMERAL = re.compile(f"[{''.join(sorted(_NUMERALS))}]")
_BESIDE = frozenset(SMALL_UNITS + BIG_UNITS) | FORMAL.keys() | FORMAL_BESIDE_OTHERS.keys()
_MODERN = str.maketrans(FORMAL | FORMAL_BESIDE_OTHERS)

# UniDic has some counts as one word: 一人, 三本 (a family name), 一円, 四周. Where this stands behind the numeral, the word is a count.
_COUNTERS = frozenset("人日月才歳円本頭羽軒足杯歩口束段点節行寸尺両基室席巻丁脚品便玉瓶周") | {"人目", "人前"}
# But not in these, unless they continue behind a digit (3千歳): 一段 goes before と in most texts (一段と, "all the more"), 百足 is a centipede, 千歳 a town.
_NO_COUNTS = frozenset({"一段", "百足", "千歳"})
_MEASURE = re.compile("[A-Za-z%％]")  # 参kg
_MARKS = frozenset({"記号", "補助記号"})  # -〇 is one of them to UniDic
# Several, some, how many: no value. UniDic has 数十, 何百 and 幾千 as one numeral.
_INDEFINITE = frozenset("数何幾")
# Behind a numeral: 々 repeats it (三々五々), and 十数人 are some ten people.
_INDEFINITE_AFTER = re.compile("々|数(?=[人個本枚匹回日年名件台冊円歳倍分点%％]|$|[^\\w])")
_OF_A_FRACTION = re.compile(f"の[{DIGITS}{SMALL_UNITS}]")  # 十二分 ("more than enough") is twelfths in 十二分の五
# What UniDic cuts into a numeral and a counter, although it counts nothing.
_IDIOMS = re.compile(
    rf"(?<![\d点・コンマ{''.join(sorted(_NUMERALS))}])(?:"
    "七五三(?=[のをには祝参詣])|"
    "(?:もう|いま|今)一[度回]|二度と(?!な[りるっれ]|し[たてま]|す)|"  # "once more", "never again"
    "第三者|二人三脚|一石二鳥|十中八九|四六時中|八百万の神|一問一答|一日千秋|三日坊主|三日天下|十人十色|五十歩百歩|五里霧中|二束三文|三寒四温|四苦八苦|九死一生|"
    "一喜一憂|一長一短|一進一退|一朝一夕|一期一会|一言一句|二転三転|再三再四|三者三様|百発百中|百人一首|千載一遇|一か八か|一から十まで|"
    "[一二三四五六七八九]酸化|二等辺|三平方の|[一二三四]次(?=関数|方程式|不等式|元|式)|(?:[二八十]|十六)進(?=法|数)|"  # chemistry and mathematics
    "(?P<each>一[人つ個本枚匹冊台頭羽歩日字点行])(?P=each)"  # "one by one"
    ")"
)


def without_words(text: str) -> str:
    """`text`, character for character, with 大字 as the numerals that they stand for, and numeral characters that count nothing as `NO_NUMERAL`."""
    if _ANY_NUMERAL.search(text) is None:
        return text
    chars = list(text.translate(_MODERN))
    for start, end in (*_words(text), *(match.span() for match in _IDIOMS.finditer(text))):
        chars[start:end] = [NO_NUMERAL if char in _NUMERALS else char for char in chars[start:end]]
    return "".join(chars)


def _words(text: str) -> list[tuple[int, int]]:
    """Words that contain numeral characters and are not numbers."""
    spans = []
    for token in tokens(text):
        word = text[token.start : token.end]
        if _ANY_NUMERAL.search(word) is None:
            continue
        if _INDEFINITE & set(word) or _INDEFINITE_AFTER.match(text, token.end):
            counts = False
        elif word in FORMAL_BESIDE_OTHERS:
            before, after = text[max(0, token.start - 1) : token.start], text[token.end : token.end + 1]
            counts = token.pos2 == "数詞" or before in _BESIDE or after in _BESIDE or _MEASURE.match(after) is not None
        else:
            behind_digit = text[token.start - 1 : token.start].isdecimal()
            counts = token.pos2 == "数詞" or token.pos1 in _MARKS or _is_count(word, behind_digit) or _goes_on(text, token.start)
            counts |= word.endswith("分") and _OF_A_FRACTION.match(text, token.end) is not None
        if not counts:
            spans.append((token.start, token.end))
    return spans


def _is_count(word: str, behind_digit: bool) -> bool:
    """Whether a word that UniDic does not call a numeral is one all the same."""
    rest = word.lstrip("".join(_NUMERALS))
    if not rest:
        return word != "万一"
    return len(rest) < len(word) and rest in _COUNTERS and (behind_digit or word not in _NO_COUNTS)


def _goes_on(text: str, start: int) -> bool:
    """Whether the numeral at `start` continues the one before it, whatever UniDic makes of its end: 二百十一番 is 211番, and 四十十分 is 四十 and 十分."""
    if start == 0:
        return False
    ranks = SMALL_UNITS + BIG_UNITS
    before, first = (char.translate(_MODERN) for char in text[start - 1 : start + 1])
    if before not in DIGITS + ranks or first not in DIGITS + SMALL_UNITS:
        return False
    return first in DIGITS or before in DIGITS + BIG_UNITS or ranks.index(first) < ranks.index(before)
