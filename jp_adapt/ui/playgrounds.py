"""What the page may try: any tokenizer of the folder on a text, and a conversation with two of its models."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic, TypeVar

from jp_adapt.commands.chat import open_speaker
from jp_adapt.core.documents import record_from
from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import read_json
from jp_adapt.inference.speaker import Sampling, Speaker
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.measure import new_pieces, segment
from jp_adapt.tokenizer.save import EXTENSION

MOST_TOKENIZERS, MOST_SPEAKERS = 4, 2  # that are held in memory
MOST_CHARS = 20_000  # of a text to be cut
ROLES = frozenset({"system", "user", "assistant"})
Thing = TypeVar("Thing")


class Kept(Generic[Thing]):
    """The things used last, each made once; `close` is called with one that has to go."""

    def __init__(self, most: int, close: Callable[[Thing], object] = lambda thing: None) -> None:
        self._most, self._close = most, close
        self._things: OrderedDict[Any, Thing] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], Thing]) -> Thing:
        with self._lock:
            if key not in self._things:
                while len(self._things) >= self._most:
                    self._close(self._things.popitem(last=False)[1])
                self._things[key] = make()
            self._things.move_to_end(key)
            return self._things[key]


class Tokenizers:
    """Texts cut by tokenizers of the folder."""

    def __init__(self) -> None:
        self._kept: Kept[tuple[BpeTokenizer, int | None]] = Kept(MOST_TOKENIZERS)

    def cut(self, path: Path, text: str) -> dict[str, Any]:
        """The tokens of a text with their ids; `new` are those that an extension added. UsageError for a text that is too long."""
        if len(text) > MOST_CHARS:
            raise UsageError(f"the text has {len(text):,} characters, and {MOST_CHARS:,} are the most that is cut here")
        tokenizer, first_new = self._get(path)
        ids = tokenizer.encode(text)
        chips = segment(tokenizer, text, tokenizer.vocab_size if first_new is None else first_new)
        tokens = [[token_id, chip.text, int(chip.new), int(chip.partial)] for token_id, chip in zip(ids, chips, strict=True)]
        return {"tokens": tokens, "chars": len(text), "bytes": len(text.encode()), "vocab_size": tokenizer.vocab_size, "first_new_id": first_new}

    def marked(self, path: Path, texts: Sequence[str]) -> list[list[tuple[str, bool]]]:
        """Texts in pieces, with whether tokens that an extension added spell them."""
        tokenizer, first_new = self._get(path)
        return [[(text, False)] if first_new is None else new_pieces(tokenizer, text, first_new) for text in texts]

    def _get(self, path: Path) -> tuple[BpeTokenizer, int | None]:
        return self._kept.get((path, path.stat().st_mtime_ns), lambda: (load_tokenizer(path).tokenizer, _first_new_id(path)))


class _Held:
    """A model that answers one conversation at a time."""

    def __init__(self, path: Path) -> None:
        self._stack = ExitStack()
        self.speaker: Speaker = self._stack.enter_context(open_speaker(path))
        self.lock = threading.Lock()

    def close(self) -> None:
        self._stack.close()


class Speakers:
    """Models that answer, as `jp-adapt chat` asks them: those of the folder, and the endpoints that were named on the command line."""

    def __init__(self) -> None:
        self._kept: Kept[_Held] = Kept(MOST_SPEAKERS, _Held.close)

    def reply(self, model: Path | Speaker, asked: Mapping[str, Any]) -> Iterator[str]:
        """The answer to `messages` in pieces. UsageError for a conversation or a setting that is none."""
        messages, sampling = asked.get("messages"), asked.get("sampling") or {}
        shaped = isinstance(messages, list) and all(isinstance(one, dict) and {*one} == {"role", "content"} for one in messages)
        if not shaped or not messages or not all(one["role"] in ROLES and isinstance(one["content"], str) for one in messages):
            raise UsageError("messages: a list of objects with a role (system, user, assistant) and a content is needed")
        drawn = record_from(Sampling, sampling, "sampling")
        if not (0 <= drawn.temperature <= 10 and 0 < drawn.top_p <= 1 and 0 < drawn.max_tokens <= 8192 and drawn.top_k >= 0 and drawn.repetition_penalty > 0):
            raise UsageError("sampling: temperature 0 to 10, top_p above 0 and at most 1, max_tokens 1 to 8,192, top_k and repetition_penalty not negative")
        if not isinstance(model, Path):
            yield from model.reply(messages, drawn)
            return
        held = self._kept.get((model, model.stat().st_mtime_ns), lambda: _Held(model))
        with held.lock:
            yield from held.speaker.reply(messages, drawn)


def _first_new_id(path: Path) -> int | None:
    """Where the new tokens of an extended tokenizer begin; None for any other."""
    if not (path / EXTENSION).is_file():
        return None
    value = read_json(path / EXTENSION)
    first = value.get("first_new_id") if isinstance(value, dict) else None
    return first if isinstance(first, int) else None
