"""The text side of a model: its tokenizer, the token that begins a text, the tokens that end one, its chat template, and how long a text may be.

`text_side` is the one reader of it, and `write_text_side` completes it in a folder that leaves. What the files of the Hugging Face layout can say stands there
(tokenizer_config.json, chat_template.jinja, generation_config.json), so that transformers and vLLM do the same; jp_adapt.json holds the rest. Needs no weights
and no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer

from jp_adapt.benchmarks.pictures import MARK
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_json, read_text, write_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.model.vision import is_vision
from jp_adapt.text.chat import TEMPLATES, Message, with_defaults
from jp_adapt.text.chat_jinja import DATE_FORMAT, TEMPLATE_DATE, ChatError, render
from jp_adapt.text.document_ends import document_end as default_end
from jp_adapt.text.thoughts import names_thoughts
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import load_tokenizer

FACTS, GENERATION, TEMPLATE = "jp_adapt.json", "generation_config.json", "chat_template.jinja"
FACTS_FORMAT = 1
LONGEST_CONTEXT = 4096  # tokens; longer prompts are cut from the left and counted


@dataclass(frozen=True)
class Starts:
    """What may stand before a text, as ids.

    Attributes:
        document: the token before every document in training.
        own: what the tokenizer itself puts before a text: BOS for Llama, nothing for SmolLM2 and Qwen.
        bos, eos: None where the tokenizer names none.
    """

    document: int
    own: tuple[int, ...] = ()
    bos: int | None = None
    eos: int | None = None

    def before_empty(self, boundary: Literal["apart", "cut"]) -> int:
        """The token that a peer puts before a choice without a prompt: lm-eval 0.4 ("cut") BOS, else EOS; its fork ("apart") EOS."""
        order = (self.eos, self.bos) if boundary == "apart" else (self.bos, self.eos)
        return next((token for token in order if token is not None), self.document)


@dataclass(frozen=True)
class ChatFormat:
    """A chat template with its BOS and EOS written in, and the date that it renders, whatever the day.

    Attributes:
        own: whether it is the model's own; else it is the Japanese Alpaca prompt.
        parts: whether what a message says is a list of texts and pictures, as templates of vision-language models take it.
    """

    template: str
    date: str = TEMPLATE_DATE
    own: bool = True
    parts: bool = False

    @property
    def thinks(self) -> bool:
        """Whether it is the template of a model that thinks before it answers."""
        return names_thoughts(self.template)

    def render(self, turns: Sequence[tuple[str, str]], user: str, system: str = "") -> str:
        """The text of a conversation, turns of (user, answer) and what the user says next, up to the answer that is asked for.

        It is whole: the template says which token begins it, and nothing is put before it. InputError where the template does not take the conversation.
        """
        messages = [message for said, answer in turns for message in ({"role": "user", "content": said}, {"role": "assistant", "content": answer})]
        first = [{"role": "system", "content": system}] if system else []
        return self.render_messages([*first, *messages, {"role": "user", "content": user}], prompt=True)

    def render_messages(self, messages: Sequence[Message], *, prompt: bool) -> str:
        """The text of messages; with `prompt` also what stands before the answer that is asked for. InputError as above."""
        try:
            return render(self.template, [_in_parts(message) for message in messages] if self.parts else messages, prompt=prompt, date=self.date)
        except ChatError as error:
            raise InputError(f"the model's chat template cannot be used: {error}") from error

    def render_open(self, messages: Sequence[Message]) -> str:
        """The text of messages up to the end of what the last one says, which the model is to continue (`continue_final_message` of transformers)."""
        *before, last = messages
        mark = "\ue000 "
        text = self.render_messages([*before, {**last, "content": f"{last['content']}{mark}"}], prompt=False)
        at = text.rfind(mark.strip())
        if at < 0:
            raise InputError("the model's chat template cannot be used: it drops the text of the last message, which is to be continued")
        return text[:at] if text.startswith(mark, at) else text[:at].rstrip()  # as transformers: a template that trims texts trims the open one, too


@dataclass(frozen=True)
class TextSide:
    """What a model folder says of texts.

    Attributes:
        stop_ids: every token that ends an answer, the one that begins the next document among them.
        generation_stops: those at which transformers' `generate` stops.
        document_end: the token that ends every document in training; None where the folder names none.
        max_tokens: the longest text that is scored or continued in one piece, at most LONGEST_CONTEXT.
        positions: tokens that the model was made for; None where config.json does not say.
    """

    folder: Path
    tokenizer: BpeTokenizer
    tokenizer_sha256: str
    starts: Starts
    stop_ids: tuple[int, ...]
    generation_stops: tuple[int, ...]
    chat: ChatFormat
    max_tokens: int
    positions: int | None
    document_end: int | None = None

    @property
    def document_start(self) -> str:
        """The token before every document, as text."""
        return str(self.tokenizer.runtime.id_to_token(self.starts.document))

    @property
    def eos(self) -> str | None:
        """The EOS that the tokenizer names, as text."""
        return None if self.starts.eos is None else str(self.tokenizer.runtime.id_to_token(self.starts.eos))

    @property
    def description(self) -> dict[str, Any]:
        """What scores.json says of it."""
        return {"tokenizer_sha256": self.tokenizer_sha256, "max_tokens": self.max_tokens, "document_start": self.document_start}


@dataclass(frozen=True)
class Facts:
    """jp_adapt.json: what a folder of ours says beside the files that others read, too."""

    document_start: str | None = None
    template_date: str | None = None
    document_end: str | None = None


def text_side(folder: Path, document_start: str | None = None, document_end: str | None = None) -> TextSide:
    """The text side of a model folder.

    Args:
        document_start: the token before every document; by default what jp_adapt.json names, else BOS, else the token that ends a document (of the one before).
        document_end: the token that ends one; by default what jp_adapt.json names, else see `text/document_ends.py`.

    Raises:
        InputError: no tokenizer, a token that it lacks, or a jp_adapt.json of another format.
    """
    loaded = load_tokenizer(folder)
    runtime, facts, config = loaded.tokenizer.runtime, read_facts(folder), _optional_json(folder / "config.json")
    bos_text, eos_text = special_token(folder, "bos_token"), special_token(folder, "eos_token")
    bos, eos = _id(runtime, bos_text), _id(runtime, eos_text)
    named = document_start or facts.document_start
    end = _id(runtime, document_end or end_of_documents(folder, loaded.tokenizer.special_texts))
    start = _id(runtime, named) if named else next((entry for entry in (bos, end, eos, *_ids(config.get("bos_token_id"))) if entry is not None), None)
    if start is None and named:
        raise InputError(f"{folder}: the tokenizer has no token '{named}', which is to stand before every text")
    if start is None:
        raise InputError(f"{folder}: the tokenizer names no bos_token and no eos_token, so that nothing can stand before a text")
    if end is None and document_end:
        raise InputError(f"{folder}: the tokenizer has no token '{document_end}', which is to end every text")
    template = own_template(folder)
    bos_in_chat = (bos_text or "") if template else str(runtime.id_to_token(start))
    jinja = with_defaults(template or TEMPLATES["alpaca-ja"].jinja, bos=bos_in_chat, eos=eos_text or "", system=None)
    chat = ChatFormat(jinja, facts.template_date or TEMPLATE_DATE, template is not None)
    if is_vision(config) and _takes_parts(chat):
        chat = replace(chat, parts=True)
    generation = _ids(_optional_json(folder / GENERATION).get("eos_token_id")) or _ids(config.get("eos_token_id"))
    stops = [start, *generation, *_ids(config.get("eos_token_id")), eos, end, _end_of_turn(chat, loaded.tokenizer)]
    positions = config.get("max_position_embeddings") or (config.get("text_config") or {}).get("max_position_embeddings")
    return TextSide(
        folder,
        loaded.tokenizer,
        sha256_file(loaded.files[0]),
        Starts(start, _own_start(runtime), bos, eos),
        tuple(dict.fromkeys(entry for entry in stops if entry is not None)),
        tuple(generation),
        chat,
        min(int(positions or LONGEST_CONTEXT), LONGEST_CONTEXT),
        int(positions) if positions else None,
        end,
    )


def end_of_documents(folder: Path, special_texts: Collection[str]) -> str | None:
    """The token that ends every document, by what a folder says: jp_adapt.json, else its EOS and special tokens."""
    return read_facts(folder).document_end or default_end(special_token(folder, "eos_token"), special_texts)


def write_text_side(folder: Path, document_start: str, document_end: str | None = None) -> None:
    """Complete the text side of a folder that holds a tokenizer's files: jp_adapt.json, and in generation_config.json the tokens at which an answer ends."""
    write_json(
        folder / FACTS,
        {
            "format": FACTS_FORMAT,
            "jp_adapt": metadata.version("jp-adapt"),
            "document_start": document_start,
            "document_end": document_end,
            "template_date": TEMPLATE_DATE,
        },
    )
    side, config = text_side(folder), _optional_json(folder / GENERATION)
    stops = list(dict.fromkeys([*side.generation_stops, *side.stop_ids]))
    write_json(folder / GENERATION, config | {"eos_token_id": stops})


