"""Who may ask the local page: only its own browser tab, under its own name, with the token of its address."""

from __future__ import annotations

import hmac
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost")  # of this machine; any other name in `Host` is a page elsewhere whose name was pointed here (DNS rebinding)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
OWN_SITE = {"same-origin", "none"}  # `none`: the address was typed, or opened from a terminal


class Guard:
    """An ASGI application around another: it refuses strangers, takes the token off the path, and gives every answer the policy of the page."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"{name}:{port}" for name in NAMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets here
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})
        path = str(scope["path"])
        given, _, rest = path.removeprefix("/").partition("/")
        if refusal is not None:
            await PlainTextResponse(refusal, 403)(scope, receive, guarded)
        elif not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            await PlainTextResponse("no such page; the address with its token stands where `jp-adapt ui` was started", 404)(scope, receive, guarded)
        else:
            await self.app(_moved(scope, f"/{rest}"), receive, guarded)

    def _refusal(self, headers: dict[str, str]) -> str | None:
        if headers.get("host") not in self.hosts:
            return "refused: this page answers under 127.0.0.1 and localhost alone"
        origin = headers.get("origin")
        if (origin is not None and origin.removeprefix("http://") not in self.hosts) or headers.get("sec-fetch-site", "none") not in OWN_SITE:
            return "refused: another page asked"
        return None


def _moved(scope: MutableMapping[str, Any], path: str) -> dict[str, Any]:
    return {**scope, "path": path, "raw_path": path.encode("utf-8", "replace")}
