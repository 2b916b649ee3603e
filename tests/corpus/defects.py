"""The injector: known defects put into a corpus, each document labelled with what was done to it, and what a run of the steps made of them."""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jp_adapt.corpus.clean import RepairDecoding, StripMarkup
from jp_adapt.corpus.decontaminate import Decontaminate, build_index
from jp_adapt.corpus.deduplicate import find_duplicates, fingerprint
from jp_adapt.corpus.language import KeepLanguage
from jp_adapt.corpus.normalise import Normalise
from jp_adapt.corpus.quality import Quality
from jp_adapt.corpus.steps import Counts, Document, Step, run_steps
from tests.corpus.near_truth import is_near, near_pairs

KINDS = ("mojibake", "exact", "near", "english", "chinese", "markup", "spam", "benchmark")
# Written for this injector, not taken from the word lists that the steps have.
SHOP = [
    *("春夏新作", "レディース", "ワンピース", "大きいサイズ", "送料無料", "訳あり", "半額", "タイムセール", "楽天"),
    *("ふるさと納税", "ポイント10倍", "本革", "長財布", "メンズ", "スニーカー", "枕", "羽毛布団", "低反発", "マットレス"),
]
LURES = [
    *("無料登録はこちら", "今すぐクリック", "月収100万円", "絶対に儲かる", "審査なし即日融資"),
    *("出会い系サイト", "人気ランキング", "口コミで話題", "限定キャンペーン実施中", "激安通販", "最安値保証"),
]
CHINESE = (
    "人工智能是计算机科学的一个分支。它企图了解智能的实质，并生产出一种新的能以人类智能相似的方式做出反应的智能机器。",
    "该领域的研究包括机器人、语言识别、图像识别、自然语言处理和专家系统等。",
    "操作系统是管理计算机硬件与软件资源的计算机程序，同时也是计算机系统的内核与基石。",
    "用户可以通过命令行界面或者图形用户界面来使用这个软件，请先阅读安装说明。",
    "中華民國的教育制度規定，國民應該接受十二年的基本教育，學校分為公立與私立兩種。",
    "如果您在安装过程中遇到问题，请检查网络连接并重新启动设备，然后联系我们的客户服务。",
    "數據庫系統通常使用結構化查詢語言來存取資料，並且支援多個使用者同時進行操作。",
    "北京是中华人民共和国的首都，也是全国的政治、文化和国际交往中心。",
)


@dataclass(frozen=True)
class Defect:
    """A document, what was done to it ("" where nothing), the text or the item that it was made from, and what was pasted into it."""

    text: str
    kind: str
    origin: str
    pasted: str = ""


def decoded_wrongly(text: str, rng: random.Random) -> str:
    """`text` in one encoding, read as another; what cannot be read becomes U+FFFD, as browsers and converters do."""
    right, wrong = rng.choice(
        [
            ("utf-8", "cp1252"),
            ("utf-8", "latin-1"),
            ("utf-8", "cp932"),
            ("utf-8", "euc_jp"),
            ("cp932", "utf-8"),
            ("euc_jp", "utf-8"),
            ("cp932", "latin-1"),
            ("euc_jp", "cp932"),
        ]
    )
    return text.encode(right, errors="ignore").decode(wrong, errors="replace")


def edited(text: str, rng: random.Random, letters: str, share: float = 0.05) -> str:
    """`text` with `share` of its characters replaced, deleted or inserted, anywhere."""
    chars = list(text)
    for place in rng.sample(range(len(chars)), max(1, round(share * len(chars)))):
        chars[place] = rng.choice([rng.choice(letters), "", chars[place] + rng.choice(letters)])
    return "".join(chars)


def as_page(text: str, rng: random.Random) -> str:
    """The source of a web page that holds `text`."""
    lines = [
        f'<p class="c{rng.randrange(9)}">{html.escape(line)}</p>' if rng.random() < 0.8 else f"<div><span>{html.escape(line)}</span><br/></div>"
        for line in text.split("\n")
        if line.strip()
    ]
    head = f"<!DOCTYPE html><html><head><title>{rng.randrange(999)}</title><script>var a={rng.randrange(9)};</script></head>"
    head += '<body><div id="nav"><ul><li><a href="/">ホーム</a></li></ul></div>'
    return head + "\n".join(lines) + "</body></html>"


def spam(rng: random.Random) -> str:
    """A list of goods and lures."""
    separator = rng.choice([" ", "\n", "・", " / "])
    return separator.join(rng.choice(SHOP if rng.random() < 0.6 else LURES) for _ in range(rng.randrange(30, 200)))


def inject(texts: Sequence[str], english: Sequence[str], items: dict[str, list[str]], rng: random.Random, share: float = 0.2) -> list[Defect]:
    """`texts` in their order with `share` as many defects of all kinds after them, each kind in equal number."""
    letters = "".join(char for text in rng.sample(list(texts), min(50, len(texts))) for char in text if "ぁ" <= char <= "鿿")
    japanese = [text for text in texts if sum("ぁ" <= char <= "ヺ" for char in text) >= 20]
    pasted = rng.sample(sorted(items), min(len(items), max(1, round(share * len(texts) / len(KINDS)))))
    makers: dict[str, Callable[[str], tuple[str, str]]] = {
        "mojibake": lambda text: (decoded_wrongly(text, rng), text),
        "exact": lambda text: (text, text),
        "near": lambda text: (edited(text, rng, letters), text),
        "english": lambda text: (rng.choice(english), text),
        "chinese": lambda text: ("".join(rng.choice(CHINESE) for _ in range(rng.randrange(3, 30))) + str(rng.random()), text),
        "markup": lambda text: (as_page(text, rng), text),
        "spam": lambda text: (spam(rng), text),
    }
    results = [Defect(text, "", text) for text in texts]
    for kind, make in makers.items():
        for _ in range(max(1, round(share * len(texts) / len(KINDS)))):
            made, origin = make(rng.choice(japanese))
            results.append(Defect(made, kind, origin))
    for item in pasted:
        text, question = rng.choice(japanese), whole(items[item])
        place = rng.randrange(len(text) + 1)
        results.append(Defect(f"{text[:place]}\n{question}\n{text[place:]}", "benchmark", item, question))
    return results