def refuse_longer(option: str, tokens: int | None, positions: int | None) -> None:
    """UsageError where a conversation is to have more `tokens` than the model has `positions`; one that does not say how many is not judged."""
    if tokens is not None and positions is not None and tokens > positions:
        raise UsageError(f"{option} {tokens:,}: the model was made for {positions:,} tokens, and writes nothing of use after them; give at most that many")


def read_facts(folder: Path) -> Facts:
    """What jp_adapt.json says; nothing where there is none. InputError for another format."""
    path = folder / FACTS
    if not path.is_file():
        return Facts()
    value = read_json(path)
    values = [value.get(name) for name in ("document_start", "template_date", "document_end")] if isinstance(value, dict) else [0]
    if not isinstance(value, dict) or value.get("format") != FACTS_FORMAT or not all(entry is None or isinstance(entry, str) for entry in values):
        raise InputError(f"{path}: not in format {FACTS_FORMAT} of jp-adapt {metadata.version('jp-adapt')}; export the model again with this version")
    facts = Facts(*values)
    try:
        datetime.strptime(facts.template_date or TEMPLATE_DATE, DATE_FORMAT)
    except ValueError as error:
        raise InputError(f"{path}: template_date is '{facts.template_date}', and a date as '{TEMPLATE_DATE}' is needed") from error
    return facts


