"""The pages of `eval`: whole, self-contained, safe against what models and data sets write, and right."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.published import load_published
from jp_adapt.commands.compare import compare, write_evaluation_page
from jp_adapt.core.errors import UsageError
from jp_adapt.evaluation.compare import compare_runs, load_run
from jp_adapt.evaluation.published import compare_published
from jp_adapt.evaluation.results import (
    BenchmarkScore,
    MetricScore,
    Output,
    PartScore,
    PromptSet,
    Scores,
    TextScore,
    TouchedScores,
    read_outputs,
    read_scores,
    write_outputs,
    write_scores,
)
from jp_adapt.report import eval_items
from jp_adapt.report.eval_page import comparison_page, evaluation_page
from jp_adapt.report.svg_radar import Polygon, radar
from tests.pages import BalancedPage

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028\u202e<!--]]>\x00\x1b"
COLUMNS = (("ja/jcommonsenseqa", 3), ("ja/jnli", 3), ("ja/xwinograd-ja", 0))


class Page(BalancedPage):
    """Tags, text and scripts of a page."""

    def __init__(self, page: str) -> None:
        self.scripts: list[str] = []
        super().__init__(page)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif not (self.open and self.open[-1] == "style"):
            self.text += data


def write_run(folder: Path, right: int, text: str = "", items: int = 6) -> Path:
    """A run of the three benchmarks of Stability's protocol: the first `right` items are right."""
    folder.mkdir(parents=True)
    scores, outputs = [], []
    for name, shots in COLUMNS:
        value = right / items
        scores.append(
            BenchmarkScore(
                id=name,
                name=f"{name}@stability-0.3/{shots}-shot/accuracy",
                title=f"題{text}",
                version=f"1{text}",
                licence=f"L{text}",
                source=f"S{text}",
                revision=None,
                sha256={f"f{text}": "0" * 64},
                num_fewshot=shots,
                items={"ja/jcommonsenseqa": 1119, "ja/jnli": 2434, "ja/xwinograd-ja": 959}[name],
                primary_metric="accuracy",
                metrics={"accuracy": MetricScore(value, (max(0.0, value - 0.1), min(1.0, value + 0.1)), 0.05), f"other{text}": MetricScore(None)},
                chance=0.2,
                majority=0.3,
                warnings=[f"w{text}"],
                moved_boundaries=1,
            )
        )
        for n in range(items):
            prompt = "例を見て答えなさい。\n" * 30 + f"問{n}{text}"
            correct = int(n < right)
            outputs.append(
                Output(
                    name, f"{n}{text}", f"g{text}", prompt, [f"は{text}", "いいえ"], [-1.0, -2.5], None, 1 - correct, 0, {"accuracy": float(correct)}, n == 0, 0
                )
            )
    write_scores(folder, Scores({"name": f"{folder.name}{text}", "vocab_size": 32000}, "stability-0.3", scores))
    write_outputs(folder / "outputs.jsonl", outputs)
    return folder


def pages(tmp_path: Path, text: str = "") -> dict[str, str]:
    """Both kinds of page."""
    runs = [load_run(write_run(tmp_path / name, right, text)) for name, right in (("base", 2), ("adapted", 5), ("third", 2))]
    published = [compare_published(run.scores, load_published()) for run in runs]
    return {"one": evaluation_page(runs[0], published[0]), "several": comparison_page(compare_runs(runs), runs, published)}


