"""Benchmarks ask in texts, engines answer on tokens; between them stands this: texts to tokens, what does not fit cut and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Literal
from typing import Protocol as Interface

from jp_adapt.benchmarks.pictures import Picture
from jp_adapt.benchmarks.profiles import Boundary, Start
from jp_adapt.core.errors import InputError
from jp_adapt.core.progress import Advance
from jp_adapt.inference.answer import Continuation, Continued, Encode
from jp_adapt.inference.backend import THOUGHT_TOKENS, Ask, Chosen, Written
from jp_adapt.inference.boundaries import pair
from jp_adapt.inference.choices import choice_requests
from jp_adapt.inference.text_side import Starts, TextSide
from jp_adapt.inference.trie import Request
from jp_adapt.text.thoughts import opened_by

RenderChat = Callable[[Sequence[tuple[str, str]], str, str], str]
PICTURES_IN_VIEW = 64  # what is seen of a picture of 2,880 tokens takes 24 MB in a model of 8B
MAX_TOKENS_PER_CHAR = 3  # a Japanese character takes at most three byte tokens


class Engine(Interface):
    """A model that works on tokens."""

    def log_likelihoods(self, requests: Sequence[Request], max_tokens: int, advance: Advance) -> list[float]:
        """ln p of the scored ids of each request, in nats; one longer than `max_tokens` is scored in windows."""
        ...

    def continue_prompts(self, requests: Sequence[Continuation], advance: Advance) -> Sequence[str | Continued]:
        """The continuation of each request without its stop string; an engine that can say no more than the texts gives these."""
        ...

    def take_warnings(self) -> list[str]:
        """What had to be worked around since this was asked last."""
        ...

    def again(self, *, one_at_a_time: bool) -> Engine:
        """The same model without what it remembers of answers."""
        ...


class VersionedEngine(Engine, Interface):
    """An engine that computes a model folder by itself."""

    @property
    def version(self) -> str:
        """What the results record of the engine."""
        ...

    @property
    def max_tokens(self) -> int:
        """The longest text that it takes."""
        ...


class Eyes(Interface):
    """What puts pictures among the tokens of a text."""

    def text(self, text: str) -> str:
        """The text with what the model's tokenizer knows in the place of each mark."""
        ...

    def seen(self, ids: Sequence[int], pictures: Sequence[Picture]) -> list[int]:
        """The ids of such a text with ids behind the vocabulary, whose rows are what is seen, in the place of each picture."""
        ...

    def forget(self) -> None:
        """The ids given so far mean nothing any more."""
        ...


