"""A model that answers in a conversation, piece by piece as it is written: a folder in transformers, or a server with OpenAI's chat interface."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx2

from jp_adapt.core.errors import InputError, JpAdaptError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.inference.endpoint import CHAT, api_key, checked_address
from jp_adapt.inference.text_side import TextSide, text_side

Messages = Sequence[dict[str, str]]
Reply = Generator[str, None, bool]  # pieces of an answer; what it ends with says whether the answer was cut


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. A temperature of 0 takes the most likely one; `top_k` 0 and `top_p` 1 leave all tokens in.

    An answer is cut after `max_tokens`, or where the model's context is full.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    seed: int | None = None


class Speaker(Protocol):
    """Answers conversations."""

    def reply(self, messages: Messages, sampling: Sampling) -> Reply:
        """The answer to the last message in pieces, and whether it was cut. InputError for a conversation that the model cannot take."""
        ...


class FolderSpeaker:
    """A model folder in transformers, on the GPU where there is one, asked in its own chat template."""

    def __init__(self, folder: Path, dtype: str = "auto") -> None:
        import torch
        from transformers import AutoModelForCausalLM

        from jp_adapt.model.causal import resolve_precision

        self.side: TextSide = text_side(folder)
        try:
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=resolve_precision(dtype), use_safetensors=True, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{folder}: no model that transformers can load ({error})") from error
        self.model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def reply(self, messages: Messages, sampling: Sampling) -> Reply:
        import torch

        tokenizer = self.side.tokenizer.runtime
        ids = self._prompt(messages)
        settings: dict[str, Any] = {
            "max_new_tokens": sampling.max_tokens if self.side.positions is None else min(sampling.max_tokens, self.side.positions - len(ids)),
            "repetition_penalty": sampling.repetition_penalty,
            "do_sample": sampling.temperature > 0,
        }
        if sampling.temperature > 0:
            settings |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        if sampling.seed is not None:
            torch.manual_seed(sampling.seed)
        stops = list(self.side.stop_ids)
        streamer, ended = _Streamer(), False

        def work() -> None:
            try:
                prompt = torch.tensor([ids], device=self.model.device)
                self.model.generate(prompt, attention_mask=torch.ones_like(prompt), eos_token_id=stops, pad_token_id=stops[0], streamer=streamer, **settings)
            except BaseException as error:  # told where the answer is read
                streamer.put_error(error)

        def answered() -> Iterator[int]:
            nonlocal ended
            for token in streamer:
                ended = token in stops
                if not ended:
                    yield token

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield from decoded_pieces(answered(), lambda new: str(tokenizer.decode(new)))
            return not ended
        finally:  # whoever listens may leave before the end
            streamer.stopped = True
            thread.join()

    def _prompt(self, messages: Messages) -> list[int]:
        text = self.side.chat.render_messages(messages, prompt=True)
        ids = list(self.side.tokenizer.runtime.encode(text, add_special_tokens=False).ids)
        positions = self.side.positions
        if positions is not None and len(ids) >= positions:
            raise InputError(f"the conversation has {len(ids):,} tokens, which leaves no room for an answer in the model's {positions:,}")
        return ids


class _StoppedError(Exception):
    """Nobody listens any more: `generate` ends at its next token."""


class _Streamer:
    """What `generate` of transformers puts its tokens into, prompt first; iterating gives those of the answer."""

    def __init__(self) -> None:
        self._queue: queue.Queue[list[int] | BaseException | None] = queue.Queue()
        self._begun = self.stopped = False

    def put(self, value: Any) -> None:
        if self.stopped:
            raise _StoppedError
        if self._begun:
            self._queue.put([int(token) for token in value.reshape(-1)])
        self._begun = True

    def end(self) -> None:
        self._queue.put(None)

    def put_error(self, error: BaseException) -> None:
        self._queue.put(error)

    def __iter__(self) -> Iterator[int]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield from item


def decoded_pieces(ids: Iterator[int], decode: Any) -> Iterator[str]:
    """The text of tokens as it grows; a character whose bytes are spread over several tokens comes when it is whole."""
    seen: list[int] = []
    given = ""
    for token in ids:
        seen.append(token)
        text = decode(seen)
        if text.endswith("\ufffd"):
            continue
        yield text[len(given) :]
        given = text
    rest = decode(seen)[len(given) :] if seen else ""
    if rest:
        yield rest


class ServerSpeaker:
    """A llama.cpp server with OpenAI's chat interface at `address` (http://host:port), which has the model's template."""

    def __init__(self, address: str) -> None:
        self.address = address

    def reply(self, messages: Messages, sampling: Sampling) -> Reply:
        own = {"top_k": sampling.top_k, "min_p": 0.0, "repeat_penalty": sampling.repetition_penalty}
        return _streamed(f"{self.address}/v1{CHAT}", _body(messages, sampling) | own)


class EndpointSpeaker:
    """The model `name` of any OpenAI-compatible endpoint. What is not in OpenAI's interface is asked for only where it is set.

    Args:
        address: ends in /v1.
        key_variable: environment variable with the API key, which is sent there, and never shown.

    Raises:
        UsageError: the address is not valid or holds a password, or `key_variable` is not set.
    """

    def __init__(self, name: str, address: str, key_variable: str | None = None) -> None:
        self.name, self.address = name, checked_address(address).rstrip("/").removesuffix(CHAT)
        self._key = api_key(key_variable) if key_variable else ""
        self._budget = "max_tokens"

    def reply(self, messages: Messages, sampling: Sampling) -> Reply:
        body = _body(messages, sampling) | {"model": self.name}
        body |= {"top_k": sampling.top_k} if sampling.top_k else {}
        body |= {"repetition_penalty": sampling.repetition_penalty} if sampling.repetition_penalty != 1 else {}
        try:
            return (yield from self._answer(body))
        except InputError as error:
            if "max_completion_tokens" not in str(error) or self._budget != "max_tokens":
                raise
            self._budget = "max_completion_tokens"  # newer models of OpenAI know no other
            return (yield from self._answer(body))

    def _answer(self, body: dict[str, Any]) -> Reply:
        asked = {self._budget if name == "max_tokens" else name: value for name, value in body.items()}
        try:
            return (yield from _streamed(f"{self.address}{CHAT}", asked, {"Authorization": f"Bearer {self._key}"} if self._key else {}))
        except JpAdaptError as error:
            raise type(error)(f"{self.name}: {str(error).replace(self._key, '***') if self._key else error}") from error


def _body(messages: Messages, sampling: Sampling) -> dict[str, Any]:
    """A request in OpenAI's interface."""
    body: dict[str, Any] = {"messages": list(messages), "stream": True, "temperature": sampling.temperature, "top_p": sampling.top_p}
    return body | {"max_tokens": sampling.max_tokens} | ({} if sampling.seed is None else {"seed": sampling.seed})