def data_of(page: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(Page(page).scripts[0])
    return results


@pytest.mark.parametrize("kind", ["one", "several"])
def test_hostile_text_stays_text(tmp_path: Path, kind: str) -> None:
    clean, hostile = pages(tmp_path / "a")[kind], pages(tmp_path / "b", HOSTILE)[kind]
    hostile.encode("utf-8")
    calm, angry = Page(clean), Page(hostile)
    assert [tag for tag, _ in angry.tags] == [tag for tag, _ in calm.tags]
    assert angry.scripts[1:] == calm.scripts[1:]
    assert not [attrs for _, attrs in angry.tags if any(name.startswith("on") for name in attrs)]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", hostile)
    assert "<script>alert(1)</script>" in angry.text
    assert data_of(hostile)["items"][0]["id"] == f"0{HOSTILE}"
    assert "</" not in angry.scripts[0]


@pytest.mark.parametrize("kind", ["one", "several"])
def test_nothing_is_fetched_and_only_the_known_scripts_run(tmp_path: Path, kind: str) -> None:
    html = pages(tmp_path)[kind]
    parsed = Page(html)
    visible = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"@import|url\(", visible)
    for tag, attrs in parsed.tags:
        assert tag not in {"img", "iframe", "object", "embed", "video", "audio", "base", "use", "image"}
        assert all((attrs.get(name) or "#").startswith(("#", "data:,")) for name in ("src", "href", "srcset", "action"))
    policy = next(attrs["content"] or "" for attrs in parsed.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy")
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    assert allowed == [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in parsed.scripts[1:]]
    assert policy.startswith("default-src 'none'; ")
    assert "innerHTML" not in parsed.scripts[2]


@pytest.mark.parametrize("kind", ["one", "several"])
def test_a_page_is_one_document_whose_links_lead_somewhere(tmp_path: Path, kind: str) -> None:
    parsed = Page(pages(tmp_path)[kind])
    ids = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [attrs["href"] for attrs in parsed.all("a")] == [f"#{attrs['id']}" for attrs in parsed.all("section")]
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert not re.search(r"\b(None|nan|inf)\b", parsed.text)


def test_the_page_of_one_run_says_its_figures_and_who_stands_where(tmp_path: Path) -> None:
    words = " ".join(Page(pages(tmp_path)["one"]).text.split())
    assert "base on 3 benchmarks, profile stability-0.3. 3 warnings." in words
    assert "0.3333" in words
    assert "0.2333 to 0.4333" in words
    assert "Llama-2-7bStability AI's leaderboard, prompts 0.3below it0.5264\u22120.1931" in words
    assert "what we read of the card does not name the version of the prompts" in words
    assert "scoring begins inside the prompt in 1 item" in words


def test_the_radar_has_the_runs_and_the_best_published_models(tmp_path: Path) -> None:
    html = pages(tmp_path)["several"]
    given = re.findall(r"<title>((?:base|adapted|RakutenAI-7B)[^<]*: ja/jcommonsenseqa [^<]*)</title>", html)
    assert given[0] == "base: ja/jcommonsenseqa 0.333, ja/jnli 0.333, ja/xwinograd-ja 0.333"
    assert given[1].startswith("adapted: ja/jcommonsenseqa 0.833")
    assert any(entry.startswith("RakutenAI-7B-instruct: ja/jcommonsenseqa 0.930") for entry in given)


def test_the_browser_knows_what_each_model_gets_right(tmp_path: Path) -> None:
    data = data_of(pages(tmp_path)["several"])
    assert [key for key, _ in data["outcomes"]] == ["", "lost1", "gained1", "lost2", "gained2", "right", "wrong", "differ"]
    own = [item for item in data["items"] if item["b"] == 0]
    assert [item["outcomes"] for item in own] == [["right"]] * 2 + [["gained1", "differ"]] * 3 + [["wrong"]]
    assert [answer["mark"] for answer in own[2]["answers"]] == ["wrong", "right", "wrong"]
    assert (own[0]["gold"], own[0]["answers"][0]["text"], own[0]["answers"][0]["nats"]) == ("0", "0", ["-1.000", "-2.500"])
    assert data["shared"][own[0]["shared"]] == "例を見て答えなさい。\n" * 30
    assert own[3]["prompt"] == "問3"
    assert [item["flags"] for item in own] == [["moved"]] + [[]] * 5


def test_a_page_of_many_items_carries_the_ends_of_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(write_run(tmp_path / "run", 2, "長" * 1000))
    monkeypatch.setattr(eval_items, "LEAST_SHARED", 10**6)
    whole = eval_items.browser_data([run])["items"]
    assert all("\u2026" not in item["prompt"] for item in whole)
    monkeypatch.setattr(eval_items, "PAGE_CHARS", 18 * 500)
    cut = eval_items.browser_data([run])["items"]
    assert [item["prompt"] for item in cut] == ["\u2026" + item["prompt"][-500:] for item in whole]


def test_a_beginning_is_stored_once_for_each_group(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 2)
    outputs = [replace(output, group="ab"[n % 2], prompt="ab"[n % 2] * 300 + f"\n問{n}") for n, output in enumerate(list(read_outputs(run))[:6])]
    write_outputs(run / "outputs.jsonl", outputs)
    data = eval_items.browser_data([load_run(run)])
    assert data["shared"] == ["a" * 300 + "\n", "b" * 300 + "\n"]
    assert [(item["shared"], item["prompt"]) for item in data["items"]] == [(n % 2, f"問{n}") for n in range(6)]


def test_the_page_of_a_run_beside_its_base(tmp_path: Path) -> None:
    base, adapted = write_run(tmp_path / "base", 2), write_run(tmp_path / "adapted", 5)
    html = write_evaluation_page(adapted, baseline=base).read_text(encoding="utf-8")
    words = " ".join(Page(html).text.split())
    assert "Against base" in words
    assert "no verdict: 6 items are too few; 30 are needed" in words
    data = data_of(html)
    assert [key for key, _ in data["outcomes"]] == ["", "lost1", "gained1", "right", "wrong", "differ"]
    assert [[answer["model"] for answer in item["answers"]] for item in data["items"]] == [["base", "adapted"]] * 18


def test_parts_of_a_benchmark_are_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 2)
    scores = read_scores(run)
    first = replace(
        scores.benchmarks[0],
        groups={"解剖学": {"accuracy": 0.25}, "歴史": {"accuracy": 0.75}},
        touched=TouchedScores(2, 0.5, ["0", "1"], PartScore(2, {"accuracy": 1.0}), PartScore(4, {"accuracy": 0.125})),
        prompt_set=PromptSet("accuracy", 0.5, (0.375, 0.625), {"default": 0.375, "short": 0.625}),
    )
    write_scores(run, replace(scores, benchmarks=[first], texts=[TextScore("t", 1, 10, 30, 7, 4.5, 1.5)]))
    words = " ".join(Page(write_evaluation_page(run).read_text(encoding="utf-8")).text.split())
    for said in ("items in the training corpus1.00002", "the other items0.12504", "prompt “short”0.6250", "解剖学0.2500", "t4.50001.5000107"):
        assert said in words


