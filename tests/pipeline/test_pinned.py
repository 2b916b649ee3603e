"""A hub model without a commit: the hub is asked once, when a run begins, and the run keeps to the answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from jp_adapt.core.errors import InputError
from jp_adapt.model.sources import resolve_revision
from jp_adapt.pipeline.run import _pinned, _records, _run_record
from jp_adapt.pipeline.run_folder import RUN
from jp_adapt.recipe.load import LoadedRecipe
from jp_adapt.recipe.schema import Recipe

FIRST, SECOND = "a" * 40, "b" * 40


class Hub(ThreadingHTTPServer):
    """A hub that knows the commits of org/llama."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.commits = {"main": FIRST, "v2": SECOND}
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        commit = self.server.commits.get(self.path.partition("?")[0].removeprefix("/api/models/org/llama/revision/"))
        body = json.dumps({"id": "org/llama", "sha": commit} if commit else {"error": "Revision Not Found"}).encode()
        self.send_response(200 if commit else 404)
        if not commit:
            self.send_header("X-Error-Code", "RevisionNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    close_session()
    server.shutdown()
    server.server_close()
    thread.join()


def recipe(**base: str) -> Recipe:
    stage = {"id": "eval", "kind": "evaluate", "models": ["base"]}
    return Recipe.model_validate({"name": "mine", "base": {"model": "org/llama", **base}, "stages": [stage]})


def test_a_branch_a_tag_and_a_commit(hub: Hub) -> None:
    assert resolve_revision("org/llama", "main") == FIRST
    assert resolve_revision("org/llama", "v2") == SECOND
    asked = len(hub.asked)
    assert resolve_revision("org/llama", SECOND) == SECOND
    assert len(hub.asked) == asked


def test_a_revision_that_is_not_there(hub: Hub) -> None:
    with pytest.raises(InputError, match=r"org/llama@v3: the hub does not say which commit that is .*give one, as org/llama@<40 hex digits>"):
        resolve_revision("org/llama", "v3")


@pytest.mark.parametrize("base", [{}, {"revision": "main"}])
def test_a_run_keeps_to_the_commit_that_it_began_with(hub: Hub, base: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pinned = _pinned(recipe(**base), tmp_path)
    assert pinned.base.revision == FIRST
    assert f"org/llama: main is commit {FIRST}; this run keeps to it" in capsys.readouterr().err
    loaded = LoadedRecipe(pinned, "", tmp_path / "mine.yaml")
    for name, text in (_records(loaded) | {RUN: _run_record(loaded, tmp_path)}).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    hub.commits["main"] = SECOND
    assert _pinned(recipe(**base), tmp_path).base.revision == FIRST
    assert _pinned(recipe(revision=SECOND), tmp_path).base.revision == SECOND
    assert _pinned(recipe(**base), tmp_path / "another").base.revision == SECOND
