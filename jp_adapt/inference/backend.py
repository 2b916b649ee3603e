"""What a backend is asked and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from jp_adapt.benchmarks.profiles import Boundary, Start
from jp_adapt.core.progress import Advance


@dataclass(frozen=True)
class Ask:
    """A text to be continued, what stands before it, and where the continuation ends.

    `said`: the same text as the turns of a conversation, the user's and the answers in turn; the text is then whole, and `start` is "nothing".
    """

    text: str
    stop: tuple[str, ...] = ()
    max_chars: int | None = None
    max_tokens: int | None = None
    said: tuple[str, ...] = ()
    start: Start = "document"


@dataclass(frozen=True)
class Chosen:
    """Log-likelihoods of an item's choices, in nats."""

    log_likelihoods: list[float]
    moved_boundary: bool = False
    truncated_tokens: int = 0


@dataclass(frozen=True)
class Written:
    """A generated continuation, cut at its stop string."""

    text: str
    truncated_tokens: int = 0


class Backend(Interface):
    """A model that scores choices and writes continuations, greedily."""

    def choose(self, prompts: Sequence[str], choices: Sequence[Sequence[str]], boundary: Boundary, advance: Advance) -> list[Chosen]: ...

    def write(self, asks: Sequence[Ask], advance: Advance) -> list[Written]: ...

    def take_warnings(self) -> list[str]:
        """What had to be worked around since this was asked last, to stand beside the scores."""
        ...

    def again(self, *, one_at_a_time: bool) -> Backend:
        """The same model, which computes everything anew: nothing comes from a cache."""
        ...

    def count_tokens(self, text: str) -> int: ...

    def chat(self, turns: Sequence[tuple[str, str]], user: str) -> str:
        """The text of a conversation: turns of (user, answer), then what the user says next. Nothing is to stand before it."""
        ...
