"""What frames an answer that was to stand alone: an announcement or a label before it, a remark behind it. LCTG Bench's aspect "format" is scored by it.

Its owners let GPT-4 take such frames away, and compare the ends of what is left (CyberAgentAILab/LCTG-Bench at c4736cb, scripts/eval_ctg.py). Here rules tell
them, made from the frames that their prompt for GPT-4 describes (scripts/utils/prompt.py) and from what chat models write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKS = re.compile(r"^[\s#*_>\-–—・●■◆▼☆★…]+|[\s*_\-–—…]+$")  # Markdown and rules, which are no text
_SENTENCE = re.compile(r"[^。！？!?\n]*[。！？!?]*")
_OPENINGS = re.compile(
    r"^(はい[、。！]|もちろん(です)?[、。！]|(承知|了解)(いた)?しました|かしこまりました|わかりました|分かりました|(あなたの)?(ご質問|ご依頼|ご要望)に(お答え|回答|対応)"
    r"|(回答|答え|結果|出力|応答)\s*[:：]|[【\[［](回答|答え|結果|出力|応答)[】\]］]"
    r"|(sure|certainly|of course|okay|ok|here('s| is| are)|the following|below (is|are))\b)",
    re.IGNORECASE,
)
_CLOSINGS = re.compile(
    r"^(以上(が|は|、|で(す|した)|の(とおり|通り))|上記(が|は|の)|(この|こちらの|本)(要約|文章|回答|タイトル|広告文|見出し|広告)(は|で|では|には)|いかがで(しょう|した)"
    r"|(ご参考|参考)に(なれば|していただ|なりましたら)|お役に立て|(他|ほか)に(も)?(ご質問|ご要望|何か)|(ご不明|ご質問)|[(（\[【]?(文字数|字数|注)\s*[:：]"
    r"|[(（]?(全|約|計)?\s*[0-9０-９]+\s*(文字|字)[)）]?[。]?$|(i hope|let me know|feel free|note\s*:|this (title|summary|ad|answer|text)\b))",
    re.IGNORECASE,
)
_ANNOUNCES = r"(以下|次|下記|こちら|ここ)|(し|いたし|致し|させていただき)(ます|ました)|です|ください|(紹介|説明|解説|回答|列挙)する"


def is_bare(text: str, words: Sequence[str]) -> bool:
    """Nothing frames the answer. `words` name what was asked for (要約, タイトル): a label or an announcement with one of them is a frame."""
    lines = [line for line in (_MARKS.sub("", line) for line in text.split("\n")) if line]
    if not lines:
        return False
    first, last = _sentences(lines[0])[0], _sentences(lines[-1])[-1]
    alone = len(lines) == 1 and first == last
    return not (_opens(lines[0], first, words, alone=alone) or _CLOSINGS.match(lines[-1]) or (not alone and _closes(last, words)))


def _sentences(line: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCE.findall(line) if sentence.strip()] or [line]


def _opens(line: str, sentence: str, words: Sequence[str], *, alone: bool) -> bool:
    """The answer begins with a greeting, a label such as 「要約：」 or 【要約】, or a sentence of its own that announces what follows."""
    named = "|".join(map(re.escape, words))
    label = rf"^[「『【\[［(（<＜]?[^。、「」『』]{{0,20}}({named})[^。、「」『』:：]{{0,6}}([】\]］)）>＞」』]\s*[:：]?|[:：])"
    if _OPENINGS.match(line) or re.match(label, line):
        return True
    return not alone and re.search(named, sentence) is not None and re.search(_ANNOUNCES, sentence) is not None


def _closes(sentence: str, words: Sequence[str]) -> bool:
    """The last sentence says that the text was made, or speaks of it."""
    named = "|".join(map(re.escape, words))
    return bool(_CLOSINGS.match(sentence) or re.search(rf"({named}).*(作成|要約|回答|説明|紹介|生成)(し|いたし|致し)ました", sentence))
