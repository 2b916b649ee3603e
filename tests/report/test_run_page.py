"""The report page: complete, escaped, self-contained, and calm about whatever is missing."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.report.run_page import render as render_page
from jp_adapt.report.tables import headline_table
from tests.pages import BalancedPage, without_words
from tests.report.run_summaries import sample_summary, small_summary, summary_of

ATTACK = "</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\" ' & \x00\x1b[31m\u202egnp\ud800"


def render(value: dict[str, Any]) -> str:
    return render_page(summary_of(value))


class Page(BalancedPage):
    """Collects what the tests ask about."""

    def __init__(self, page: str) -> None:
        self.texts: dict[str, list[str]] = {}
        super().__init__(page)

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)
        if "style" not in self.open and "script" not in self.open:
            self.text += data

    def with_class(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if name in (attrs.get("class") or "").split()]

    def said(self) -> str:
        """Everything a reader or a screen reader can come across."""
        spoken = [str(attrs.get(key)) for _, attrs in self.tags for key in ("title", "aria-label") if key in attrs]
        return " ".join([" ".join(self.text.split()), *spoken])


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value inside `value`, containers included."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(inner, (*path, key))


def put(summary: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(summary)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def benchmark(**changes: Any) -> str:
    """What the page says of the first benchmark, with `changes` to its comparison."""
    summary = small_summary()
    entry = summary["evaluation"]["benchmarks"][0]
    entry["comparison"] |= changes
    summary["evaluation"]["benchmarks"] = [entry]
    return Page(render(summary)).said()


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(sample_summary()))


def test_the_page_is_one_document_with_every_section(page: Page) -> None:
    assert render(sample_summary()).startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    anchors = [attrs["id"] for attrs in page.all("section")]
    assert anchors == ["headline", "tokenizers", "curves", "scores", "texts", "samples", "added", "provenance"]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    pages = {f"../stages/eval/final/{role}/index.html" for role in ("base", "adapted")}
    assert {f"#{anchor}" for anchor in anchors} | pages == {attrs["href"] for attrs in page.all("a")}


def test_the_numbers_of_the_summary_are_on_the_page(page: Page) -> None:
    said = page.said()
    for text in ("0.57 \u2192 1.23", "+118.0 %, better", "\u221226.2 %, better", "1.167 \u2192 1.171", "+0.3 %, worse", "1,008 new Japanese tokens"):
        assert text in said
    for text in ("not finished", "are still to be done"):
        assert text not in said.lower()
    for text in ("22,800", "10,454", "\u22121.670 (\u22121.740 to \u22121.600)", "<0.001", "0.700", "12,900 chars", "Tokens/word", "\u221254.1 %"):
        assert text in said
    for text in ("5 min 1 s", "1 h 2 min", "393.2 MiB", "2.7 GiB", "134.5 \u2192 135.1", "jp-adapt run quickstart --out runs/quickstart", "2.13.0"):
        assert text in said


def test_the_guard_is_better_when_english_costs_less() -> None:
    summary = put(sample_summary(), ("headline", "bits_per_byte_en", "adapted"), 1.0)
    assert "\u221214.3 %, better" in Page(render(summary)).said()
    summary = put(sample_summary(), ("headline", "bits_per_byte_en", "adapted"), 1.1670001)
    assert "no change" in Page(render(summary)).said()
    summary = put(sample_summary(), ("headline", "chars_per_token", "adapted"), 0.5)
    assert "\u221211.7 %, worse" in Page(render(summary)).said()


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for tag, attrs in page.tags:
        assert tag not in {"img", "iframe", "object", "embed", "video", "audio", "source", "base", "use", "image"}
        for name in ("src", "href", "data", "srcset", "action", "poster", "xlink:href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:,", "../stages/")), (tag, attrs)
        assert "url(" not in (attrs.get("style") or "")
    assert not re.search(r"@import|url\(|://", "".join(page.texts["style"]))


def test_the_policy_allows_the_one_script_and_nothing_else(page: Page) -> None:
    script = "".join(page.texts["script"])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(attrs["content"] or "" for attrs in page.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy")
    assert {f"script-src 'sha256-{digest}'", "default-src 'none'", "img-src data:"} <= set(policy.split("; "))
    assert len(page.all("script")) == 1


def poisoned(value: Any) -> Any:
    """A document with the attack before every text of it, names in free mappings included."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = {"models", "kind", "outcome"} & {entry.name for entry in fields(value)}  # names that the program gives
        return replace(value, **{entry.name: poisoned(getattr(value, entry.name)) for entry in fields(value) if entry.name not in kept | {"format"}})
    if isinstance(value, dict):
        return {ATTACK + key: poisoned(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(poisoned(inner) for inner in value)
    return ATTACK + value if isinstance(value, str) else value


def test_no_text_of_the_summary_can_become_markup() -> None:
    calm = summary_of(small_summary())
    html = render_page(poisoned(calm))
    html.encode("utf-8")  # a lone surrogate would fail here
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", html)
    results, clean = Page(html), Page(render_page(calm))
    assert [tag for tag, _ in results.tags if tag not in ("small", "code")] == [tag for tag, _ in clean.tags if tag not in ("small", "code")]
    assert not [attrs for _, attrs in results.tags if any(name.startswith("on") for name in attrs)]
    assert results.texts["script"] == clean.texts["script"]
    assert results.text.count("<script>alert(1)</script>") > 50  # it is there, as text


def test_any_value_may_be_missing_or_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jp_adapt.report.pages.japanese", dict)  # to look for its phrases takes longer than the page
    summary, shown = small_summary(), 0
    for path in paths(summary):
        for value in (None, 0, [], {}, "text"):
            changed = put(summary, path, value)
            try:
                document = summary_of(changed)
            except InputError:
                continue  # a value that the document cannot have
            shown += 1
            said = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", render_page(document))  # titles and labels of its tags included
            assert not re.search(r"\b(None|nan|inf|NaN)\b|from \u2013|to \u2013", said), path
    assert shown > 150


def test_an_empty_summary_says_so() -> None:
    run = sample_summary()["run"]
    provenance: dict[str, Any] = {"base": {}, "inputs": [], "env": {}, "stages": [], "repeat": []}
    empty = {"headline": {}, "run": run, "evaluation": {}, "training": [], "tokenizer": None, "provenance": provenance}
    page = Page(render(empty))
    said = page.said()
    for words in ("none of the headline", "segmented no", "trained nothing", "scored no", "no held-out", "no samples", "did not"):
        assert words in said
    assert page.all("svg") == []
    assert "None" not in said


def test_a_run_that_is_not_finished_says_what_is_waiting() -> None:
    summary = sample_summary()
    summary["training"][1] |= {"done": False, "heldout": []}
    for step in summary["training"][1]["steps"]:
        step["loss_bits_per_char"] = None
    summary |= {"waiting": ["pretrain", "model", "eval"], "evaluation": {}}
    page = Page(render(summary))
    assert "Not finished: pretrain, model, eval are still to be done. This page shows what there is." in page.said()
    assert "Stage pretrain, not finished" in page.said()
    assert "nats per token over tokens seen. Training loss: from" in page.said()


def test_the_curve_has_the_bases_line_only_where_both_are_of_the_same_text(page: Page) -> None:
    assert "Base model: from 6.37 to 6.37" in page.said()
    assert "While training" not in page.said()
    summary = sample_summary()
    for curve in summary["training"]:
        curve["heldout_chars"] = 2000
    said = Page(render(summary)).said()
    assert "Base model: from" not in said
    assert "at most the first 2,000 characters of each held-out text are measured" in said


def test_a_stage_without_loss_still_draws_its_held_out_curve() -> None:
    summary = small_summary()
    for step in summary["training"][0]["steps"]:
        step["loss_bits_per_char"] = None
    assert "Held-out Japanese: from" in Page(render(summary)).said()


def test_one_drawing_for_each_chart_and_each_benchmark(page: Page) -> None:
    charts, bars = page.with_class("jc-chart"), page.with_class("jc-bar")
    assert (len(charts), len(bars), len(page.all("svg"))) == (5, 2, 7)  # the last Japanese curve stands beside the headline, too
    assert len(page.all("figure")) == 5
    for drawing in charts + bars:
        assert drawing["role"] == "img"
        assert len(drawing["aria-label"] or "") > 40
    assert charts[0] == charts[3]
    assert "Base model: from 6.37 to 6.37" in (charts[1]["aria-label"] or "")
    assert re.search("18.0 to 35.0 %.*chance level 25 %", bars[0]["aria-label"] or "")


def test_the_sentence_stands_in_both_tokenizers(page: Page) -> None:
    said = page.said()
    assert "Base: 26 tokens, 0.77 chars/token" in said
    assert "Adapted: 14 tokens, 1.43 chars/token" in said
    chips = [attrs for attrs in page.with_class("chip") if "title" in attrs]
    assert sum(attrs["title"] == "new token" for attrs in chips) == 6 + 2
    assert sum(attrs["title"] == "bytes of a character" for attrs in chips) == 12 + 2 + 6
    assert "\u2423" in page.text  # the token that is only a space


def test_japanese_text_is_marked_and_english_is_not(page: Page) -> None:
    sentences, samples = page.with_class("sentence"), page.with_class("sample")
    assert [attrs.get("lang") for attrs in sentences] == ["ja", "ja"]
    assert [attrs.get("lang") for attrs in samples] == ["ja", "ja", *["ja", "ja", None, None, "ja"]]  # the first two stand beside the headline
    assert all(attrs.get("lang") == "ja" for attrs in page.with_class("chips"))


def test_the_verdict_is_that_of_the_comparison(page: Page) -> None:
    said = page.said()
    assert "Everyday Japanese: SmolLM2 and model cannot be told apart (p = 0.700). Neither model's score can be told from chance (25 %)." in said
    assert "Warning: base answers position 2 on 91 of 100 items" in said
    assert "日本語の穴埋め: model is better than SmolLM2 by 13.2 points (p = 2.0e-05)." in said
    assert "corrected for 2 tests (Holm)" in said
    reason = "no verdict: 12 items are too few; 30 are needed"
    said = benchmark(p=0.0123, p_holm=None, outcome="no verdict", verdict=reason)
    assert f"{reason}." in said
    assert "0.012" not in said, "a p value without a verdict would be taken for one"


def test_criteria_pass_at_zero_only(page: Page) -> None:
    said = page.said()
    assert (said.count("\u2713 pass"), said.count("\u2717 fail")) == (4, 1)


def test_hashes_are_short_with_the_whole_in_the_title(page: Page) -> None:
    whole = "5a1395716f79" + "1b" * 26
    assert {"title": whole} in page.all("code")
    assert re.findall("5a1395716f79[0-9a-f\u2026]*", page.text) == ["5a1395716f79\u2026"]


def test_the_items_of_a_benchmark_are_counted(page: Page) -> None:
    assert "chance10026.018.0 to 35.0" in page.text, "the drawing, the items, the score of the base"


def test_tables_name_their_rows_and_columns(page: Page) -> None:
    assert page.all("th")
    assert all(attrs.get("scope") in {"col", "row", "rowgroup"} for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 6


def test_the_page_does_not_change_the_summary_and_is_repeatable() -> None:
    summary = sample_summary()
    before = json.dumps(summary)
    assert render(summary) == render(summary)
    assert json.dumps(summary) == before


def test_without_a_control_the_report_says_how_to_add_one() -> None:
    summary = sample_summary()
    assert summary["run"]["name"] == "quickstart"
    command = "jp-adapt run quickstart-base-tokenizer --out runs/control, then jp-adapt report {} --control runs/control"
    assert command.format("runs/quickstart") in render(summary)
    assert command.format("runs/q2") in headline_table(summary_of(summary), "runs/q2")
    assert "jp-adapt report runs/mine --control OTHER puts" in render(summary | {"run": summary["run"] | {"name": "mine"}})
    assert "no control" not in render(summary | {"tokenizer": None}).lower()


def test_a_control_stands_beside_the_three_numbers() -> None:
    headline = {"chars_per_token": {"adapted": 0.568}, "bits_per_char_ja": {"adapted": 4.66}, "bits_per_byte_en": {}}
    control = {"name": "plain", "title": "With the <base> tokenizer", "created": "2026-11-24T10:00:00+00:00", "headline": headline, "training_s": 331.0}
    summary = sample_summary()
    first, second = summary["evaluation"]["benchmarks"][:2]
    control["benchmarks"] = [first | {"adapted": {"value": 0.4567}}, second | {"adapted": {"value": 0.9}, "items": 1}]
    summary |= {"control": control}
    said = without_words(render(summary))
    assert [part in said for part in ("Control: 0.57 chars/token", "Control: 4.66 bits/char", "With the &lt;base&gt; tokenizer")] == [True] * 3
    assert said.count("Control: ") == 3, "the English figure is missing, and the third says which run it is"
    lines = headline_table(summary_of(summary)).splitlines()
    assert lines[0].split() == ["base", "adapted", "change", "control"]
    assert [line.split()[-1] for line in lines[1:6]] == ["0.568", "4.660", "–", "0.457", "–"], "not what was measured on other items"
    assert said.count("control 45.7 %") == 1
    assert lines[-1].startswith("control: run plain of 2026-11-24 (With the <base> tokenizer), training and held-out measures took 5 min 31 s, in this run ")
    assert "Control:" not in without_words(render(sample_summary()))


def test_an_unfinished_run_shows_what_it_wrote_while_it_trained() -> None:
    summary = small_summary() | {"waiting": ["eval"]}
    summary["evaluation"] = summary["evaluation"] | {"samples": [], "texts": [], "benchmarks": []}
    summary["training"][-1]["samples"] = [{"step": step, "prompt": "今日は", "text": text} for step, text in ((0, "the rain"), (40, "雨です。"))]
    page = Page(render(summary))
    said = page.said()
    assert "Not finished: eval is still to be done." in said
    written = " ".join(text for text in page.texts["p"] if text in ("the rain", "雨です。"))
    assert written == "the rain 雨です。 the rain 雨です。"  # beside the headline, and among the samples
    assert "While training: stage" in said
    assert "This run generated no samples." not in said
