"""A model that answers piece by piece."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.inference.speaker import EndpointSpeaker, FolderSpeaker, Sampling
from tests.chat_server import chat_server, said
from tests.export.models import TEMPLATE


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory, pico: Path) -> FolderSpeaker:
    folder = shutil.copytree(pico, tmp_path_factory.mktemp("speaker") / "pico")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return FolderSpeaker(folder, "float32")


def test_a_listener_who_leaves_ends_the_answer(speaker: FolderSpeaker) -> None:
    before = set(threading.enumerate())
    longest = Sampling(temperature=1.0, seed=1, max_tokens=400)
    started = time.monotonic()
    whole = "".join(speaker.reply([{"role": "user", "content": "It rains."}], longest))
    whole_s, started = time.monotonic() - started, time.monotonic()
    answer = speaker.reply([{"role": "user", "content": "It rains."}], longest)
    assert whole.startswith(next(iter(answer)))
    answer.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before  # others' threads may end meanwhile
    assert time.monotonic() - started < whole_s / 2


TALK = [{"role": "user", "content": "今日は？"}]
PIECES = ('{"choices": [{"delta": {"role": "assistant"}}]}', said("雨"), said("です。"), '{"choices": []}', "[DONE]")


def test_an_endpoint_is_asked_in_plain_openai_and_answers_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-key-1")
    with chat_server(*PIECES) as server:
        speaker = EndpointSpeaker("gpt", server.url, "MY_KEY")
        assert [piece for piece in speaker.reply(TALK, Sampling(seed=3)) if piece] == ["雨", "です。"]
        list(speaker.reply(TALK, Sampling(top_k=5, repetition_penalty=1.1)))
    plain = {"model": "gpt", "messages": TALK, "stream": True, "temperature": 0.7, "top_p": 0.95, "max_tokens": 512}
    assert server.bodies == [plain | {"seed": 3}, plain | {"top_k": 5, "repetition_penalty": 1.1}]
    assert server.keys == ["Bearer secret-key-1"] * 2


def test_a_model_that_wants_the_other_name_of_a_budget_gets_it() -> None:
    with chat_server(*PIECES, script=['{"error": {"message": "Use \'max_completion_tokens\' instead."}}']) as server:
        speaker = EndpointSpeaker("o", server.url)
        assert "".join(speaker.reply(TALK, Sampling())) == "雨です。"
        assert "".join(speaker.reply(TALK, Sampling())) == "雨です。"
    assert ["max_tokens" in body for body in server.bodies] == [True, False, False]
    assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 512, 512]


def test_what_an_endpoint_refuses_is_told_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-key-1")
    refused = r"^gpt: the server refuses the conversation \(HTTP 400: bad key \*\*\*\)$"
    with chat_server(script=['{"error": {"message": "bad key secret-key-1"}}']) as server, pytest.raises(InputError, match=refused):
        list(EndpointSpeaker("gpt", server.url, "MY_KEY").reply(TALK, Sampling()))
    with pytest.raises(JpAdaptError, match="gpt: the server does not answer"):
        list(EndpointSpeaker("gpt", server.url).reply(TALK, Sampling()))
    for name, address, variable, message in (
        ("gpt", "api.example.com", None, "is not an address of an endpoint"),
        ("gpt", "http://user:pass@host/v1", None, "holds no password"),
        ("gpt", "http://host/v1", "NO_SUCH_KEY", "NO_SUCH_KEY is not set"),
    ):
        with pytest.raises(UsageError, match=message):
            EndpointSpeaker(name, address, variable)


@pytest.mark.parametrize("piece", ["[1]", '{"choices": 3}', '{"choices": [1]}', '{"choices": [{"delta": []}]}', '{"error": "full"}'])
def test_an_answer_that_is_none_is_told(piece: str) -> None:
    with chat_server(said("雨"), piece) as server, pytest.raises(JpAdaptError, match="gpt: the server"):
        list(EndpointSpeaker("gpt", server.url).reply(TALK, Sampling()))
