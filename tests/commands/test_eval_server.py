"""Our engine behind OpenAI's interface, asked as harnesses ask, and held to transformers and to the engine itself."""

from __future__ import annotations

import shutil
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import uvicorn
from starlette.testclient import TestClient
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from jp_adapt.commands.eval_server import build_server
from jp_adapt.commands.evaluate import EvalOptions, evaluate
from jp_adapt.evaluation.results import read_outputs
from jp_adapt.inference.model_folder import load_model
from jp_adapt.inference.model_source import Served
from jp_adapt.inference.openai_api import Interface, do
from jp_adapt.inference.together import Together
from tests.conftest import documents

TEXTS = ["The rain had stopped.", "The rain had begun.", "今日は雨。", "The"]


class Serving:
    """The application of a model, and the batches that its engine was given."""

    def __init__(self, folder: Path) -> None:
        self.model = load_model(folder, "float32")
        self.batches: list[int] = []

        def counted(work):
            self.batches.append(len(work))
            return do(self.model, work)

        self.app = build_server(Interface(self.model.side, "pico"), Together(counted), "127.0.0.1")
        self.http = TestClient(self.app, base_url="http://127.0.0.1:8000")
        self.plain = AutoModelForCausalLM.from_pretrained(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def nats(self, ids: list[int]) -> torch.Tensor:
        """[T, V]: ln p of every token in every place of a text, by transformers."""
        with torch.inference_mode():
            return self.plain(torch.tensor([ids])).logits[0].double().log_softmax(-1)


@pytest.fixture(scope="module")
def server(pico: Path, tmp_path_factory: pytest.TempPathFactory) -> Serving:
    folder = tmp_path_factory.mktemp("served") / "pico"
    shutil.copytree(pico, folder)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:", encoding="utf-8")
    return Serving(folder)


def test_models_and_tokens(server: Serving) -> None:
    [entry] = server.http.get("/v1/models").json()["data"]
    assert entry["id"] == "pico"
    assert entry["max_model_len"] == 512
    assert server.post("/tokenize", prompt=TEXTS[0])["tokens"] == server.tokenizer.encode(TEXTS[0]).ids
    talk = server.post("/tokenize", messages=[{"role": "user", "content": "Hi"}])
    assert server.tokenizer.decode(talk["tokens"]) == "user: Hi\nassistant:"
    assert talk["count"] == len(talk["tokens"])
    wrong = server.post("/tokenize", status=400, prompt="a", add_special_token=False)["error"]["message"]
    assert wrong.startswith("add_special_token: /tokenize has no such key (did you mean 'add_special_tokens'?)")
    assert "chat_template: 'x' is not done here" in server.post("/tokenize", status=400, prompt="a", chat_template="x")["error"]["message"]


@pytest.mark.parametrize("as_ids", [True, False])
def test_prompts_come_back_with_log_probabilities(server: Serving, as_ids: bool) -> None:
    """As lm-eval's local-completions asks: many prompts, `echo`, one token more."""
    ids = [server.tokenizer.encode(text).ids for text in TEXTS]
    prompt: Any = ids if as_ids else TEXTS
    reply = server.post("/v1/completions", model="pico", prompt=prompt, temperature=0, max_tokens=1, logprobs=1, echo=True)
    assert reply["usage"]["prompt_tokens"] == sum(map(len, ids))
    for at, (choice, text_ids) in enumerate(zip(reply["choices"], ids, strict=True)):
        log, nats = choice["logprobs"], server.nats(text_ids)
        assert choice["index"] == at
        assert len(log["tokens"]) == len(text_ids) + 1
        assert log["token_logprobs"][0] is None
        assert log["top_logprobs"][0] is None
        expected = [float(nats[place - 1, id]) for place, id in enumerate(text_ids)][1:]
        assert log["token_logprobs"][1:-1] == pytest.approx(expected, abs=1e-4)
        greedy = [int(nats[place].argmax()) for place in range(len(text_ids))]
        for place in range(1, len(text_ids)):
            top = max(log["top_logprobs"][place].values())
            assert (top == log["token_logprobs"][place]) == (greedy[place - 1] == text_ids[place])
        follows = server.tokenizer.decode([greedy[-1]])
        assert choice["text"] == TEXTS[at] + (follows if greedy[-1] else "")
        assert log["token_logprobs"][-1] == pytest.approx(float(nats[-1].max()), abs=1e-4)
        whole = [(token, offset) for token, offset in list(zip(log["tokens"], log["text_offset"], strict=True))[:-1] if not token.startswith("bytes:")]
        assert all(TEXTS[at][offset:].startswith(token) for token, offset in whole)


@pytest.mark.parametrize("as_ids", [True, False])
def test_an_echo_has_the_special_tokens_of_the_prompt(server: Serving, as_ids: bool) -> None:
    text = "<|endoftext|>The " + "<|endoftext|>cat"
    ids = server.tokenizer.encode(text).ids
    assert ids.count(0) == 2
    [choice] = server.post("/v1/completions", prompt=ids if as_ids else text, temperature=0, max_tokens=0, logprobs=0, echo=True)["choices"]
    log = choice["logprobs"]
    assert choice["text"] == text
    assert all(text.startswith(token, offset) for token, offset in zip(log["tokens"], log["text_offset"], strict=True))
    assert log["text_offset"][-1] + len(log["tokens"][-1]) == len(text)


def test_partial_characters_never_look_the_same(server: Serving) -> None:
    log = server.post("/v1/completions", prompt="今", temperature=0, max_tokens=0, logprobs=0, echo=True)["choices"][0]["logprobs"]
    assert log["tokens"] == ["bytes:\\xe4", "bytes:\\xbb", "bytes:\\x8a"]
    assert log["text_offset"] == [0, 0, 0]


def test_prompt_log_probabilities_by_id(server: Serving) -> None:
    """As vLLM is asked: the token itself, and the most probable one beside it."""
    ids = server.tokenizer.encode(TEXTS[0]).ids
    [choice] = server.post("/v1/completions", prompt=ids, temperature=0, max_tokens=1, prompt_logprobs=1)["choices"]
    first, *rest = choice["prompt_logprobs"]
    assert first is None
    assert [int(next(iter(entry))) for entry in rest] == ids[1:]
    nats = server.nats(ids)
    for place, entry in enumerate(rest):
        assert entry[str(ids[place + 1])]["logprob"] == pytest.approx(float(nats[place, ids[place + 1]]), abs=1e-4)
        best = next(value for value in entry.values() if value["rank"] == 1)
        assert best["logprob"] == pytest.approx(float(nats[place].max()), abs=1e-4)


def test_answers_are_those_of_generate(server: Serving) -> None:
    ids = server.tokenizer.encode(TEXTS[0]).ids
    with torch.inference_mode():
        expected = server.plain.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False, eos_token_id=0, pad_token_id=0)[0, len(ids) :].tolist()
    reply = server.post("/v1/completions", prompt=TEXTS[0], temperature=0, max_tokens=8, logprobs=2)
    [choice] = reply["choices"]
    assert choice["text"] == server.tokenizer.decode(expected)
    assert choice["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 8
    nats = server.nats([*ids, *expected])
    assert choice["logprobs"]["token_logprobs"] == pytest.approx([float(nats[len(ids) - 1 + at, id]) for at, id in enumerate(expected)], abs=1e-4)
    text = choice["text"]
    stopped = server.post("/v1/completions", prompt=TEXTS[0], temperature=0, max_tokens=8, stop=[text[2:4]])["choices"][0]
    assert stopped["text"] == text[: text.find(text[2:4])]
    assert stopped["finish_reason"] == "stop"


def test_drawn_answers_repeat_by_their_seed(server: Serving) -> None:
    asked = {"prompt": TEXTS[0], "temperature": 1.0, "max_tokens": 6, "n": 3, "seed": 5}
    texts = [[choice["text"] for choice in server.post("/v1/completions", **asked)["choices"]] for _ in range(2)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3


def test_chat(server: Serving) -> None:
    reply = server.post("/v1/chat/completions", model="pico", messages=[{"role": "user", "content": "Hi"}], temperature=0, max_tokens=5)
    plain = server.post("/v1/completions", prompt="user: Hi\nassistant:", temperature=0, max_tokens=5)
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": plain["choices"][0]["text"]}


def test_requests_of_many_clients_are_one_batch(server: Serving) -> None:
    server.batches.clear()
    prompts = [[*server.tokenizer.encode(text[:200]).ids] for text in documents("en_train.jsonl")[:12]]
    alone = [server.post("/v1/completions", prompt=ids, temperature=0, max_tokens=0, logprobs=1, echo=True)["choices"] for ids in prompts]
    before, results = len(server.batches), dict[int, Any]()

    def ask(at: int) -> None:
        results[at] = server.post("/v1/completions", prompt=prompts[at], temperature=0, max_tokens=0, logprobs=1, echo=True)["choices"]

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.batches) - before < len(prompts)
    for at, choices in enumerate(alone):
        assert results[at][0]["logprobs"]["token_logprobs"][1:] == pytest.approx(choices[0]["logprobs"]["token_logprobs"][1:], abs=1e-4)


def test_what_cannot_be_done_is_refused(server: Serving) -> None:
    assert server.post("/v1/completions", status=400, prompt="a", stream=True)["error"]["message"] == "stream: True is not done here; leave it out"


def test_other_pages_and_wrong_bodies_are_refused(server: Serving) -> None:
    plain = server.http.post("/v1/completions", content='{"prompt": "a"}', headers={"content-type": "text/plain"})
    assert plain.status_code == 400
    assert "Content-Type: application/json" in plain.text
    for body in ("{", '{"prompt": "\\ud83d"}', '{"prompt": "a", "temperature": NaN}'):
        assert server.http.post("/v1/completions", content=body, headers={"content-type": "application/json"}).status_code == 400
    assert server.http.get("/v1/models", headers={"host": "elsewhere.example"}).status_code == 400
    assert "no such address" in server.http.get("/v2").text


def test_an_evaluation_through_the_server_is_that_of_the_engine(server: Serving, tmp_path: Path) -> None:
    """A real server on loopback, asked by our own client for endpoints."""
    running = uvicorn.Server(uvicorn.Config(server.app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = running.servers[0].sockets[0].getsockname()[1]
        served = Served(f"http://127.0.0.1:{port}/v1", tokenizer=server.model.side.folder, parallel=8)
        options = {"benchmarks": ["quickstart/ja-everyday-100"], "limit": 6}
        evaluate("pico", tmp_path / "through", EvalOptions(served=served, **options))
        evaluate(server.model.side.folder, tmp_path / "own", EvalOptions(dtype="float32", **options))
        through, own = ([output.log_likelihoods for output in read_outputs(tmp_path / name)] for name in ("through", "own"))
        assert len(own) == 6
        for served_nats, own_nats in zip(through, own, strict=True):
            assert served_nats == pytest.approx(own_nats, abs=1e-3)
        assert max(server.batches) > 1
    finally:
        running.should_exit = True
        thread.join()


def test_work_of_all_kinds_together(server: Serving) -> None:
    interface = Interface(server.model.side, "pico")
    kinds = [{"prompt": TEXTS[0], "max_tokens": 3, "temperature": 0}, {"prompt": TEXTS[1], "max_tokens": 0, "echo": True, "logprobs": 1}]
    bodies = [interface.completion_work(kind) for kind in kinds]
    together = do(server.model, [work for _, entries in bodies for work in entries])
    apart = [result for _, entries in bodies for result in do(server.model, entries)]
    assert [entry.written for entry in together] == [entry.written for entry in apart]
    assert partial(do, server.model)([]) == []
