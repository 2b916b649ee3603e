"""A model on this machine as the judge, behind the same interface as an endpoint."""

from __future__ import annotations

import threading
from typing import Any

from jp_adapt.inference.backend import Ask, Backend
from jp_adapt.inference.endpoint import Completion, RefusedError, whole_characters


class LocalJudge:
    """A judge behind a `Backend`; it answers greedily and one request at a time. `identity` tells it from other judges.

    The system prompt stands before what the user says, for the chat format of a backend has no place for it. A prompt that does not fit the model's context
    is refused: a judge that saw half an answer cannot judge it.
    """

    def __init__(self, backend: Backend, identity: dict[str, Any]) -> None:
        self._backend, self.identity, self._lock = backend, identity, threading.Lock()

    def complete(self, body: dict[str, Any]) -> Completion:
        *before, last = _turns(body["messages"])
        text = self._backend.chat([(user, answer) for user, answer in before], last[0])
        budget = body["max_tokens"]
        with self._lock:
            [written] = self._backend.write([Ask(text, max_tokens=budget, start="nothing")], lambda done, note: None)
        if written.truncated_tokens:
            raise RefusedError(f"{self.identity['model']}: the prompt is {written.truncated_tokens} tokens longer than the model's context allows")
        tokens = len(self._backend.encode(written.text))
        return Completion(whole_characters(written.text), len(self._backend.encode(text)), tokens, "length" if tokens >= budget else None)


def _turns(messages: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Messages as (user, answer), the last without an answer; a system prompt goes before the first."""
    turns: list[tuple[str, str]] = []
    for message in messages:
        content = message["content"].strip("\n")
        if message["role"] == "assistant":
            turns[-1] = (turns[-1][0], content)
        elif turns and not turns[-1][1]:
            turns[-1] = (f"{turns[-1][0]}\n\n{content}", "")
        else:
            turns.append((content, ""))
    return turns
