"""A model in this process as an engine: prefix trees for log-likelihoods, continued batches for texts."""

from __future__ import annotations

from collections.abc import Sequence

from jp_adapt.core.progress import Advance
from jp_adapt.inference.answer import Continuation, Continued, Decode
from jp_adapt.inference.generate import Report, generate
from jp_adapt.inference.memory import Room
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.score import PACK_TOKENS, log_likelihoods
from jp_adapt.inference.token_backend import Engine, OneAtATime
from jp_adapt.inference.trie import Request
from jp_adapt.model.causal import CausalModel


class LocalEngine:
    """`model` behind the interface of `token_backend.Engine`; `decode_marked` as in `generate`."""

    def __init__(
        self, model: CausalModel, decode: Decode, *, stop_ids: Sequence[int], decode_marked: Decode | None = None, processes: Processes = ALONE
    ) -> None:
        self.decode_marked = decode_marked
        self.model, self.decode, self.stop_ids, self.processes = model, decode, tuple(stop_ids), processes
        self._scoring = self._writing = 0

    def log_likelihoods(self, requests: Sequence[Request], max_tokens: int, advance: Advance) -> list[float]:
        room = Room(PACK_TOKENS)
        nats = log_likelihoods(self.model, requests, max_tokens=max_tokens, advance=advance, room=room, processes=self.processes)
        self._scoring += sum(self.processes.gather(room.halvings))
        return nats

    def continue_prompts(self, requests: Sequence[Continuation], advance: Advance) -> list[Continued]:
        report = Report()
        answers = generate(
            self.model,
            requests,
            self.decode,
            stop_ids=self.stop_ids,
            decode_marked=self.decode_marked,
            advance=advance,
            report=report,
            processes=self.processes,
        )
        self._writing += sum(self.processes.gather(report.halvings))
        return answers

    def again(self, *, one_at_a_time: bool) -> Engine:
        return OneAtATime(self) if one_at_a_time else self  # it remembers nothing

    def take_warnings(self) -> list[str]:
        """How often memory ran out since this was asked last."""
        scoring, writing, self._scoring, self._writing = self._scoring, self._writing, 0, 0
        return [
            f"memory ran out {times} times while {what}; each time half as much was taken at once, and nothing was lost"
            for times, what in ((scoring, "choices were scored"), (writing, "answers were written"))
            if times
        ]
