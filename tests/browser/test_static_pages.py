"""The pages that are one file each, in a real browser: tables sort, a search narrows them, a link keeps both, and nothing of a text is ever code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jp_adapt.benchmarks.published import load_published
from jp_adapt.evaluation.published import compare_published
from jp_adapt.report.advice_page import advice_page
from jp_adapt.report.corpus_page import corpus_page
from jp_adapt.report.eval_page import comparison_page
from jp_adapt.report.run_page import render
from jp_adapt.report.run_summary import RunSummary
from tests.browser.axe import CONTRAST, NAMELESS, axe_findings
from tests.browser.chromium import Tab, chromium
from tests.report.run_summaries import sample_summary
from tests.report.test_advice_page import REPORT
from tests.report.test_corpus_page import poisoned
from tests.report.test_corpus_page import sample as corpus_sample

pytestmark = [pytest.mark.programs, pytest.mark.skipif(chromium() is None, reason="no Chromium here; apt-get install chromium brings one")]

PAGES = ("run", "corpus", "comparison")
READY = "!document.getElementById('theme').hidden"
DATA = 'code, pre, script, style, .sample, .chips, #browser, [translate="no"], body [lang="ja"]'
TEXTS = f"""[...document.querySelectorAll('body *')].filter(node => !node.closest('{DATA}')).flatMap(node =>
    [node.getAttribute('aria-label') || '', ...[...node.childNodes].filter(child => child.nodeType === 3).map(child => child.data)])"""
ROWS = """[...document.querySelectorAll('main table')].flatMap(table => table.parentNode.hidden ? [] :
    [...table.querySelectorAll('tbody tr')].filter(row => row.checkVisibility())).length"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from jp_adapt.core.documents import record_from
    from jp_adapt.evaluation.compare import compare_runs, load_runs
    from tests.ui.pages import write_evaluation

    folder = tmp_path_factory.mktemp("pages")
    (folder / "run.html").write_text(render(record_from(RunSummary, sample_summary(), "sample")), encoding="utf-8")
    (folder / "advice.html").write_text(advice_page(REPORT), encoding="utf-8")
    (folder / "corpus.html").write_text(corpus_page(corpus_sample()), encoding="utf-8")
    (folder / "poisoned.html").write_text(corpus_page(poisoned(corpus_sample())), encoding="utf-8")
    for name, items in (("comparison", 120), ("few", 8)):
        write_evaluation(folder / name / "base", [n % 3 > 0 for n in range(items)])
        write_evaluation(folder / name / "adapted", [n % 5 > 0 for n in range(items)])
        runs = load_runs([folder / name / "base", folder / name / "adapted"])
        page = comparison_page(compare_runs(runs), runs, [compare_published(run.scores, load_published()) for run in runs])
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_every_window_and_can_be_read_by_everyone(tab: Tab, folder: Path, name: str) -> None:
    tab.open((folder / f"{name}.html").as_uri(), READY)
    assert tab.js(NAMELESS) == []
    for width in (1600, 1280, 400):
        tab.size(width)
        assert tab.js("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(document.documentElement.scrollWidth), 50)))") <= width
    for theme in ("light", "dark"):
        tab.js(f"document.documentElement.dataset.theme = '{theme}'")
        assert tab.js(CONTRAST) == [], theme
        assert axe_findings(tab) == [], theme


@pytest.mark.parametrize("name", PAGES)
def test_no_text_is_half_japanese(tab: Tab, folder: Path, name: str) -> None:
    """A phrase of two English words beside Japanese ones: what a pattern of another sentence leaves."""
    tab.open((folder / f"{name}.html").as_uri(), READY)
    given = set(tab.js(TEXTS))
    try:
        tab.js("document.getElementById('language').click()")
        tab.wait("document.documentElement.lang === 'ja'")
        changed = set(tab.js(TEXTS)) - given
        assert len(changed) > 20
        assert [text for text in changed if re.search(r"[a-z]{2,} [a-z]{2,}|\d min ", re.sub(r"jp-adapt [ -~]+", "", text))] == []
    finally:
        tab.js("localStorage.clear()")


