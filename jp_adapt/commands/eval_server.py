"""An OpenAI-compatible server of our own engine, so that any harness shares prefixes and batches."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.commands.serve import refuse_taken
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.extras import require_extra
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.names import model_name
from jp_adapt.core.progress import say

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

    from jp_adapt.inference.openai_api import Done, Interface, Work
    from jp_adapt.inference.together import Together

LARGEST_BODY = 64 << 20  # bytes


def serve_engine(folder: Path, *, host: str = "127.0.0.1", port: int = 8000, name: str | None = None, dtype: str = "auto") -> None:
    """Serve a model folder until Ctrl-C, by the engine that `jp-adapt eval` computes with.

    Raises:
        UsageError: the packages of the extra `ui` are missing, or the address is taken. InputError: there is no model.
    """
    require_extra("ui", "jp-adapt eval server")
    refuse_taken(host, port)
    import uvicorn

    from jp_adapt.inference.model_folder import load_model
    from jp_adapt.inference.openai_api import Interface, do
    from jp_adapt.inference.together import Together

    model = load_model(folder, dtype)
    interface = Interface(model.side, name or model_name(folder))
    together: Together[Work, Done] = Together(partial(do, model))
    say(f"http://{host}:{port}/v1 serves {interface.name} (OpenAI's interface); Ctrl-C ends it")
    app = build_server(interface, together, host)
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="error", lifespan="off", timeout_graceful_shutdown=3, server_header=False))
    try:
        server.run()
    except KeyboardInterrupt:
        say("ended")


def build_server(interface: Interface, together: Together[Work, Done], host: str) -> Starlette:
    """The application: bodies in JSON only (a page of another site cannot send that), and on loopback only under this machine's own names."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def answered(handle: Callable[[Any], Any]) -> Callable[[Request], Any]:
        async def route(request: Request) -> JSONResponse:
            try:
                return JSONResponse(await handle(await _body(request)))
            except (UsageError, InputError) as error:
                return _error(str(error), 400)

        return route

    async def work(work: list[Work]) -> list[Done]:
        return list(await asyncio.gather(*(asyncio.wrap_future(together.submit(entry)) for entry in work)))

    async def completions(value: Any) -> dict[str, Any]:
        body, asked = interface.completion_work(value)
        return interface.completion_reply(body, asked, await work(asked))

    async def chat(value: Any) -> dict[str, Any]:
        _, asked = interface.chat_work(value)
        return interface.chat_reply(asked, await work(asked))

    async def tokenize(value: Any) -> dict[str, Any]:
        return interface.tokenize(value)

    async def models(request: Request) -> JSONResponse:
        return JSONResponse(interface.models())

    def _error(message: str, status: int) -> JSONResponse:
        return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "code": status}}, status)

    async def broken(request: Request, error: Exception) -> JSONResponse:
        say(f"  {request.url.path}: {type(error).__name__}: {error}")
        return _error(f"{type(error).__name__}: {error}", 500)

    async def missing(request: Request, error: Exception) -> JSONResponse:
        return _error(f"{request.url.path}: no such address; there are /v1/models, /v1/completions, /v1/chat/completions and /tokenize", 404)

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/completions", answered(completions), methods=["POST"]),
            Route("/v1/chat/completions", answered(chat), methods=["POST"]),
            Route("/tokenize", answered(tokenize), methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", host])] if _is_loopback(host) else [],
        exception_handlers={404: missing, Exception: broken},
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _body(request: Request) -> Any:
    """The JSON of a request. UsageError or InputError where it is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UsageError("send JSON, with the header `Content-Type: application/json`")
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > LARGEST_BODY:
            raise UsageError(f"the body has more than {LARGEST_BODY:,} bytes; send fewer prompts at a time")
    return parse_json(bytes(received), "the body", max_bytes=LARGEST_BODY)
