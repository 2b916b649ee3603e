"""A model behind an OpenAI-compatible endpoint: one request, one reply, with everything that can go wrong on the way."""

from __future__ import annotations

import email.utils
import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.progress import say
from jp_adapt.inference.exchange import MAX_REPLY_BYTES, Exchanges, Reply, TooLargeError
from jp_adapt.inference.workers import StoppedError

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_WAIT_S = 600.0
COMPLETIONS, CHAT = "/completions", "/chat/completions"
LARGEST_COUNT = 2**53  # of tokens; what is larger is not a count
SHORTEST_SECRET = 8  # characters; a shorter key ("EMPTY", "none") is none, and may stand in any text
Value = TypeVar("Value")
NO_USE_IN_ASKING_AGAIN = {401, 403, 404, 405}  # the key, the address or the model is wrong: every other request would fail in the same way


@dataclass(frozen=True)
class Completion:
    """What a chat model said, and what it thought before, where the server tells the two apart.

    The counts of tokens are the server's own; None where it does not tell them, or tells what cannot be a count.
    """

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None
    finish_reason: str | None
    thought: str | None = None


class EndpointError(JpAdaptError):
    """The endpoint cannot be used at all; no other request would do better."""


class RequestError(JpAdaptError):
    """One request failed for good, after every retry."""


class RefusedError(RequestError):
    """The model is there, and refuses this one request: too long, filtered, a setting it does not know."""


class Endpoint:
    """What lies below `address`, which ends in /v1 (or is the whole address of chat/completions).

    Tried again, with waits that double and a random part, or as long as the server asks for in Retry-After: 408, 409, 425, 429 and 5xx, timeouts, connections
    that break, bodies that are cut short or are not what was asked for. Where nobody has answered yet, a connection that is refused ends everything at once.
    The API key comes from the environment variable `key_variable`; it is never shown, and a server that repeats it gets it struck out.

    Args:
        timeout_s: for a whole exchange, the look-up of the host included.
        stopped: when it is set, waits end at once with StoppedError.

    Raises:
        UsageError: the address is not valid or holds a password, or `key_variable` is named and not set.
    """

    def __init__(
        self, address: str, *, key_variable: str | None = None, timeout_s: float = 120.0, tries: int = 8, stopped: threading.Event | None = None
    ) -> None:
        self.base = checked_address(address).rstrip("/").removesuffix(CHAT)
        self._key = api_key(key_variable) if key_variable else ""
        self._tries, self._stopped, self._answered = tries, threading.Event() if stopped is None else stopped, False
        self._exchanges = Exchanges(headers={"Authorization": f"Bearer {self._key}"} if self._key else {}, timeout_s=timeout_s)
        self._budget = "max_tokens"

    def close(self) -> None:
        self._exchanges.close()

    def chat(self, body: dict[str, Any]) -> Completion:
        """The chat completion of a request. A model that wants `max_completion_tokens` in the place of `max_tokens` gets it, from its first refusal on."""
        try:
            return self.post(CHAT, self._with_budget(body), chat_completion)
        except RefusedError as error:
            if "max_completion_tokens" not in str(error) or self._budget != "max_tokens":
                raise
            self._budget = "max_completion_tokens"
        return self.post(CHAT, self._with_budget(body), chat_completion)

    def _with_budget(self, body: dict[str, Any]) -> dict[str, Any]:
        return {self._budget if name == "max_tokens" else name: value for name, value in body.items()}

    def post(self, path: str, body: dict[str, Any], read: Callable[[Any], Value | None]) -> Value:
        """What `read` makes of the JSON in the reply to `body`; it gives None for what was not asked for. RequestError, or EndpointError."""
        url, trouble = self.base + path, ""
        for attempt in range(1, self._tries + 1):
            wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25)
            try:
                reply = self._exchanges.post(url, body)
            except TooLargeError:
                raise RequestError(f"{url}: a reply of more than {MAX_REPLY_BYTES:,} bytes; this is not an endpoint of a language model") from None
            except httpx2.RequestError as error:
                trouble = f"{type(error).__name__}: {_cause(error)}".rstrip(": ")
                if isinstance(error, httpx2.ConnectError) and not self._answered:
                    raise EndpointError(f"{url}: nobody answers ({trouble}); check the address, and that the server runs") from error
            else:
                self._answered = True
                value, trouble = self._value(url, reply, read)
                if value is not None:
                    return value
                wait = max(wait, _seconds(reply.retry_after))
            if attempt < self._tries:
                say(f"  endpoint: {self._without_key(trouble)}; trying again in {wait:.0f} s ({attempt} of {self._tries})")
                if self._stopped.wait(wait):
                    raise StoppedError("stopped while waiting to try again")
        raise RequestError(f"{url}: {self._without_key(trouble)}, {self._tries} times; what came is kept, run the same command again")

    def _value(self, url: str, reply: Reply, read: Callable[[Any], Value | None]) -> tuple[Value | None, str]:
        """What was asked for, or None and why another try may give it. An error where none would."""
        if reply.status != 200:
            return None, self._refusal(url, reply)
        if reply.packed:
            return None, f"HTTP 200, and the body is packed ({reply.packed}), which was not asked for"
        try:
            value = read(self._struck_out(parse_json(reply.body, "the body", max_bytes=MAX_REPLY_BYTES, lone_surrogates="replace")))
        except InputError as error:
            return None, f"HTTP 200, and {error} ({_first_line(reply.body)})"
        return value, f"HTTP 200, and the body is not a completion ({_first_line(reply.body)})"

    def _refusal(self, url: str, reply: Reply) -> str:
        """What the server said, for a status that another try may mend; an error for the others."""
        said = f"HTTP {reply.status} ({_first_line(reply.body)})"
        if reply.status in NO_USE_IN_ASKING_AGAIN or reply.status < 400:
            raise EndpointError(f"{url}: {self._without_key(said)}; check the address, the name of the model and the API key")
        if reply.status in {408, 409, 425, 429} or reply.status >= 500:
            return said
        raise RefusedError(f"{url}: {self._without_key(said)}")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _struck_out(self, value: Any) -> Any:
        """A JSON value without the key in any of its texts."""
        if len(self._key) < SHORTEST_SECRET:
            return value
        if isinstance(value, str):
            return self._without_key(value)
        if isinstance(value, list):
            return [self._struck_out(entry) for entry in value]
        return {self._without_key(name): self._struck_out(entry) for name, entry in value.items()} if isinstance(value, dict) else value


