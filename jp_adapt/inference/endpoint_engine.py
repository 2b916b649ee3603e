"""A model behind an OpenAI-compatible endpoint as an engine: log-likelihoods of given tokens from the echo of a prompt, texts from completions.

A request is sent once: its reply is in the cache (`reply_cache`) before the next one is begun, and a killed run resumes from there.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.progress import Advance
from jp_adapt.inference.answer import Continuation, Continued, shortened
from jp_adapt.inference.draw import Draw
from jp_adapt.inference.endpoint import COMPLETIONS, Endpoint, EndpointError, RefusedError, token_count
from jp_adapt.inference.reply_cache import ReplyCache
from jp_adapt.inference.text_side import TextSide
from jp_adapt.inference.trie import Request, sum_over_windows
from jp_adapt.inference.workers import StoppedError, in_parallel

MOST_STOPS = 4  # of the OpenAI API; what comes after the others is cut off here
# `prompt_logprobs` is vLLM's, and names the ids; a server that refuses to know it is asked in OpenAI's own way.
PROBE = (  # read by the server's tokenizer: an extension for Japanese has tokens of its own for some of it
    "これは、送られた文章をサーバーがどのように区切るかを確かめるための文です。日本の首都は東京であり、多くの人が毎日この町で働いている。"
    "私たちは新しいモデルについて考え、その結果をまとめました。 The same sentence in English is read here as well."
)
WAYS: tuple[dict[str, Any], ...] = ({"echo": True, "logprobs": 1, "prompt_logprobs": 0}, {"echo": True, "logprobs": 1})


class NoLogProbabilities(EndpointError):
    """The server does not tell how probable the tokens of a prompt are."""


@dataclass(frozen=True)
class EchoedToken:
    """A token of a prompt as the server tells it: its id (None where the server gives texts alone), its text, and ln p (None for the first)."""

    id: int | None
    text: str
    nats: float | None


@dataclass(frozen=True)
class Echo:
    """A prompt that came back: the text as the server reads it, and its tokens."""

    text: str
    tokens: list[EchoedToken]


class Completions:
    """One model behind an endpoint, asked for many things at a time, each once. `stopped` is set when nothing more may be asked.

    `occasion` tells requests from the same ones asked earlier, whose replies are then not taken from the cache.
    """

    def __init__(
        self, endpoint: Endpoint, model: str, cache: ReplyCache, *, parallel: int = 4, stopped: threading.Event | None = None, occasion: str = ""
    ) -> None:
        self.occasion = occasion
        self.endpoint, self.model, self.cache, self.parallel = endpoint, model, cache, parallel
        self.stopped = stopped or threading.Event()
        self._way: dict[str, Any] | None = None
        self._finding = threading.Lock()

    def each(self, requests: Sequence[dict[str, Any]], ask: Callable[[dict[str, Any]], dict[str, Any]], advance: Advance) -> list[dict[str, Any]]:
        """`ask` of each request, in the order given; a request that was asked before is taken from the cache."""

        def once(request: dict[str, Any]) -> dict[str, Any]:
            asked = {"endpoint": self.endpoint.base, "model": self.model, "request": request}
            key = self.cache.key(asked | ({"occasion": self.occasion} if self.occasion else {}))
            with self.cache.held(key):
                stored = self.cache.get(key)
                if stored is None:
                    if self.stopped.is_set():
                        raise StoppedError("stopped")
                    stored = ask(request)
                    self.cache.store(key, stored)
            return stored

        return in_parallel(once, requests, parallel=self.parallel, stopped=self.stopped, finished=lambda done, result: advance(done, ""))

    def again(self, *, one_at_a_time: bool) -> Completions:
        """The same model, asked anew."""
        occasion, parallel = ("alone", 1) if one_at_a_time else ("together", self.parallel)
        return Completions(self.endpoint, self.model, self.cache, parallel=parallel, stopped=self.stopped, occasion=occasion)

    def write(self, body: dict[str, Any]) -> dict[str, Any]:
        """The text that continues a prompt, or answers messages; why it ends, and the thought that a server tells apart."""
        body = {**body, "stop": body["stop"][:MOST_STOPS]} if body.get("stop") else {name: value for name, value in body.items() if name != "stop"}
        body = {"model": self.model, "temperature": 0, **body}
        if "messages" in body:
            said = self.endpoint.chat(body)
            return {"text": said.text, "finish": said.finish_reason, "thought": said.thought}
        reply = self.endpoint.post(COMPLETIONS, body, _reply)
        return {"text": str(reply["text"]), "finish": reply.get("finish_reason")}

    def tokens_of(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the server makes of the text in `request["tokens_of"]`: ids (None for one that it does not tell) or None, and their number or None."""
        body = {"model": self.model, "prompt": request["tokens_of"], "max_tokens": 1, "temperature": 0}
        try:
            reply = self.endpoint.post(COMPLETIONS, body | WAYS[0], _reply)
        except RefusedError:
            reply = self.endpoint.post(COMPLETIONS, body, _reply)
        ids = _ids_of(reply)
        return {"ids": ids or None, "count": len(ids) or token_count(reply["usage"].get("prompt_tokens"))}

    def echo(self, prompt: str | list[int]) -> Echo:
        """The tokens of a prompt with their log-probabilities. NoLogProbabilities where the server has none."""
        with self._finding:  # the first request finds out how this server is asked
            if self._way is None:
                return self._find_way(prompt)
        results = self._echo(prompt, self._way)
        if results is None:
            raise self._none()
        return results

    def _find_way(self, prompt: str | list[int]) -> Echo:
        refused: RefusedError | None = None
        for way in WAYS:
            try:
                results = self._echo(prompt, way)
            except RefusedError as error:
                refused = error
            else:
                if results is not None:
                    self._way = way
                    return results
        raise self._none() from refused

    def _none(self) -> NoLogProbabilities:
        return NoLogProbabilities(
            f"{self.endpoint.base + COMPLETIONS}: gives no log-probabilities of a prompt's tokens, which choices are scored by. vLLM gives them; "
            "elsewhere measure benchmarks of generated answers"
        )

    def _echo(self, prompt: str | list[int], way: dict[str, Any]) -> Echo | None:
        body = {"model": self.model, "prompt": prompt, "max_tokens": 1, "temperature": 0, **way}
        reply = self.endpoint.post(COMPLETIONS, body, _reply)
        return _echoed(reply, len(prompt) if isinstance(prompt, list) else None)