def test_groups_that_fill_a_grid_are_a_heat_map(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 2)
    scores = read_scores(run)
    cells = {f"{length}/{depth}": {"accuracy": depth / 100} for length in (1000, 2000) for depth in (0, 50)}
    for groups, shown in ((cells, True), ({name: value for name, value in cells.items() if name != "2000/50"}, False)):
        write_scores(run, replace(scores, benchmarks=[replace(scores.benchmarks[0], groups=groups)]))
        words = write_evaluation_page(run).read_text(encoding="utf-8")
        assert ("2000, 50: 0.50" in words) == shown


def test_a_page_is_written_whole_and_overwrites_nothing(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", 2), write_run(tmp_path / "b", 5)
    page = tmp_path / "page.html"
    report = compare([a, b], page)
    assert report.pairs[0].benchmarks[0].gained == ["2", "3", "4"]
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(UsageError, match="exists already; give another --html"):
        compare([a, b], page)
    assert write_evaluation_page(a) == a / "index.html"
    assert write_evaluation_page(a) == a / "index.html"  # its own page may be written anew


def test_a_radar_needs_three_axes_and_whole_polygons() -> None:
    with pytest.raises(ValueError, match="a radar needs 3 axes, and there are 2"):
        radar(["a", "b"], [], title="t")
    with pytest.raises(ValueError, match="'m' has 2 values, and there are 3 axes"):
        radar(["a", "b", "c"], [Polygon("m", [0.1, 0.2])], title="t")
    drawing = radar(["a", "b", "c", "d"], [Polygon("m", [1.0, 0.5, 0.0, 2.0])], title="t")
    shape = re.findall(r'<polygon class="jc-l0"[^>]*points="([^"]+)"', drawing)[0]
    x, y = zip(*(map(float, pair.split(",")) for pair in shape.split()), strict=True)
    assert (x[0], x[2]) == (230, 230)
    assert y[2] - y[0] == 120  # the first axis is at the rim, the third in the middle
    assert x[1] - 230 == 60
    assert 230 - x[3] == 120  # what is beyond the rim stays on it


def judged(folder: Path, grades: list[float], scale: tuple[float, float] | None = (1.0, 5.0)) -> Path:
    """What `judge` writes of one model."""
    folder.mkdir()
    score = BenchmarkScore(
        id="ja/elyza-tasks-100",
        name="ja/elyza-tasks-100@judge:j/0-shot/judge_score",
        title="ELYZA",
        version="1",
        licence="CC-BY-SA-4.0",
        source="here",
        revision=None,
        sha256={},
        num_fewshot=0,
        items=len(grades),
        primary_metric="judge_score",
        metrics={"judge_score": MetricScore(sum(grades) / len(grades))},
        chance=None,
        majority=None,
        scale=scale,
    )
    write_scores(folder, Scores({"name": folder.name}, "judge:j", [score]))
    said = [[{"turn": 1, "take": 1, "score": grade, "judgement": "なるほど"}] for grade in grades]
    outputs = [Output(score.id, str(n), "", f"問{n}", None, None, f"答{n}", said[n], None, {"judge_score": grade}) for n, grade in enumerate(grades)]
    write_outputs(folder / "outputs.jsonl", outputs)
    return folder


def test_grades_are_drawn_and_what_a_judge_said_stands_apart(tmp_path: Path) -> None:
    folder = judged(tmp_path / "a", [1, 5, 5, 3])
    lines = [json.loads(line) for line in (folder / "outputs.jsonl").read_text(encoding="utf-8").splitlines()]
    lines[0]["prediction"][0]["judgement"] = '{"reason": "短い", "grade": 1}'
    (folder / "outputs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    page = write_evaluation_page(folder).read_text(encoding="utf-8")
    assert "Grades: ja/elyza-tasks-100, percent" in page
    assert "a, 5: 50.00 %; a, 4: 0.00 %; a, 3: 25.00 %; a, 2: 0.00 %; a, 1: 25.00 %." in page
    answers = [item["answers"][0] for item in data_of(page)["items"]]
    assert [answer["text"] for answer in answers] == ["答0", "答1", "答2", "答3"]
    assert answers[0]["judged"] == [["1", "1", "1", "reason: 短い\ngrade: 1"]]
    assert answers[1]["judged"] == [["1", "1", "5", "なるほど"]]


def test_grades_beside_reference_answers_are_drawn_by_category(tmp_path: Path) -> None:
    folder = judged(tmp_path / "a", [4, 6], scale=None)
    [score] = read_scores(folder).benchmarks
    groups = {"conv": {"judge_ratio": 62.5}, "detail": {"judge_ratio": 120.0}}
    write_scores(
        folder, Scores({"name": "a"}, "judge:j", [replace(score, primary_metric="judge_ratio", metrics={"judge_ratio": MetricScore(91.25)}, groups=groups)])
    )
    lines = [replace(output, prediction=[output.prediction[0] | {"reference_score": 8.0}]) for output in read_outputs(folder)]
    write_outputs(folder / "outputs.jsonl", lines)
    page = write_evaluation_page(folder).read_text(encoding="utf-8")
    assert "Beside the reference answers: ja/elyza-tasks-100, percent" in page
    assert "mean of the categories, a: 91.25 %; conv, a: 62.50 %; detail, a: 120.00 %." in page
    assert "Grades: " not in page
    assert data_of(page)["items"][0]["answers"][0]["judged"] == [["1", "1", "4/8.0", "なるほど"]]


def test_a_grade_of_1_is_the_worst_and_shown_so(tmp_path: Path) -> None:
    runs = [load_run(judged(tmp_path / "a", [1, 5, 1, 3])), load_run(judged(tmp_path / "b", [1, 5, 5, 4]))]
    data = eval_items.browser_data(runs)
    marks = [[(answer["score"], answer["mark"]) for answer in item["answers"]] for item in data["items"]]
    assert marks == [[("1", "wrong")] * 2, [("5", "right")] * 2, [("1", "wrong"), ("5", "right")], [("3", ""), ("4", "")]]
    assert [item["outcomes"] for item in data["items"]] == [["wrong"], ["right"], ["gained1", "differ"], ["gained1", "differ"]]
    assert data["outcomes"][-3:] == [("right", ["all best grade"]), ("wrong", ["all worst grade"]), ("differ", ["different scores"])]
    unknown = eval_items.browser_data([load_run(judged(tmp_path / "c", [1, 5], scale=None))])
    assert [(item["outcomes"], item["answers"][0]["mark"]) for item in unknown["items"]] == [([], ""), ([], "")], "of an unknown scale nothing is said"


@pytest.mark.parametrize(
    ("metric", "scores", "marks"), [("pearson", [1.0, 0.0], ["", ""]), ("bleu", [100.0, 1.0], ["right", ""]), ("mcc", [1.0, 0.0], ["right", "wrong"])]
)
def test_what_is_right_comes_from_the_scale_of_the_metric(tmp_path: Path, metric: str, scores: list[float], marks: list[str]) -> None:
    folder = judged(tmp_path / "a", scores, scale=None)
    (score,) = read_scores(folder).benchmarks
    write_scores(folder, Scores({"name": "a"}, "p", [replace(score, primary_metric=metric, metrics={metric: MetricScore(0.5)})]))
    write_outputs(folder / "outputs.jsonl", [replace(output, scores={metric: scores[n]}) for n, output in enumerate(list(read_outputs(folder)))])
    assert [item["answers"][0]["mark"] for item in eval_items.browser_data([load_run(folder)])["items"]] == marks


def test_choices_are_cut_as_prompts_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run", 2)
    outputs = [replace(output, prompt="問" * 3000, choices=["選" * 600] * 4, log_likelihoods=[-1.0] * 4) for output in read_outputs(run)]
    write_outputs(run / "outputs.jsonl", outputs)
    whole = eval_items.browser_data([load_run(run)])
    assert whole["items"][0]["choices"] == ["選" * 600] * 4
    monkeypatch.setattr(eval_items, "PAGE_CHARS", 18 * 400)
    cut = eval_items.browser_data([load_run(run)])
    assert cut["items"][0]["choices"] == ["選" * 100 + "\u2026"] * 4
    assert sum(len(item["prompt"]) + sum(map(len, item["choices"])) for item in cut["items"]) < 2.1 * 18 * 400


def test_what_is_not_compared_is_said_once(tmp_path: Path) -> None:
    words = Page(pages(tmp_path)["several"]).text
    assert words.count("Not compared:") <= 1
    runs = [load_run(judged(tmp_path / name, [1.0, 5.0] * 20)) for name in "ab"]
    alone = comparison_page(compare_runs(runs), runs, [compare_published(run.scores, []) for run in runs])
    assert "With published scores" not in alone
    assert "published" not in Page(alone).text


def test_bars_of_a_share_end_at_a_perfect_score(tmp_path: Path) -> None:
    html = pages(tmp_path)["several"]
    bars = re.findall(r'<rect class="jc-d[0-9]" fill="[^"]+" x="([0-9.]+)" y="[^"]+" width="([0-9.]+)"', html)
    shares = [float(width) / (400 - float(left)) for left, width in bars]  # the scale ends 60 pixels before the drawing's 460
    assert max(shares) == pytest.approx(0.935, abs=0.006), "the best published score, not the whole width"


BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: the page's script is not run")
@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("", "18 of 18 items, shown 1 to 18"),
        ("?outcome=gained1", "9 of 18 items, shown 1 to 9"),
        ("?outcome=lost1", "0 of 18 items"),
        ("?benchmark=1&flag=moved&open", "1 of 18 items, shown 1 to 1"),
    ],
)
def test_a_real_browser_runs_the_script_and_nothing_of_the_items(tmp_path: Path, link: str, shown: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages(tmp_path, HOSTILE)["several"], encoding="utf-8")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]
    done = subprocess.run([*command, f"{page.as_uri()}#items{link}"], capture_output=True, timeout=60, check=True)
    results = done.stdout.decode("utf-8", "replace")
    assert f'role="status">{shown}<' in results
    assert not re.search(r"<(img|script)[^>]*(src=x|>alert)", results)
    if "open" in link:
        assert re.search(r"<details open[^>]*>.*?<th>Choice</th>", results, re.DOTALL)
