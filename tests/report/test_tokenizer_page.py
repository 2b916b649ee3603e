"""The pages of the tokenizer commands: complete, escaped, self-contained, and honest about what was not checked."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from jp_adapt.core.documents import record_from
from jp_adapt.core.errors import InputError
from jp_adapt.report import tokenizer_page
from jp_adapt.report.svg import Bar, bar_chart
from jp_adapt.report.tokenizer_report import ComparisonReport, ExtensionReport, VerificationReport
from tests.pages import BalancedPage

ATTACK = "</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\" ' & \x00\x01\x1b[31m\x85\u202egnp\ud800"
NAMES = (
    ("base_ids_changed", "all"),
    ("unreachable_new_tokens", "tokenizers"),
    ("unreachable_new_tokens", "sentencepiece"),
    ("dead_base_tokens", "tokenizers"),
    ("changed_lines", "all"),
    ("longer_inputs", "all"),
    ("round_trip_failures", "tokenizers"),
    ("round_trip_failures", "sentencepiece"),
    ("runtimes_disagree", "all"),
    ("llama_cpp_check_string", "tokenizers"),
)


def document(kind: type[Any], value: dict[str, Any]) -> Any:
    return record_from(kind, value, "report.json")


def extension_page(value: dict[str, Any]) -> str:
    return tokenizer_page.extension_page(document(ExtensionReport, value))


def verification_page(value: dict[str, Any]) -> str:
    return tokenizer_page.verification_page(document(VerificationReport, value))


def comparison_page(value: dict[str, Any]) -> str:
    return tokenizer_page.comparison_page(document(ComparisonReport, value))


def chip(text: str, new: bool = False, partial: bool = False) -> dict[str, Any]:
    return {"text": text, "new": new, "partial": partial}


def measure(tokens: int, shares: tuple[float, float, float, float], words: int | None = 6789) -> dict[str, Any]:
    fallback, broken, renyi, used = shares
    return {
        "documents": 30,
        "chars": 12900,
        "bytes": 38123,
        "tokens": tokens,
        "words": words or 0,
        "chars_per_token": 12900 / tokens,
        "bytes_per_token": 38123 / tokens,
        "tokens_per_word": tokens / words if words else None,
        "byte_fallback_share": fallback,
        "broken_share": broken,
        "renyi_efficiency": renyi,
        "vocabulary_use": used,
    }


def criteria(**failures: int) -> list[dict[str, Any]]:
    """Every criterion, passed but for `failures`."""
    results = []
    for index, (name, runtime) in enumerate(NAMES):
        count = failures.get(name, 0)
        examples = [f"{name} \u8ab0\t\u304b {number}\n" for number in range(min(count, 5))]
        results.append({"name": name, "runtime": runtime, "failures": count, "checked": 40_001 + index, "examples": examples})
    return results


def sample_report() -> dict[str, Any]:
    """A report such as `tokenizer extend` writes."""
    text = "今日は図書館で新しい本を三冊借りました。"
    extended = [("今日は", 1), ("図", 0), ("書", 1), ("館", 1), ("で", 0), ("新しい", 1), ("本", 0), ("を", 0), ("三", 0), ("E5 86", 2), ("8A", 2)]
    words = ("ました", "です", "こと", "日本", "という", "コーヒー", "している", "について", "株式会社", "、「")
    return {
        "format": 2,
        "base": {"name": "tokenizer.model", "family": "SentencePiece BPE", "vocab_size": 32000, "sha256": "9e556afd44213b" + "6b" * 25},
        "extension": {
            "new_tokens": 12581,
            "added_bytes": 3,
            "vocab_size": 44581,
            "padded_vocab_size": 44608,
            "boundaries": "phrase",
            "max_token_chars": 16,
            "min_count": 24,
            "normalisation": "none",
        },
        "corpus": [
            {"source": "ja_web.jsonl", "documents": 51234, "chars": 98765432, "repeated_lines": 4321, "weight": 0.9},
            {"source": "青空文庫", "documents": 812, "chars": 7654321, "repeated_lines": 17, "weight": 0.125},
        ],
        "criteria": criteria(),
        "by_script": [
            {"script": name, "tokens": tokens, "uses": uses}
            for name, tokens, uses in (
                ("kanji", 5210, 912345),
                ("mixed", 3505, 523456),
                ("hiragana", 2101, 1834567),
                ("katakana", 1502, 234567),
                ("punct", 141, 345678),
                ("width", 61, 4567),
                ("kana_mark", 8, 123),
                ("partial", 53, 6789),
            )
        ],
        "by_length": [{"chars": n, "tokens": 5200 // n, "uses": 2_000_000 // n**2} for n in range(1, 9)],
        "by_use": [{"at_least": low, "tokens": tokens} for low, tokens in ((0, 19), (1, 211), (25, 6012), (100, 5007), (1000, 1202), (10000, 130))],
        "most_used": [{"id": 32003 + 7 * i, "token": words[i % 10] + "" * i, "count": 98765 - 1234 * i, "sources": list(words[i % 10])} for i in range(60)],
        "measures": [
            {"source": "ja_heldout", "base": measure(22811, (0.213, 0.244, 0.412, 0.0433)), "extended": measure(10454, (0.0011, 0.0013, 0.531, 0.1877))},
            {"source": "en_heldout", "base": measure(6904, (0.0, 0.0, 0.456, 0.118), None), "extended": measure(6904, (0.0, 0.0, 0.439, 0.0849), None)},
        ],
        "samples": [
            {
                "text": text,
                "base": [chip(c) if c in "はでしいをりまた。今日本三" else chip(c.encode().hex(" ").upper(), partial=True) for c in text],
                "extended": [*(chip(t, k == 1, k == 2) for t, k in extended), chip("借", True), chip("りました", True), chip("。")],
            },
            {
                "text": "Tokyo の天気",
                "base": [chip("Tok"), chip("yo"), chip(" "), chip("の"), chip("天"), chip("気")],
                "extended": [chip("Tokyo"), chip(" "), chip("の天気", True)],
            },
        ],
    }


def sample_verification() -> dict[str, Any]:
    return {
        "format": 2,
        "base": {"name": "llama-3/tokenizer.json", "family": "tiktoken BPE", "vocab_size": 128256},
        "extended": {"name": "runs/ja/tokenizer", "family": "byte-level BPE", "vocab_size": 138251},
        "texts": ["data/ja.txt", "data/en.txt"],
        "criteria": criteria(changed_lines=3, runtimes_disagree=217),
        "holds": False,
    }


def sample_comparison() -> dict[str, Any]:
    names = ("smollm2", "llama-2-7b", "llama-3-8b", "a very long name of a tokenizer in runs/ja/stages/tok/final", "日本語トークナイザー", "gpt2")
    sources = ("ja_web", "青空文庫", "en_wiki")
    return {
        "format": 2,
        "tokenizers": [{"name": n, "family": "byte-level BPE", "vocab_size": 32001 + 1111 * i} for i, n in enumerate(names)],
        "sources": list(sources),
        "rows": [
            {"tokenizer": n, "source": s, "measure": measure(9001 + 1013 * i + 2003 * j, (0.01 * i, 0.012 * i, 0.4 + 0.013 * i, 0.21 - 0.011 * i))}
            for j, s in enumerate(sources)
            for i, n in enumerate(names)
        ],
    }


PAGES: list[tuple[Callable[[dict[str, Any]], str], Callable[[], dict[str, Any]]]] = [
    (extension_page, sample_report),
    (verification_page, sample_verification),
    (comparison_page, sample_comparison),
]
every_page = pytest.mark.parametrize(("page", "sample"), PAGES)


class Page(BalancedPage):
    """Collects what the tests ask about."""

    def __init__(self, page: str) -> None:
        self.code = ""
        super().__init__(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        self.text += " " if tag == "small" else ""

    def handle_endtag(self, tag: str) -> None:
        super().handle_endtag(tag)
        self.text += "" if tag in {"span", "code"} else " "  # cells, items and paragraphs stand apart

    def handle_data(self, data: str) -> None:
        if {"style", "script"} & set(self.open):
            self.code += data
        else:
            self.text += data

    def words(self) -> str:
        return " ".join(self.text.split())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every number, text and flag inside `value`, with its place."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def forms(value: Any) -> tuple[str, ...]:
    """The ways in which a page may write a value."""
    if isinstance(value, str):
        return (value, value.replace("\n", "\u21b5").replace("\t", "\u21e5"), value.replace(" ", "\u2423"), value[:12], " ".join(value.split()))
    if isinstance(value, int):
        return (f"{value:,}", str(value))
    return (f"{value:.3f}", f"{value * 100:.2f} %", f"{value:.4g}")


@every_page
def test_every_value_of_the_report_is_on_the_page(page: Any, sample: Any) -> None:
    report = sample()
    parsed = Page(page(report))
    words = parsed.words()
    renamed = {"name", "runtime", "boundaries", "script"}  # these are written as plain English
    for path, value in leaves(report):
        key = path[-1]
        if key in {"format", "new", "partial", "holds", "byte_tokens", "broken_tokens"} or value is None or (key in renamed and "tokenizers" not in path):
            continue
        results = (form in words if isinstance(value, str) else re.search(rf"(?<![\d.,]){re.escape(form)}(?!\d)", words) for form in forms(value))
        assert any(results), (path, value)
    assert not re.search(r"\b(None|nan|inf|NaN)\b", words)


def poisoned(value: Any) -> Any:
    """A document with the attack before every text of it."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: poisoned(getattr(value, entry.name)) for entry in fields(value) if entry.name not in ("kind", "format")})
    if isinstance(value, list):
        return [poisoned(inner) for inner in value]
    return ATTACK + value if isinstance(value, str) else value


