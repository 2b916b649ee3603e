"""OpenAI's interface on our own engine: what a request asks for, and the reply to it.

Completions as OpenAI's and vLLM's servers give them (`echo`, `logprobs`, `prompt_logprobs`, prompts as ids), chat completions in the model's own template, and
vLLM's `/tokenize`. What would change an answer and is not done here is refused, never passed over in silence.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.inference.answer import Continuation, Continued, shortened
from jp_adapt.inference.backend import THOUGHT_TOKENS
from jp_adapt.inference.draw import Draw
from jp_adapt.inference.generate import generate
from jp_adapt.inference.model_folder import EvaluatedModel
from jp_adapt.inference.score import TokenScore, score_tokens
from jp_adapt.inference.text_side import TextSide
from jp_adapt.inference.trie import Request
from jp_adapt.text.thoughts import opened_by
from jp_adapt.tokenizer.bpe import text_of

COMPLETION_TOKENS, CHAT_TOKENS = 16, 512  # where a request names no budget: OpenAI's of completions; of a chat it is the rest of the context there
MOST_TOP = 20  # tokens beside each one (vLLM's bound)
# Settings that change an answer: the value that leaves it as it is. What is not there, or None, leaves it, too.
LEFT_ALONE: dict[str, Any] = {
    "add_generation_prompt": True,
    "allowed_token_ids": [],
    "bad_words": [],
    "best_of": 1,
    "chat_template": None,
    "chat_template_kwargs": {},
    "continue_final_message": False,
    "documents": [],
    "frequency_penalty": 0,
    "functions": [],
    "guided_choice": [],
    "guided_grammar": None,
    "guided_json": None,
    "guided_regex": None,
    "ignore_eos": False,
    "include_stop_str_in_output": False,
    "length_penalty": 1,
    "logit_bias": {},
    "min_p": 0,
    "min_tokens": 0,
    "presence_penalty": 0,
    "prompt_embeds": None,
    "reasoning_effort": None,
    "repetition_penalty": 1,
    "response_format": {"type": "text"},
    "skip_special_tokens": True,
    "stop_token_ids": [],
    "stream": False,
    "structured_outputs": None,
    "suffix": "",
    "tools": [],
    "top_logprobs": 0,
    "truncate_prompt_tokens": None,
    "use_beam_search": False,
}
# What a setting that may have several forms may be, or one of which there is less than elsewhere.
FORMS = {
    "prompt": "a text, a list of texts, the ids of a text, or a list of such lists",
    "stop": "a text, or a list of texts",
    "content": "a text; lists of parts, and pictures, are not read here",
}


class _Asked(BaseModel):
    """What both kinds of requests may say. Other keys stand in `model_extra`."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    max_tokens: int | None = Field(default=None, ge=0)
    temperature: float | None = Field(default=None, ge=0, le=100)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = Field(default=None, ge=1, le=128)

    @property
    def stops(self) -> tuple[str, ...]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(entry for entry in given if entry)

    def draws(self) -> list[Draw | None]:
        """How each of the `n` answers is drawn; OpenAI's temperature is 1 where none is given. Without a seed each request draws its own."""
        temperature = 1.0 if self.temperature is None else self.temperature
        if temperature == 0:
            return [None] * (self.n or 1)
        first = uuid.uuid4().int % 2**31 if self.seed is None else self.seed
        return [Draw(temperature, self.top_p or 1.0, max(0, self.top_k or 0), first + at) for at in range(self.n or 1)]


class CompletionBody(_Asked):
    """The body of a request to /v1/completions."""

    prompt: str | list[str] | list[int] | list[list[int]]
    echo: bool = False
    logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP)
    prompt_logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP)
    add_special_tokens: bool = True


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: str
    content: str | None


class ChatBody(_Asked):
    """The body of a request to /v1/chat/completions."""

    messages: list[_Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=0)
    logprobs: Literal[False] | None = None


