"""One benchmark on one model: prompts in, one `Output` an item out. The model is behind `Backend`; texts go in and texts or log-likelihoods come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from jp_adapt.benchmarks.benchmark import Kind, Protocol
from jp_adapt.benchmarks.items import LoadedBenchmark
from jp_adapt.benchmarks.profiles import ProfileRules
from jp_adapt.benchmarks.templates import render, value_of
from jp_adapt.core.progress import Advance
from jp_adapt.evaluation.extract import extract
from jp_adapt.evaluation.prompts import Prompt
from jp_adapt.evaluation.results import Output
from jp_adapt.evaluation.scoring import item_scores, score_text
from jp_adapt.inference.backend import Ask, Backend, Chosen, Written

RunProgram = Callable[[str], bool]


def run_benchmark(
    loaded: LoadedBenchmark,
    protocol: Protocol,
    prompts: Sequence[Prompt],
    backend: Backend,
    rules: ProfileRules,
    advance: Advance,
    run_program: RunProgram | None = None,
) -> list[Output]:
    """Ask every prompt by the profile's `rules` and score every answer. `run_program` runs the programs of a code benchmark (see `sandbox`)."""
    kind = protocol.kind or loaded.benchmark.kind
    if kind in ("multiple_choice", "acceptability"):
        return _chosen(loaded.id, protocol, prompts, backend.choose([p.text for p in prompts], [p.choices for p in prompts], rules.boundary, advance))
    if kind == "judge":
        return _conversations(loaded, protocol, prompts, backend, advance)
    stop = tuple(protocol.stop)
    asks = [Ask(prompt.text, stop, protocol.max_chars, _budget(protocol, prompt, backend), start=rules.start) for prompt in prompts]
    written = backend.write(asks, advance)
    return [_written(loaded, kind, protocol, prompt, answer, run_program) for prompt, answer in zip(prompts, written, strict=True)]


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
        outputs.append(replace(output, scores=item_scores(output, protocol, [])))
    return outputs


def _written(loaded: LoadedBenchmark, kind: Kind, protocol: Protocol, prompt: Prompt, written: Written, run_program: RunProgram | None) -> Output:
    output = Output(
        loaded.id,
        prompt.item.id,
        prompt.item.group,
        prompt.text,
        None,
        None,
        written.text,
        "",
        prompt.answers,
        {},
        False,
        written.truncated_tokens,
    )
    if kind == "code":
        assert run_program is not None
        program = render(str(loaded.benchmark.test_program), prompt.item.fields | {"generation": written.text})
        return replace(output, prediction=extract(written.text, protocol.extract), scores={"pass@1": float(run_program(program))})
    prediction, scores = score_text(written.text, protocol, prompt.answers)
    return replace(output, prediction=prediction, scores=scores)


def _conversations(loaded: LoadedBenchmark, protocol: Protocol, prompts: Sequence[Prompt], backend: Backend, advance: Advance) -> list[Output]:
    """Turn by turn, every conversation in step; the outputs of an item's turns follow each other, as ID/1, ID/2."""
    said = [value_of(str(loaded.benchmark.turns), prompt.item.fields) for prompt in prompts]
    history: list[list[tuple[str, str]]] = [[] for _ in prompts]
    outputs: list[list[Output]] = [[] for _ in prompts]
    for turn in range(max(map(len, said))):
        open_ones = [index for index, turns in enumerate(said) if turn < len(turns)]
        texts = [backend.chat(history[index], said[index][turn]) for index in open_ones]
        turns_so_far = [(*(text for pair in history[index] for text in pair), said[index][turn]) for index in open_ones]
        asks = [Ask(text, tuple(protocol.stop), protocol.max_chars, said=so_far, start="nothing") for text, so_far in zip(texts, turns_so_far, strict=True)]
        written = backend.write(asks, advance)
        for index, text, answer in zip(open_ones, texts, written, strict=True):
            item = prompts[index].item
            history[index].append((said[index][turn], answer.text))
            name = item.id if len(said[index]) == 1 else f"{item.id}/{turn + 1}"
            scores: dict[str, float | None] = {"answered": float(bool(answer.text.strip()))}
            outputs[index].append(
                Output(loaded.id, name, item.group, text, None, None, answer.text, answer.text, prompts[index].answers, scores, False, answer.truncated_tokens)
            )
    return [output for turns in outputs for output in turns]


def _budget(protocol: Protocol, prompt: Prompt, backend: Backend) -> int | None:
    """Budget in tokens, where the protocol has one; a peer's leaks the length of the longest right answer."""
    if protocol.max_tokens is None or isinstance(protocol.max_tokens, int):
        return protocol.max_tokens
    longest = max(backend.count_tokens(answer) for answer in prompt.answers)
    return max(1, longest + (10 if protocol.max_tokens == "longest_answer_plus_10" else 0))
