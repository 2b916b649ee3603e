"""`data fetch` against a real HTTP server on loopback that stalls, truncates, lies and disappears: nothing wrong is kept, and the same command resumes."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.cli.main import main
from jp_adapt.commands import data as module
from jp_adapt.commands.data import fetch_data, list_data
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.evaluation.results import read_scores
from tests.conftest import ROOT, make_pico

FILES = {
    "toy/items.jsonl": b'{"q": "\xe6\x97\xa5"}\n' * 2000,
    "toy/parts/a.csv": b"1,2\n",
    "toy/parts/b.csv": b"3,4\n",
    "toy/index.txt": b"parts/a.csv\nparts/b.csv\nx.md\n",
}
DECLARATION = """\
format: 1
kind: generate
version: "1"
title: Toy
licence: CC0-1.0
source: https://github.com/somebody/toy
revision: {revision}
language: ja
data:
  folder: toy
  test: {{files: [items.jsonl], reader: jsonl, sha256: {items}}}
  shots: {{files: ["parts/*.csv"], reader: csv, sha256: {parts}}}
id: "{{{{ _index }}}}"
question: "{{{{ q }}}}"
answers: ["{{{{ q }}}}"]
protocols:
  jp-adapt: {{prompt: "{{{{ q }}}}", max_chars: 9, metrics: [exact_match]}}
