"""The page of a prepared corpus: complete, escaped, self-contained, and of a typed report."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.figures import CorpusFigures, Problems
from jp_adapt.corpus.steps import Pair, Sample, StepCounts
from jp_adapt.report.corpus_page import corpus_page
from jp_adapt.report.corpus_report import CorpusReport, SourceReport
from jp_adapt.report.tables import corpus_table
from tests.pages import BalancedPage

ATTACK = "</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\" ' & \x00\x1b[31m\u202egnp\ud800"


def sample(tokens: int = 30_000) -> CorpusReport:
    counts = StepCounts(
        400,
        120_000,
        390,
        118_000,
        12,
        {"too short": [10, 2000]},
        {"entities": 44},
        {},
        {"too short": [Sample("ab", "ja.jsonl:3", "短い文")]},
        [Pair("ja.jsonl:9", "今日は雨です。", "ja.jsonl:2", "今日は雪です。")],
    )
    scripts = {"hiragana": 60_000, "kanji": 30_000, "latin": 20_000, "space": 8000}
    lengths = [0, 0, 10, 100, 280]
    ratio, share = (118_000 / tokens, 1.0) if tokens else (None, None)
    source = SourceReport("ウェブ", "ja", "CC0-1.0", 390, 118_000, tokens, ratio, share, scripts, lengths, Problems(2, ["ja.jsonl:7: not valid JSON"]))
    return CorpusReport("mine", "日本語のコーパス", [source], {"quality": {"ウェブ": counts}})


def poisoned(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: poisoned(getattr(value, entry.name)) for entry in fields(value) if entry.name != "format"})
    if isinstance(value, dict):
        return {ATTACK + key: poisoned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner) for inner in value]
    return ATTACK + value if isinstance(value, str) else value


class Page(BalancedPage):
    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data


def test_the_page_says_its_figures() -> None:
    page = Page(corpus_page(sample()))
    words = " ".join(page.text.split())
    for said in ("日本語のコーパス", "390 documents of 1 source, cleaned and counted.", "118,000", "3.933", "100.0 %", "too short: 10; entities: 44", "50.85"):
        assert said in words
    assert "ja.jsonl:7: not valid JSON" in words
    assert "短い文" in words
    assert [attrs["href"] for attrs in page.all("a")] == [f"#{attrs['id']}" for attrs in page.all("section")]
    assert len(page.all("caption")) == len(page.all("table")) == 3
    assert len(page.all("svg")) == 2
    assert "4 – 7: 2.56 %; ウェブ, 8 – 15: 25.64 %" in str([attrs.get("aria-label") for attrs in page.all("svg")])
    assert "Dropped ja.jsonl:9今日は雨です。" in words
    assert "Kept ja.jsonl:2今日は雪です。" in words
    assert len(page.all("mark")) == 2


def test_no_text_of_a_report_can_become_markup() -> None:
    html = corpus_page(poisoned(sample()))
    html.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", html)
    results, clean = Page(html), Page(corpus_page(sample()))
    assert [tag for tag, _ in results.tags] == [tag for tag, _ in clean.tags]
    assert not [attrs for _, attrs in results.tags if any(name.startswith("on") for name in attrs)]
    assert results.text.count("<script>alert(1)</script>") > 10


def test_a_corpus_without_a_tokenizer_has_dashes_and_no_zeros() -> None:
    words = " ".join(Page(corpus_page(sample(tokens=0))).text.split())
    assert "118,000\u2013\u2013\u2013" in words
    assert corpus_table(sample(tokens=0)).splitlines()[1].split() == ["ウェブ", "390", "118,000", "-", "-", "-"]


def test_an_empty_report_says_so() -> None:
    words = Page(corpus_page(CorpusReport("mine", "", [], {}))).text
    for said in ("No document is left.", "No step was run.", "Nothing was dropped.", "Every document could be read."):
        assert said in words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2, "kind": "extension"}', r"not the figures of a prepared corpus in format 1 \(its format is 2\); prepare it again"),
        ('{"format": 1, "sources": [], "steps": {"a": {"b": {"documents_in": "1"}}}}', 'steps.a.b.documents_in: a whole number is needed, not "1"'),
        ('{"format": 1, "sources": [{"name": "x"}], "steps": {}}', "sources.0.documents: the key is missing"),
    ],
)
def test_another_report_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        CorpusFigures.read(tmp_path / "report.json")
