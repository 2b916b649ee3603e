"""`jp-adapt judge` as a user meets it: against a real server, killed in the middle, again with the same folder."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.cli.main import main
from jp_adapt.evaluation.judge.results import read_judge_summary
from jp_adapt.evaluation.results import read_outputs, read_scores
from tests.cli.judging import ELYZA, run
from tests.judge_server import fastchat, grade_of, judge_server, llava, predictions, small_data, write_lines
from tests.processes import Command

TASK = "433894784be3117855e37ab5712d1479f6e541bda1e0d30e855a7e1447718c5e"  # hash of ELYZA's declaration in the folders of earlier versions
MISBEHAVIOUR = ["429", "malformed", "ok", "half", "500", "ok", "hang-up", "chunks", "error-with-200", "ok", "garbage", "null"]


pytestmark = pytest.mark.usefixtures("hasty")


def test_elyza_through_every_trouble(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data"), predictions(tmp_path / "m" / "preds.jsonl"), tmp_path / "out"
    with judge_server(MISBEHAVIOUR) as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--takes", 2, "--timeout", 0.8)
        text, _ = run(capsys, *arguments, "--json")
        report = json.loads(text)
        asked = len(server.bodies)
        assert sum(server.answered.values()) == 24
        assert set(server.answered.values()) == {2}  # each of the 12 requests once for each take
        again = json.loads(run(capsys, *arguments, "--json")[0])
        assert len(server.bodies) == asked
    grades = [grade_of(body["messages"][0]["content"]) for body in {json.dumps(body): body for body in server.bodies}.values()]
    assert report["models"][0]["mean"] == pytest.approx(sum(grades) / 12)
    assert report["models"][0]["agreement"]["same"] == [12]
    assert (report["usage"]["fresh_requests"], again["usage"]["fresh_requests"], again["usage"]["requests"]) == (24, 0, 24)
    assert report["models"] == again["models"]
    summary = read_judge_summary(out)
    assert json.loads(json.dumps(summary.as_dict())) == again
    assert summary.models[0].agreement is not None
    assert summary.models[0].agreement.same == [12]
    assert report["without_verdict"] == 0
    lines = [json.loads(line) for line in (out / "judgements.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["take"], line["item"]) for line in lines] == [(take, str(n)) for take in (1, 2) for n in range(12)]
    scores = read_scores(out / "m")
    assert scores.benchmarks[0].name == "ja/elyza-tasks-100@judge:judge-1/0-shot/judge_score"
    assert scores.benchmarks[0].metrics["judge_score"].value == pytest.approx(sum(grades) / 12)
    assert [output.scores["judge_score"] for output in read_outputs(out / "m")] == [line["score"] for line in lines[:12]]
    first = next(read_outputs(out / "m"))
    assert (first.prompt, first.gold) == ("問題0\n\n採点の観点：\n- 基準0", "正解0"), "what it was graded by lies beside it"


@pytest.mark.parametrize("moment", [0.15, 0.4])
def test_killed_in_the_middle_nothing_is_lost_and_nothing_is_judged_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str], moment: float) -> None:
    data, answers, out = small_data(tmp_path / "data", 40), predictions(tmp_path / "m" / "preds.jsonl", 40), tmp_path / "out"
    with judge_server(pause_s=0.03) as server:
        arguments = [str(answers), *ELYZA, "--data", str(data), "--endpoint", server.url, "--out", str(out), "--parallel", "3"]
        process = Command("judge", *arguments)
        cache = out / "cache.jsonl"
        deadline = time.monotonic() + 30
        while not (cache.exists() and cache.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        assert process.wait().returncode == -signal.SIGKILL
        time.sleep(0.1)
        kept = cache.read_bytes().count(b"\n")
        before = len(server.bodies)
        assert 0 < kept < 40
        report = json.loads(run(capsys, *arguments, "--json")[0])
        asked_again = len(server.bodies) - before
    assert report["usage"]["requests"] == 40
    assert asked_again == 40 - kept == report["usage"]["fresh_requests"]  # what was on the disk is not asked for again
    assert before - kept <= 3  # and no more than what was under way had to be
    assert sorted(server.answered.values())[:37] == [1] * 37


def test_a_half_written_line_costs_one_judgement_and_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data"), predictions(tmp_path / "m" / "preds.jsonl"), tmp_path / "out"
    with judge_server() as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--json")
        first = json.loads(run(capsys, *arguments)[0])
        cache = out / "cache.jsonl"
        os.truncate(cache, cache.stat().st_size - 9)
        second = json.loads(run(capsys, *arguments)[0])
    assert (first["half_written_lines"], second["half_written_lines"], second["usage"]["fresh_requests"]) == (0, 1, 1)
    assert first["models"] == second["models"]


def test_a_key_that_the_server_repeats_is_stored_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    with judge_server(["repeats-the-key"], key="sk-very-secret") as server:
        said = run(capsys, answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--api-key-env", "JUDGE_KEY")
    assert "very-secret" not in "".join(said) + "".join(path.read_text(encoding="utf-8") for path in out.rglob("*") if path.is_file())
    assert "鍵はBearer ***" in (out / "judgements.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["cache.jsonl", "Summary.json", "judge_summary.json", "judge.json", "judgements.jsonl"])
def test_a_model_that_has_the_name_of_a_file_of_the_judging_is_refused_before_anything_is_paid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    data, answers = small_data(tmp_path / "data", 2), predictions(tmp_path / f"{name}.jsonl", 2)
    with judge_server() as server:
        _, err = run(capsys, answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", tmp_path / "out", code=2)
        assert not server.bodies
    assert f"and '{name}' is a file of the judging itself; rename the file" in err


def test_a_judging_that_came_to_no_reply_holds_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    with judge_server() as server:
        arguments = [answers, *ELYZA, "--data", data, "--out", out]
        _, err = run(capsys, *arguments, "--endpoint", "http://127.0.0.1:9/v1", code=1)
        assert "nobody answers (ConnectError: Connection refused)" in err
        run(capsys, *arguments, "--endpoint", server.url)
        _, err = run(capsys, *arguments, "--endpoint", "http://127.0.0.1:9/v1", code=5)
    assert "holds another judging; these settings differ:\n  judge.endpoint: 'http://127.0.0.1:" in err
    (out / "judge.json").write_text("[]", encoding="utf-8")
    _, err = run(capsys, *arguments, "--endpoint", server.url, code=3)
    assert "judge.json: not the record of a judging in format 2: an object is needed, not []; give another --out" in err


def test_a_folder_of_something_else_is_refused_and_one_of_an_earlier_version_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    with judge_server() as server:
        arguments = [answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out"]
        _, err = run(capsys, *arguments, tmp_path / "m", code=5)
        assert "m: is not empty, and holds no judging; give another --out" in err
        run(capsys, *arguments, out)
        record = json.loads((out / "judge.json").read_text(encoding="utf-8"))
        assert record["identity"]["task"] == TASK, "the folders of earlier versions are still those of this judging"
        hashes = {"judge": "0" * 64, "task": record["identity"]["task"], "answers": record["identity"]["answers"]}
        write_lines(out / "judge.json", [{"format": 1, "identity": record["identity"]["judge"], "sha256": hashes}])
        run(capsys, *arguments, out)
        assert len(server.bodies) == 2, "nothing is asked again"
        assert json.loads((out / "judge.json").read_text(encoding="utf-8")) == record
        write_lines(out / "judge.json", [{"format": 1, "identity": {"model": "other"}, "sha256": hashes}])
        _, err = run(capsys, *arguments, out, code=5)
    assert "judge.model: 'other' there, 'judge-1' now" in err


def test_the_key_is_nowhere_in_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    with judge_server(["500"], key="sk-very-secret") as server:
        said = run(capsys, answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--api-key-env", "JUDGE_KEY")
    assert "very-secret" not in "".join(said) + "".join(path.read_text(encoding="utf-8") for path in out.rglob("*") if path.is_file())
    with judge_server(key="other") as server:
        _, err = run(capsys, answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out / "b", "--api-key-env", "JUDGE_KEY", code=1)
    assert "HTTP 401" in err
    assert "very-secret" not in err


def test_cost_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data"), predictions(tmp_path / "m" / "preds.jsonl"), tmp_path / "out"
    with judge_server() as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1)
        prices = ("--price-in", 1000, "--price-out", 2000)
        estimate = json.loads(run(capsys, *arguments, *prices, "--takes", 3, "--dry-run", "--json")[0])["estimate"]
        assert "cost unknown" in run(capsys, *arguments, "--dry-run")[0]
        _, err = run(capsys, *arguments, "--max-cost", 1, code=2)
        assert "--max-cost needs --price-in and --price-out" in err
        _, err = run(capsys, *arguments, *prices, "--max-cost", 0.5, code=2)
        assert "is more than --max-cost 0.5; nothing was asked" in err
        assert server.bodies == []
        assert not out.exists()
        assert estimate["requests"] == 36
        report = json.loads(run(capsys, *arguments, *prices, "--json")[0])
        usage = report["usage"]
        assert usage["tokens_in"] == sum(len(body["messages"][0]["content"]) for body in server.bodies)
        assert usage["tokens_out"] == 12 * 7
        assert usage["cost"] == usage["fresh_cost"] == pytest.approx((1000 * usage["tokens_in"] + 2000 * 84) / 1e6)
        assert 0.5 < estimate["tokens_in"] / 3 / usage["tokens_in"] < 1.1  # the server counts characters, the estimate a token for each that is not ASCII


def test_the_run_stops_when_the_money_is_spent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The estimate holds and the bill does not: prices of the output that the estimate takes for short."""
    data, answers, out = small_data(tmp_path / "data"), predictions(tmp_path / "m" / "preds.jsonl"), tmp_path / "out"
    with judge_server() as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1, "--price-in", 100, "--price-out", 0)
        estimate = json.loads(run(capsys, *arguments, "--dry-run", "--json")[0])["estimate"]["cost"]
        _, err = run(capsys, *arguments, "--max-cost", estimate, code=1)
        spent = len(server.bodies)
        assert "is reached" in err
        assert 0 < spent < 12
        assert json.loads(run(capsys, *arguments, "--json")[0])["usage"]["fresh_requests"] == 12 - spent


