"""What swallow-evaluation-instruct v202508 takes for the answer in a chat: its rules and those of lighteval 0.8, as patterns.

swallow-llm/swallow-evaluation-instruct at cd745b4: lighteval/metrics/utils/extractive_match_utils.py (`lazy_indices_regex`, in Japanese) and
lighteval/tasks/swallow (metrics_sample_openqa_japanese.py, metrics_translation_japanese.py). Of several matches of a pattern the last one to end counts, the
longest of those first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_WORDS = "回答|正解|答え|解答"
_ENDS = r"(?=(?:です|だ|である|でしょう|だろう)?(?:。|．|$|\s))"
_BOXED = re.compile(r"\\boxed\{(?:\\text\{(?P<text>.+?)\}|(?P<plain>.+?))\}", re.DOTALL)
_NAMED = re.compile(
    rf"(?:(?:{_WORDS})は(?:[:：]|→|->|=|＝|[．.、，])?\s*|[【「\[(]?\s*(?:{_WORDS}|解|答)[】」\])]?\s*(?:[:：]|→|->|=|＝|[．.])\s*)(?P<answer>.+?){_ENDS}",
    re.DOTALL,
)
_DIRECT = re.compile(rf"(?:\A|\n+)(?P<answer>.+?){_ENDS}", re.DOTALL)
# What may stand around an answer, the longest marks first.
_OPEN = "(（{<「『〈《【〖〔❨❪❬❰❴⦅⦇⟦⟨" + "\"'`“‘«‹„‚‟‛〝〟＂＇*"
_CLOSE = ")）}>」』〉》】〗〕❩❫❭❱❵⦆⦈⟧⟩" + "\"'`”’»›„‚‟‛〞〟＂＇*"
_AROUND = (("```", "```"), ("**", "**"), ("__", "__"), ("``", "``"), *zip(_OPEN, _CLOSE, strict=True))
_YES, _NO = ("はい", "肯定", "肯", "◯", "TRUE", "OK", "イエス"), ("いいえ", "否", "×", "否定", "ちがう", "違う", "FALSE", "NG")
_FENCED = re.compile(r"^ {0,3}```[^`\n]*\n(.*?)(?:^ {0,3}```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


def lighteval_letter(text: str, letters: str) -> str:
    """The letter that lighteval takes for the choice: behind 「回答：」, else behind 「回答」, else at the beginning, else anywhere; nothing without one."""
    letter = rf"(?:\*\*)?(?P<letter>[{letters}])(?:\*\*)?[。.、,：:]?"
    for pattern in (rf"回答[：:].{{0,50}}?{letter}", rf"回答.{{0,50}}?{letter}", f"^{letter}", letter):
        if found := list(re.finditer(pattern, text)):
            return _last(found)["letter"]
    return ""


def swallow_answer(text: str) -> str:
    r"""The answer to an open question: of the first \boxed{}, else behind the last 「回答：」 or 「答えは」, else the first line to its full stop.

    Without brackets and quotes around it, after NFKC, and はい as YES, いいえ as NO.
    """
    if found := _BOXED.search(text):
        answer = found["text"] or found["plain"]
    elif marked := list(_NAMED.finditer(text)):
        answer = _last(marked)["answer"]
    else:
        direct = _DIRECT.search(text)
        answer = direct["answer"] if direct else text
    answer = unicodedata.normalize("NFKC", _bare(answer.strip()))
    return "YES" if answer in _YES else "NO" if answer in _NO else answer


def prefixed_line(text: str, prefix: str) -> str:
    """What stands behind the last `prefix` that begins a line, up to the line's end; nothing where there is none."""
    found = list(re.finditer(rf"^\s*{re.escape(prefix)}\s*(?P<line>[^\n\r]*)", text, re.MULTILINE))
    return _last(found)["line"] if found else ""


def last_code_block(text: str) -> str:
    """The last ``` block that defines a function, else the last one; nothing where there is none."""
    blocks = _FENCED.findall(text)
    return next((block for block in reversed(blocks) if "def " in block), blocks[-1] if blocks else "")


def _last(found: Iterable[re.Match[str]]) -> re.Match[str]:
    return max(found, key=lambda match: (match.end(), -match.start()))


def _bare(text: str) -> str:
    """A text of three characters and more without the first pair of marks that stand around it."""
    pair = next((pair for pair in _AROUND if len(text) > 2 and text.startswith(pair[0]) and text.endswith(pair[1])), None)
    return text if pair is None else text[len(pair[0]) : -len(pair[1])]