class OneAtATime:
    """An engine that is given one request after the other."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def log_likelihoods(self, requests: Sequence[Request], max_tokens: int, advance: Advance) -> list[float]:
        return [nats for request in requests for nats in self.engine.log_likelihoods([request], max_tokens, lambda done, note: None)]

    def continue_prompts(self, requests: Sequence[Continuation], advance: Advance) -> Sequence[str | Continued]:
        return [answer for request in requests for answer in self.engine.continue_prompts([request], lambda done, note: None)]

    def take_warnings(self) -> list[str]:
        return self.engine.take_warnings()

    def again(self, *, one_at_a_time: bool) -> Engine:
        return self.engine.again(one_at_a_time=one_at_a_time)


class TokenBackend:
    """An engine behind the interface of `backend.Backend`; `starts` are the tokens that may stand before a text.

    `thinks`: whether the model thinks before it answers. A thought may go beyond `max_tokens`, up to the model's `positions` where they are given; so may a
    prompt that is asked with its `whole_context`. `eyes`: those of a model that sees.
    """

    def __init__(
        self,
        engine: Engine,
        encode: Encode,
        *,
        starts: Starts,
        max_tokens: int,
        render_chat: RenderChat,
        thinks: bool = False,
        positions: int | None = None,
        eyes: Eyes | None = None,
    ) -> None:
        self.eyes = eyes
        self.engine, self.encode, self.render_chat = engine, encode, render_chat
        self.starts, self.max_tokens = starts, max_tokens
        self.thinks, self.positions = thinks, positions

    @classmethod
    def of(cls, engine: Engine, side: TextSide, max_tokens: int | None = None, eyes: Eyes | None = None) -> TokenBackend:
        """Texts of a model's text side on an engine that takes its tokens, at most `max_tokens` at a time (by default the side's)."""
        return cls(
            engine,
            side.tokenizer.encode,
            starts=side.starts,
            max_tokens=max_tokens or side.max_tokens,
            render_chat=side.chat.render,
            thinks=side.chat.thinks,
            positions=side.positions if max_tokens is None else None,
            eyes=eyes,
        )

    def choose(
        self, prompts: Sequence[str], choices: Sequence[Sequence[str]], boundary: Boundary, advance: Advance, pictures: Sequence[Sequence[Picture]] = ()
    ) -> list[Chosen]:
        pictures = pictures or [()] * len(prompts)
        items: list[_Item] = []
        nats: list[float] = []
        for group in in_view(pictures):
            with self.looking():
                new = [self._requests(self.encoder(pictures[at]), prompts[at], choices[at], boundary) for at in group]
                requests = [request for item in new for request in item.requests]
                nats += self.engine.log_likelihoods(requests, self.max_tokens, _behind(len(nats), advance))
            items += new
        given = iter(nats)
        return [Chosen([next(given) for _ in item.requests], item.moved, item.truncated_tokens) for item in items]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """While this is open, ids of pictures mean something."""
        try:
            yield
        finally:
            if self.eyes is not None:
                self.eyes.forget()

    def encoder(self, pictures: Sequence[Picture]) -> Encode:
        """Texts to ids, with pictures where the marks in a text are. InputError for a model that does not see."""
        if not pictures:
            return self.encode
        eyes, encode = self.eyes, self.encode
        if eyes is None:
            raise InputError("these items have pictures, and this model does not see; give a vision-language model")
        return lambda text: eyes.seen(encode(eyes.text(text)), pictures)

    def _requests(self, encode: Encode, prompt: str, options: Sequence[str], boundary: Boundary) -> _Item:
        if boundary != "safe":
            return self._requests_of_peers(encode, prompt, options, boundary)
        item = choice_requests(encode, prompt, options, prefix=self.starts.document)
        # What does not fit is scored in windows that begin afresh: the text before the last window is lost to the choice.
        return _Item(item.requests, item.moved_boundary, self._too_long(item.requests))

    def _requests_of_peers(self, encode: Encode, prompt: str, options: Sequence[str], boundary: Literal["apart", "cut"]) -> _Item:
        """Tokens as the peers take them; what does not fit is cut from the left, as they do."""
        empty = self.starts.before_empty(boundary)
        pairs = [pair(encode, prompt, choice, boundary, start=self.starts.own, empty=empty) for choice in options]
        whole = [Request(entry.ids, entry.first) for entry in pairs]
        cuts = [max(0, len(entry.ids) - self.max_tokens) for entry in pairs]
        requests = [Request(entry.ids[cut:], max(1, entry.first - cut)) for entry, cut in zip(pairs, cuts, strict=True)]
        return _Item(requests, any(entry.moved for entry in pairs), self._too_long(whole))

    def _too_long(self, requests: Sequence[Request]) -> int:
        return max(0, max(len(request.ids) for request in requests) - self.max_tokens)

    def write(self, asks: Sequence[Ask], advance: Advance) -> list[Written]:
        written: list[Written] = []
        for group in in_view([ask.pictures for ask in asks]):
            with self.looking():
                requests, cuts = self._continuations([asks[at] for at in group])
                given = self.engine.continue_prompts(requests, _behind(len(written), advance))
            answers = [Continued(answer) if isinstance(answer, str) else answer for answer in given]
            written += [Written(answer.text, cut, answer.thought, answer.finish == "length") for answer, cut in zip(answers, cuts, strict=True)]
        return written

    def _continuations(self, asks: Sequence[Ask]) -> tuple[list[Continuation], list[int]]:
        """What the engine is asked, and how many tokens of each text were cut off."""
        requests, cuts = [], []
        for ask in asks:
            ids = self.encoder(ask.pictures)(ask.text)
            answer, thought = ask.max_tokens or MAX_TOKENS_PER_CHAR * (ask.max_chars or 1), self._thought_tokens(ask)
            most = self.max_tokens if self.positions is None or not ask.whole_context else max(self.max_tokens, self.positions)
            longest = most if self.positions is None else max(most, min(self.positions, most + thought))
            budget = answer + thought
            room = max(1, longest - min(budget, longest // 2))
            start = self._before(ask.start, ids)
            cuts.append(max(0, len(start) + len(ids) - room))
            # Peers cut what the tokenizer puts before a text with the rest; the token that begins a document stays.
            kept = [*start, *ids[cuts[-1] :]] if ask.start == "document" else [*start, *ids][cuts[-1] :]
            tokens = max(1, min(budget, longest - len(kept)))
            opened = opened_by(ask.text) if ask.said else ""
            thought = min(thought, max(0, tokens - answer))
            requests.append(Continuation(kept, tokens, ask.stop, ask.max_chars, bool(ask.said), opened, thought, ask.draw))
        return requests, cuts

    def _thought_tokens(self, ask: Ask) -> int:
        """What a thought may take beside the answer's budget: only a conversation has one, of a model that thinks, or where it was asked for."""
        if not ask.said:
            return 0
        return ask.thought_tokens if ask.thought_tokens is not None else THOUGHT_TOKENS * self.thinks

    def _before(self, start: Start, ids: Sequence[int]) -> list[int]:
        """What stands before a text of `ids`; where that leaves nothing to continue, the token before every document."""
        before = {"document": [self.starts.document], "tokenizer": list(self.starts.own), "nothing": []}[start]
        return before if before or ids else [self.starts.document]

    def take_warnings(self) -> list[str]:
        return self.engine.take_warnings()

    def again(self, *, one_at_a_time: bool) -> TokenBackend:
        engine = self.engine.again(one_at_a_time=one_at_a_time)
        again = copy(self)
        again.engine = engine
        return again

    def chat(self, turns: Sequence[tuple[str, str]], user: str, system: str = "") -> str:
        return self.render_chat(turns, user, system)


def in_view(pictures: Sequence[Sequence[Picture]]) -> Iterator[range]:
    """Neighbouring items in groups that show at most `PICTURES_IN_VIEW` pictures; all items together where none shows any."""
    start, seen = 0, set[str]()
    for at, shown in enumerate(pictures):
        more = seen | {picture.sha256 for picture in shown}
        if len(more) > PICTURES_IN_VIEW and at > start:
            yield range(start, at)
            start, more = at, {picture.sha256 for picture in shown}
        seen = more
    yield range(start, len(pictures))


def _behind(done: int, advance: Advance) -> Advance:
    return lambda count, note: advance(done + count, note)


@dataclass(frozen=True)
class _Item:
    """The requests of an item's choices."""

    requests: list[Request]
    moved: bool
    truncated_tokens: int