def test_mt_bench_two_turns_and_calibration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = small_data(tmp_path / "data"), tmp_path / "out"
    answers = write_lines(tmp_path / "model-a.jsonl", [fastchat("model-a", n, f"答{n}", f"続答{n}") for n in range(12)])
    with judge_server() as server:
        arguments = (answers, "--benchmark", "ja/mt-bench", "--judge-model", "j", "--data", data, "--endpoint", server.url, "--out", out)
        report = json.loads(run(capsys, *arguments, "--json")[0])
        recorded = [{"question_id": str(n), "model": "model-a", "turn": 1, "score": 5} for n in range(12)]
        record = write_lines(tmp_path / "record.jsonl", recorded)
        again = json.loads(run(capsys, *arguments, "--json", "--calibrate", record)[0])
        text, _ = run(capsys, *arguments, "--calibrate", out / "judgements.jsonl")
    assert report["judgements"] == 24
    assert set(report["models"][0]["turns"]) == {"1", "2"}
    assert set(report["models"][0]["categories"]) == {"writing", "math", "stem"}
    assert (again["calibration"]["model-a"]["judgements"], again["calibration"]["model-a"]["pearson"]) == (12, None)
    assert text.splitlines()[2].startswith("  model-a: rank correlation of grades with the length of answers ")
    assert text.splitlines()[3:5] == [
        "against the record      same  kappa  Pearson  mean shift  shift with length",
        "model-a             24 of 24  1.000    1.000       0.000                  –",
    ]
    english = [body for body in server.bodies if "### Assistant A:" in body["messages"][1]["content"]]
    assert len(english) == 12
    assert len(server.bodies) == 24