"""


class Server(ThreadingHTTPServer):
    """Serves FILES; `misbehave` may answer a request in another way, and says whether it did."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str]] = []
        self.misbehave: Callable[[Handler, int], bool] = lambda handler, count: False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("range", "")))
        if self.server.misbehave(self, len(self.server.requests)):
            return
        body = FILES.get(self.path.lstrip("/"))
        if body is None:
            self.send_error(404)
            return
        start = int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("content-length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:])

    def send_half(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def toy(tmp_path: Path) -> str:
    """Path of a declaration whose data the server has."""
    parts = "".join(f"{hashlib.sha256(FILES[f'toy/{name}']).hexdigest()}  {name}\n" for name in ("parts/a.csv", "parts/b.csv"))
    hashes = {"items": hashlib.sha256(FILES["toy/items.jsonl"]).hexdigest(), "parts": hashlib.sha256(parts.encode()).hexdigest()}
    (tmp_path / "toy.yaml").write_text(DECLARATION.format(revision="a" * 40, **hashes), encoding="utf-8")
    return str(tmp_path / "toy.yaml")


@pytest.fixture
def suite(toy: str, tmp_path: Path) -> str:
    """Path of a suite: `toy`, one of special terms, one whose files no server has, and one without hashes."""
    text = Path(toy).read_text(encoding="utf-8")
    others = {
        "terms": text.replace("language: ja", "license_note: for research only\nlanguage: ja").replace("folder: toy", "folder: terms"),
        "lost": text.replace("folder: toy", "folder: lost"),
        "unknown": re.sub(r", sha256: \w+", "", text).replace("folder: toy", "folder: unknown"),
    }
    for name, changed in others.items():
        (tmp_path / f"{name}.yaml").write_text(changed, encoding="utf-8")
    names = [str(tmp_path / f"{name}.yaml") for name in ("terms", "lost", "unknown", "toy")]
    (tmp_path / "suite.yaml").write_text(f"format: 1\ntitle: Toys\nbenchmarks: {json.dumps(names)}\n", encoding="utf-8")
    return str(tmp_path / "suite.yaml")


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


WHOLE = {name: body for name, body in FILES.items() if name != "toy/index.txt"}


def test_files_come_once(toy: str, server: Server, tmp_path: Path) -> None:
    assert [row.data for row in list_data(tmp_path / "data", [toy])] == ["missing"]
    assert fetch_data([toy], tmp_path / "data", mirror=server.address) == ["toy/items.jsonl", "toy/parts/a.csv", "toy/parts/b.csv"]
    assert files_in(tmp_path / "data") == WHOLE
    asked = len(server.requests)
    assert fetch_data([toy], tmp_path / "data", mirror=server.address) == []
    assert len(server.requests) == asked
    assert [row.data for row in list_data(tmp_path / "data", [toy])] == ["present"]
    assert fetch_data([toy], tmp_path / "again", mirror=str(tmp_path / "data")) == ["toy/items.jsonl", "toy/parts/a.csv", "toy/parts/b.csv"]
    assert files_in(tmp_path / "again") == WHOLE


def test_a_file_is_known_by_gits_name_where_its_sha256_is_not(toy: str, server: Server, tmp_path: Path) -> None:
    body = FILES["toy/items.jsonl"]
    text = Path(toy).read_text(encoding="utf-8")
    right, wrong = (hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() for data in (body, body[:-1]))
    for blob in (right, wrong):
        Path(toy).write_text(text.replace(f"sha256: {hashlib.sha256(body).hexdigest()}", f"git_blob: {blob}"), encoding="utf-8")
        if blob == wrong:
            assert [row.data for row in list_data(tmp_path / "data", [toy])] == ["changed"]
            assert load_benchmark(toy, tmp_path / "data", shots=False).changed == ["items.jsonl"]
            with pytest.raises(InputError, match="the files that came are not the pinned ones"):
                fetch_data([toy], tmp_path / "other", mirror=server.address)
        else:
            assert len(fetch_data([toy], tmp_path / "data", mirror=server.address)) == 3
            assert [row.data for row in list_data(tmp_path / "data", [toy])] == ["present"]
            assert load_benchmark(toy, tmp_path / "data", shots=False).changed == []


def test_a_body_that_is_cut_short_goes_on_where_it_was(toy: str, server: Server, tmp_path: Path) -> None:
    def cut(handler: Handler, count: int) -> bool:
        if count == 1:
            handler.send_half(FILES["toy/items.jsonl"])
        return count == 1

    server.misbehave = cut
    fetch_data([toy], tmp_path / "data", mirror=server.address)
    assert files_in(tmp_path / "data") == WHOLE
    assert server.requests[1] == ("/toy/items.jsonl", f"bytes={len(FILES['toy/items.jsonl']) // 2}-")


def test_a_server_that_disappears_leaves_the_same_command_to_go_on(toy: str, server: Server, tmp_path: Path) -> None:
    def gone(handler: Handler, count: int) -> bool:
        if count > 1:
            handler.connection.close()
            return True
        handler.send_half(FILES["toy/items.jsonl"])
        return True

    server.misbehave = gone
    with pytest.raises(InputError, match=r"items\.jsonl: .*, 4 times; whole files are kept, and the same command resumes"):
        fetch_data([toy], tmp_path / "data", mirror=server.address)
    assert [*files_in(tmp_path / "data")] == ["toy/items.jsonl.part"]
    server.misbehave = lambda handler, count: False
    fetch_data([toy], tmp_path / "data", mirror=server.address)
    assert files_in(tmp_path / "data") == WHOLE


def test_a_server_that_lies_leaves_nothing(toy: str, server: Server, tmp_path: Path) -> None:
    def lie(handler: Handler, count: int) -> bool:
        if not handler.path.endswith("b.csv"):
            return False
        handler.send_response(200)
        handler.send_header("content-length", "4")
        handler.end_headers()
        handler.wfile.write(b"5,6\n")
        return True

    server.misbehave = lie
    with pytest.raises(InputError, match=r"the files that came are not the pinned ones .*; nothing of them was kept"):
        fetch_data([toy], tmp_path / "data", mirror=server.address)
    assert [*files_in(tmp_path / "data")] == ["toy/items.jsonl"], "what was whole before stays"
    server.misbehave = lambda handler, count: False
    assert fetch_data([toy], tmp_path / "data", mirror=server.address) == ["toy/parts/a.csv", "toy/parts/b.csv"]


def test_a_server_that_stalls_is_asked_again(toy: str, server: Server, tmp_path: Path) -> None:
    released = threading.Event()

    def stall(handler: Handler, count: int) -> bool:
        if count == 1:
            released.wait(5)
        return count == 1

    server.misbehave = stall
    fetch_data([toy], tmp_path / "data", mirror=server.address, timeout_s=0.3)
    released.set()
    assert files_in(tmp_path / "data") == WHOLE


def test_a_users_own_file_in_the_way_is_kept(toy: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "data" / "toy").mkdir(parents=True)
    (tmp_path / "data" / "toy" / "items.jsonl").write_text("mine\n", encoding="utf-8")
    assert [row.data for row in list_data(tmp_path / "data", [toy])] == ["missing"]
    fetch_data([toy], tmp_path / "data", mirror=server.address)
    (tmp_path / "data" / "toy" / "items.jsonl").write_text("changed again\n", encoding="utf-8")
    fetch_data([toy], tmp_path / "data", mirror=server.address)
    assert files_in(tmp_path / "data") == WHOLE | {"toy/items.jsonl.old-1": b"mine\n", "toy/items.jsonl.old-2": b"changed again\n"}


def test_refusals_say_what_to_do(toy: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"HTTP 404"):
        fetch_data([toy], tmp_path / "data", mirror=f"{server.address}/nowhere")
    with pytest.raises(UsageError, match=r"ja/jmmlu: .*if you accept these terms: --accept ja/jmmlu"):
        fetch_data(["ja/jmmlu"], tmp_path / "data", mirror=server.address)
    with pytest.raises(InputError, match=r"en/arc-easy: the declaration pins no hash of its files"):
        fetch_data(["en/arc-easy"], tmp_path / "data")
    assert main(["data", "fetch", "--to", str(tmp_path / "data")]) == 2
    assert "name benchmarks, or a suite with --suite" in capsys.readouterr().err
    assert main(["eval", str(tmp_path), "--benchmarks", "ja/jcola", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert f"run `jp-adapt data fetch ja/jcola --to {tmp_path}`" in capsys.readouterr().err


def test_the_list_shows_licences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--suite", "ja-core", "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["benchmark", "data", "licence", "source"]
    assert ["ja/jcommonsenseqa", "missing", "CC-BY-SA-4.0", "https://github.com/yahoojapan/JGLUE"] in [line.split() for line in out.splitlines()]


def test_a_mirror_that_is_none_is_told_before_any_terms_are_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--from .*nowhere: no such folder"):
        fetch_data(["ja/jmmlu"], tmp_path / "data", mirror=str(tmp_path / "nowhere"))


def test_nothing_that_came_leaves_no_file(toy: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="HTTP 404"):
        fetch_data([toy], tmp_path / "data", mirror=f"{server.address}/nowhere")
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    with pytest.raises(InputError, match=r"items\.jsonl: no such file"):
        fetch_data([toy], tmp_path / "data", mirror=str(tmp_path / "mirror"))
    assert files_in(tmp_path / "data") == {}


def test_of_a_suite_all_that_is_free_comes_and_the_rest_is_named(suite: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["data", "fetch", "--suite", suite, "--to", str(tmp_path / "data"), "--from", server.address]
    assert main(given) == 3
    assert files_in(tmp_path / "data") == WHOLE
    said = capsys.readouterr().err
    assert re.search(r"terms\.yaml: for research only; if you accept these terms: --accept .*terms\.yaml", said)
    assert re.search(r"lost\.yaml: http\S*/lost/items\.jsonl: HTTP 404", said)
    assert re.search(r"unknown\.yaml: the declaration pins no hash of its files; bring them by hand", said)
    assert f"{tmp_path / 'data'}: 3 files, {sum(map(len, WHOLE.values())):,} bytes came" in said
    assert main(given) == 3, "what is missing is named again"
    assert "came" not in capsys.readouterr().err


def test_a_file_that_a_folder_lacks_stops_no_other_benchmark(suite: str, tmp_path: Path) -> None:
    for name, body in FILES.items():
        (tmp_path / "mirror" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / name).write_bytes(body)
    with pytest.raises(InputError, match=r"lost\.yaml: .*lost/items\.jsonl: no such file; put it there, or leave --from away"):
        fetch_data([], tmp_path / "data", suite=suite, mirror=str(tmp_path / "mirror"))
    assert files_in(tmp_path / "data") == WHOLE


def test_a_server_that_is_gone_is_asked_for_one_benchmark_only(suite: str, server: Server, tmp_path: Path) -> None:
    def gone(handler: Handler, count: int) -> bool:
        handler.connection.close()
        return True

    server.misbehave = gone
    with pytest.raises(InputError, match=r"lost\.yaml: .*, 4 times; whole files are kept, and the same command resumes\n.*toy\.yaml: not tried after that"):
        fetch_data([], tmp_path / "data", suite=suite, mirror=server.address)
    assert {path for path, _ in server.requests} == {"/lost/items.jsonl"}


def test_the_printed_commands_fetch_and_measure_a_suite(suite: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def printed(page: str) -> list[list[str]]:
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        found = [next(line for line in lines if f"jp-adapt {verb} " in line) for verb in ("data fetch", "eval my-model")]
        return [[suite if word == "ja-core" else word for word in shlex.split(line, comments=True)[1:]] for line in found]

    fetch, measure = printed("README.md")
    assert [fetch, measure] == printed("README_ja.md")
    make_pico(tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    assert main([*fetch, "--from", server.address]) == 3
    assert main([*measure, "--shots", "0", "--limit", "1"]) == 0
    assert [entry.primary_metric for entry in read_scores(tmp_path / "scores" / "mine").benchmarks] == ["exact_match"]
