"""The local page as an ASGI application: files of the front end, and what they ask for as JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.inference.speaker import EndpointSpeaker, Reply
from jp_adapt.ui.board_view import board_view
from jp_adapt.ui.compare_view import runs_view, scores_view, tests_view
from jp_adapt.ui.corpus_view import corpus_view
from jp_adapt.ui.guard import Guard
from jp_adapt.ui.items_view import MOST_ROWS, MOST_TOGETHER, ItemTable
from jp_adapt.ui.library import Library
from jp_adapt.ui.live import Statuses, event, follow
from jp_adapt.ui.pieces import said_elsewhere
from jp_adapt.ui.playgrounds import Kept, Readers, Speakers, Thing, Tokenizers
from jp_adapt.ui.run_view import run_samples, run_tokenizer, run_view

if TYPE_CHECKING:
    from starlette.requests import Request

STATIC = Path(str(files("jp_adapt.ui").joinpath("static")))
WORDS = Path(str(files("jp_adapt.report").joinpath("japanese.json")))  # of the static pages, too
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json"}
MAX_BODY = 2**20
MOST_COMPARED = 8
MOST_TABLES = 2


class Json(Response):
    """JSON in ASCII: no text of a run can break it, half a surrogate pair included. NaN is refused."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


class Page:
    """The answers of the page, each a function of the query."""

    def __init__(self, library: Library, ended: Callable[[], bool], endpoints: Mapping[str, EndpointSpeaker]) -> None:
        self.library, self.ended, self.endpoints = library, ended, endpoints
        self.tables: Kept[ItemTable] = Kept(MOST_TABLES)
        self.tokenizers, self.speakers, self.readers, self.statuses = Tokenizers(), Speakers(), Readers(), Statuses()

    def entries(self, query: Mapping[str, list[str]]) -> Any:
        return {"folder": self.library.folder.name, "version": metadata.version("jp-adapt"), "entries": [asdict(entry) for entry in self.library.entries()]}

    def run(self, query: Mapping[str, list[str]]) -> Any:
        return run_view(self.library.run(_one(query, "p")))

    def marked(self, query: Mapping[str, list[str]]) -> Any:
        """What new tokens spell in the texts of a run: prompt and continuation of each sample, and what the adapted model wrote in its evaluations."""
        path = self.library.run(_one(query, "p"))
        tokenizer = run_tokenizer(path)
        if tokenizer is None:
            return {"samples": [], "evaluations": []}
        samples = self.tokenizers.marked(tokenizer, [sample["text"] for sample in run_samples(path)])
        written = [[sample["adapted"] or "" for sample in found["samples"]] for found in run_view(path)["evaluations"]]
        return {"samples": samples, "evaluations": [self.tokenizers.marked(tokenizer, texts) for texts in written]}

    def runs(self, query: Mapping[str, list[str]]) -> Any:
        return runs_view([self.library.run(path) for path in _some(query, "p", MOST_COMPARED)])

    def scores(self, query: Mapping[str, list[str]]) -> Any:
        return scores_view([self.library.evaluation(path) for path in _some(query, "e", MOST_COMPARED)])

    def tests(self, query: Mapping[str, list[str]]) -> Any:
        return tests_view([self.library.evaluation(path) for path in _some(query, "e", MOST_COMPARED)])

    def items(self, query: Mapping[str, list[str]]) -> Any:
        return self._table(query).index()

    def item_rows(self, query: Mapping[str, list[str]]) -> Any:
        return self._table(query).rows(_numbers(_one(query, "i")))

    def item_search(self, query: Mapping[str, list[str]]) -> Any:
        return self._table(query).search(_one(query, "q"))

    def item(self, query: Mapping[str, list[str]]) -> Any:
        return self._table(query).item(_numbers(_one(query, "i"))[0])

    def corpus(self, query: Mapping[str, list[str]]) -> Any:
        return corpus_view(self.library.corpus(_one(query, "p")))

    def board(self, query: Mapping[str, list[str]]) -> Any:
        return board_view(self.library.leaderboard(_one(query, "p")), self.library.folder)

    def playground(self, query: Mapping[str, list[str]]) -> Any:
        models = [*self.library.playground(tokenizers=False), *self.endpoints]
        endpoints = {name: speaker.address for name, speaker in self.endpoints.items()}
        return {"tokenizers": [*self.library.playground(tokenizers=True)], "models": models, "readers": [*self._readable()], "endpoints": endpoints}

    def cut(self, asked: Mapping[str, Any]) -> Any:
        """The text of a POST, cut by one tokenizer."""
        return self.tokenizers.cut(_named(self.library.playground(tokenizers=True), asked.get("tokenizer"), "tokenizer"), str(asked.get("text", "")))

    def surprise(self, asked: Mapping[str, Any]) -> Any:
        """The tokens of a text and how surprising each is to a model folder."""
        model = _named(self._readable(), asked.get("model"), "model folder")
        return self.readers.surprise(model, str(asked.get("before", "")), str(asked.get("text", "")))

    def _readable(self) -> dict[str, Path]:
        return {name: path for name, path in self.library.playground(tokenizers=False).items() if path.is_dir()}

    def model(self, name: object) -> Path | EndpointSpeaker:
        """What answers under a name of `playground`."""
        known: dict[str, Path | EndpointSpeaker] = {**self.library.playground(tokenizers=False), **self.endpoints}
        return _named(known, name, "model")

    def _table(self, query: Mapping[str, list[str]]) -> ItemTable:
        folders = [self.library.evaluation(path) for path in _some(query, "e", MOST_TOGETHER)]
        stamps = tuple((folder, *((folder / name).stat().st_mtime_ns for name in ("scores.json", "outputs.jsonl"))) for folder in folders)
        return self.tables.get(stamps, lambda: ItemTable(folders))


