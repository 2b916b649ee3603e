"""`jp-adapt eval --endpoint` against a real server over a real small model: its scores are those of the model on this machine, whatever happens on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import InputError, RunFolderError, UsageError
from jp_adapt.evaluation.results import Output, read_outputs, read_scores
from jp_adapt.inference import endpoint
from jp_adapt.inference.endpoint import EndpointError
from jp_adapt.inference.model_source import REPLIES, Served
from tests.commands.own_benchmark import mine
from tests.completion_server import completion_server
from tests.conftest import documents

NAMES = ("ja/jcommonsenseqa", "ja/niilc")
ENGLISH = [{"id": f"e{n}", "question": f"Which of the {n} is it? ", "choices": ["the cat", "a dog", "the car", "12"], "answer": n % 4} for n in range(1, 7)]


@pytest.fixture(scope="module")
def local(pico: Path, benchmark_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    out = tmp_path_factory.mktemp("local") / "out"
    evaluate(pico, out, benchmarks=NAMES, data=benchmark_data, limit=2, shots=0, dtype="float32")
    return list(read_outputs(out))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(endpoint, "LONGEST_ASKED_WAIT_S", 0.001)


def same(got: list[Output], expected: list[Output]) -> None:
    assert [(entry.benchmark, entry.item, entry.prediction, entry.generation) for entry in got] == [
        (entry.benchmark, entry.item, entry.prediction, entry.generation) for entry in expected
    ]
    for entry, other in zip(got, expected, strict=True):
        assert (entry.moved_boundary, entry.truncated_tokens) == (other.moved_boundary, other.truncated_tokens)
        assert (entry.log_likelihoods is None) == (other.log_likelihoods is None)
        assert entry.log_likelihoods is None or entry.log_likelihoods == pytest.approx(other.log_likelihoods, abs=1e-4)


@pytest.mark.parametrize("kind", ["vllm", "openai"])
def test_with_the_tokenizer_scores_are_those_of_the_local_model(pico: Path, benchmark_data: Path, local: list[Output], tmp_path: Path, kind: str) -> None:
    with completion_server(pico, kind=kind) as server:
        served = Served(server.url, tokenizer=pico)
        evaluate("pico", tmp_path / "out", benchmarks=NAMES, data=benchmark_data, limit=2, shots=0, served=served)
        same(list(read_outputs(tmp_path / "out")), local)
        asked = len(server.bodies)
        (tmp_path / "out" / "parts").rename(tmp_path / "gone")
        evaluate("pico", tmp_path / "out", benchmarks=NAMES, data=benchmark_data, limit=2, shots=0, served=served)
        assert len(server.bodies) == asked, "what was answered is not asked again"
    scores = read_scores(tmp_path / "out")
    assert scores.model["name"] == "pico"
    assert scores.model["endpoint"] == server.url


def test_conversations_go_to_the_chat_endpoint(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    options = {"benchmarks": ("ja/japanese-mt-bench",), "data": benchmark_data, "limit": 1}
    evaluate(pico, tmp_path / "local", dtype="float32", **options)
    with completion_server(pico, ["500"]) as server:
        evaluate("pico", tmp_path / "out", served=Served(server.url, tokenizer=pico), **options)
    expected, got = list(read_outputs(tmp_path / "local")), list(read_outputs(tmp_path / "out"))
    assert [entry.item for entry in got] == [entry.item for entry in expected]
    assert [entry.item[-2:] for entry in got] == ["/1", "/2"]
    assert got[0].generation
    assert str(expected[0].generation).startswith(got[0].generation), "the same text; the endpoint's may not take more than half the context"
    assert got[1].prompt.startswith("[user] ")
    assert f"[assistant] {got[0].generation}" in got[1].prompt
    assert [message["role"] for message in server.bodies[-1]["messages"]] == ["user", "assistant", "user"]


def test_asking_again_asks_the_server_and_not_the_cache(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    with completion_server(pico) as server:
        for out, served, each in (("tokens", Served(server.url, tokenizer=pico), 5), ("texts", Served(server.url), 6)):
            before = len(server.bodies)
            scores = evaluate("pico", tmp_path / out, benchmarks=("ja/jcommonsenseqa",), data=benchmark_data, limit=2, shots=0, served=served, check_batches=2)
            assert scores.benchmarks[0].batch_check is not None
            assert scores.benchmarks[0].batch_check.alone.flips == 0
            assert len(server.bodies) - before == 3 * 2 * each + (served.tokenizer is not None), "and once what the server makes of a text"


def test_peers_boundaries_too(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    options = {"benchmarks": ("ja/jcommonsenseqa",), "data": benchmark_data, "limit": 2, "profile": "lm-eval-ja"}
    evaluate(pico, tmp_path / "local", dtype="float32", **options)
    with completion_server(pico) as server:
        evaluate("pico", tmp_path / "out", served=Served(server.url, tokenizer=pico), **options)
        same(list(read_outputs(tmp_path / "out")), list(read_outputs(tmp_path / "local")))
        with pytest.raises(InputError, match=r"ja/jcommonsenseqa: this profile cuts tokens as a peer does; give .* --tokenizer DIR"):
            evaluate("pico", tmp_path / "texts", served=Served(server.url), **options)


@pytest.mark.parametrize("kind", ["vllm", "openai"])
def test_without_a_tokenizer_the_servers_tokens_say_where_to_begin(pico: Path, tmp_path: Path, kind: str) -> None:
    name = mine(tmp_path, ENGLISH)
    (tmp_path / "mine.yaml").write_text(
        (tmp_path / "mine.yaml").read_text(encoding="utf-8").replace("問い：", "Q: ").replace("\\n答え：", "A: "), encoding="utf-8"
    )
    evaluate(pico, tmp_path / "local", benchmarks=(name,), dtype="float32")
    with completion_server(pico, kind=kind) as server:
        evaluate("pico", tmp_path / "out", benchmarks=(name,), served=Served(server.url))
    expected = list(read_outputs(tmp_path / "local"))
    same(list(read_outputs(tmp_path / "out")), expected)
    assert any(entry.moved_boundary for entry in expected), "the space at the prompt's end merges with the choice"


def test_without_a_tokenizer_tokens_of_bytes_need_their_ids(pico: Path, tmp_path: Path) -> None:
    name = mine(tmp_path)
    evaluate(pico, tmp_path / "local", benchmarks=(name,), dtype="float32")
    with completion_server(pico) as server:
        evaluate("pico", tmp_path / "out", benchmarks=(name,), served=Served(server.url))
    same(list(read_outputs(tmp_path / "out")), list(read_outputs(tmp_path / "local")))
    with completion_server(pico, kind="openai") as server, pytest.raises(InputError, match="the tokens that the endpoint tells do not spell the text that was"):
        evaluate("pico", tmp_path / "openai", benchmarks=(name,), served=Served(server.url))


def test_trouble_on_the_way_changes_nothing(pico: Path, benchmark_data: Path, local: list[Output], tmp_path: Path, hasty: None) -> None:
    trouble = ["429", "500", "half", "hang-up", "garbage", "malformed", "503-nonsense", "ok", "half", "429-date", "ok", "ok", "500", "error-with-200"]
    with completion_server(pico, trouble) as server:
        evaluate("pico", tmp_path / "out", benchmarks=NAMES, data=benchmark_data, limit=2, shots=0, served=Served(server.url, tokenizer=pico))
        assert not server.script
    same(list(read_outputs(tmp_path / "out")), local)


def test_a_run_that_ends_early_goes_on(pico: Path, benchmark_data: Path, local: list[Output], tmp_path: Path, hasty: None) -> None:
    options = {"benchmarks": NAMES, "data": benchmark_data, "limit": 2, "shots": 0}
    with completion_server(pico, ["ok"] * 5 + ["404"]) as server:
        served = Served(server.url, tokenizer=pico, parallel=1)
        with pytest.raises(EndpointError, match=r"ja/jcommonsenseqa: .*no model pico.*check the address"):
            evaluate("pico", tmp_path / "out", served=served, **options)
        assert len((tmp_path / "out" / REPLIES).read_text(encoding="utf-8").splitlines()) == 5
        before = len(server.bodies)
        evaluate("pico", tmp_path / "out", served=served, **options)
        assert server.bodies[before]["prompt"] == server.bodies[before - 1]["prompt"], "on from the request that failed"
        with pytest.raises(RunFolderError, match=r"these settings differ:\n  model\.name: 'pico' there, 'another' now"):
            evaluate("another", tmp_path / "out", served=served, **options)
    same(list(read_outputs(tmp_path / "out")), local)


def test_a_server_without_log_probabilities_is_told_with_the_benchmark(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    with completion_server(pico, kind="deaf") as server:
        scores = evaluate("pico", tmp_path / "written", benchmarks=("ja/niilc",), data=benchmark_data, limit=2, shots=0, served=Served(server.url))
        assert scores.benchmarks[0].items == 2
        with pytest.raises(EndpointError, match=r"ja/jcommonsenseqa: .*gives no log-probabilities of a prompt's tokens, which choices are scored by"):
            evaluate("pico", tmp_path / "out", benchmarks=("ja/niilc", "ja/jcommonsenseqa"), data=benchmark_data, limit=2, shots=0, served=Served(server.url))
    assert [score.id for score in read_scores(tmp_path / "out").benchmarks] == ["ja/niilc"], "what was finished is kept"


def test_another_tokenizer_is_told(pico: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(pico, tmp_path / "other")
    spec = json.loads((pico / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = spec["model"]["vocab"]
    vocabulary["a"], vocabulary["e"] = vocabulary["e"], vocabulary["a"]
    (tmp_path / "other" / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    with completion_server(pico) as server, pytest.raises(InputError, match="--tokenizer is not that of pico: what it writes as"):
        evaluate("pico", tmp_path / "out", benchmarks=(mine(tmp_path, ENGLISH),), served=Served(server.url, tokenizer=tmp_path / "other"))


@pytest.fixture(scope="module")
def extended(pico: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extended_pico(pico, tmp_path_factory.mktemp("extended"))


def extended_pico(pico: Path, folder: Path) -> Path:
    """The pico with 60 Japanese tokens more: a model that its base's tokenizer goes with without an error, and with wrong scores."""
    import torch
    from transformers import AutoModelForCausalLM

    texts = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents("ja_train.jsonl")[:30])
    (folder / "ja.jsonl").write_text(texts, encoding="utf-8")
    corpus, out = str(folder / "ja.jsonl"), str(folder / "model")
    assert main(["tokenizer", "extend", "--base", str(pico), "--corpus", corpus, "--new-tokens", "60", "--out", out]) == 0
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_pretrained(pico, dtype=torch.float32)
    model.resize_token_embeddings(560, mean_resizing=False)
    model.save_pretrained(out)
    return folder / "model"