def special_token(folder: Path, name: str) -> str | None:
    """The text of a special token ("bos_token", "eos_token") that a folder names, in tokenizer_config.json or in the older special_tokens_map.json."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        value = _optional_json(folder / file).get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if text:
            return str(text)
    return None


def own_template(folder: Path) -> str | None:
    """The chat template of a folder as it is written, or None: chat_template.jinja, else tokenizer_config.json, of several the one named "default".

    InputError where there are several and none is the default.
    """
    if (folder / TEMPLATE).is_file():
        return read_text(folder / TEMPLATE)
    template = _optional_json(folder / "tokenizer_config.json").get("chat_template")
    if not isinstance(template, list):
        return template if isinstance(template, str) and template else None
    named = {entry["name"]: entry["template"] for entry in template if isinstance(entry, dict) and isinstance(entry.get("template"), str) and "name" in entry}
    if named and "default" not in named:
        raise InputError(f"{folder}: has chat templates named {', '.join(map(str, named))} and none named default; copy the one to use to {TEMPLATE}")
    return named.get("default")


def _own_start(runtime: Tokenizer) -> tuple[int, ...]:
    plain, whole = (runtime.encode("a", add_special_tokens=special).ids for special in (False, True))
    return tuple(next((whole[:at] for at in range(len(whole)) if whole[at : at + len(plain)] == plain), ()))


def _in_parts(message: Message) -> Message:
    """A message whose text is a list of its texts and pictures."""
    first, *others = str(message["content"]).split(MARK)
    parts = [{"type": "text", "text": first}, *(part for text in others for part in ({"type": "image"}, {"type": "text", "text": text}))]
    return {**message, "content": [part for part in parts if part.get("text") != ""] or parts[:1]}


def _takes_parts(chat: ChatFormat) -> bool:
    """Whether a template writes the text of a message in parts, and nothing of the list around it."""
    try:
        text = replace(chat, parts=True).render_messages([{"role": "user", "content": "\ue000"}], prompt=False)
    except InputError:
        return False
    return text.count("\ue000") == 1 and "'type'" not in text and '"type"' not in text


def _end_of_turn(chat: ChatFormat, tokenizer: BpeTokenizer) -> int | None:
    """Id of the special token that the template puts behind an answer; None where it puts none, or cannot be rendered."""
    answer = "\ue000"
    try:
        text = chat.render_messages([{"role": "user", "content": "a"}, {"role": "assistant", "content": answer}], prompt=False)
    except InputError:
        return None
    behind = text.partition(answer)[2].lstrip()
    end = max((token for token in tokenizer.special_texts if behind.startswith(token)), key=len, default=None)
    return _id(tokenizer.runtime, end)


def _id(runtime: Tokenizer, text: str | None) -> int | None:
    results = runtime.token_to_id(text) if text else None
    return None if results is None else int(results)


def _ids(value: Any) -> list[int]:
    return [] if value is None else [int(entry) for entry in value] if isinstance(value, list) else [int(value)]


def _optional_json(path: Path) -> dict[str, Any]:
    value = read_json(path) if path.is_file() else {}
    if not isinstance(value, dict):
        raise InputError(f"{path}: a JSON object is needed; fetch the file again")
    return value
