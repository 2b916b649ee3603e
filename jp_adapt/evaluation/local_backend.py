"""A model in this process behind the interface that benchmarks ask through: texts to tokens, what does not fit cut and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from jp_adapt.core.progress import Advance
from jp_adapt.evaluation.boundaries import pair
from jp_adapt.evaluation.choices import choice_requests, score_items
from jp_adapt.evaluation.generate import Continuation, Report, generate
from jp_adapt.evaluation.run import Ask, Chosen, Written
from jp_adapt.evaluation.score import log_likelihoods
from jp_adapt.evaluation.trie import Request
from jp_adapt.model.causal import CausalModel
from jp_adapt.recipe.profiles import Boundary

Encode = Callable[[str], list[int]]
RenderChat = Callable[[Sequence[tuple[str, str]], str], str]
MAX_TOKENS_PER_CHAR = 3  # a Japanese character takes at most three byte tokens


class LocalBackend:
    """`model` behind the interface of `run.Backend`; `prefix` stands before every text, `stop_ids` end an answer.

    `own_start` is what the tokenizer itself puts before a text; lm-eval's rules ask for it.
    """

    def __init__(
        self,
        model: CausalModel,
        encode: Encode,
        decode: Callable[[list[int]], str],
        *,
        prefix: int,
        stop_ids: Sequence[int],
        max_tokens: int,
        render_chat: RenderChat,
        own_start: Sequence[int] = (),
    ) -> None:
        self.model, self.encode, self.decode, self.render_chat = model, encode, decode, render_chat
        self.prefix, self.stop_ids, self.max_tokens, self.own_start = prefix, frozenset(stop_ids), max_tokens, tuple(own_start)
        self._halvings = 0

    def choose(self, prompts: Sequence[str], choices: Sequence[Sequence[str]], boundary: Boundary, advance: Advance) -> list[Chosen]:
        if boundary != "safe":
            return self._choose_as_peers(prompts, choices, boundary, advance)
        items = [choice_requests(self.encode, prompt, options, prefix=self.prefix) for prompt, options in zip(prompts, choices, strict=True)]
        scored = score_items(self.model, items, max_tokens=self.max_tokens, advance=advance)
        # What does not fit is scored in windows that begin afresh: the text before the last window is lost to the choice.
        lost = [max(0, max(len(request.ids) for request in item.requests) - self.max_tokens) for item in items]
        return [Chosen(result.log_likelihood, result.moved_boundary, tokens) for result, tokens in zip(scored, lost, strict=True)]

    def _choose_as_peers(self, prompts: Sequence[str], choices: Sequence[Sequence[str]], boundary: Literal["apart", "cut"], advance: Advance) -> list[Chosen]:
        """Tokens as the peers take them; what does not fit is cut from the left, as they do."""
        pairs = [
            [pair(self.encode, prompt, choice, boundary, start=self.own_start, empty=self.prefix) for choice in options]
            for prompt, options in zip(prompts, choices, strict=True)
        ]
        lost = [max(0, max(len(one.ids) for one in options) - self.max_tokens) for options in pairs]
        requests = []
        for one in (one for options in pairs for one in options):
            cut = max(0, len(one.ids) - self.max_tokens)
            requests.append(Request(one.ids[cut:], max(1, one.first - cut)))
        nats = iter(log_likelihoods(self.model, requests, max_tokens=self.max_tokens, advance=advance))
        return [Chosen([next(nats) for _ in options], any(one.moved for one in options), tokens) for options, tokens in zip(pairs, lost, strict=True)]

    def write(self, asks: Sequence[Ask], advance: Advance) -> list[Written]:
        requests, cuts = [], []
        for ask in asks:
            ids = self.encode(ask.text)
            budget = ask.max_tokens or MAX_TOKENS_PER_CHAR * (ask.max_chars or 1)
            room = max(1, self.max_tokens - 1 - min(budget, self.max_tokens // 2))
            cuts.append(max(0, len(ids) - room))
            kept = [self.prefix, *ids[cuts[-1] :]]
            requests.append(Continuation(kept, max(1, min(budget, self.max_tokens - len(kept))), ask.stop, ask.max_chars))
        report = Report()
        answers = generate(self.model, requests, self.decode, stop_ids=tuple(self.stop_ids), advance=advance, report=report)
        self._halvings += report.halvings
        return [Written(answer.text, cut) for answer, cut in zip(answers, cuts, strict=True)]

    def take_warnings(self) -> list[str]:
        times, self._halvings = self._halvings, 0
        return [f"memory ran out {times} times while answers were written; each time half the rows were given up and asked again"] if times else []

    def count_tokens(self, text: str) -> int:
        return len(self.encode(text))

    def chat(self, turns: Sequence[tuple[str, str]], user: str) -> str:
        return self.render_chat(turns, user)
