"""The hub on loopback: repositories are made, files come in by preupload, LFS and commit, as huggingface_hub sends them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "s3cr3t" * 4


class HubServer(ThreadingHTTPServer):
    """`repos`: name -> {"private": ..., "files": {path: bytes}}; `refuse`: a path (its end) -> status with which it is refused.

    `card_error`: why no card is taken.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        self.refuse: dict[str, int] = {}
        self.card_error: str | None = None
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub_server() -> Iterator[HubServer]:
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self._body()
        self.server.asked.append(f"POST {self.path}")
        if self._refused():
            return
        path = self.path.split("?")[0]
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            error = self.server.card_error
            self._send(*((200, {"errors": [], "warnings": []}) if error is None else (400, {"errors": [{"message": error}], "warnings": []})))
        elif path.endswith("/preupload/main"):
            paths = [entry["path"] for entry in json.loads(body)["files"]]
            modes = {path: "lfs" if path.endswith((".safetensors", ".gguf")) else "regular" for path in paths}
            self._send(200, {"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            uploads = [{**entry, "actions": {"upload": {"href": f"{self.server.address}/lfs/{entry['oid']}"}}} for entry in objects]
            self._send(200, {"transfer": "basic", "objects": uploads})
        elif path.endswith("/commit/main"):
            self._commit(path.split("/api/models/")[1].removesuffix("/commit/main"), body)
        else:
            self._send(404, {"error": f"unknown: {path}"})

    def do_PUT(self) -> None:
        body = self._body()
        oid = self.path.rsplit("/", 1)[-1]
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.blobs[oid] = body
        self._send(200, {})

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        name = self.path.split("?")[0].removeprefix("/api/models/").split("/revision/")[0]
        if not self._refused():
            self._send(*((200, {"id": name, "sha": "0" * 40, "siblings": []}) if name in self.server.repos else (404, {"error": "Repository not found"})))

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        if name in self.server.repos:
            self._send(409, {"error": "You already created this model repo", "url": f"{self.server.address}/{name}"})
            return
        self.server.repos[name] = {"private": asked.get("private") is True or asked.get("visibility") == "private", "files": {}}
        self._send(200, {"url": f"{self.server.address}/{name}", "name": name})

    def _commit(self, repo: str, body: bytes) -> None:
        files = self.server.repos[repo]["files"]
        for line in map(json.loads, body.decode("utf-8").splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.blobs[value["oid"]]
        self._send(200, {"commitUrl": f"{self.server.address}/{repo}/commit/{'1' * 40}", "commitOid": "1" * 40, "hookOutput": "", "success": True})

    def _refused(self) -> bool:
        status = next((status for end, status in self.server.refuse.items() if self.path.endswith(end)), None)
        if status is None and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status = 401
        if status is not None:
            self._send(status, {"error": f"no, not with {self.headers.get('Authorization')}"})
        return status is not None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
