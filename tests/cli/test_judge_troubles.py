"""`jp-adapt judge` where the judge, its server or the disk does not do as it should."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jp_adapt.evaluation.judge.results import read_judge_summary
from jp_adapt.evaluation.results import read_scores
from jp_adapt.inference import endpoint
from tests.cli.judging import ELYZA, run
from tests.judge_server import fastchat, judge_server, predictions, small_data, write_lines

pytestmark = pytest.mark.usefixtures("hasty")


def test_a_verdict_that_cannot_be_read_is_asked_for_again_and_then_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    with judge_server(["unreadable", "ok", "unreadable", "unreadable", "unreadable"]) as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1)
        report = json.loads(run(capsys, *arguments, "--json")[0])
        text, _ = run(capsys, *arguments)
        assert len(server.bodies) == 5  # neither the verdict nor the failure is bought a second time
    assert (report["without_verdict"], report["asked_again"], report["models_without_verdict"]) == (1, 2, [])
    assert report["failures"][0]["item"] == "1"
    assert "no verdict in 3 attempts: not a JSON object" in report["failures"][0]["why"]
    assert report["models"][0]["items"] == 1
    assert "1 of 2 judgements have no verdict" in text
    assert "2 of 2 judgements were asked for again" in text
    assert read_scores(out / "m").benchmarks[0].warnings == ["1 judgements without a verdict"]
    first, shown, anew = server.bodies[2:]
    assert shown["messages"][:2] == [*first["messages"], {"role": "assistant", "content": "とても良い回答です。"}]
    assert "次の形のJSONだけを返してください" in shown["messages"][2]["content"]
    assert [message["role"] for message in anew["messages"]] == ["user"]
    assert anew["messages"][0]["content"].startswith(first["messages"][0]["content"].rstrip())
    assert "次の形のJSONだけを返してください" in anew["messages"][0]["content"]
    assert len({json.dumps(body["messages"]) for body in server.bodies}) == 5, "no request is sent twice at temperature 0"


def test_a_judge_without_a_single_verdict_has_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data", 3), predictions(tmp_path / "m" / "preds.jsonl", 3), tmp_path / "out"
    record = write_lines(tmp_path / "record.jsonl", [{"models": ["m"], "item": "0", "turn": 1, "take": 1, "score": 5}])
    with judge_server(["unreadable"] * 9) as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--calibrate", record)
        text, _ = run(capsys, *arguments, code=1)
    assert "3 of 3 judgements have no verdict: no verdict in 3 attempts" in text
    assert "no answer of m has a verdict" in text
    assert read_judge_summary(out).models_without_verdict == ["m"]


def test_pairs_without_a_single_verdict_have_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = small_data(tmp_path / "data", 1), tmp_path / "out"
    answers = [write_lines(tmp_path / f"{name}.jsonl", [fastchat(name, "q0", f"{name}の答")]) for name in ("a", "b")]
    ranking = tmp_path / "ranking.json"
    ranking.write_text(json.dumps({"ranking": [{"model_id": name, "median": 1000} for name in "ab"]}), encoding="utf-8")
    with judge_server(["unreadable"] * 6) as server:
        arguments = (*answers, "--benchmark", "ja/rakuda", "--judge-model", "j", "--data", data, "--endpoint", server.url, "--out", out)
        text, _ = run(capsys, *arguments, "--calibrate", ranking, code=1)
    assert "no answer of a has a verdict\nno answer of b has a verdict" in text


def test_a_judge_that_reasons_is_read_behind_its_thought(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data", 3), predictions(tmp_path / "m" / "preds.jsonl", 3), tmp_path / "out"
    with judge_server(["thought", "cut-in-thought", "parts"]) as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1, "--max-tokens", 50, "--json")
        report = json.loads(run(capsys, *arguments)[0])
        assert len(server.bodies) == 3, "what ends within the thought would end there again"
    assert (report["without_verdict"], report["usage"]["requests"]) == (1, 3)
    assert report["failures"][0]["why"].startswith("no verdict in 1 attempt: cut off at max_tokens (50) before its answer")
    assert "give a larger --max-tokens" in report["failures"][0]["why"]


@pytest.mark.parametrize("odd", ["digits", "nested", "odd-counts", "odd-finish"])
def test_an_odd_reply_is_no_verdict_and_comes_back_in_no_later_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], odd: str) -> None:
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    with judge_server([odd]) as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1, "--price-in", 1, "--price-out", 1, "--json")
        first = json.loads(run(capsys, *arguments)[0])
        again = json.loads(run(capsys, *arguments)[0])
        assert len(server.bodies) == (3 if odd in ("digits", "nested") else 2)
    assert first["without_verdict"] == again["without_verdict"] == 0
    assert first["asked_again"] == (odd in ("digits", "nested"))
    assert first["models"] == again["models"]


def test_a_cache_with_replies_that_once_ended_every_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Version 0.1 stored a reply before it was read."""
    data, answers, out = small_data(tmp_path / "data", 2), predictions(tmp_path / "m" / "preds.jsonl", 2), tmp_path / "out"
    with judge_server() as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1, "--price-in", 1, "--price-out", 1, "--json")
        run(capsys, *arguments)
        first, second = (json.loads(line) for line in (out / "cache.jsonl").read_text(encoding="utf-8").splitlines())
        write_lines(out / "cache.jsonl", [first | {"prompt_tokens": 10**400}, second | {"text": '{"grade": ' + "4" * 4301 + "}"}])
        report = json.loads(run(capsys, *arguments)[0])
        assert len(server.bodies) == 4, "both answers are asked for again: one cannot be read at all, one holds no verdict"
        again = json.loads(run(capsys, *arguments)[0])
        assert len(server.bodies) == 4
    assert (report["without_verdict"], report["usage"]["fresh_requests"]) == (0, 2)
    assert (again["models"], again["usage"]["fresh_requests"]) == (report["models"], 0)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit on the size of a file stands for the disk: the write fails in the same place."""
    data, answers, out = small_data(tmp_path / "data", 30), predictions(tmp_path / "m" / "preds.jsonl", 30), tmp_path / "out"
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY)); from jp_adapt.cli.main import main; sys.exit(main())"
    )
    with judge_server() as server:
        arguments = ["judge", str(answers), *ELYZA, "--data", str(data), "--endpoint", server.url, "--out", str(out)]
        full = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
        kept = (out / "cache.jsonl").read_bytes()
        assert full.returncode == 1
        assert "Traceback" not in full.stderr
        lines = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
        assert lines == [f"error: {out / 'cache.jsonl'}: cannot be written (File too large); free some space, then run the same command again"]
        assert kept.endswith(b"\n"), "no half line"
        asked = len(server.bodies)
        assert json.loads(run(capsys, *arguments[1:], "--json")[0])["usage"]["fresh_requests"] == 30 - kept.count(b"\n")
        assert asked - kept.count(b"\n") <= 4


def test_the_cause_of_an_ended_job_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three workers wait to try again when the fourth learns that there is no such model."""
    monkeypatch.setattr(endpoint, "FIRST_WAIT_S", 5.0)
    monkeypatch.setattr(endpoint, "LONGEST_ASKED_WAIT_S", 5.0)
    data, answers, out = small_data(tmp_path / "data"), predictions(tmp_path / "m" / "preds.jsonl"), tmp_path / "out"
    for trouble in ("429", "malformed", "half", "500"):
        with judge_server(["ok", *[trouble] * 3, "404"]) as server:
            arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out / trouble, "--parallel", 4)
            started = time.monotonic()
            _, err = run(capsys, *arguments, code=1)
        assert err.splitlines()[-1].startswith(f"error: {server.url}/chat/completions: HTTP 404")
        assert time.monotonic() - started < 5