@pytest.mark.parametrize(("kind", "told"), [("vllm", "other ones"), ("openai", "by its own count"), ("deaf", "by its own count")])
def test_the_bases_tokenizer_beside_an_extended_model_is_told(pico: Path, extended: Path, benchmark_data: Path, tmp_path: Path, kind: str, told: str) -> None:
    name = "ja/niilc" if kind == "deaf" else "ja/jcommonsenseqa"
    options = {"benchmarks": (name,), "data": benchmark_data, "limit": 1, "shots": 0}
    with completion_server(extended, kind=kind) as server:
        with pytest.raises(InputError, match=rf"{name}: --tokenizer is not that of org/m: it makes \d+ tokens of a text of which .* \({told}\)"):
            evaluate("org/m", tmp_path / "out", served=Served(server.url, tokenizer=pico), **options)
        assert len(server.bodies) <= 2, "before anything is measured"
        scores = evaluate("org/m", tmp_path / "out", served=Served(server.url, tokenizer=extended), **options)
    assert scores.benchmarks[0].items == 1
    assert not any("could not be checked" in warning for warning in scores.benchmarks[0].warnings)


def test_a_server_that_tells_nothing_of_its_tokens_is_a_warning(pico: Path, benchmark_data: Path, tmp_path: Path) -> None:
    options = {"benchmarks": ("ja/niilc",), "data": benchmark_data, "limit": 1, "shots": 0}
    with completion_server(pico, kind="mute") as server:
        scores = evaluate("m", tmp_path / "out", served=Served(server.url, tokenizer=pico), **options)
        assert [entry for entry in scores.benchmarks[0].warnings if "could not be checked" in entry]
        scores = evaluate("m", tmp_path / "texts", served=Served(server.url), **options)
        assert [entry for entry in scores.benchmarks[0].warnings if "the endpoint decided which token begins them" in entry]


