"""What a backend is asked and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from jp_adapt.benchmarks.pictures import Picture
from jp_adapt.benchmarks.profiles import Boundary, Start
from jp_adapt.core.progress import Advance
from jp_adapt.inference.draw import Draw

THOUGHT_TOKENS = 2048  # for a thought, beside the budget of the answer


@dataclass(frozen=True)
class Ask:
    """A text to be continued, what stands before it, and where the continuation ends.

    `said`: the same text as the turns of a conversation, the user's and the answers in turn, behind the `system` prompt; the text is then whole, `start` is
    "nothing", and what is written may begin with a thought: stops and the budgets of the answer count from its end, and it may have `thought_tokens` of its
    own (None: THOUGHT_TOKENS where the model is one that thinks). `draw`: how tokens are drawn; None takes the most probable ones. `pictures` stand in the
    text where its marks are (`pictures.MARK`). `whole_context`: the text may take all positions of the model.
    """

    text: str
    stop: tuple[str, ...] = ()
    max_chars: int | None = None
    max_tokens: int | None = None
    said: tuple[str, ...] = ()
    start: Start = "document"
    system: str = ""
    thought_tokens: int | None = None
    draw: Draw | None = None
    pictures: tuple[Picture, ...] = ()
    whole_context: bool = False


@dataclass(frozen=True)
class Chosen:
    """Log-likelihoods of an item's choices, in nats."""

    log_likelihoods: list[float]
    moved_boundary: bool = False
    truncated_tokens: int = 0


@dataclass(frozen=True)
class Written:
    """A generated continuation, cut at its stop string. `thought`: what the model thought before, None where it did not; `cut`: its budget ended it."""

    text: str
    truncated_tokens: int = 0
    thought: str | None = None
    cut: bool = False


class Backend(Interface):
    """A model that scores choices and writes continuations. `max_tokens`: the longest text that it takes, in tokens."""

    max_tokens: int

    def choose(
        self, prompts: Sequence[str], choices: Sequence[Sequence[str]], boundary: Boundary, advance: Advance, pictures: Sequence[Sequence[Picture]] = ()
    ) -> list[Chosen]:
        """The log-likelihoods of each item's choices after its prompt; `pictures` of each item stand where the marks in its prompt are."""
        ...

    def write(self, asks: Sequence[Ask], advance: Advance) -> list[Written]: ...

    def take_warnings(self) -> list[str]:
        """What had to be worked around since this was asked last, to stand beside the scores."""
        ...

    def again(self, *, one_at_a_time: bool) -> Backend:
        """The same model, which computes everything anew: nothing comes from a cache."""
        ...

    def encode(self, text: str, /) -> list[int]:
        """The model's own tokens of a text, without any that the tokenizer puts before or behind one."""
        ...

    def chat(self, turns: Sequence[tuple[str, str]], user: str, system: str = "") -> str:
        """The text of a conversation: a system prompt, turns of (user, answer), then what the user says next. Nothing is to stand before it."""
        ...
