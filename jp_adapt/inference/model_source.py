"""Where the model of an evaluation is: a folder on this machine, or a name behind an endpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import write_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.names import model_name
from jp_adapt.core.progress import say
from jp_adapt.inference.backend import Backend
from jp_adapt.inference.engines import LOCAL, OpenEngine, find_engine
from jp_adapt.inference.processes import ALONE, Processes

if TYPE_CHECKING:
    from jp_adapt.inference.model_folder import EvaluatedModel

MODEL, REPLIES = "model.json", "replies.jsonl"


@dataclass(frozen=True)
class Served:
    """How a model behind an OpenAI-compatible endpoint is asked. `tokenizer`: folder of the model's own one, which log-likelihoods are exact with."""

    endpoint: str
    api_key_env: str | None = None
    tokenizer: Path | None = None
    parallel: int = 4
    timeout_s: float = 120.0


class Source(Protocol):
    """A model that can be asked, and what tells it from others. It is opened when it is first needed."""

    @property
    def identity(self) -> dict[str, Any]: ...

    @property
    def backend(self) -> Backend: ...

    def score_texts(self, paths: Sequence[str], field: str = "text") -> list[dict[str, Any]]: ...

    def close(self) -> None: ...


def open_source(
    model: str | Path,
    dtype: str,
    served: Served | None,
    out: Path,
    processes: Processes = ALONE,
    backend: str = "local",
    name: str | None = None,
    load: Callable[..., EvaluatedModel] | None = None,
) -> Source:
    """The model that the options name, shown as `name`. `out` gets its description, and the replies of an endpoint. InputError if there is no such model.

    `load` stands for `load_model`, where several evaluations share a model of this process.
    """
    if backend != LOCAL:
        open_engine = find_engine(backend)
        if served is not None or processes.count > 1:
            raise UsageError(f"--backend {backend}: one process with the model in it; leave --endpoint and --processes out")
        return EngineSource(Path(model), dtype, out, backend, open_engine, shown=name)
    if served is None:
        return FolderSource(Path(model), dtype, out, processes, name=name, load=load)
    if processes.count > 1:
        raise UsageError(f"{processes.count} processes ask one endpoint no faster; use --parallel for requests at a time")
    if dtype != "auto":
        raise UsageError(f"--dtype {dtype}: an endpoint computes as it was started; leave --dtype out")
    return ServedSource(str(model), served, out, shown=name)


class FolderSource:
    """The folder of a Hugging Face model.

    It is called `name` (its folder's by default); `document_start` and `document_end` stand before and behind every text (see `load_model`). `load`: see
    `open_source`.
    """

    def __init__(
        self,
        folder: Path,
        dtype: str,
        out: Path,
        processes: Processes = ALONE,
        *,
        name: str | None = None,
        document_start: str | None = None,
        document_end: str | None = None,
        load: Callable[..., EvaluatedModel] | None = None,
    ) -> None:
        check_folder(folder)
        self.folder, self.dtype, self.out, self.processes, self._load = folder, dtype, out, processes, load
        self.name, self.document_start, self.document_end = name or model_name(folder), document_start, document_end
        self._loaded: EvaluatedModel | None = None

    @property
    def identity(self) -> dict[str, Any]:
        return _folder_identity(self.folder) | {"name": self.name}

    @property
    def loaded(self) -> EvaluatedModel:
        if self._loaded is None:
            from jp_adapt.inference.model_folder import load_model

            if self.processes.rank == 0:
                say(f"loading {self.folder}")
            self._loaded = (self._load or load_model)(
                self.folder, self.dtype, self.processes, name=self.name, document_start=self.document_start, document_end=self.document_end
            )
            if self.processes.rank == 0:
                write_json(self.out / MODEL, self._loaded.description)
        return self._loaded

    @property
    def backend(self) -> Backend:
        return self.loaded.backend

    def score_texts(self, paths: Sequence[str], field: str = "text") -> list[dict[str, Any]]:
        return self.loaded.score_texts(paths, field)

    def close(self) -> None:
        """Nothing is held."""


