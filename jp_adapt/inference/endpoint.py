"""A model behind an OpenAI-compatible endpoint: one request, one reply, with everything that can go wrong on the way."""

from __future__ import annotations

import email.utils
import json
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from jp_adapt.core.errors import JpAdaptError, UsageError
from jp_adapt.core.progress import say

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_WAIT_S = 600.0
COMPLETIONS, CHAT = "/completions", "/chat/completions"
Value = TypeVar("Value")
NO_USE_IN_ASKING_AGAIN = {401, 403, 404, 405}  # the key, the address or the model is wrong: every other request would fail in the same way


@dataclass(frozen=True)
class Completion:
    """What a chat model said. The counts of tokens are the server's own; None where it does not tell them."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None
    finish_reason: str | None


class EndpointError(JpAdaptError):
    """The endpoint cannot be used at all; no other request would do better."""


class RequestError(JpAdaptError):
    """One request failed for good, after every retry."""


class RefusedError(RequestError):
    """The model is there, and refuses this one request: too long, filtered, a setting it does not know."""


@dataclass(frozen=True)
class _Reply:
    """One HTTP response, read to its end."""

    status: int
    retry_after: str
    body: bytes


class Endpoint:
    """What lies below `address`, which ends in /v1 (or is the whole address of chat/completions).

    Tried again, with waits that double and a random part, or as long as the server asks for in Retry-After: 408, 409, 425, 429 and 5xx, timeouts, connections
    that break, bodies that are cut short or are not what was asked for. The API key comes from the environment variable `key_variable` and is never shown.

    Raises:
        UsageError: the address is none or holds a password, or `key_variable` is named and not set.
    """

    def __init__(
        self,
        address: str,
        *,
        key_variable: str | None = None,
        timeout_s: float = 120.0,
        tries: int = 8,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not re.match(r"https?://[^/\s]+", address):
            raise UsageError(f"'{address}' is no address of an endpoint; it looks like https://HOST/v1")
        if re.match(r"https?://[^/]*@", address) or "?" in address:
            raise UsageError("an endpoint's address holds no password and no key; put the key in an environment variable and name that with --api-key-env")
        key = os.environ.get(key_variable, "") if key_variable else ""
        if key_variable and not key:
            raise UsageError(f"the environment variable {key_variable} is not set; put the API key of the endpoint there")
        self.base = address.rstrip("/").removesuffix(CHAT)
        self._key, self._tries, self._sleep, self._timeout_s = key, tries, sleep, timeout_s
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.Client(headers=headers, timeout=httpx2.Timeout(timeout_s), follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def post(self, path: str, body: dict[str, Any], parse: Callable[[bytes], Value | None]) -> Value:
        """What `parse` makes of the reply to `body`; it gives None for one that is not what was asked for. RequestError, or EndpointError."""
        url, trouble = self.base + path, ""
        for attempt in range(1, self._tries + 1):
            wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25)
            try:
                reply = self._post(url, body)
            except httpx2.RequestError as error:
                trouble = f"{type(error).__name__}: {error}".rstrip(": ")
            else:
                value = parse(reply.body) if reply.status == 200 else None
                if value is not None:
                    return value
                trouble = "HTTP 200, and the body is no completion" if reply.status == 200 else self._refusal(url, reply)
                wait = max(wait, _seconds(reply.retry_after))
            if attempt < self._tries:
                say(f"  endpoint: {self._without_key(trouble)}; trying again in {wait:.0f} s ({attempt} of {self._tries})")
                self._sleep(wait)
        raise RequestError(f"{url}: {self._without_key(trouble)}, {self._tries} times; what came is kept, run the same command again")

    def _post(self, url: str, body: dict[str, Any]) -> _Reply:
        """One exchange, within `timeout_s` in all: httpx2's own timeout is for each read, and a server that drips would outlast it."""
        deadline = time.monotonic() + self._timeout_s
        with self._client.stream("POST", url, json=body) as response:
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout(f"no whole answer within {self._timeout_s:g} s")
            return _Reply(response.status_code, response.headers.get("retry-after", ""), b"".join(parts))

    def _refusal(self, url: str, reply: _Reply) -> str:
        """What the server said, for a status that another try may mend; an error for the others."""
        said = f"HTTP {reply.status} ({_first_line(reply.body)})"
        if reply.status in NO_USE_IN_ASKING_AGAIN or reply.status < 400:
            raise EndpointError(f"{url}: {self._without_key(said)}; check the address, the name of the model and the API key")
        if reply.status in {408, 409, 425, 429} or reply.status >= 500:
            return said
        raise RefusedError(f"{url}: {self._without_key(said)}")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def chat_completion(body: bytes) -> Completion | None:
    """The chat completion in a body; None where the body is none (cut short, not JSON, an error with status 200)."""
    try:
        value = json.loads(body)
        choice = value["choices"][0]
        text, reason = choice["message"]["content"], choice.get("finish_reason")
        usage = value.get("usage") or {}
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(text, str):
        return None
    prompt, completion = (count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None for count in counts)
    return Completion(whole_characters(text), prompt, completion, reason if isinstance(reason, str) else None)


def whole_characters(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair: JSON can hold one, a request cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _seconds(text: str) -> float:
    """Seconds that the server asks to wait, of a Retry-After that is a number or a date; 0 where it asks for nothing that can be read."""
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        return min(float(text), LONGEST_ASKED_WAIT_S)
    try:
        return min(max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time()), LONGEST_ASKED_WAIT_S)
    except (ValueError, TypeError):
        return 0.0


def _first_line(body: bytes) -> str:
    """The beginning of a body, on one line, for a message."""
    return re.sub(r"\s+", " ", body.decode("utf-8", "replace")).strip()[:200] or "no body"