def whole(texts: Sequence[str]) -> str:
    """The question of an item; one of three letters or fewer (「国は？」) is not an item alone, and comes with its choices."""
    return next((text for text in texts if sum(map(str.isalnum, text)) >= 4), texts[0])


def default_steps(items: dict[str, list[str]]) -> tuple[Step, ...]:
    return RepairDecoding(), Normalise(), StripMarkup(), KeepLanguage(), Decontaminate(build_index(items)), Quality()


@dataclass(frozen=True)
class Verdict:
    """What became of a document: the kinds that it was called, and the text that is left (None where it is dropped)."""

    called: frozenset[str]
    text: str | None
    items: tuple[str, ...]
    of: int = -1


def judge(documents: Sequence[Defect], steps: Sequence[Step]) -> list[Verdict]:
    """Each document through the steps, one at a time so that it is known what each did, and then through deduplication with all others."""
    verdicts: list[Verdict] = []
    for number, defect in enumerate(documents):
        counts = Counts()
        kept = list(run_steps([Document(defect.text, "s", str(number))], steps, counts))
        called: set[str] = set()
        items: tuple[str, ...] = ()
        for name, sources in counts.steps.items():
            step = sources["s"]
            reasons = list(step.dropped)
            if name == "decoding" and (reasons or step.changes):
                called.add("mojibake")
            if name == "markup" and (reasons or "html" in step.changes or "wiki" in step.changes):
                called.add("markup")
            if name == "language" and reasons:
                called.add({"language en": "english", "language zh": "chinese"}.get(reasons[0], "other language"))
            if name == "decontaminate" and reasons:
                called.add("benchmark")
                items = tuple(step.matches)
            if name == "quality" and reasons:
                called.add("spam")
        verdicts.append(Verdict(frozenset(called), kept[0].text if kept else None, items))
    left = [number for number, verdict in enumerate(verdicts) if verdict.text is not None]
    texts = [verdicts[number].text or "" for number in left]
    of, exact = find_duplicates(*fingerprint(texts), lambda documents: texts.__getitem__)
    for number, index, same in zip(left, of.tolist(), exact.tolist(), strict=True):
        if index >= 0:
            old = verdicts[number]
            verdicts[number] = Verdict(old.called | {"exact" if same else "near"}, None, old.items, left[index])
    return verdicts


@dataclass
class Score:
    """Counts of one kind."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (2 * self.right + self.wrong + self.missed) if self.right else 0.0


def score(documents: Sequence[Defect], verdicts: Sequence[Verdict]) -> dict[str, Score]:
    """Recall and precision of each kind.

    The corpus has repetitions and pages with tags of its own, which are found rightly: a document of it called near (exact) is right where it is a near
    duplicate, by `near_truth`, of the document that it is said to repeat, and one called markup where it holds HTML outside of code by a count of tags that is
    not the step's own. Of two that are kept and are near duplicates, the later counts as missed.
    A defect counts as found under its own kind, or where it is dropped as a repetition of what it was made from (a repaired page is the page again).
    """
    scores = {kind: Score() for kind in KINDS}
    for defect, verdict in zip(documents, verdicts, strict=True):
        if defect.kind:
            results = defect.kind in verdict.called
            if defect.kind == "benchmark":
                results = defect.origin in verdict.items or (verdict.text is not None and defect.pasted not in verdict.text)  # within a comment of HTML: gone
            if defect.kind in ("exact", "near"):
                results = bool(verdict.called & {"exact", "near"}) or verdict.text is None
            if defect.kind in ("english", "chinese", "spam"):
                results = verdict.text is None
            scores[defect.kind].right += results
            scores[defect.kind].missed += not results
            continue
        for kind in verdict.called & set(KINDS):
            right = kind in ("exact", "near") and is_near(defect.text, documents[verdict.of].text)
            right = right or (kind == "markup" and defect.text.count("</") + defect.text.count("<!--") >= 2)
            scores[kind].wrong += not right
            scores[kind].right += right
    kept = [verdict.text for defect, verdict in zip(documents, verdicts, strict=True) if not defect.kind and verdict.text is not None]
    scores["near"].missed += len({later for later, _ in near_pairs(kept)})
    return scores


def shuffled(documents: Sequence[Defect], rng: random.Random) -> list[Defect]:
    """Defects among the others, each somewhere after what it was made from (a copy before its original would be the original)."""
    clean = [defect for defect in documents if not defect.kind]
    place = {defect.text: number for number, defect in reversed(list(enumerate(clean)))}
    keys = [float(number) for number in range(len(clean))]
    others = [defect for defect in documents if defect.kind]
    keys += [rng.uniform(place.get(defect.origin, 0) + 0.1, len(clean)) for defect in others]
    return [(clean + others)[index] for index in np.argsort(keys, kind="stable")]
