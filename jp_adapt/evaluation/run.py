"""One benchmark on one model: prompts in, one `Output` an item out. The model is behind `Backend`; texts go in and texts or log-likelihoods come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jp_adapt.benchmarks.benchmark import Kind, Protocol
from jp_adapt.benchmarks.items import LoadedBenchmark
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.benchmarks.profiles import ProfileRules
from jp_adapt.benchmarks.templates import render, value_of
from jp_adapt.core.extras import require_extra
from jp_adapt.core.progress import Advance
from jp_adapt.evaluation.extract import extract
from jp_adapt.evaluation.prompts import Prompt
from jp_adapt.evaluation.results import Asking, DrawnAnswer, Output
from jp_adapt.evaluation.samples import combined
from jp_adapt.evaluation.scoring import choice_scores, score_text
from jp_adapt.evaluation.shorten import shortened
from jp_adapt.inference.backend import Ask, Backend, Chosen, Written
from jp_adapt.inference.draw import Draw, seed_of

RunProgram = Callable[[str], bool]
SPARE_TOKENS = 10  # beside a right answer, in the peers that count by its length
AS_THE_PROFILE_SAYS = Asking()


def run_benchmark(
    loaded: LoadedBenchmark,
    protocol: Protocol,
    prompts: Sequence[Prompt],
    backend: Backend,
    rules: ProfileRules,
    advance: Advance,
    run_program: RunProgram | None = None,
    asking: Asking = AS_THE_PROFILE_SAYS,
) -> list[Output]:
    """Ask every prompt by the profile's `rules`, as `asking` says, and score every answer.

    `run_program` runs the programs of a code benchmark (see `sandbox`). UsageError, before anything is asked, where a metric's packages are missing.
    """
    kind = protocol.kind or loaded.benchmark.kind
    for metric in protocol.metrics:
        if (extra := METRICS[metric].extra) is not None:
            require_extra(extra, f"{loaded.id}: metric {metric}")
    if kind in ("multiple_choice", "acceptability"):
        texts, choices, pictures = [p.text for p in prompts], [p.choices for p in prompts], [p.pictures for p in prompts]
        return _chosen(loaded.id, protocol, prompts, backend.choose(texts, choices, rules.boundary, advance, pictures))
    if kind == "judge":
        return _conversations(loaded, protocol, prompts, backend, asking, advance)
    asks = [_ask(protocol, prompt, backend, rules, asking, sample) for prompt in prompts for sample in range(asking.samples)]
    written = iter(backend.write(asks, advance))
    outputs = []
    for prompt, ask in zip(prompts, asks[:: asking.samples], strict=True):
        answers = [_scored(loaded, kind, protocol, prompt, next(written), run_program, backend) for _ in range(asking.samples)]
        shorter = len(backend.encode(prompt.text)) - len(backend.encode(ask.text)) if protocol.shorten and ask.text != prompt.text else 0
        outputs.append(_written(loaded, protocol, prompt, ask.text, answers, shorter))
    return outputs


def _ask(protocol: Protocol, prompt: Prompt, backend: Backend, rules: ProfileRules, asking: Asking, sample: int) -> Ask:
    """A request for one answer to an item: its text is continued, or answered as the message of a user."""
    budget = protocol.max_chars, _budget(protocol, prompt, backend)
    draw = _draw(asking, prompt.item.id, sample)
    if not rules.chat:
        return Ask(
            _fitting(protocol, prompt, backend),
            tuple(protocol.stop),
            *budget,
            start=rules.start,
            draw=draw,
            pictures=prompt.pictures,
            whole_context=protocol.whole_context,
        )
    text = backend.chat([], prompt.text, asking.system)
    return Ask(
        text,
        tuple(protocol.stop),
        *budget,
        (prompt.text,),
        "nothing",
        asking.system,
        asking.thought_tokens,
        draw,
        prompt.pictures,
        protocol.whole_context,
    )


def _draw(asking: Asking, item: str, sample: int) -> Draw | None:
    return Draw(asking.temperature, asking.top_p, asking.top_k, seed_of(asking.seed, item, sample)) if asking.temperature else None


def _chosen(benchmark: str, protocol: Protocol, prompts: Sequence[Prompt], chosen: Sequence[Chosen]) -> list[Output]:
    outputs = []
    for prompt, result in zip(prompts, chosen, strict=True):
        values = result.log_likelihoods
        output = Output(
            benchmark,
            prompt.item.id,
            prompt.item.group,
            prompt.text,
            prompt.choices,
            values,
            None,
            max(range(len(values)), key=values.__getitem__),
            prompt.item.answer,
            {},
            result.moved_boundary,
            result.truncated_tokens,
        )
        outputs.append(replace(output, scores=choice_scores(output, protocol, prompt.item.scored_by)))
    return outputs


@dataclass(frozen=True)
class _Answered:
    """An answer with its scores, and how much of the prompt was cut off."""

    answer: DrawnAnswer
    truncated_tokens: int


def _scored(
    loaded: LoadedBenchmark, kind: Kind, protocol: Protocol, prompt: Prompt, written: Written, run_program: RunProgram | None, backend: Backend
) -> _Answered:
    if kind == "code":
        assert run_program is not None
        prediction = extract(written.text, protocol.extract)
        program = render(str(loaded.benchmark.test_program), prompt.item.fields | {"generation": prediction})
        scores: dict[str, float | None] = {"pass@1": float(run_program(program))}
    else:
        prediction, scores = score_text(written.text, protocol, prompt.answers, prompt.item.scored_by, backend.encode)
    return _Answered(DrawnAnswer(written.text, prediction, scores, written.thought, written.cut), written.truncated_tokens)


def _written(loaded: LoadedBenchmark, protocol: Protocol, prompt: Prompt, text: str, answers: Sequence[_Answered], shorter: int) -> Output:
    """The output of an item whose prompt became `text`, `shorter` by so many tokens."""
    drawn = [entry.answer for entry in answers]
    one, scores = (drawn[0], drawn[0].scores) if len(drawn) == 1 else combined(drawn, protocol)
    return Output(
        loaded.id,
        prompt.item.id,
        prompt.item.group,
        text,
        None,
        None,
        one.generation,
        one.prediction,
        prompt.answers,
        scores,
        False,
        shorter + answers[0].truncated_tokens,
        one.thought,
        one.cut,
        drawn if len(drawn) > 1 else [],
    )


def _conversations(loaded: LoadedBenchmark, protocol: Protocol, prompts: Sequence[Prompt], backend: Backend, asking: Asking, advance: Advance) -> list[Output]:
    """Turn by turn, every conversation in step; the outputs of an item's turns follow each other, as ID/1, ID/2."""
    said = [value_of(str(loaded.benchmark.turns), prompt.item.fields) for prompt in prompts]
    history: list[list[tuple[str, str]]] = [[] for _ in prompts]
    outputs: list[list[Output]] = [[] for _ in prompts]
    for turn in range(max(map(len, said))):
        open_ones = [index for index, turns in enumerate(said) if turn < len(turns)]
        texts = [backend.chat(history[index], said[index][turn], asking.system) for index in open_ones]
        turns_so_far = [(*(text for pair in history[index] for text in pair), said[index][turn]) for index in open_ones]
        draws = [_draw(asking, prompts[index].item.id, turn) for index in open_ones]
        asks = [
            Ask(text, tuple(protocol.stop), protocol.max_chars, None, so_far, "nothing", asking.system, asking.thought_tokens, draw, prompts[index].pictures)
            for index, text, so_far, draw in zip(open_ones, texts, turns_so_far, draws, strict=True)
        ]
        written = backend.write(asks, advance)
        for index, text, answer in zip(open_ones, texts, written, strict=True):
            item = prompts[index].item
            history[index].append((said[index][turn], answer.text))
            name = item.id if len(said[index]) == 1 else f"{item.id}/{turn + 1}"
            scores: dict[str, float | None] = {"answered": float(bool(answer.text.strip()))}
            known = (loaded.id, name, item.group, text, None, None, answer.text, answer.text, prompts[index].answers, scores)
            outputs[index].append(Output(*known, False, answer.truncated_tokens, answer.thought, answer.cut))
    return [output for turns in outputs for output in turns]


def _budget(protocol: Protocol, prompt: Prompt, backend: Backend) -> int | None:
    """Budget in tokens, where the protocol has one; a peer's leaks the length of the longest right answer."""
    if protocol.max_tokens is None or isinstance(protocol.max_tokens, int):
        return protocol.max_tokens
    return max(1, _longest_answer(prompt, backend) + (SPARE_TOKENS if protocol.max_tokens == "longest_answer_plus_10" else 0))


def _fitting(protocol: Protocol, prompt: Prompt, backend: Backend) -> str:
    """The prompt's text, shortened where the protocol does that: beside it there has to be room for the right answer and a little more."""
    if protocol.shorten is None:
        return prompt.text
    room = backend.max_tokens - _longest_answer(prompt, backend) - SPARE_TOKENS
    return shortened(prompt.text, protocol.shorten, room, lambda text: len(backend.encode(text)))


def _longest_answer(prompt: Prompt, backend: Backend) -> int:
    """Tokens of the longest right answer."""
    return max(len(backend.encode(answer)) for answer in prompt.answers)
