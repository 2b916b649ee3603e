"""Benchmarks on a model behind an endpoint. With the model's tokenizer, tokens are sent and scores are those of the model on this machine; without it,
texts are sent, and what the server says of its tokens decides where scoring begins."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

from jp_adapt.benchmarks.pictures import MARK, Picture
from jp_adapt.benchmarks.profiles import Boundary
from jp_adapt.core.errors import InputError
from jp_adapt.core.progress import Advance
from jp_adapt.inference.answer import shortened
from jp_adapt.inference.backend import THOUGHT_TOKENS, Ask, Chosen, Written
from jp_adapt.inference.endpoint_engine import Completions, EchoedToken, drawn, spells, sum_of
from jp_adapt.inference.token_backend import MAX_TOKENS_PER_CHAR, TokenBackend
from jp_adapt.inference.trie import common_prefix
from jp_adapt.text.thoughts import split_thought


class EndpointBackend:
    """`completions` behind the interface of `backend.Backend`; `tokens` is the backend over the same model for what is sent as tokens, if it can be.

    Conversations go to the chat endpoint, which knows the model's template.
    """

    def __init__(self, completions: Completions, *, tokens: TokenBackend | None = None, max_tokens: int) -> None:
        self.completions, self.tokens, self.max_tokens = completions, tokens, max_tokens
        self._asked_in_text = self._thinks = False

    def choose(
        self, prompts: Sequence[str], choices: Sequence[Sequence[str]], boundary: Boundary, advance: Advance, pictures: Sequence[Sequence[Picture]] = ()
    ) -> list[Chosen]:
        if any(pictures):
            raise InputError("an endpoint tells no likelihoods of texts with pictures; --chat asks for written answers")
        if self.tokens is not None:
            return self.tokens.choose(prompts, choices, boundary, advance)
        if boundary != "safe":
            raise _needs_tokenizer("this profile cuts tokens as a peer does")
        self._asked_in_text = True
        items = [{"prompt": prompt, "choices": list(options)} for prompt, options in zip(prompts, choices, strict=True)]
        total = sum(map(len, choices))
        results = self.completions.each(items, self._choose, lambda count, note: advance(count * total // len(items), note))
        return [Chosen(value["log_likelihoods"], value["moved"]) for value in results]

    def _choose(self, item: dict[str, Any]) -> dict[str, Any]:
        """One item, by the rule of `choices.choice_requests`: from the first token at which a choice differs from another, or from the prompt alone."""
        prompt = item["prompt"]
        context = self._tokens_of(prompt) if prompt else []
        texts = [self._tokens_of(prompt + choice) for choice in item["choices"]]
        names = [[token.text if token.id is None else token.id for token in tokens] for tokens in (context, *texts)]
        shared = min(common_prefix(names[0], other) for other in names[1:])
        return {"log_likelihoods": [sum_of(tokens[shared:]) for tokens in texts], "moved": shared < len(context)}

    def _tokens_of(self, text: str) -> list[EchoedToken]:
        """The tokens of a text, without the one that the server may put before it."""
        echo = self.completions.echo(text)
        first = echo.tokens[0].text
        tokens = echo.tokens if first and text.startswith(first) else echo.tokens[1:]
        # With texts alone, two tokens that are parts of characters may look the same: then every one has to be readable.
        readable = tokens[-1].id is not None or spells(text, "".join(token.text for token in tokens))
        if not readable or not spells(echo.text, text):
            raise _needs_tokenizer(f"the tokens that the endpoint tells do not spell the text that was sent ({text[-30:]!r})")
        return tokens

    def write(self, asks: Sequence[Ask], advance: Advance) -> list[Written]:
        if any(ask.pictures and not ask.said for ask in asks):
            raise InputError("an endpoint takes pictures in conversations alone; ask in one: --chat")
        if self.tokens is not None and not any(ask.said for ask in asks):
            return self.tokens.write(asks, advance)
        self._asked_in_text |= not all(ask.said for ask in asks)
        results = self.completions.each([self._body(ask) for ask in asks], self._write, advance)
        return [_written(value, ask) for value, ask in zip(results, asks, strict=True)]

    def _body(self, ask: Ask) -> dict[str, Any]:
        """A request; of a conversation without stop strings, which a thought may hold, and with what a thought may take beside the answer's budget."""
        budget = ask.max_tokens or min(MAX_TOKENS_PER_CHAR * (ask.max_chars or 1), self.max_tokens // 2)
        if not ask.said:
            return {"prompt": ask.text, "max_tokens": budget, "stop": list(ask.stop)} | drawn(ask.draw)
        system = [{"role": "system", "content": ask.system}] if ask.system else []
        seen = iter(ask.pictures)
        messages = [*system, *({"role": "assistant" if at % 2 else "user", "content": _content(text, seen)} for at, text in enumerate(ask.said))]
        return {"messages": messages, "max_tokens": budget, "thought_tokens": ask.thought_tokens} | drawn(ask.draw)

    def _write(self, request: dict[str, Any]) -> dict[str, Any]:
        """Nothing tells beforehand whether a model thinks: where it is not said what a thought may take, it gets room for one after the first that was seen."""
        if "messages" not in request:
            return self.completions.write(request)
        body = {name: value for name, value in request.items() if name != "thought_tokens"}
        thought = request["thought_tokens"]
        more = body | {"max_tokens": body["max_tokens"] + (THOUGHT_TOKENS if thought is None else thought)}
        if thought is not None or self._thinks:
            return self.completions.write(more)
        reply = self.completions.write(body)
        self._thinks = self._thinks or _thought_and_answer(reply)[0] is not None
        return self.completions.write(more) if self._thinks and reply["finish"] == "length" else reply

    def again(self, *, one_at_a_time: bool) -> EndpointBackend:
        tokens = None if self.tokens is None else self.tokens.again(one_at_a_time=one_at_a_time)
        return EndpointBackend(self.completions.again(one_at_a_time=one_at_a_time), tokens=tokens, max_tokens=self.max_tokens)

    def take_warnings(self) -> list[str]:
        if self.tokens is not None:
            return self.tokens.take_warnings()
        asked, self._asked_in_text = self._asked_in_text, False
        return ["texts were sent, and the endpoint decided which token begins them; with --tokenizer DIR it is the profile's"] if asked else []

    def encode(self, text: str) -> list[int]:
        if self.tokens is None:
            raise _needs_tokenizer("this profile counts in the model's tokens")
        return self.tokens.encode(text)

    def chat(self, turns: Sequence[tuple[str, str]], user: str, system: str = "") -> str:
        """For the record alone: what is asked are the turns, and the endpoint puts them into the model's template."""
        said = [text for turn in turns for text in turn] + [user]
        return "\n".join([*([f"[system] {system}"] if system else []), *(f"[{'assistant' if at % 2 else 'user'}] {text}" for at, text in enumerate(said))])


def _content(text: str, pictures: Iterator[Picture]) -> str | list[dict[str, Any]]:
    """What a message says, with the next pictures where its marks are, as data URLs."""
    if MARK not in text:
        return text
    first, *others = text.split(MARK)
    parts: list[dict[str, Any]] = [{"type": "text", "text": first}]
    for other in others:
        picture = next(pictures)
        url = f"data:{picture.media_type};base64,{b64encode(picture.data).decode()}"
        parts += [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": other}]
    return [part for part in parts if part.get("text") != ""]


def _thought_and_answer(reply: dict[str, Any]) -> tuple[str | None, str]:
    """Of a reply to a conversation: what the server tells apart, or else what the marks in its text do."""
    if reply.get("thought") is not None:
        return reply["thought"], reply["text"]
    parts = split_thought(reply["text"], whole=reply.get("finish") != "length")
    return parts.thought, parts.answer


def _written(reply: dict[str, Any], ask: Ask) -> Written:
    thought, answer = _thought_and_answer(reply) if ask.said else (None, reply["text"])
    kept = shortened(answer, reply.get("finish"), ask.stop, ask.max_chars)
    return Written(kept.text, thought=thought, cut=kept.finish == "length")


def _needs_tokenizer(why: str) -> InputError:
    return InputError(f"{why}; give the model's own tokenizer with --tokenizer DIR")