def test_a_request_that_the_server_refuses_is_asked_for_by_the_next_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data", 3), predictions(tmp_path / "m" / "preds.jsonl", 3), tmp_path / "out"
    with judge_server(["ok", "400", "ok"]) as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1)
        text, _ = run(capsys, *arguments, code=1)
        assert "1 of 3 judgements have no verdict: " in text
        assert "content filter" in text
        assert json.loads(run(capsys, *arguments, "--json")[0])["without_verdict"] == 0
        assert len(server.bodies) == 4


def test_refusals_do_not_end_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, answers, out = small_data(tmp_path / "data", 8), predictions(tmp_path / "m" / "preds.jsonl", 8), tmp_path / "out"
    with judge_server(["400"] * 5) as server:
        text, _ = run(capsys, answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1, "--json", code=1)
        assert len(server.bodies) == 8
    report = json.loads(text)
    assert (report["requests_failed"], report["models"][0]["items"]) == (5, 3)


def test_an_endpoint_that_is_down_ends_the_run_and_keeps_what_came(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "LONGEST_WAIT_S", 0.001)
    data, answers, out = small_data(tmp_path / "data"), predictions(tmp_path / "m" / "preds.jsonl"), tmp_path / "out"
    with judge_server(["ok"] * 4 + ["500"] * 24) as server:
        arguments = (answers, *ELYZA, "--data", data, "--endpoint", server.url, "--out", out, "--parallel", 1)
        _, said = run(capsys, *arguments, code=1)
        assert "(3 requests in a row failed)" in said
        assert len(server.bodies) == 28
        assert not (out / "judge_summary.json").exists()
        report = json.loads(run(capsys, *arguments, "--json")[0])
        assert (report["usage"]["fresh_requests"], report["without_verdict"]) == (8, 0)