class EndpointEngine:
    """Given tokens, behind the interface of `token_backend.Engine`. They are of `side`'s tokenizer, which must be the server's."""

    def __init__(self, completions: Completions, side: TextSide) -> None:
        self.completions, self.side, self.decode = completions, side, side.tokenizer.runtime.decode
        self._warnings: list[str] | None = None

    def _check_tokenizer(self) -> None:
        """InputError where the server reads a text in other tokens. A base model's tokenizer goes with its extension otherwise: its ids are among those of the
        extended one, and spell the same text."""
        if self._warnings is not None:
            return
        self._warnings = []
        [given] = self.completions.each([{"tokens_of": PROBE}], self.completions.tokens_of, lambda done, note: None)
        runtime, bos = self.side.tokenizer.runtime, self.side.starts.bos
        plain = self.side.tokenizer.encode(PROBE)
        usual = [plain, runtime.encode(PROBE).ids, [self.side.starts.document if bos is None else bos, *plain]]
        if given["ids"] is not None:
            same = any(len(ids) == len(given["ids"]) and all(other in (None, id) for id, other in zip(ids, given["ids"], strict=True)) for ids in usual)
        elif given["count"] is not None:
            same = given["count"] in map(len, usual)
        else:
            self._warnings.append("the endpoint does not tell what tokens it makes of a text: that --tokenizer is its own could not be checked")
            return
        if not same:
            raise InputError(
                f"--tokenizer is not that of {self.completions.model}: it makes {len(plain)} tokens of a text of which the endpoint makes "
                f"{given['count'] or len(given['ids'])} ({'other ones' if given['ids'] else 'by its own count'}); give the folder of the model that is served"
            )

    def log_likelihoods(self, requests: Sequence[Request], max_tokens: int, advance: Advance) -> list[float]:
        self._check_tokenizer()

        def score(windows: list[Request]) -> list[float]:
            results = self.completions.each([{"score": window.ids, "first": window.first} for window in windows], self._score, advance)
            return [value["nats"] for value in results]

        return sum_over_windows(requests, max_tokens, score)

    def _score(self, request: dict[str, Any]) -> dict[str, Any]:
        ids, first = request["score"], request["first"]
        if first >= len(ids):
            return {"nats": 0.0}
        echo = self.completions.echo(ids)
        written = self.decode(ids[1:]).strip("\ufffd")  # a window may begin and end within a character
        other_ids = any(token.id not in (None, id) for token, id in zip(echo.tokens[1:], ids[1:], strict=True))
        if other_ids or not spells(echo.text, written):
            raise InputError(
                f"--tokenizer is not that of {self.completions.model}: what it writes as {written[-40:]!r} the endpoint reads as {echo.text[-40:]!r}"
            )
        return {"nats": sum_of(echo.tokens[first:])}

    def continue_prompts(self, requests: Sequence[Continuation], advance: Advance) -> list[Continued]:
        self._check_tokenizer()
        bodies = [{"prompt": entry.ids, "max_tokens": entry.max_tokens, "stop": list(entry.stop)} | drawn(entry.draw) for entry in requests]
        results = self.completions.each(bodies, self.completions.write, advance)
        return [shortened(value["text"], value.get("finish"), entry.stop, entry.max_chars) for value, entry in zip(results, requests, strict=True)]

    def again(self, *, one_at_a_time: bool) -> EndpointEngine:
        engine = EndpointEngine(self.completions.again(one_at_a_time=one_at_a_time), self.side)
        engine._warnings = self._warnings  # the server was checked before
        return engine

    def take_warnings(self) -> list[str]:
        return list(self._warnings or ())