def _streamed(address: str, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """The pieces of an answer. InputError where the server refuses the conversation, JpAdaptError where it cannot be reached or stops."""
    begun = cut = False
    try:
        with httpx2.stream("POST", address, json=body, headers=headers, timeout=httpx2.Timeout(600, connect=10)) as answer:
            begun = True
            if answer.status_code != 200:
                raise InputError(f"the server refuses the conversation (HTTP {answer.status_code}: {_reason(answer.read())})")
            for line in answer.iter_lines():
                if line.startswith("data:") and line.removeprefix("data:").strip() != "[DONE]":
                    piece, at_the_end = _delta(parse_json(line.removeprefix("data:"), "the server's answer"))
                    cut |= at_the_end
                    yield piece
    except httpx2.HTTPError as error:
        raise JpAdaptError(f"the server {'stopped answering' if begun else 'does not answer'} ({type(error).__name__})") from error
    return cut


def _delta(event: Any) -> tuple[str, bool]:
    """The piece of text that an event brings, and whether it says that the answer is cut."""
    if not isinstance(event, dict):
        raise JpAdaptError("the server's answer is none of a chat")
    if event.get("error"):
        raise JpAdaptError(f"the server stopped answering ({_reason(json.dumps(event).encode())})")
    try:
        choice = (event.get("choices") or [{}])[0]
        return str(choice.get("delta", {}).get("content") or ""), choice.get("finish_reason") == "length"
    except (AttributeError, KeyError, TypeError) as error:
        raise JpAdaptError("the server's answer is none of a chat") from error


def _reason(body: bytes) -> str:
    try:
        return str(parse_json(body, "the server's answer")["error"]["message"])
    except (InputError, KeyError, TypeError):
        return body[:200].decode("utf-8", errors="replace")
