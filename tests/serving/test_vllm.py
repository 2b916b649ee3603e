"""A folder as jp-adapt leaves it, in real vLLM: the same ids, the same probabilities, stops where the model stops; and an adapter over its base.

`make test-serving` runs this; it is not a part of `make test`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import torch
from transformers import AutoModelForCausalLM

from jp_adapt.commands.serve import plan_server
from jp_adapt.export.vllm_adapter import export_vllm_adapter
from jp_adapt.inference.text_side import text_side, write_text_side
from tests.conftest import make_pico
from tests.export.models import TEMPLATE
from tests.export.test_vllm_adapter import adapter
from tests.serving.vllm_server import needs_vllm, vllm_server

pytestmark = needs_vllm
TEXTS = ["It rains today.", "日本語の文です。", "def f(x):\n    return  x + 1\n"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """500 tokens, which no power of two divides; its heads have 64 features, which vLLM's attention has on a CPU."""
    model = make_pico(tmp_path_factory.mktemp("vllm") / "pico", tied=False, hidden_size=256)
    (model / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    write_text_side(model, "<|endoftext|>")
    return model


@pytest.fixture(scope="module")
def served(folder, tmp_path_factory):
    with server(folder, tmp_path_factory.mktemp("log")) as client:
        yield client


@contextmanager
def server(folder: Path, place: Path, dtype: str = "float32") -> Iterator[httpx2.Client]:
    command = plan_server(folder, context=256).command
    at = command.index("--host")
    options = [*command[:at], *command[at + 4 :]]
    with vllm_server(options, place / "vllm.log", dtype) as address, httpx2.Client(base_url=address, timeout=300) as client:
        yield client


def complete(client: httpx2.Client, ids: list[int], **options: object) -> dict:
    body = {"prompt": ids, "temperature": 0, "max_tokens": 16, "return_token_ids": True, "add_special_tokens": False} | options
    return client.post("/v1/completions", json=body).raise_for_status().json()["choices"][0]


def test_greedy_ids_are_those_of_transformers(folder, served):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    side = text_side(folder)
    for text in TEXTS:
        ids = side.tokenizer.encode(text)
        with torch.inference_mode():
            expected = model.generate(torch.tensor([ids]), max_new_tokens=16, do_sample=False, eos_token_id=list(side.stop_ids), pad_token_id=0)[0, len(ids) :]
        assert complete(served, ids, model="pico")["token_ids"] == expected.tolist()


def differences(folder: Path, client: httpx2.Client, dtype: torch.dtype) -> list[float]:
    """Of every token of the texts: its log-probability in transformers less that in vLLM."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    found = []
    for text in TEXTS:
        ids = text_side(folder).tokenizer.encode(text)
        with torch.inference_mode():
            rows = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)
        results = complete(client, ids, model="pico", max_tokens=1, prompt_logprobs=0)["prompt_logprobs"]
        theirs = [entry[str(token)]["logprob"] for token, entry in zip(ids[1:], results[1:], strict=True)]
        found += [row[token].item() - other for row, token, other in zip(rows, ids[1:], theirs, strict=False)]
    return found


def test_prompt_log_probabilities_are_those_of_transformers(folder, served):
    assert max(map(abs, differences(folder, served, torch.float32))) < 1e-4


def test_bfloat16_differs_by_its_rounding_alone(folder, tmp_path):
    with server(folder, tmp_path, "bfloat16") as client:
        found = differences(folder, client, torch.bfloat16)
    print(f"bfloat16: largest difference {max(map(abs, found)):.1e}, mean {sum(found) / len(found):.1e}, {len(found)} tokens")
    assert max(map(abs, found)) < 1e-2


def test_texts_are_cut_as_we_cut_them(folder, served):
    for text in [*TEXTS, " 日本", "  one", "a\n\n\nb  12"]:
        answer = served.post("/tokenize", json={"model": "pico", "prompt": text, "add_special_tokens": False}).raise_for_status().json()
        assert answer["tokens"] == text_side(folder).tokenizer.encode(text)


def test_the_chat_is_asked_in_the_models_template(folder, served):
    messages = [{"role": "system", "content": "短く。"}, {"role": "user", "content": "It rains."}]
    side = text_side(folder)
    answer = served.post("/tokenize", json={"model": "pico", "messages": messages, "add_generation_prompt": True}).raise_for_status().json()
    assert answer["tokens"] == list(side.tokenizer.runtime.encode(side.chat.render_messages(messages, prompt=True), add_special_tokens=False).ids)
    stops = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"]
    assert set(stops) == set(side.stop_ids)


def test_an_adapter_over_its_base(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("adapter")
    trained = adapter(folder, place / "adapter")
    command = export_vllm_adapter(place / "adapter", folder, place / "mine")
    ids = text_side(folder).tokenizer.encode(TEXTS[0])
    with torch.inference_mode():
        rows = torch.log_softmax(trained.logits(trained(torch.tensor([ids]))[0]).double(), dim=-1)
    with vllm_server([*command, "--max-model-len", "256"], place / "vllm.log") as address, httpx2.Client(base_url=address, timeout=300) as client:
        results = complete(client, ids, model="mine", max_tokens=1, prompt_logprobs=0)["prompt_logprobs"]
    theirs = [entry[str(token)]["logprob"] for token, entry in zip(ids[1:], results[1:], strict=True)]
    assert max(abs(row[token].item() - other) for row, token, other in zip(rows, ids[1:], theirs, strict=False)) < 1e-3