def checked_address(address: str) -> str:
    """The address. UsageError if it is not valid, or has a part that can hold a secret; a secret is not shown."""
    if not re.match(r"https?://[^/\s]+", address):
        raise UsageError(f"'{address}' is not an address of an endpoint; it looks like https://HOST/v1")
    if re.match(r"https?://[^/]*@", address) or "?" in address or "#" in address:
        raise UsageError("an endpoint's address holds no password and no key; put the key in an environment variable and name that with --api-key-env")
    try:
        url = httpx2.URL(address)
        usable = bool(url.host) and len(url.host.encode("idna")) < 254 and (url.port or 0) < 2**16
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        usable = False
    if not usable:
        shown = address if len(address) < 80 else f"{address[:77]}..."
        raise UsageError(f"'{shown}' is not an address of an endpoint: no host can be read from it; it looks like https://HOST/v1")
    return address


def api_key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"the environment variable {variable} is not set; put the API key of the endpoint there")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the environment variable {variable} holds characters that no API key has; put the key there, and nothing else")
    return key


def chat_completion(value: Any) -> Completion | None:
    """The chat completion in the JSON of a reply; None where there is none.

    An answer that was cut or filtered before its first visible word, or that is all thought, has no text (`content: null`): it is an empty answer, and asking
    for it again gives the same.
    """
    try:
        choice = value["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        text, thought = _text_of(message), _thought_of(message)
        usage = value.get("usage") or {}
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if text is None and (reason in ("length", "content_filter") or message.get("refusal") or thought):
        text = ""
    if text is None:
        return None
    prompt, completion = map(token_count, counts)
    return Completion(text, prompt, completion, reason if isinstance(reason, str) else None, thought)


def _text_of(message: dict[str, Any]) -> str | None:
    """The text of a message, which some servers give in parts (a thought, and what is said)."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else None


def _thought_of(message: dict[str, Any]) -> str | None:
    """The thought before a message: vLLM's `reasoning` (`reasoning_content` before 0.12, in llama.cpp and DeepSeek's API), or Mistral's parts of thinking."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str) and message[name]:
            return str(message[name])
    content = message.get("content")
    parts = [part["thinking"] for part in content if part.get("type") == "thinking"] if isinstance(content, list) else []
    return "".join(inner["text"] if isinstance(inner, dict) else inner for part in parts for inner in part) or None


def token_count(value: Any) -> int | None:
    """A count of tokens from a server; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_COUNT else None


def whole_characters(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair: JSON can hold one, a request cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _seconds(text: str) -> float:
    """Seconds that the server asks to wait, of a Retry-After that is a number or a date; 0 where it asks for nothing that can be read."""
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        return min(float(text), LONGEST_ASKED_WAIT_S)
    try:
        return min(max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time()), LONGEST_ASKED_WAIT_S)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _cause(error: BaseException) -> str:
    """What the system says of a broken connection, which stands at the end of a chain of errors."""
    said, inner = str(error), error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno:
            said = os.strerror(inner.errno) if inner.errno > 0 else str(inner.strerror)
        inner = inner.__cause__ or inner.__context__
    return said


def _first_line(body: bytes) -> str:
    """The beginning of a body, on one line, for a message."""
    return re.sub(r"\s+", " ", body.decode("utf-8", "replace")).strip()[:200] or "no body"
