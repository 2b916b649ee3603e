"""One HTTP exchange within one deadline, from the look-up of the host to the last byte, and with a bound on its size.

httpx2's own timeouts are for each read: a server that sends a header line or an interim "100 Continue" now and then outlasts them. So requests run as tasks of
an event loop in a thread of its own, which are cancelled when their time is over. Replies are asked for unpacked: what is bounded is what comes over the wire.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import anyio
import httpx2

MAX_REPLY_BYTES = 16 * 2**20  # the echo of 4,096 tokens with log-probabilities takes about 1 MB
Value = TypeVar("Value")


@dataclass(frozen=True)
class Reply:
    """One HTTP response, read to its end; `body` is empty where it was packed in a way that nobody asked for."""

    status: int
    retry_after: str
    body: bytes
    packed: str = ""


class TooLargeError(Exception):
    """The body has more than MAX_REPLY_BYTES; what more there is was not read."""


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: that takes 40 ms."""
    return httpx2.create_ssl_context()


class Exchanges:
    """POST requests with JSON, from any number of threads."""

    def __init__(self, *, headers: dict[str, str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", **headers},
            timeout=httpx2.Timeout(timeout_s),
            limits=httpx2.Limits(max_connections=None),
            verify=_certificates(),
            follow_redirects=False,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def post(self, url: str, body: dict[str, Any]) -> Reply:
        """The reply to a request. httpx2.RequestError where there is none within the time, TooLargeError for one without an end."""
        return self._run(self._post(url, body))

    def close(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self._run(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None

    def _run(self, work: Coroutine[Any, Any, Value]) -> Value:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _post(self, url: str, body: dict[str, Any]) -> Reply:
        try:
            with anyio.fail_after(self._timeout_s):
                async with self._client.stream("POST", url, json=body) as response:
                    return await _read(response)
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no whole answer within {self._timeout_s:g} s") from None


async def _read(response: httpx2.Response) -> Reply:
    headers = response.headers
    if (packed := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
        return Reply(response.status_code, headers.get("retry-after", ""), b"", packed)
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MAX_REPLY_BYTES:
            raise TooLargeError
    return Reply(response.status_code, headers.get("retry-after", ""), bytes(body))