def drawn(draw: Draw | None) -> dict[str, Any]:
    """How a request says how tokens are drawn; nothing for the most probable ones. `top_k` is not of OpenAI's API, but of vLLM's and llama.cpp's."""
    if draw is None:
        return {}
    body: dict[str, Any] = {"temperature": draw.temperature, "seed": draw.seed}
    return body | ({"top_p": draw.top_p} if draw.top_p < 1 else {}) | ({"top_k": draw.top_k} if draw.top_k else {})


def sum_of(tokens: Sequence[EchoedToken]) -> float:
    """ln p of tokens. InputError where the server gave none for one of them."""
    if any(token.nats is None for token in tokens):
        raise InputError("the endpoint gave no log-probability for a token that is to be scored")
    return sum(token.nats or 0.0 for token in tokens)


def spells(said: str, written: str) -> bool:
    """Whether the text of a reply holds the written one; spaces may differ, which tokenizers add and take away."""
    return re.sub(r"\s", "", written) in re.sub(r"\s", "", said)


def _reply(value: Any) -> dict[str, Any] | None:
    """The first choice of a reply, with its usage; None where there is none."""
    try:
        choice = value["choices"][0]
        usage, kept = value.get("usage"), value.get("prompt_logprobs")
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if not isinstance(choice, dict) or not isinstance(choice.get("text"), str):
        return None
    return {"prompt_logprobs": kept, **choice, "usage": usage if isinstance(usage, dict) else {}}


def _ids_of(reply: dict[str, Any]) -> list[int | None]:
    """The ids of a prompt, of vLLM's `prompt_logprobs`, which has none for the first token; none at all where the server does not tell them."""
    try:
        return [int(next(iter(entry))) if entry and len(entry) == 1 else None for entry in reply.get("prompt_logprobs") or []]
    except (TypeError, ValueError):
        return []


def _echoed(reply: dict[str, Any], count: int | None) -> Echo | None:
    """The prompt in a reply to an echo of `count` tokens (None: it was sent as text); None where the reply has no log-probabilities of it.

    One token was generated after the prompt, since not every server takes `max_tokens: 0`; it is cut off.
    """
    log: Any = reply.get("logprobs")
    try:
        texts, nats = list(log["tokens"]), list(log["token_logprobs"])
    except (TypeError, KeyError):
        return None
    ids = _ids_of(reply)
    if count is None:
        count = len(ids) or token_count(reply["usage"].get("prompt_tokens")) or len(texts) - 1
    if not count <= min(len(texts), len(nats)) <= count + 1 or any(not isinstance(text, str) for text in texts):
        return None
    ids = ids if len(ids) == count else [None] * count
    values = [float(value) if isinstance(value, int | float) else None for value in nats[:count]]
    if all(value is None for value in values[1:]) and count > 1:
        return None
    return Echo(reply["text"], [EchoedToken(id, text, value) for id, text, value in zip(ids, texts[:count], values, strict=True)])