class TokenizeBody(BaseModel):
    """The body of a request to /tokenize. Other keys stand in `model_extra`."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    prompt: str | None = None
    messages: list[_Message] | None = None
    add_special_tokens: bool = True


@dataclass(frozen=True)
class Work:
    """One answer that is asked for. `top`: how many tokens to tell beside each one from `first` on; None where none are asked for."""

    write: Continuation
    first: int = 1
    top: int | None = None


@dataclass(frozen=True)
class Done:
    """What was written, and the scores of the tokens from `first` on, those of the answer among them."""

    written: Continued
    ids: tuple[int, ...]
    scores: tuple[TokenScore, ...] = ()


def do(model: EvaluatedModel, work: Sequence[Work]) -> list[Done]:
    """All of it together: what texts share is computed once, and answers are continued in one batch.

    One greedy token behind a scored prompt comes with the scores, so that scoring alone writes nothing.
    """
    stops = model.side.stop_ids
    next_alone = [entry.top is not None and entry.write.draw is None and entry.write.max_tokens == 1 for entry in work]
    asked = [entry.write for entry, alone in zip(work, next_alone, strict=True) if not alone]
    runtime = model.side.tokenizer.runtime
    answers = iter(generate(model.model, asked, runtime.decode, stop_ids=stops, decode_marked=model.side.tokenizer.decode))
    written = [Continued("") if alone else next(answers) for alone in next_alone]
    # One more id stands behind each text, so that the token that ended it is told, too.
    texts = [[*entry.write.ids, *said.ids] for entry, said in zip(work, written, strict=True)]
    scored = [at for at, entry in enumerate(work) if entry.top is not None]
    requests = [Request([*texts[at], texts[at][-1]], work[at].first) for at in scored]
    top = max((max(1, work[at].top or 0) for at in scored), default=1)
    scores = dict(zip(scored, score_tokens(model.model, requests, top=top), strict=True))
    done = []
    for at, (entry, said) in enumerate(zip(work, written, strict=True)):
        if entry.top is None:
            done.append(Done(said, said.ids))
            continue
        *own, last = scores[at]
        (follows, nats), ids = last.top[0], said.ids
        ends = follows in stops
        if next_alone[at] or (ends and said.finish == "eos"):
            own.append(TokenScore(nats, last.top))
            ids = (*ids, follows)
        if next_alone[at]:
            text = "" if ends else str(runtime.decode([follows]))
            said = replace(shortened(text, None if ends else "length", entry.write.stop, None), tokens=int(not ends))
        done.append(Done(said, ids, tuple(own)))
    return done


class Interface:
    """Bodies of requests to one model, as work, and what was done as bodies of replies. UsageError for what cannot be done."""

    def __init__(self, side: TextSide, name: str) -> None:
        self.side, self.name, self.started = side, name, int(time.time())
        self.positions = side.positions or side.max_tokens

    def models(self) -> dict[str, Any]:
        entry = {"id": self.name, "object": "model", "created": self.started, "owned_by": "jp-adapt", "max_model_len": self.positions}
        return {"object": "list", "data": [entry]}

    def tokenize(self, value: Any) -> dict[str, Any]:
        """The ids of a text, or of a conversation in the model's template."""
        body = _checked(TokenizeBody, value)
        self._check(body)
        for name in (body.model_extra or {}).keys() - LEFT_ALONE.keys():
            raise UsageError(
                f"{name}: /tokenize has no such key{did_you_mean(name, TokenizeBody.model_fields)}; it takes {', '.join(TokenizeBody.model_fields)}"
            )
        if (body.prompt is None) == (body.messages is None):
            raise UsageError("give either a prompt or messages")
        ids = self._ids(body.prompt, body.add_special_tokens) if body.prompt is not None else self._chat_ids(body.messages or [])[0]
        return {"tokens": ids, "count": len(ids), "max_model_len": self.positions}

    def completion_work(self, value: Any) -> tuple[CompletionBody, list[Work]]:
        """The answers that a request to /v1/completions asks for, those to one prompt after the other."""
        body = _checked(CompletionBody, value)
        self._check(body)
        tops = [entry for entry in (body.logprobs, body.prompt_logprobs) if entry is not None]
        budget = COMPLETION_TOKENS if body.max_tokens is None else body.max_tokens
        work = []
        for prompt in _prompts(body.prompt):
            ids = self._ids(prompt, body.add_special_tokens) if isinstance(prompt, str) else self._known(prompt)
            self._check_room(len(ids), budget)
            first = 1 if body.echo or body.prompt_logprobs is not None else len(ids)
            for draw in body.draws():
                write = Continuation(ids, budget, body.stops, draw=draw)
                work.append(Work(write, first, max(tops) if tops else None))
        return body, work

    def completion_reply(self, body: CompletionBody, work: Sequence[Work], done: Sequence[Done]) -> dict[str, Any]:
        given = [prompt for prompt in _prompts(body.prompt) for _ in range(body.n or 1)]
        choices = [self._choice(at, body, *one) for at, one in enumerate(zip(given, work, done, strict=True))]
        prompts = sum(len(entry.write.ids) for entry in work[:: body.n or 1])
        return self._reply("text_completion", choices, prompts, sum(result.written.tokens for result in done))

    def chat_work(self, value: Any) -> tuple[ChatBody, list[Work]]:
        """The answers that a request to /v1/chat/completions asks for."""
        body = _checked(ChatBody, value)
        self._check(body)
        ids, text = self._chat_ids(body.messages)
        named = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
        thought = THOUGHT_TOKENS * self.side.chat.thinks if named is None else 0  # a named budget is of both
        budget = max(1, min(CHAT_TOKENS + thought, self.positions - len(ids))) if named is None else named
        self._check_room(len(ids), budget)
        thought = min(thought, max(0, budget - CHAT_TOKENS))
        thinks = self.side.chat.thinks
        opened = opened_by(text) if thinks else ""
        return body, [Work(Continuation(ids, budget, body.stops, thinks=thinks, opened=opened, thought_tokens=thought, draw=draw)) for draw in body.draws()]

    def chat_reply(self, work: Sequence[Work], done: Sequence[Done]) -> dict[str, Any]:
        choices = []
        for at, result in enumerate(done):
            message: dict[str, Any] = {"role": "assistant", "content": result.written.text}
            if result.written.thought is not None:
                message["reasoning_content"] = result.written.thought
            choices.append({"index": at, "message": message, "finish_reason": _finish(result.written), "logprobs": None})
        return self._reply("chat.completion", choices, len(work[0].write.ids), sum(result.written.tokens for result in done))

    def _reply(self, kind: str, choices: list[dict[str, Any]], prompt_tokens: int, tokens: int) -> dict[str, Any]:
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
        beginning = "chatcmpl" if kind == "chat.completion" else "cmpl"
        return {
            "id": f"{beginning}-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self.name,
            "choices": choices,
            "usage": usage,
        }

    def _choice(self, at: int, body: CompletionBody, given: str | list[int], work: Work, result: Done) -> dict[str, Any]:
        prompt, said = work.write.ids, result.written
        before = "" if not body.echo else given if isinstance(given, str) else str(self.side.tokenizer.runtime.decode(given, skip_special_tokens=False))
        text = before + said.text
        choice: dict[str, Any] = {"index": at, "text": text, "finish_reason": _finish(said), "logprobs": None}
        scores: list[TokenScore | None] = [*result.scores]
        if body.echo or body.prompt_logprobs is not None:
            scores = [None, *scores]  # nothing stands before the first token of a prompt
        if body.prompt_logprobs is not None:
            choice["prompt_logprobs"] = [
                None if score is None else self._by_id(id, score, body.prompt_logprobs) for id, score in zip(prompt, scores, strict=False)
            ]
        if body.logprobs is not None:
            ids = [*prompt, *result.ids] if body.echo else [*result.ids]
            choice["logprobs"] = self._by_text(text, ids, scores[len(scores) - len(ids) :], body.logprobs)
        return choice

    def _by_id(self, id: int, score: TokenScore, top: int) -> dict[str, Any]:
        """vLLM's form: by id, the token itself first, then the `top` most probable."""
        ranks = {other: rank for rank, (other, _) in enumerate(score.top, 1)}
        entries = {id: score.nats} | dict(score.top[:top])
        return {str(other): {"logprob": nats, "rank": ranks.get(other), "decoded_token": self._text(other)} for other, nats in entries.items()}

    def _by_text(self, text: str, ids: Sequence[int], scores: Sequence[TokenScore | None], top: int) -> dict[str, Any]:
        """OpenAI's form of completions. A special token takes room in the text where it stands there, and none where the tokenizer put it before the text."""
        texts = [self._text(id) for id in ids]
        offsets, seen = [], b""
        for id in ids:
            offsets.append(len(seen.decode("utf-8", "ignore")))
            special = "" if id in self.side.tokenizer.token_bytes else self._text(id)
            seen += special.encode() if special and text.startswith(special, offsets[-1]) else self.side.tokenizer.token_bytes.get(id, b"")
        tops = [
            None if score is None else {self._text(other): nats for other, nats in [(id, score.nats), *score.top[:top]]}
            for id, score in zip(ids, scores, strict=True)
        ]
        return {"tokens": texts, "token_logprobs": [None if score is None else score.nats for score in scores], "top_logprobs": tops, "text_offset": offsets}

    def _text(self, id: int) -> str:
        """The text of a token; bytes that are no whole characters as OpenAI writes them, so that two tokens never look the same."""
        token = self.side.tokenizer.token_bytes.get(id)
        if token is None:
            return str(self.side.tokenizer.runtime.id_to_token(id))
        return text_of(token) or "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)

    def _ids(self, text: str, special: bool) -> list[int]:
        return list(self.side.tokenizer.runtime.encode(text, add_special_tokens=special).ids)

    def _known(self, ids: list[int]) -> list[int]:
        wrong = next((id for id in ids if not 0 <= id < self.side.tokenizer.vocab_size), None)
        if wrong is not None:
            raise UsageError(f"the prompt has the id {wrong}, and the tokenizer has {self.side.tokenizer.vocab_size:,} tokens")
        return ids

    def _chat_ids(self, messages: Sequence[_Message]) -> tuple[list[int], str]:
        text = self.side.chat.render_messages([{"role": entry.role, "content": entry.content or ""} for entry in messages], prompt=True)
        return self._ids(text, special=False), text

    def _check(self, body: _Asked | TokenizeBody) -> None:
        if body.model not in (None, self.name):
            raise UsageError(f"there is no model '{body.model}' here; it is called '{self.name}'")
        for name, neutral in LEFT_ALONE.items():
            value = (body.model_extra or {}).get(name)
            if value is not None and value != neutral:
                raise UsageError(f"{name}: {value!r:.60} is not done here; leave it out")

    def _check_room(self, tokens: int, budget: int) -> None:
        if not tokens:
            raise UsageError("the prompt is empty, and this model's tokenizer puts nothing before a text; give at least one token")
        if tokens + budget > self.positions:
            raise UsageError(
                f"this model's maximum context length is {self.positions} tokens; the prompt has {tokens}, and {budget} are asked for; make one of them shorter"
            )


def _checked(kind: type[Any], value: Any) -> Any:
    """The body of a request. UsageError, with the place, where it is not valid."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"]
        of_form = next((at for at, name in enumerate(place) if name in FORMS), None)
        if of_form is not None and first["type"] != "missing":
            place = place[: of_form + 1]
            raise UsageError(f"{'.'.join(map(str, place))}: give {FORMS[str(place[-1])]}") from error
        raise UsageError(f"{'.'.join(map(str, place)) or 'the body'}: {first['msg']}") from error


def _prompts(prompt: str | list[str] | list[int] | list[list[int]]) -> list[str] | list[list[int]]:
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise UsageError("prompt: is an empty list; give at least one text, or the ids of one")
    return [prompt] if isinstance(prompt[0], int) else prompt  # type: ignore[return-value,list-item]


def _finish(said: Continued) -> str:
    return "length" if said.finish == "length" else "stop"