def test_an_evaluation_that_came_to_nothing_holds_no_folder(pico: Path, benchmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    options = {"benchmarks": ("ja/jcommonsenseqa",), "data": benchmark_data, "limit": 1, "shots": 0}
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UsageError, match="vLLM cannot be imported"):
        evaluate(pico, tmp_path / "out", backend="vllm", **options)
    with pytest.raises(EndpointError, match="nobody answers"):
        evaluate("m", tmp_path / "out", served=Served("http://127.0.0.1:9/v1"), **options)
    assert not (tmp_path / "out" / "eval.json").exists()
    evaluate(pico, tmp_path / "out", dtype="float32", **options)
    with pytest.raises(RunFolderError, match=r"holds another evaluation; these settings differ:\n  dtype: 'float32' there"):
        evaluate(pico, tmp_path / "out", dtype="bfloat16", **options)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(RunFolderError, match="is not empty, and holds no evaluation"):
        evaluate(pico, tmp_path / "full", **options)


def test_the_command_line(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    name = mine(tmp_path, ENGLISH)
    monkeypatch.setenv("EVAL_KEY", "s3cret-key-value")
    with completion_server(pico) as server:
        server.key = "s3cret-key-value"
        arguments = ["eval", "org/pico", "--benchmarks", name, "--endpoint", server.url, "--tokenizer", str(pico), "--out", str(tmp_path / "out")]
        assert main(arguments) == 1
        assert "HTTP 401" in capsys.readouterr().err
        assert main([*arguments, "--api-key-env", "EVAL_KEY", "--parallel", "2", "--timeout", "30"]) == 0
    assert "org/pico, profile jp-adapt" in capsys.readouterr().out
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
    for wrong, message in (
        (["--tokenizer", str(pico), "--timeout", "3"], "--tokenizer, --timeout: only together with --endpoint"),
        (["--endpoint", "localhost"], "'localhost' is not an address of an endpoint"),
        (["--endpoint", "http://localhost/v1", "--dtype", "float32"], "--dtype float32: an endpoint computes as it was started"),
        (["--endpoint", "http://localhost/v1", "--texts", "a.txt"], "--texts needs the model on this machine, in --backend local"),
    ):
        assert main(["eval", "pico", "--benchmarks", name, "--out", str(tmp_path / "no"), *wrong]) == 2
        assert message in capsys.readouterr().err


def test_texts_are_refused_in_python_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--texts needs"):
        evaluate("m", tmp_path / "out", benchmarks=(mine(tmp_path),), texts=("a.txt",), served=Served("http://localhost/v1"))
