"""The server of the local page: on this machine alone, under an address that nobody can guess."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.extras import require_extra
from jp_adapt.core.progress import say
from jp_adapt.ui.catalogue import check_folder

if TYPE_CHECKING:
    from jp_adapt.inference.speaker import EndpointSpeaker

LOOPBACK = "127.0.0.1"


def serve_ui(
    folder: Path, *, port: int = 0, models: Mapping[str, Path] | None = None, endpoints: Mapping[str, EndpointSpeaker] | None = None, browser: bool = True
) -> None:
    """Serve the page of a folder until Ctrl-C.

    Args:
        port: 0 takes one that is free.
        models: folders or files elsewhere that the playgrounds may use, by their names.
        endpoints: models behind endpoints that the chat may ask.
        browser: open the page there.

    Raises:
        UsageError: the packages of the extra `ui` are missing, or the port is taken. InputError: no such folder or model.
    """
    require_extra("ui", "jp-adapt ui")
    check_folder(folder)
    for path in (models or {}).values():
        if not path.exists():
            raise InputError(f"{path}: no such model; give a model folder, a tokenizer, or a GGUF file")
    import uvicorn

    from jp_adapt.ui.app import build_app
    from jp_adapt.ui.library import Library

    listening = _listen(port)
    library = Library(folder, models)
    threading.Thread(target=library.entries, daemon=True).start()  # it is looked through while the browser starts
    port, token = listening.getsockname()[1], secrets.token_urlsafe(24)
    address = f"http://{LOOPBACK}:{port}/{token}/"
    say(f"{address}\nOnly this machine can open it; Ctrl-C ends it.")
    if browser and _has_screen():
        webbrowser.open(address)
    app = build_app(library, token, port, lambda: server.should_exit, endpoints)
    options: dict[str, Any] = {"log_level": "error", "lifespan": "off", "timeout_graceful_shutdown": 3, "server_header": False, "proxy_headers": False}
    server = uvicorn.Server(uvicorn.Config(app, **options))
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        say("ended")


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether a message of uvicorn says more than that it broke off an answer because it was told to end."""
    cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cancelled and not str(record.msg).startswith("Cancel %s running task")


def _has_screen() -> bool:
    """Whether a browser would have a window: without one Python opens a text browser in this terminal, and waits for it."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()  # a browser that is quicker than the server waits
    except OSError as error:
        listening.close()
        raise UsageError(f"port {port} cannot be used ({error.strerror}); give another --port, or none for a free one") from error
    return listening
