"""What the page may try: any tokenizer of the folder on a text, and a conversation with two of its models."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jp_adapt.commands.chat import open_speaker
from jp_adapt.core.documents import record_from
from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import read_json
from jp_adapt.inference.speaker import Reply, Sampling, Speaker
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.measure import new_pieces, segment
from jp_adapt.tokenizer.prefix import tokens_by_size
from jp_adapt.tokenizer.save import EXTENSION

if TYPE_CHECKING:
    from jp_adapt.inference.model_folder import EvaluatedModel

MOST_TOKENIZERS, MOST_SPEAKERS = 4, 2  # that are held in memory
MOST_READ = 400_000  # characters of a text that a model reads
MOST_CHARS = 20_000  # of a text to be cut
ROLES = frozenset({"system", "user", "assistant"})
SHARES = (0, 0.125, 0.25, 0.5, 0.75, 1)  # of the new tokens: what each part of them would make of a text
Thing = TypeVar("Thing")
Record = Mapping[str, Any]
_MADE_OF = {"bytes", "sources"}


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
        self._kept: Kept[tuple[BpeTokenizer, Record]] = Kept(MOST_TOKENIZERS)

    def cut(self, path: Path, text: str) -> dict[str, Any]:
        """The tokens of a text with their ids; `new` are those that an extension added, and `sizes` how many tokens fewer of them would make of the text.

        UsageError for a text that is too long.
        """
        if len(text) > MOST_CHARS:
            raise UsageError(f"the text has {len(text):,} characters, and {MOST_CHARS:,} are the most that is cut here")
        tokenizer, record = self._get(path)
        first_new = _first_new_id(record)
        ids = tokenizer.encode(text)
        chips = segment(tokenizer, text, tokenizer.vocab_size if first_new is None else first_new)
        tokens = [[token_id, chip.text, int(chip.new), int(chip.partial)] for token_id, chip in zip(ids, chips, strict=True)]
        facts = {"chars": len(text), "bytes": len(text.encode()), "vocab_size": tokenizer.vocab_size, "first_new_id": first_new}
        return {"tokens": tokens, **facts, "sizes": _sizes(tokenizer, record, ids)}

    def marked(self, path: Path, texts: Sequence[str]) -> list[list[tuple[str, bool]]]:
        """Texts in pieces, with whether tokens that an extension added spell them."""
        tokenizer, record = self._get(path)
        first_new = _first_new_id(record)
        return [[(text, False)] if first_new is None else new_pieces(tokenizer, text, first_new) for text in texts]

    def _get(self, path: Path) -> tuple[BpeTokenizer, Record]:
        return self._kept.get((path, path.stat().st_mtime_ns), lambda: (load_tokenizer(path).tokenizer, _record(path)))


class Readers:
    """Models of the folder that say how surprising a text is to them, one in memory."""

    def __init__(self) -> None:
        self._kept: Kept[EvaluatedModel] = Kept(1)
        self._lock = threading.Lock()

    def surprise(self, path: Path, before: str, text: str) -> dict[str, Any]:
        """The tokens of a text as [text, bits, partial, before]. UsageError for one that is too long or empty."""
        from jp_adapt.inference.model_folder import load_model
        from jp_adapt.inference.surprise import MOST_TOKENS, token_surprise

        if not text or len(before) + len(text) > MOST_READ:
            raise UsageError(f"the text has {len(before) + len(text):,} characters, and 1 to {MOST_READ:,} are read here")
        with self._lock:
            tokens = token_surprise(self._kept.get((path, path.stat().st_mtime_ns), lambda: load_model(path)), before, text)
        return {"tokens": [[one.text, round(one.bits, 3), int(one.partial), int(one.before)] for one in tokens], "most": MOST_TOKENS}


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

    def reply(self, model: Path | Speaker, asked: Mapping[str, Any]) -> Reply:
        """The answer to `messages` in pieces, and whether it was cut. UsageError for a conversation or a setting that is none."""
        messages, sampling = asked.get("messages"), asked.get("sampling") or {}
        shaped = isinstance(messages, list) and all(isinstance(one, dict) and {*one} == {"role", "content"} for one in messages)
        if not shaped or not messages or not all(one["role"] in ROLES and isinstance(one["content"], str) for one in messages):
            raise UsageError("messages: a list of objects with a role (system, user, assistant) and a content is needed")
        drawn = record_from(Sampling, sampling, "sampling")
        if not (0 <= drawn.temperature <= 10 and 0 < drawn.top_p <= 1 and 0 < drawn.max_tokens <= 8192 and drawn.top_k >= 0 and drawn.repetition_penalty > 0):
            raise UsageError("sampling: temperature 0 to 10, top_p above 0 and at most 1, max_tokens 1 to 8,192, top_k and repetition_penalty not negative")
        if not isinstance(model, Path):
            return (yield from model.reply(messages, drawn))
        held = self._kept.get((model, model.stat().st_mtime_ns), lambda: _Held(model))
        with held.lock:
            return (yield from held.speaker.reply(messages, drawn))


def _record(path: Path) -> Record:
    """The extension.json of a folder; nothing of a tokenizer that is not extended."""
    value = read_json(path / EXTENSION) if (path / EXTENSION).is_file() else None
    return value if isinstance(value, dict) else {}


def _first_new_id(record: Record) -> int | None:
    """Where the new tokens of an extended tokenizer begin; None for any other."""
    first = record.get("first_new_id")
    return first if isinstance(first, int) else None


def _sizes(tokenizer: BpeTokenizer, record: Record, ids: Sequence[int]) -> list[tuple[int, int]]:
    """(new tokens, tokens of the text) for the base, and for growing parts of an extension; nothing where its record does not tell what tokens are made of."""
    tokens = record.get("tokens")
    if (
        _first_new_id(record) is None
        or not isinstance(tokens, list)
        or not tokens
        or not all(isinstance(one, dict) and one.keys() >= _MADE_OF for one in tokens)
    ):
        return []
    learned = sum(len(str(one["bytes"])) > len("00") for one in tokens)  # as hex
    sizes = sorted({round(learned * share) for share in SHARES})
    try:
        return list(zip(sizes, tokens_by_size(tokenizer, record, ids, sizes), strict=True))
    except (ValueError, TypeError, LookupError):  # written by another program
        return []
