"""The page in a real browser: every view is drawn, filters and keys work, curves move while a run trains, and nothing of a run is ever code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jp_adapt.core.lock import folder_lock
from jp_adapt.ui.tags import change_tags
from tests.browser.axe import CONTRAST, NAMELESS, axe_findings
from tests.browser.chromium import Tab, chromium
from tests.browser.serving import served
from tests.export.models import TEMPLATE
from tests.ui.pages import add_steps, write_board, write_corpus, write_evaluation, write_training_run

pytestmark = [pytest.mark.programs, pytest.mark.skipif(chromium() is None, reason="no Chromium here; apt-get install chromium brings one")]

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u202eevil\u0000"
RIGHT = [n % 3 > 0 for n in range(300)]
BETTER = [n % 5 > 0 for n in range(300)]
TEXT = "document.querySelector('main').innerText"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pico: Path) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "runs"
    write_training_run(folder / "first")
    write_training_run(folder / "second", steps=40, of=100, lr=2e-4)
    write_training_run(folder / "evil", name=EVIL)
    write_corpus(folder / "corpus")
    write_board(folder / "matrix")
    change_tags(folder / "first", add=["baseline", "論文"])
    write_evaluation(folder / "eval" / "base", RIGHT)
    write_evaluation(folder / "eval" / "adapted", BETTER, model=EVIL)
    model = shutil.copytree(pico, folder / "models" / "pico")
    (model / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as (address, _):
        yield address


@pytest.fixture
def tab(tab: Tab) -> Iterator[Tab]:
    """The tab; a test in which a text of the folder became code fails."""
    yield tab
    assert "owned" not in tab.js("document.title")


VIEWS = {
    "#/runs": "document.querySelectorAll('.entries tbody tr').length === 7",
    "#/corpus?p=corpus": "document.querySelector('.funnel li')",
    "#/board?p=matrix": "document.querySelectorAll('.scores tbody tr').length === 1",
    "#/run?p=second": "document.querySelectorAll('.chart canvas').length >= 2",
    "#/compare?p=first&p=second&e=eval/base&e=eval/adapted": "document.querySelectorAll('.scores tbody tr').length === 3 && document.querySelector('canvas')",
    "#/items?e=eval/base&e=eval/adapted&i=7": "document.querySelectorAll('.item').length > 5 && document.querySelectorAll('.detail pre').length > 1",
    "#/tokenizer": "document.querySelectorAll('.cut .chip').length > 20",
    "#/chat": "document.querySelector('.talk')",
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_every_window_and_can_be_read_by_everyone(tab: Tab, address: str, view: str) -> None:
    """No sideways scrolling, one heading, a name for every control, and in both themes a contrast of at least 4.5 of every text (WCAG 2, AA)."""
    tab.open(address + view, VIEWS[view])
    assert tab.js("document.querySelectorAll('h1').length") == 1
    assert tab.js(NAMELESS) == []
    for width in (1600, 1280, 400):
        tab.size(width)
        assert tab.js("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(document.documentElement.scrollWidth), 50)))") <= width
    for theme in ("light", "dark"):
        tab.js(f"document.documentElement.dataset.theme = '{theme}'")
        assert tab.js(CONTRAST) == [], theme
        assert axe_findings(tab) == [], theme


def test_a_change_of_language_changes_every_view(tab: Tab, address: str) -> None:
    tab.open(address, VIEWS["#/runs"])
    tab.js("document.getElementById('lang').click()")
    try:
        tab.wait("document.querySelector('h1')?.innerText === '実行一覧' && document.documentElement.lang === 'ja'")
        for view, ready in VIEWS.items():
            tab.open(address + view, ready)
            left = tab.js("[...document.querySelectorAll('h1, h2, .field > span, .chip-button, nav a')].map(node => node.innerText)")
            assert not {"Runs", "Compare", "Items", "Tokenizer", "Chat", "Curves", "Scores", "Stage", "Benchmark", "Outcome"} & {*left}
    finally:
        tab.js("localStorage.clear()")


def test_the_table_sorts_filters_and_compares(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/runs", VIEWS["#/runs"])
    tab.js("document.querySelector('input[type=search]').focus()")
    tab.type("eval base")
    tab.wait("document.querySelectorAll('.entries tbody tr').length === 1")
    assert tab.js("location.hash") == "#/runs?q=eval+base"
    tab.open(f"{address}#/runs?kind=run", "document.querySelectorAll('.entries tbody tr').length === 3")
    tab.js("document.querySelectorAll('.sort')[4].click()")
    assert tab.js("document.querySelectorAll('[aria-sort]')[0].ariaSort") == "descending"
    assert tab.js("document.querySelector('.entries tbody th').innerText") == "second"
    tab.js("document.querySelectorAll('.entries tbody input').forEach(box => box.click())")
    tab.js("document.querySelector('.actions .primary').click()")
    tab.wait("location.hash.startsWith('#/compare?p=') && document.querySelector('.settings tbody tr')")
    assert tab.js("document.querySelector('.settings tbody th').innerText") == "stages.cpt.optimizer.lr"


def test_tags_group_and_filter_the_table(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/runs?group=tag", "document.querySelectorAll('.entries .group').length === 3")
    assert tab.js("[...document.querySelectorAll('.entries .group th')].map(cell => cell.firstChild.textContent)") == ["baseline", "論文", "no tag"]
    assert tab.js(NAMELESS) == []
    tab.js("document.querySelector('.entry-tag').click()")
    tab.wait("document.querySelector('.total').innerText.startsWith('1 ')")
    assert tab.js("location.hash") == "#/runs?tag=baseline&group=tag"
    tab.open(f"{address}#/runs?tag=nobody", "document.querySelector('.empty')?.innerText === 'Nothing matches.'")


def test_near_duplicates_stand_side_by_side_with_what_differs_marked(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/corpus?p=corpus", VIEWS["#/corpus?p=corpus"])
    tab.js("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    assert tab.js("[...document.querySelectorAll('.pair mark')].map(node => node.innerText)") == ["雨", "雪"]
    left, right = tab.js("[...document.querySelector('.pair').children].map(node => node.getBoundingClientRect().left)")
    assert left < right
    assert tab.js(CONTRAST) == []
    assert axe_findings(tab) == []
    assert tab.js("[...document.querySelectorAll('.bars .number')].map(node => node.innerText)") == ["100.0 %", "4.4 %"]


def test_items_are_filtered_searched_and_walked_by_keys(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/items?e=eval/base&e=eval/adapted", VIEWS["#/items?e=eval/base&e=eval/adapted&i=7"].split(" &&")[0])
    counts = tab.js("[...document.querySelectorAll('.chip-button .count')].map(node => node.innerText)")
    lost, gained = (sum(a > b for a, b in zip(x, y, strict=True)) for x, y in ((RIGHT, BETTER), (BETTER, RIGHT)))
    assert counts[:3] == ["300", str(lost), str(gained)]
    tab.js("document.querySelector('.chip-button.lost').click()")
    tab.wait(f"document.querySelector('.total').innerText.startsWith('{lost} ')")
    tab.js("document.querySelector('.list').focus()")
    tab.key("ArrowDown")
    tab.key("ArrowDown")
    tab.wait("document.querySelector('.detail h2') && document.querySelectorAll('[aria-selected=true]').length === 1")
    opened = "document.querySelector('.detail h2').firstChild.textContent"
    wanted = [n for n in (*range(0, 300, 2), *range(1, 300, 2)) if RIGHT[n] and not BETTER[n]]
    assert int(tab.js(opened)[1:]) in wanted
    tab.js("document.querySelector('input[type=search]').focus()")
    tab.type("日本の10番目")
    tab.wait("document.querySelector('.total').innerText.startsWith('1 ')")
    tab.open(f"{address}{tab.js('location.hash')}", "document.querySelector('.total')?.innerText.startsWith('1 ')")


def test_tokens_of_an_item_are_coloured_by_surprise(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/items?e=eval/base&i=1", "document.querySelector('.surprise-panel')")
    tab.js("document.querySelector('.surprise-panel').open = true")
    tab.wait("document.querySelector('.surprise-panel button')")
    tab.js("document.querySelector('.surprise-panel button').click()")
    tab.wait("document.querySelectorAll('.surprise-panel li.surprise').length > 20", seconds=60)
    for theme in ("light", "dark"):
        tab.js(f"document.documentElement.dataset.theme = '{theme}'")
        assert tab.js(CONTRAST) == [], theme
    assert tab.js("[...document.querySelectorAll('.surprise-panel li.surprise')].every(node => / bits$/.test(node.title))")
    assert tab.js("document.querySelectorAll('.surprise-panel h4').length") == 2, "the right answer and what the model said"


def test_the_end_of_a_long_list_is_reached(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/items?e=eval/base", "document.querySelectorAll('.item').length > 5")
    assert tab.js("document.querySelectorAll('.item').length") < 60
    tab.js("document.querySelector('.list').scrollTop = 1e9")
    tab.wait("[...document.querySelectorAll('.item .question')].at(-1)?.innerText === '質問：日本の299番目に高い山は？'")


def test_a_curve_moves_while_a_run_trains_and_goes_back_with_a_resume(tab: Tab, address: str, folder: Path) -> None:
    run = write_training_run(folder / "live", steps=5, of=200)
    stage = run / "stages" / "cpt"
    told = "document.querySelector('.plot').ariaLabel"
    with folder_lock(run):
        tab.open(f"{address}#/run?p=live", "document.querySelector('.plot')?.ariaLabel?.includes('8.975')")
        assert "running" in tab.js("document.querySelector('h1').innerText")
        add_steps(stage, 6, 50, 200)
        tab.wait(f"{told}.includes('8.75')", 2.0)
        assert "50 / 200" in tab.js("document.querySelector('.stages').innerText")
        sample = {"step": 50, "prompt": "今日は", "continuation": "晴れです。"}
        (stage / "samples.jsonl").write_text(json.dumps(sample) + "\n", encoding="utf-8")
        add_steps(stage, 51, 51, 200)
        tab.wait("document.querySelector('.sample-list')?.innerText.includes('晴れです。')", 3.0)
        assert "left" in tab.js("document.querySelector('.stages').innerText")
        kept = (stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:21]
        (stage / "new").write_text("".join(kept), encoding="utf-8")
        (stage / "new").replace(stage / "metrics.jsonl")
        tab.wait(f"{told}.includes('8.9') && document.querySelector('.stages').innerText.includes('20 / 200')", 2.0)
    tab.wait("document.querySelector('h1').innerText.includes('stopped')", 2.0)


def test_a_run_that_is_moved_away_is_told(tab: Tab, address: str, folder: Path) -> None:
    run = write_training_run(folder / "moved", steps=3)
    tab.open(f"{address}#/run?p=moved", "document.querySelector('.chart')")
    run.rename(folder / "elsewhere")
    tab.wait("document.querySelector('main .warning[role=alert]')?.innerText.includes('no run folder')")
    assert tab.js("document.getElementById('gone').hidden")
    tab.open(f"{address}#/run?p=moved", "document.querySelector('h1')?.innerText === 'Could not be shown'")
    tab.complaints.clear()


def test_a_server_that_is_gone_is_told(tab: Tab, folder: Path) -> None:
    with served(folder) as (own, _):
        tab.open(f"{own}#/run?p=first", "document.querySelector('.chart')")
        assert tab.js("document.getElementById('gone').hidden")
    tab.wait("!document.getElementById('gone').hidden")
    tab.complaints.clear()


def test_hostile_text_is_shown_and_nothing_runs(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/run?p=evil", "document.querySelector('h1')")
    assert tab.js("document.querySelector('h1').innerText").startswith("<img src=x onerror=")
    assert "[U+202E]evil␀" in tab.js("document.querySelector('h1').innerText")
    tab.open(f"{address}#/items?e=eval/adapted", "document.querySelectorAll('.item').length")
    assert tab.js("document.querySelectorAll('main img, main script').length") == 0


def test_a_model_answers_in_the_chat(tab: Tab, address: str) -> None:
    tab.open(f"{address}#/chat", VIEWS["#/chat"])
    tab.js("document.querySelectorAll('input[type=number]').forEach((box, index) => { box.value = [0, 1, 8, 1][index] })")
    tab.js("document.querySelector('.say textarea').focus()")
    tab.type("It rains.")
    tab.key("Enter")
    tab.wait("document.querySelector('.say button').innerText === 'Send' && document.querySelector('.said.model')?.innerText.length > 3", 60)
    assert tab.js("document.querySelector('.said.user').innerText") == "It rains."


def test_a_page_elsewhere_gets_nothing(tab: Tab, address: str, tmp_path: Path) -> None:
    """Another origin that even knows the token can neither read the answers nor put the page into a frame."""
    (tmp_path / "evil.html").write_text(
        f"<script>fetch({json.dumps(address)} + 'api/entries').then(() => document.title = 'read', () => document.title = 'kept out')</script>"
    )
    tab.open((tmp_path / "evil.html").as_uri(), "document.title")
    assert tab.js("document.title") == "kept out"
    tab.complaints.clear()
