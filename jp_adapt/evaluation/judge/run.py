"""Ask a judge for every judgement, once: from the cache where it is there, from the judge where it is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jp_adapt.benchmarks.judge import JudgeTask
from jp_adapt.core.errors import JpAdaptError
from jp_adapt.evaluation.judge.client import Judge
from jp_adapt.evaluation.judge.parse import Grades, VerdictError, parse_verdict, without_thought
from jp_adapt.evaluation.judge.requests import Judgement, ask_again, request_body
from jp_adapt.inference.endpoint import Completion, EndpointError, RefusedError, RequestError, token_count
from jp_adapt.inference.reply_cache import ReplyCache
from jp_adapt.inference.workers import StoppedError, in_parallel

FAILURES_IN_A_ROW = 3  # requests that failed after all their retries, one after the other: the endpoint is down


@dataclass(frozen=True)
class Price:
    """Of a million tokens in and out, in any currency; None where it is not known."""

    tokens_in: float | None = None
    tokens_out: float | None = None

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """The cost of so many tokens; None without both prices."""
        if self.tokens_in is None or self.tokens_out is None:
            return None
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1e6


@dataclass(frozen=True)
class Verdict:
    """What came of one judgement in one take: a score, or why there is none."""

    judgement: Judgement
    take: int
    score: float | None
    text: str
    failure: str | None = None
    attempts: int = 1
    request_failed: bool = False  # another run asks again
    reference_score: float | None = None  # of the reference answer, where the judge grades it too


@dataclass
class Usage:
    """Tokens as the server counted them; `uncounted` completions came without a count. `fresh_*`: of this run alone."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    uncounted: int = 0
    fresh_requests: int = 0
    fresh_in: int = 0
    fresh_out: int = 0

    def add(self, completion: Completion, fresh: bool) -> None:
        tokens_in, tokens_out = completion.prompt_tokens or 0, completion.completion_tokens or 0
        self.requests += 1
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.uncounted += completion.prompt_tokens is None or completion.completion_tokens is None
        if fresh:
            self.fresh_requests += 1
            self.fresh_in += tokens_in
            self.fresh_out += tokens_out


@dataclass
class Asking:
    """The settings of a run and what it has used so far."""

    task: JudgeTask
    judge: Judge
    cache: ReplyCache
    price: Price = field(default_factory=Price)
    max_cost: float | None = None
    attempts: int = 3  # of a judgement whose verdict cannot be read
    stopped: threading.Event = field(default_factory=threading.Event)  # set: ask for nothing more
    usage: Usage = field(default_factory=Usage)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _failed: int = 0

    def verdict(self, judgement: Judgement, take: int) -> Verdict:
        """One verdict. StoppedError where the run has been stopped before it, another JpAdaptError where the run must stop."""
        if judgement.settled is not None:
            return Verdict(judgement, take, judgement.settled, "", attempts=0)
        body = asked = request_body(self.task, judgement)
        failure, text, attempt = "", "", 0
        while attempt < self.attempts:
            if attempt:
                again = ask_again(self.task, body, _visible(text), attempt + 1)
                if again == asked and not self.task.temperature:
                    break  # an answer without a word gives nothing to come back to, and the same request the same answer
                asked = again
            attempt += 1
            try:
                completion, grades, failure = self._completion(judgement, take, attempt, asked)
            except RequestError as error:
                if not isinstance(error, RefusedError) and self._endpoint_is_down():
                    raise EndpointError(f"{error} ({FAILURES_IN_A_ROW} requests in a row failed)") from error
                return Verdict(judgement, take, None, text, str(error), attempt, request_failed=True)
            text = completion.text
            if grades is not None:
                return Verdict(judgement, take, grades.score, text, None, attempt, reference_score=grades.reference)
            if completion.finish_reason == "length" and not _visible(text):
                failure = f"cut off at max_tokens ({body['max_tokens']}) before its answer, as a judge that reasons is; give a larger --max-tokens"
                break
        return Verdict(judgement, take, None, text, f"no verdict in {attempt} attempt{'s' * (attempt > 1)}: {failure}", attempt)

    def _completion(self, judgement: Judgement, take: int, attempt: int, body: dict[str, Any]) -> tuple[Completion, Grades | None, str]:
        """A completion with its grades, or None and why there is none. A fresh one is read before it is stored: what is stored is read at every run."""
        key = self.cache.key({"judge": self.judge.identity, "body": body, "take": take, "attempt": attempt})
        with self.cache.held(key):
            stored = self.cache.get(key)
            if stored is not None:
                prompt, written = map(token_count, (stored["prompt_tokens"], stored["completion_tokens"]))
                completion = Completion(stored["text"], prompt, written, stored["finish_reason"])
                read = self._read(completion)
            else:
                self._check_cost()
                if self.stopped.is_set():
                    raise StoppedError("stopped")
                completion = self.judge.complete(body)
                read = self._read(completion)
                self.cache.store(key, vars(completion) | {"models": judgement.models, "item": judgement.item, "turn": judgement.turn, "take": take})
        with self._lock:
            self.usage.add(completion, fresh=stored is None)
            self._failed = 0 if stored is None else self._failed
        return completion, *read

    def _read(self, completion: Completion) -> tuple[Grades | None, str]:
        try:
            return parse_verdict(self.task.answer_format, completion.text, self.task.scale), ""
        except VerdictError as error:
            return None, str(error) + (", cut off at max_tokens" if completion.finish_reason == "length" else "")

    def _check_cost(self) -> None:
        with self._lock:
            spent = self.price.cost(self.usage.fresh_in, self.usage.fresh_out)
        if self.max_cost is not None and spent is not None and spent >= self.max_cost:
            raise JpAdaptError(f"--max-cost {self.max_cost:g} is reached ({spent:.2f} spent); the judgements are kept, a larger --max-cost resumes from them")

    def _endpoint_is_down(self) -> bool:
        """Count a failed request; true when so many failed in a row that the next would fail too."""
        with self._lock:
            self._failed += 1
            return self._failed >= FAILURES_IN_A_ROW


def judge_all(
    asking: Asking, judgements: Sequence[Judgement], takes: int, parallel: int, advance: Callable[[int, str], None] = lambda done, note: None
) -> list[Verdict]:
    """Every verdict of every take, take by take and in the order of `judgements`, with up to `parallel` requests at a time.

    What ends the run early (EndpointError, --max-cost, Ctrl-C) is raised after the requests under way have come and have been stored.
    """
    failed = 0

    def finished(done: int, verdict: Verdict) -> None:
        nonlocal failed
        failed += verdict.score is None
        advance(done, f"{failed} without a verdict" if failed else "")

    work = [(judgement, take) for take in range(1, takes + 1) for judgement in judgements]
    return in_parallel(lambda entry: asking.verdict(*entry), work, parallel=parallel, stopped=asking.stopped, finished=finished)


def _visible(text: str) -> str:
    """What an answer says beside a thought."""
    try:
        return without_thought(text)
    except VerdictError:
        return ""


def as_record(verdict: Verdict, benchmark: str) -> dict[str, Any]:
    """A verdict as a line of judgements.jsonl."""
    entry = verdict.judgement
    reference = {} if verdict.reference_score is None else {"reference_score": verdict.reference_score}
    return {
        "benchmark": benchmark,
        "models": list(entry.models),
        "item": entry.item,
        "category": entry.category,
        "turn": entry.turn,
        "take": verdict.take,
        "prompt": entry.prompt,
        "score": verdict.score,
        **reference,
        "judgement": verdict.text,
        "failure": verdict.failure,
        "attempts": verdict.attempts,
    }