class EngineSource:
    """The folder of a Hugging Face model, in an engine of the table."""

    def __init__(self, folder: Path, dtype: str, out: Path, name: str, open_engine: OpenEngine, *, shown: str | None = None) -> None:
        check_folder(folder)
        self.shown = shown or model_name(folder)
        self.folder, self.dtype, self.out, self.name, self.open_engine = folder, dtype, out, name, open_engine
        self._backend: Backend | None = None

    @property
    def identity(self) -> dict[str, Any]:
        return _folder_identity(self.folder) | {"name": self.shown, "backend": self.name}

    @property
    def backend(self) -> Backend:
        if self._backend is None:
            from jp_adapt.inference.text_side import text_side
            from jp_adapt.inference.token_backend import TokenBackend

            side = text_side(self.folder)
            say(f"loading {self.folder} in {self.name}")
            engine = self.open_engine(self.folder, side, self.dtype)
            facts = {"dtype": self.dtype, **side.description, "max_tokens": engine.max_tokens, self.name: engine.version}
            write_json(self.out / MODEL, {"name": self.shown, **facts})
            self._backend = TokenBackend.of(engine, side, engine.max_tokens)
        return self._backend

    def score_texts(self, paths: Sequence[str], field: str = "text") -> list[dict[str, Any]]:
        raise UsageError("texts are measured with --backend local")

    def close(self) -> None:
        """The engine ends with the process."""


def check_folder(folder: Path) -> None:
    """InputError where there is no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a Hugging Face model")


def _folder_identity(folder: Path) -> dict[str, Any]:
    """Hashes of the small files, sizes of the weights."""
    from jp_adapt.model.sources import folder_files

    files = {path.name: path.stat().st_size if path.suffix == ".safetensors" else sha256_file(path) for path in folder_files(folder)}
    return {"files": files}


class ServedSource:
    """A model behind an endpoint. The key is read from the environment, and stands in no file."""

    def __init__(self, name: str, served: Served, out: Path, *, shown: str | None = None) -> None:
        from jp_adapt.inference.endpoint import Endpoint

        self.name, self.served, self.out, self.shown = name, served, out, shown or name
        self._stopped = threading.Event()
        self._endpoint = Endpoint(served.endpoint, key_variable=served.api_key_env, timeout_s=served.timeout_s, stopped=self._stopped)
        self._backend: Backend | None = None

    @property
    def identity(self) -> dict[str, Any]:
        tokenizer = self.served.tokenizer
        if tokenizer is not None and not tokenizer.is_dir():
            raise InputError(f"{tokenizer}: no such folder; --tokenizer names the folder of the served model's tokenizer")
        files = {} if tokenizer is None else {path.name: sha256_file(path) for path in sorted(tokenizer.glob("*.json"))}
        return {"name": self.name, "endpoint": self._endpoint.base, "tokenizer": files} | ({"shown": self.shown} if self.shown != self.name else {})

    @property
    def backend(self) -> Backend:
        if self._backend is None:
            self._backend = self._open()
        return self._backend

    def _open(self) -> Backend:
        from jp_adapt.inference.endpoint_backend import EndpointBackend
        from jp_adapt.inference.endpoint_engine import Completions, EndpointEngine
        from jp_adapt.inference.reply_cache import ReplyCache
        from jp_adapt.inference.text_side import LONGEST_CONTEXT, text_side
        from jp_adapt.inference.token_backend import TokenBackend

        self._cache = ReplyCache(self.out / REPLIES)
        completions = Completions(self._endpoint, self.name, self._cache, parallel=self.served.parallel, stopped=self._stopped)
        description: dict[str, Any] = {"name": self.shown, "endpoint": self._endpoint.base}
        if self.served.tokenizer is None:
            backend = EndpointBackend(completions, max_tokens=LONGEST_CONTEXT)
        else:
            side = text_side(self.served.tokenizer)
            description |= side.description
            tokens = TokenBackend.of(EndpointEngine(completions, side), side)
            backend = EndpointBackend(completions, tokens=tokens, max_tokens=side.max_tokens)
        write_json(self.out / MODEL, description)
        return backend

    def score_texts(self, paths: Sequence[str], field: str = "text") -> list[dict[str, Any]]:
        raise UsageError("texts are measured on a model of this machine")

    def close(self) -> None:
        self._endpoint.close()
        if self._backend is not None:
            self._cache.close()