def build_app(
    library: Library, token: str, port: int, ended: Callable[[], bool] = lambda: False, endpoints: Mapping[str, EndpointSpeaker] | None = None
) -> Guard:
    """The page for what a library holds, behind its guard.

    Args:
        ended: says that the server stops: what still streams ends by itself.
        endpoints: models elsewhere that the chat may ask, by the names that the page has for them.
    """
    page = Page(library, ended, endpoints or {})
    answers = {
        "entries": page.entries,
        "run": page.run,
        "marked": page.marked,
        "runs": page.runs,
        "scores": page.scores,
        "tests": page.tests,
        "items": page.items,
        "item-rows": page.item_rows,
        "item-search": page.item_search,
        "item": page.item,
        "corpus": page.corpus,
        "board": page.board,
        "playground": page.playground,
    }
    routes = [Route(f"/api/{name}", partial(_answer, answer)) for name, answer in answers.items()]
    routes += [
        Route("/api/live", partial(_live, page)),
        Route("/api/cut", partial(_posted, page.cut), methods=["POST"]),
        Route("/api/surprise", partial(_posted, page.surprise), methods=["POST"]),
        Route("/api/chat", partial(_chat, page), methods=["POST"]),
        Route("/{path:path}", _static),
    ]
    handlers: Any = {JpAdaptError: _told, OSError: _told}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, port)


async def _answer(answer: Callable[[Mapping[str, list[str]]], Any], request: Request) -> Response:
    query = {name: request.query_params.getlist(name) for name in request.query_params}
    return Json(await run_in_threadpool(answer, query))


async def _posted(answer: Callable[[Mapping[str, Any]], Any], request: Request) -> Response:
    return Json(await run_in_threadpool(answer, await _body(request)))


async def _live(page: Page, request: Request) -> Response:
    path = await run_in_threadpool(page.library.run, request.query_params.get("p", ""))
    return StreamingResponse(follow(path, page.statuses, page.ended), media_type="text/event-stream")


async def _chat(page: Page, request: Request) -> Response:
    """The answer of a model as server-sent events: pieces of text, whether it was cut, then the end, or an error in words."""
    asked = await _body(request)
    model = await run_in_threadpool(page.model, asked.get("model"))

    async def pieces() -> AsyncIterator[str]:
        try:
            async for said in said_elsewhere(_told_pieces(page.speakers.reply(model, asked)), page.ended):
                yield event(said)
        except Exception as error:  # of torch or of a broken model folder: told in the conversation, where it belongs
            yield event({"error": str(error) if isinstance(error, JpAdaptError) else f"{type(error).__name__}: {error}"})
        yield event({"end": True})

    return StreamingResponse(pieces(), media_type="text/event-stream")


def _told_pieces(reply: Reply) -> Iterator[dict[str, Any]]:
    """The pieces of an answer as events, and one more where it was cut."""
    with closing(reply):
        while True:
            try:
                piece = next(reply)
            except StopIteration as end:
                if end.value:
                    yield {"cut": True}
                return
            yield {"piece": piece}


async def _static(request: Request) -> Response:
    """A file of the front end; the page itself where no file is named."""
    name = request.path_params["path"] or "index.html"
    file = WORDS if name == WORDS.name else STATIC / name
    if ".." in Path(name).parts or file.suffix not in TYPES or not file.is_file():
        raise InputError(f"'{name}' is no file of this page")
    return FileResponse(file, media_type=TYPES[file.suffix])


async def _told(request: Request, error: Exception) -> Response:
    said = str(error) if isinstance(error, JpAdaptError) else f"cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
    return JSONResponse({"error": said}, 404 if isinstance(error, (InputError, OSError)) else 400)


async def _body(request: Request) -> Mapping[str, Any]:
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_BODY:
            raise UsageError(f"the request has more than {MAX_BODY:,} bytes")
    try:
        value = parse_json(data, "request", lone_surrogates="replace")
    except InputError as error:
        raise UsageError(str(error)) from error
    if not isinstance(value, dict):
        raise UsageError("the request is no JSON object")
    return value


def _one(query: Mapping[str, list[str]], name: str) -> str:
    if not query.get(name):
        raise UsageError(f"the query lacks '{name}'")
    return query[name][0]


def _some(query: Mapping[str, list[str]], name: str, most: int) -> list[str]:
    given = list(dict.fromkeys(query.get(name, [])))
    if not 1 <= len(given) <= most:
        raise UsageError(f"{len(given)} are chosen, and 1 to {most} are shown together")
    return given


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if len(parts) > MOST_ROWS or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(f"'{text[:40]}' is no list of up to {MOST_ROWS} numbers")
    return [int(part) for part in parts]


def _named(known: Mapping[str, Thing], name: object, what: str) -> Thing:
    if not isinstance(name, str) or name not in known:
        raise InputError(f"no such {what} in this folder; --model PATH adds one from elsewhere")
    return known[name]