def test_the_first_turn_alone_and_two_models_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Published answer files of one turn can be judged; two models of one judging are compared without a warning."""
    data, out = small_data(tmp_path / "data"), tmp_path / "out"
    files = [write_lines(tmp_path / f"{name}.jsonl", [fastchat(name, n, f"{name}答{n}") for n in range(12)]) for name in ("a", "b")]
    with judge_server() as server:
        arguments = (*files, "--benchmark", "ja/mt-bench", "--judge-model", "j", "--data", data, "--endpoint", server.url, "--out", out)
        _, err = run(capsys, *arguments, code=3)
        assert "have fewer than 2 turns" in err
        run(capsys, *arguments, "--turns", 1)
        assert len(server.bodies) == 24
    capsys.readouterr()
    assert main(["eval", "compare", str(out / "a"), str(out / "b"), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)["pairs"][0]["benchmarks"][0]
    assert (entry["items"], entry["different_prompts"]) == (12, 0)
    first = next(read_outputs(out / "a"))
    assert (first.prompt, first.generation, first.prediction[0]["turn"]) == ("質問0\n\n続き0", "a答0", 1)


@pytest.mark.parametrize(("benchmark", "profile"), [("ja/heron-bench", "judge"), ("ja/heron-bench-eval-mm", "judge-eval-mm")])
def test_heron_bench_has_a_ratio_to_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark: str, profile: str) -> None:
    data, out = small_data(tmp_path / "data"), tmp_path / "out"
    files = [write_lines(tmp_path / f"{name}.jsonl", [llava(name, n, f"{name}答{n}") for n in range(12)]) for name in ("a", "b")]
    with judge_server() as server:
        arguments = (*files, "--benchmark", benchmark, "--judge-model", "j", "--data", data, "--endpoint", server.url, "--out", out, "--takes", 2)
        report = json.loads(run(capsys, *arguments, "--json")[0])
        text, _ = run(capsys, *arguments)
        assert (len(server.bodies), report["asked_again"], report["without_verdict"]) == (48, 0, 0)
    grades = {
        (name, n): next(grade_of(asked) for body in server.bodies if f"{name}答{n}\n" in (asked := body["messages"][1]["content"]))
        for name in "ab"
        for n in range(12)
    }
    for entry in report["models"]:
        by_kind = [[grades[entry["model"], n] for n in range(12) if n % 3 == kind] for kind in range(3)]
        ratios = [100 * sum(grade + 3 for grade in own) / sum(10 - grade for grade in own) for own in by_kind]
        assert [own["ratio"] for own in entry["ratio"]["categories"].values()] == pytest.approx(ratios)
        assert entry["ratio"]["value"] == pytest.approx(sum(ratios) / 3)
        assert (len(entry["ratio"]["takes"]), entry["ratio"]["noise"], entry["agreement"]["same"]) == (2, 0, [12])
    assert read_judge_summary(out).models[0].ratio is not None
    head, first, *_ = text.splitlines()
    assert head.split() == ["model", "%", "of", "reference", "±", "stderr", "95", "%", "interval", "conv", "detail", "complex"]
    assert first.split()[:2] == ["a", f"{report['models'][0]['ratio']['value']:.1f}"]
    [score] = read_scores(out / "a").benchmarks
    assert score.name == f"ja/heron-bench@{profile}:j/0-shot/judge_ratio"
    assert (score.primary.value, score.scale, list(score.groups)) == (report["models"][0]["ratio"]["value"], None, ["conv", "detail", "complex"])
    item = next(read_outputs(out / "a"))
    reference, own = 10 - grades["a", 0], grades["a", 0] + 3
    assert item.scores == pytest.approx({"judge_ratio": 100 * own / reference, "judge_score": own, "judge_reference": reference})
    assert (item.prompt, item.gold, item.prediction[0]["reference_score"]) == ("何0？\n\n画像の説明：\n様子0", "参考0", reference)
    again = json.loads(run(capsys, "--recorded", out / "judgements.jsonl", "--benchmark", benchmark, "--json")[0])
    assert [entry["ratio"] for entry in again["models"]] == [entry["ratio"] for entry in report["models"]]
    capsys.readouterr()
    assert main(["eval", "compare", str(out / "a"), str(out / "b"), "--json", "--html", str(tmp_path / "page.html")]) == 0
    compared = json.loads(capsys.readouterr().out)["pairs"][0]["benchmarks"][0]
    assert (compared["a"], compared["b"]) == tuple(entry["ratio"]["value"] for entry in report["models"])
    assert compared["difference"] == pytest.approx(compared["b"] - compared["a"])
    assert f'"{own:.1f}/{reference:.1f}"' in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_category_without_a_verdict_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Items 0 to 2, one of each category: of the second no verdict can be read, in three attempts."""
    data, answers, out = small_data(tmp_path / "data", 3), write_lines(tmp_path / "a.jsonl", [llava("a", n, "答") for n in range(3)]), tmp_path / "out"
    with judge_server(["ok", "unreadable", "unreadable", "unreadable"]) as server:
        arguments = (answers, "--benchmark", "ja/heron-bench", "--judge-model", "j", "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1)
        report = json.loads(run(capsys, *arguments, "--json")[0])
    assert report["failures"][0]["why"] == 'no verdict in 3 attempts: the first line is "とても良い回答です。", not two numbers alone'
    assert list(report["models"][0]["ratio"]["categories"]) == ["conv", "complex"]
    assert read_scores(out / "a").benchmarks[0].warnings == ["1 judgements without a verdict", "no verdict in category 'detail'"]


def test_heron_bench_needs_its_reference_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers = small_data(tmp_path / "data"), write_lines(tmp_path / "a.jsonl", [llava("a", n, "答") for n in range(12)])
    references = data / "heron_bench/answers_gpt4.jsonl"
    arguments = (answers, "--benchmark", "ja/heron-bench", "--data", data, "--dry-run")
    write_lines(references, [llava("gpt-4", n, "参考") for n in range(11)])
    assert "item 11: prompt 'heron-bench' needs reference_1, which is missing" in run(capsys, *arguments, code=3)[1]
    references.unlink()
    assert "answers_gpt4.jsonl: no such file; --data names the folder in which heron_bench/answers_gpt4.jsonl lies" in run(capsys, *arguments, code=3)[1]


@pytest.mark.parametrize(
    ("benchmark", "asked"),
    [("ja/ja-vg-vqa-500", "0番の色は？"), ("ja/ja-vlm-bench-in-the-wild", "0番は？"), ("ja/ja-multi-image-vqa", "<image> と<image> の違いは0？")],
)
def test_answers_about_pictures_are_graded_beside_the_right_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark_data: Path, benchmark: str, asked: str
) -> None:
    loaded = load_benchmark(benchmark, benchmark_data)
    lines = [{"benchmark": benchmark, "item": item.id, "generation": f"答{item.id}"} for item in loaded.items]
    answers, out = write_lines(tmp_path / "m" / "outputs.jsonl", lines), tmp_path / "out"
    with judge_server() as server:
        arguments = (answers, "--benchmark", benchmark, "--judge-model", "j", "--data", benchmark_data, "--endpoint", server.url, "--out", out)
        report = json.loads(run(capsys, *arguments, "--json")[0])
    prompts = [body["messages"][1]["content"] for body in server.bodies]
    assert any(f"Question: {asked}\nAnswer: {loaded.items[0].answers[0]}\nPrediction: 答{loaded.items[0].id}\n" in prompt for prompt in prompts)
    assert report["models"][0]["mean"] == pytest.approx(sum(map(grade_of, prompts)) / len(loaded.items))
    assert report["without_verdict"] == 0
    assert report["sha256"].items() >= loaded.sha256.items()