@every_page
def test_no_text_of_a_report_can_become_markup(page: Any, sample: Any) -> None:
    kind = {extension_page: ExtensionReport, verification_page: VerificationReport, comparison_page: ComparisonReport}[page]
    render = getattr(tokenizer_page, page.__name__)
    html = render(poisoned(document(kind, sample())))
    html.encode("utf-8")  # a lone surrogate would fail here
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", html)
    results, clean = Page(html), Page(page(sample()))
    assert results.code == clean.code
    assert [tag for tag, _ in results.tags if tag != "small"] == [tag for tag, _ in clean.tags if tag != "small"]
    assert not [attrs for _, attrs in results.tags if any(name.startswith("on") for name in attrs)]
    assert results.text.count("<script>alert(1)</script>") > 15  # it is there, as text


@every_page
def test_nothing_is_loaded_from_elsewhere(page: Any, sample: Any) -> None:
    html = page(sample())
    parsed = Page(html)
    assert "://" not in html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"@import|url\(", html)
    for tag, attrs in parsed.tags:
        assert tag not in {"img", "iframe", "object", "embed", "video", "audio", "source", "base", "use", "image"}
        for name in ("src", "href", "srcset", "action"):
            assert (attrs.get(name) or "#").startswith(("#", "data:,")), (tag, attrs)
    policy = next(attrs["content"] or "" for attrs in parsed.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert len(parsed.all("script")) == 1


@every_page
def test_a_page_is_one_document_whose_links_lead_somewhere(page: Any, sample: Any) -> None:
    report = sample()
    before = json.dumps(report)
    html = page(report)
    assert html == page(report)
    assert json.dumps(report) == before
    assert html.startswith("<!DOCTYPE html>")
    parsed = Page(html)
    ids = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [attrs["href"] for attrs in parsed.all("a")] == [f"#{attrs['id']}" for attrs in parsed.all("section")]
    assert all(attrs.get("scope") in {"col", "row", "rowgroup"} for attrs in parsed.all("th"))
    assert len(parsed.all("caption")) == len(parsed.all("table"))


@every_page
def test_every_list_may_be_empty(page: Any, sample: Any) -> None:
    report = sample()
    empty = {key: [] if isinstance(value, list) else value for key, value in report.items()}
    words = Page(page(empty)).words()
    assert re.search("No criterion was checked|No text was measured", words)
    for key, value in report.items():
        if isinstance(value, list):
            Page(page({**report, key: []}))


@every_page
def test_a_number_that_is_none_becomes_a_dash_or_is_refused(page: Any, sample: Any) -> None:
    shown = 0
    for path, value in leaves(sample()):
        if isinstance(value, float):
            report = copy.deepcopy(sample())
            place: Any = report
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = None
            try:
                words = Page(page(report)).words()
            except InputError:
                continue
            shown += 1
            assert "\u2013" in words
            assert not re.search(r"\b(nan|inf|None)\b", words), path
    assert shown or page is verification_page, "a text without words has no tokens a word"


def test_the_opening_says_what_came_of_an_extension() -> None:
    words = Page(extension_page(sample_report())).words()
    assert "The SentencePiece BPE tokenizer was given 12,581 new tokens." in words
    assert "ja_heldout from 0.57 to 1.23, en_heldout from 1.87 to 1.87" in words
    assert "All 10 checks passed." in words
    many = sample_report()
    many["measures"] *= 3
    assert "from 0.57 to 1.23" not in Page(extension_page(many)).words()


def test_changes_are_relative_and_those_of_shares_are_points() -> None:
    words = Page(extension_page(sample_report())).words()
    assert "+118.2 %" in words
    assert "\u221254.2 %" in words
    assert "\u221221.19 points" in words


def test_uses_are_told_as_ranges() -> None:
    words = Page(extension_page(sample_report())).words()
    for text in ("0 times", "1 to 24 times", "25 to 99 times", "1,000 to 9,999 times", "10,000 times or more"):
        assert text in words
    shuffled = sample_report()
    shuffled["by_use"].reverse()
    assert extension_page(shuffled) == extension_page(sample_report())


def test_new_and_partial_tokens_are_told_apart() -> None:
    parsed = Page(extension_page(sample_report()))
    hints = [attrs["title"] for attrs in parsed.all("li") if "title" in attrs]
    assert hints.count("new token") == 7 - 1 + 1 + 60  # two sentences, and the list of the most used
    assert hints.count("bytes of a character") == 6 + 2
    assert "Extended: 14 tokens, 1.43 chars/token" in parsed.words()


def test_criteria_say_what_failed_and_why_it_matters() -> None:
    parsed = Page(verification_page(sample_verification()))
    words = parsed.words()
    assert "\u2717 The extension does not hold. 2 of 10 checks failed: lines without Japanese that are cut differently (all runtimes): 3" in words
    assert (words.count("\u2713 pass"), words.count("\u2717 fail")) == (8, 2)
    assert "must reach the model exactly as before" in words
    assert "cut differently, all runtimes: every failure" in words
    assert "disagree, all runtimes: the first examples" in words
    assert "changed_lines \u8ab0\u21e5\u304b 2\u21b5" in words
    assert [attrs["rowspan"] for attrs in parsed.all("th") if "rowspan" in attrs] == ["1", "2", "1", "1", "1", "2", "1", "1"]


def test_what_was_not_checked_did_not_pass() -> None:
    report = {**sample_verification(), "criteria": criteria(), "holds": True}
    assert "\u2713 The extension holds. All 10 checks passed." in Page(verification_page(report)).words()
    report["criteria"][0]["checked"] = 0
    words = Page(verification_page(report)).words()
    assert words.count("nothing to check") == 1
    assert words.count("\u2713 pass") == 9
    assert "9 of 10 checks passed, 1 had nothing to look at." in words


def test_an_unknown_criterion_keeps_its_name() -> None:
    report = sample_verification()
    report["criteria"] = [{"name": "some_new_check", "runtime": "mlx", "failures": 0, "checked": 5, "examples": []}]
    assert "some new check mlx \u2713 pass 0 5" in Page(verification_page(report)).words()


def test_a_bar_for_each_tokenizer_and_source() -> None:
    comparison = sample_comparison()
    html = comparison_page(comparison)
    given = re.findall(r"<title>([^<]*chars/token)</title>", html)
    assert len(given) == len(comparison["rows"])
    assert given[0] == "ja_web, smollm2: 1.43 chars/token"
    assert Page(html).all("svg")[0]["role"] == "img"
    assert len(Page(html).all("table")) == len(comparison["sources"]) + 1


def test_bars_start_at_zero_and_share_one_scale() -> None:
    drawing = bar_chart([("a", [Bar("x", 1.0), Bar("y", 2.0, 1)]), ("b", [Bar("x", 4.0), Bar("y", None), Bar("z", math.nan)])], title="t", unit="u")
    bars = [(float(x), float(width)) for x, width in re.findall(r'<rect class="jc-d\d" fill="#\w+" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawing)]
    assert len({x for x, _ in bars}) == 1
    widths = [width for _, width in bars]
    assert widths[3:] == [0, 0]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[2] == pytest.approx(4 * widths[0], abs=0.4)
    assert "b, y: \u2013 u" in drawing


def test_a_long_name_keeps_its_ends_and_a_short_one_stays() -> None:
    drawing = bar_chart([("a", [Bar("runs/" + "x" * 80 + "/final", 1.0), Bar("short", 1.0)])], title="t", unit="u")
    shown = re.findall(r'text-anchor="end"[^>]*>([^<]+)<', drawing)
    assert shown[0].startswith("runs/x")
    assert shown[0].endswith("x/final")
    assert "\u2026" in shown[0]
    assert len(shown[0]) < 30  # of 91
    assert shown[1] == "short"
    assert "no data" in bar_chart([], title="t", unit="u")
