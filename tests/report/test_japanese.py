"""The words of the pages in Japanese: none of theirs is missing, what stands in a phrase comes along, and a page has no more of them than it needs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from jp_adapt.model.expected_bits import SCALE
from jp_adapt.report.advice_page import advice_page
from jp_adapt.report.corpus_page import corpus_page
from jp_adapt.report.leaderboard_page import leaderboard_page
from jp_adapt.report.pages import japanese
from tests.pages import BalancedPage
from tests.report.run_summaries import sample_summary, small_summary
from tests.report.test_advice_page import REPORT
from tests.report.test_corpus_page import sample as corpus_sample
from tests.report.test_eval_page import pages as evaluation_pages
from tests.report.test_leaderboard_page import board
from tests.report.test_run_page import render
from tests.report.test_tokenizer_page import comparison_page, extension_page, sample_comparison, sample_report, sample_verification, verification_page

OURS = {"h2", "dt", "button", "noscript"}  # elements whose whole text is the page's own
# Signs, keys of a record, a note of a table of published scores, and criteria that failed, in the middle of a sentence.
DATA = ("p", "A", "B", "SHA-256", "package", "file", "sha256", "python", "torch", "platform", "cpu count", "precision", "* ", "lines without")


class Own(BalancedPage):
    """The texts that are the page's own: headings, captions, columns, names of facts, notes."""

    def __init__(self, page: str) -> None:
        self.own: list[tuple[str, str]] = []
        super().__init__(page)

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        tag = next((tag for tag in reversed(self.open) if tag not in ("span", "small", "strong")), "")
        attributes = [dict(given) for name, given in self.tags if name == tag]
        column = tag == "caption" or (tag == "th" and attributes[-1].get("scope") == "col")
        column = column and attributes[-1].get("translate") != "no"
        if re.search(r"[A-Za-z]", text) and (tag in OURS or column or (tag == "p" and attributes[-1].get("class") in ("note", "lead"))):
            self.own.append((tag, text))


def known(text: str) -> bool:
    return any(re.fullmatch("(.+?)".join(map(re.escape, phrase.split("{}"))), text) for phrase in japanese())


def every_page(folder: Path) -> dict[str, str]:
    summary = sample_summary()
    control = {
        "name": "plain",
        "title": "",
        "created": "2026-11-24T10:00:00+00:00",
        "headline": summary["headline"],
        "training_s": 331.0,
        "benchmarks": summary["evaluation"]["benchmarks"],
    }
    return {
        "run": render(summary),
        "control": render(summary | {"control": control}),
        "empty": render(small_summary() | {"waiting": ["eval"]}),
        "extension": extension_page(sample_report()),
        "verification": verification_page(sample_verification()),
        "tokenizers": comparison_page(sample_comparison()),
        "corpus": corpus_page(corpus_sample()),
        "leaderboard": leaderboard_page(board(), {}),
        "advice": advice_page(replace(REPORT, device="h100-80g")),
        **evaluation_pages(folder),
    }


def test_every_word_of_a_page_has_a_japanese_one(tmp_path: Path) -> None:
    missing = {(name, tag, text) for name, page in every_page(tmp_path).items() for tag, text in Own(page).own if not known(text) and not text.startswith(DATA)}
    assert missing == set()


def test_every_phrase_of_a_script_has_a_japanese_one() -> None:
    folder = Path(__file__).resolve().parents[2] / "jp_adapt"
    scripts = [path.read_text(encoding="utf-8") for path in [*folder.glob("report/*.js"), *folder.glob("ui/static/*.js")]]
    said = {phrase for script in scripts for call in re.findall(r"\b(?:say|t)\((.*?)\)", script) for phrase in re.findall(r'"([A-Za-z][^"]*)"', call)}
    assert len(said) > 100
    assert said - japanese().keys() == set()


def test_nothing_that_stands_in_a_phrase_is_lost() -> None:
    for phrase, words in japanese().items():
        places = [int(number) if number else at for at, number in enumerate(re.findall(r"\{(\d*)\}", words))]
        assert sorted(places) == list(range(phrase.count("{}"))), phrase


def test_a_page_has_the_words_that_it_needs() -> None:
    page = leaderboard_page(board(), {})
    table = json.loads(re.findall(r'<script type="application/json" id="words">(.*?)</script>', page, flags=re.DOTALL)[0])
    assert table["Leaderboard"] == "リーダーボード"
    assert "The result in three numbers" not in table
    assert set(table) < set(japanese())


def test_the_evidence_of_advice_is_a_phrase_of_its_own() -> None:
    assert SCALE in japanese()