def test_rakuda_ranks_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = small_data(tmp_path / "data"), tmp_path / "out"
    answers = [write_lines(tmp_path / f"{name}.jsonl", [fastchat(name, f"q{n}", f"{name}の答{n}") for n in range(12)]) for name in ("a", "b", "c")]
    ranking = tmp_path / "ranking.json"
    ranking.write_text(json.dumps({"ranking": [{"model_id": name, "median": 1000 + n} for n, name in enumerate("abd")]}), encoding="utf-8")
    with judge_server() as server:
        arguments = (*answers, "--benchmark", "ja/rakuda", "--judge-model", "j", "--data", data, "--endpoint", server.url, "--out", out, "--calibrate", ranking)
        report = json.loads(run(capsys, *arguments, "--json")[0])
        text, _ = run(capsys, *arguments)
        assert len(server.bodies) == 6 * 12
    assert report["ranking"]["games"] == 72
    assert sorted(entry["model"] for entry in report["ranking"]["strengths"]) == ["a", "b", "c"]
    assert report["calibration"]["models"] == ["a", "b"]
    assert "order decides" in text


def test_another_judge_or_other_answers_need_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data"), predictions(tmp_path / "m" / "preds.jsonl"), tmp_path / "out"
    with judge_server() as server:
        arguments = ["--data", data, "--endpoint", server.url, "--out", out, *ELYZA]
        run(capsys, answers, *arguments)
        _, err = run(capsys, answers, *arguments, "--judge-model", "judge-2", code=5)
        assert "holds another judging; these settings differ:\n  judge.model: 'judge-1' there, 'judge-2' now\nGive another --out" in err
        predictions(answers, mark="改")
        _, err = run(capsys, answers, *arguments, "--temperature", 0.5, code=5)
        assert "these settings differ:\n  answers\n  task\nGive another" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give ANSWERS to be judged, or --recorded"),
        (["--recorded", "{answers}", "--out", "{out}"], 2, "--out: recorded judgements are summarised on stdout, and nothing is written"),
        (["{answers}", "--data", "{data}"], 2, "--out is needed"),
        (["{answers}", "--data", "{data}", "--out", "{out}"], 2, "--endpoint and --judge-model are needed, or --judge-model with the folder"),
        (["{answers}", "--out", "{out}"], 2, "--data is needed: the folder in which elyza_tasks_100/"),
        (["{answers}", "--data", "{out}", "--out", "{out}"], 3, "no such file; --data names the folder"),
        (["{answers}", "{answers}", "--data", "{data}", "--out", "{out}"], 2, "are both answers of 'm' by their names"),
        (["{data}/nothing.jsonl", "--data", "{data}", "--out", "{out}"], 3, "nothing.jsonl: no such file"),
    ],
)
def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str) -> None:
    names = {"data": small_data(tmp_path / "data"), "answers": predictions(tmp_path / "m" / "preds.jsonl"), "out": tmp_path / "out"}
    _, err = run(capsys, *(argument.format(**names) for argument in arguments), "--benchmark", "ja/elyza-tasks-100", code=code)
    assert message in err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.json*"))


