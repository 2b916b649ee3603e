"""An OpenAI-compatible chat endpoint on loopback that streams what it is told to."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.judge_server import served


class ChatServer(ThreadingHTTPServer):
    """Answers every request with `pieces`; a text among `script` is the body of a refusal of the next request, by HTTP 400."""

    daemon_threads = True

    def __init__(self, pieces: list[str], script: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pieces, self.script = pieces, script
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def chat_server(*pieces: str, script: list[str] | None = None) -> AbstractContextManager[ChatServer]:
    return served(ChatServer(list(pieces), script or []))


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.keys.append(self.headers["Authorization"])
        refusal = self.server.script.pop(0).encode() if self.server.script else None
        self.send_response(200 if refusal is None else 400)
        self.end_headers()
        if refusal is not None:
            self.wfile.write(refusal)
            return
        for piece in self.server.pieces:
            self.wfile.write(f"data: {piece}\n\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


def said(text: str) -> str:
    """The event with which a server sends a piece of text."""
    return json.dumps({"choices": [{"delta": {"content": text}}]})
