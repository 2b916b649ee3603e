"""An answer as it grows, and where it ends: at a stop string, a token that ends texts, or a budget; behind a thought, where the model thinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from jp_adapt.inference.draw import Draw
from jp_adapt.text.thoughts import Parts, may_begin, may_end, split_thought

Encode = Callable[[str], list[int]]
Decode = Callable[[list[int]], str]
INCOMPLETE = "\ufffd"  # what the first bytes of a character decode to
MARK_TOKENS = 24  # at most, of the end of a thought


@dataclass(frozen=True)
class Continuation:
    """Continue `ids` until a string of `stop` has been written, or `max_chars` characters, or `max_tokens` tokens.

    With `thinks` the text may begin with a thought (`opened`: the mark that the prompt leaves open, see `text/thoughts.py`), which may take `thought_tokens` of
    the `max_tokens`; stops and the budgets of the answer then count from its end. `draw`: how tokens are drawn; None takes the most probable ones.
    """

    ids: list[int]
    max_tokens: int
    stop: tuple[str, ...] = ()
    max_chars: int | None = None
    thinks: bool = False
    opened: str = ""
    thought_tokens: int = 0
    draw: Draw | None = None


@dataclass(frozen=True)
class Continued:
    """`text` without the stop string and without the thought, and why it ends: a stop string, a stop id, or the budget.

    `ids`: every token that was written, where the engine tells them; the stop id is not among them.
    """

    text: str
    finish: Literal["stop", "eos", "length"] = "eos"
    tokens: int = 0
    thought: str | None = None
    ids: tuple[int, ...] = field(default=(), compare=False)


@dataclass
class Answer:
    """The answer to one request. `decode` leaves special tokens out, `decode_marked` keeps them, since they may mark a thought."""

    request: Continuation
    decode: Decode
    decode_marked: Decode
    given: list[int] = field(default_factory=list)
    thinking: bool = False
    before: int = 0  # tokens of the thought

    def add(self, token: int | None) -> Continued | None:
        """One more token, None for one that ends the text; the answer once it is complete."""
        if token is not None:
            self.given.append(token)
        ends, spent = token is None, len(self.given) >= self.request.max_tokens
        if self.thinking and not (ends or spent or may_end(self.decode_marked(self.given[-MARK_TOKENS:]))):
            return None
        parts = self.parts(whole=ends)
        self.thinking = not parts.ended
        if parts.thought is not None and not parts.answer:
            self.before = len(self.given)
        if self.thinking:
            return Continued("", "eos" if ends else "length", len(self.given), parts.thought) if ends or spent else None
        if self.request.thinks and may_begin(parts.answer) and not (ends or spent):
            return None
        return self._complete(parts, ends=ends, spent=spent)

    def parts(self, *, whole: bool) -> Parts:
        """The tokens so far as a thought and an answer, of a `whole` text or the beginning of one."""
        if self.request.thinks:
            parts = split_thought(self.request.opened + self.decode_marked(self.given), whole=whole)
            if parts.thought is not None:
                return parts
        return Parts(None, self.decode(self.given))

    def _complete(self, parts: Parts, *, ends: bool, spent: bool) -> Continued | None:
        """The answer where something ends it."""
        request, text = self.request, parts.answer
        spent |= len(self.given) - self.before >= request.max_tokens - request.thought_tokens
        stopped = min((at for stop in request.stop if (at := text.find(stop)) >= 0), default=None)
        if stopped is not None and (request.max_chars is None or stopped <= request.max_chars):
            return Continued(text[:stopped], "stop", len(self.given), parts.thought)
        if request.max_chars is not None and len(text.rstrip(INCOMPLETE)) >= request.max_chars:
            return Continued(text[: request.max_chars], "length", len(self.given), parts.thought)
        if ends or spent:
            return Continued(text[: request.max_chars], "eos" if ends else "length", len(self.given), parts.thought)
        return None


def whole(request: Continuation, ids: list[int], *, ends: bool, decode: Decode, decode_marked: Decode) -> Continued:
    """The answer in the tokens that another engine wrote; `ends`: a token that ends the text stood behind them."""
    answer = Answer(request, decode, decode_marked, ids)
    parts, finish = answer.parts(whole=ends), "eos" if ends else "length"
    if not parts.ended:
        return Continued("", "eos" if ends else "length", len(ids), parts.thought)
    return replace(shortened(parts.answer, finish, request.stop, request.max_chars), tokens=len(ids), thought=parts.thought)


def shortened(text: str, finish: str | None, stop: Sequence[str], max_chars: int | None) -> Continued:
    """A whole answer up to its stop string and within its budget of characters; `finish` is why a server ended it."""
    kept = cut_off(text, stop, max_chars)
    if len(kept) < len(text) and text.startswith(tuple(stop), len(kept)):
        return Continued(kept, "stop")
    spent = finish == "length" or (max_chars is not None and len(kept) >= max_chars)
    return Continued(kept, "length" if spent else "eos")


def cut_off(text: str, stop: Sequence[str], max_chars: int | None) -> str:
    """A text up to the first stop string in it, and no longer than `max_chars` characters."""
    ends = [at for entry in stop if (at := text.find(entry)) >= 0]
    return text[: min([*ends, len(text) if max_chars is None else max_chars])]
