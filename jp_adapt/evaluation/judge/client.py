"""A chat model as a judge: behind an endpoint here, on this machine in `local`."""

from __future__ import annotations

from typing import Any, Protocol

from jp_adapt.inference.endpoint import CHAT, Completion, Endpoint, RefusedError

HINTS = {  # what a refusal names, and what helps
    "temperature": "this model judges at its own temperature alone: --temperature 1",
    "response_format": "this endpoint knows no `response_format`: --no-response-format",
}


class Judge(Protocol):
    """Something that answers chat messages: an endpoint, or a model on this machine."""

    identity: dict[str, Any]  # what tells this judge from another; it is part of the key of every cached judgement

    def complete(self, body: dict[str, Any]) -> Completion:
        """The completion of a chat request (`messages`, `temperature`, `max_tokens`, ...). RequestError, or EndpointError."""


class HttpJudge:
    """The judge that is called `model` at `endpoint`; `options` are those of `Endpoint`."""

    def __init__(self, endpoint: str, model: str, **options: Any) -> None:
        self._endpoint = Endpoint(endpoint, **options)
        self.identity = {"endpoint": self._endpoint.base + CHAT, "model": model}

    def __enter__(self) -> HttpJudge:
        return self

    def __exit__(self, *error: object) -> None:
        self._endpoint.close()

    def complete(self, body: dict[str, Any]) -> Completion:
        try:
            return self._endpoint.chat({"model": self.identity["model"], **body})
        except RefusedError as error:
            hints = [hint for name, hint in HINTS.items() if name in str(error)]
            raise RefusedError("; ".join([str(error), *hints])) from error