def test_a_part_of_a_phrase_is_translated_as_a_whole_or_stays(tab: Tab, folder: Path) -> None:
    def shown(text: str) -> str:
        tab.js(f"document.getElementById('language').click(); document.querySelector('.lead').textContent = {json.dumps(text)}")
        tab.js("document.getElementById('language').click()")
        return str(tab.js("document.querySelector('.lead').textContent"))

    try:
        tab.open((folder / "few.html").as_uri(), READY)
        tab.js("document.getElementById('language').click()")
        assert "判定なし：4 問では少なすぎる（30 問必要）" in tab.js("[...document.querySelectorAll('.verdict')].map(node => node.innerText)")
        tab.open((folder / "advice.html").as_uri(), READY)
        sentence = "500 new tokens: what was measured of {}, and what may be expected."
        assert shown(sentence.format("a CPU with 300 new tokens")) == "追加トークン 500。a CPU with 300 new tokens の測定結果と見込みです。"
        assert shown("A CPU with 300 new tokens") == "A CPU with 300 new tokens"
        assert shown("20 documents, 1,300 characters") == "20 文書、1,300 文字"
        assert shown("chars/token over new tokens. Extended: from 1.2 to 1.3.") == "追加トークン数に対する文字/トークン。拡張後：1.2 から 1.3 へ。"
        assert shown("chars/token over new tokens. Something else: new.") == "chars/token over new tokens. Something else: new."
    finally:
        tab.js("localStorage.clear()")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_in_japanese_and_in_english(tab: Tab, folder: Path, name: str) -> None:
    tab.open((folder / f"{name}.html").as_uri(), READY)
    words = "[...document.querySelectorAll('h2, dt, thead th, caption, button, nav a, #browser label span, figure text')].map(node => node.textContent)"
    given = tab.js(words)
    try:
        tab.js("document.getElementById('language').click()")
        tab.wait("document.documentElement.lang === 'ja' && document.getElementById('language').textContent === 'English'")
        headings = tab.js("[...document.querySelectorAll('h2, nav a')].map(node => node.textContent)")
        assert [text for text in headings if text.isascii()] == []
        assert not tab.js("document.querySelector('.lead').innerText").isascii()
        assert tab.js("document.querySelectorAll('#browser').length") == 0 or "並び順" in tab.js(words)
        for width in (1280, 400):
            tab.size(width)
            assert tab.js("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(document.documentElement.scrollWidth), 50)))") <= width
        assert tab.js(NAMELESS) == []
        assert tab.js(CONTRAST) == []
        tab.open((folder / f"{name}.html").as_uri(), "document.documentElement.lang === 'ja'")  # a browser remembers
        tab.js("document.getElementById('language').click()")
        assert tab.js(words) == given
    finally:
        tab.js("localStorage.clear()")


def test_a_table_sorts_and_a_link_keeps_it(tab: Tab, folder: Path) -> None:
    address = (folder / "run.html").as_uri()
    tab.open(f"{address}#provenance", "document.querySelector('#provenance .sort')")
    column = "[...document.querySelectorAll('#provenance table')].at(-1).querySelectorAll('tbody th')"
    names = f"[...{column}].map(cell => cell.innerText)"
    given = tab.js(names)
    tab.js("[...document.querySelectorAll('#provenance table')].at(-1).querySelectorAll('.sort')[3].click()")
    assert tab.js(names) == ["cpt", "eval", "tok"] != given
    link = tab.js("location.href")
    assert link.startswith(f"{address}#provenance?sort=")
    tab.open(link, "document.querySelector('[aria-sort=descending]')")
    assert tab.js(names)[0] == "cpt"


def test_a_search_narrows_every_table_and_a_link_keeps_it(tab: Tab, folder: Path) -> None:
    address = (folder / "run.html").as_uri()
    tab.open(address, "document.querySelector('#find').checkVisibility()")
    whole = tab.js(ROWS)
    tab.js("document.getElementById('find').focus()")
    tab.type("ｅｎ_held")
    tab.wait("document.getElementById('found').innerText.endsWith('rows')")
    assert 0 < tab.js(ROWS) < whole
    assert tab.js("location.hash").startswith("#?q=")
    tab.open(tab.js("location.href"), "document.getElementById('found').innerText.endsWith('rows')")
    assert 0 < tab.js(ROWS) < whole
    tab.js("document.querySelector('nav a').click()")
    assert "?q=" in tab.js("location.hash")


def test_items_are_sorted_by_what_was_lost_and_stand_side_by_side(tab: Tab, folder: Path) -> None:
    address = (folder / "comparison.html").as_uri()
    tab.open(f"{address}#items?outcome=lost1&order=lost", "document.querySelectorAll('#browser details').length > 3")
    assert tab.js("[...document.querySelectorAll('#browser select')].map(node => node.value)").count("lost") == 1
    tab.open(f"{address}#items?text=KATAKANA&open", "document.querySelector('#browser .pair')")
    left, right = tab.js("[...document.querySelectorAll('#browser .pair')[0].children].map(node => node.getBoundingClientRect().left)")
    assert left < right


def test_nothing_of_a_text_is_code(tab: Tab, folder: Path) -> None:
    tab.open((folder / "poisoned.html").as_uri(), READY)
    tab.js("document.querySelectorAll('.sort').forEach(node => node.click())")
    assert tab.js("document.querySelectorAll('main img, main script').length") == 0