def test_recorded_takes_are_summarised_without_an_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    takes = [
        write_lines(tmp_path / "model-x" / f"result_take{n}.jsonl", [{"grade": grade, "reason": ""} for grade in grades])
        for n, grades in ((1, [1, 2, 3, 4]), (2, [1, 2, 4, 4]))
    ]
    text, _ = run(capsys, "--recorded", *takes, "--benchmark", "ja/elyza-tasks-100", "--calibrate", takes[0])
    head, row, agreement, _, calibration = text.splitlines()
    assert head.split() == ["model", "mean", "±", "stderr", "95", "%", "interval", "items", "takes"]
    assert row.split()[:3] == ["model-x", "2.625", "0.688"]
    assert row.split()[-2:] == ["4", "2"]
    assert agreement == "  model-x: takes agree on 3 of 4; at most one apart 100%"
    assert calibration.split()[:4] == ["model-x", "3", "of", "4"]


def test_a_model_on_this_machine_judges_too(tmp_path: Path, capsys: pytest.CaptureFixture[str], pico: Path) -> None:
    """A random model gives no verdict that can be read: each answer is kept, counted, and not asked for a second time."""
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    arguments = (answers, "--benchmark", "ja/elyza-tasks-100", "--judge-model", pico, "--data", data, "--out", out, "--max-tokens", 4)
    _, err = run(capsys, *arguments, "--temperature", 0.7, code=2)
    assert "judges greedily" in err
    text, _ = run(capsys, *arguments, "--json", code=1)
    report = json.loads(text)
    assert report["without_verdict"] == report["requests_failed"] == 2  # the prompt is longer than the 512 tokens of this model
    assert "tokens longer than the model's context allows" in report["failures"][0]["why"]
