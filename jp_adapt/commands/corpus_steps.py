"""The steps that a corpus recipe may name, and how they are made from what it says of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ArgsKwargs

from jp_adapt.commands.benchmark_texts import decontaminate
from jp_adapt.core.errors import UsageError
from jp_adapt.core.schema_words import what_is_needed
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.corpus.clean import MaskPersonal, RepairDecoding, StripMarkup
from jp_adapt.corpus.language import KeepLanguage
from jp_adapt.corpus.normalise import Normalise
from jp_adapt.corpus.quality import Quality
from jp_adapt.corpus.steps import ForSources, Step
from jp_adapt.recipe.load_corpus import LoadedCorpus

# kind -> a dataclass that is the step, or a function that makes one. Their parameters, with their types and defaults, are what a recipe may say.
STEPS: dict[str, Callable[..., Step]] = {
    "decoding": RepairDecoding,
    "normalise": Normalise,
    "markup": StripMarkup,
    "language": KeepLanguage,
    "quality": Quality,
    "personal": MaskPersonal,
    "decontaminate": decontaminate,
}


def build_steps(loaded: LoadedCorpus) -> tuple[Step, ...]:
    """The steps of a recipe, ready to run.

    Raises:
        UsageError: an unknown kind, a parameter that the step does not have or that is not what it must be, with file:line; all problems at once.
    """
    steps: list[Step] = []
    problems: list[str] = []
    sources = tuple(loaded.recipe.sources)
    for index, declared in enumerate(loaded.recipe.steps):
        place = loaded.place(("steps", index))
        try:
            own = _sources(declared.get("sources"), sources)
            step = _build({name: value for name, value in declared.items() if name != "sources"})
        except UsageError as error:
            problems.append(f"{place}: {error}")
            continue
        again = [name for name in own or sources if any(other.name == step.name and name in _sources_of(other, sources) for other in steps)]
        if again:
            problems.append(f"{place}: a step '{step.name}' of source '{again[0]}' stands above already, and their counts could not be told apart")
        steps.append(step if own is None else ForSources(step, own))
    if problems:
        raise UsageError("\n".join(problems))
    return tuple(steps)


def _sources(given: Any, known: tuple[str, ...]) -> tuple[str, ...] | None:
    """The sources that a step is for; None where it names none, and is for all."""
    if given is None:
        return None
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        raise UsageError(f"'sources' of a step is {given!r}; give a list of sources, such as [{known[0]}]")
    for name in given:
        if name not in known:
            raise UsageError(f"a step is for source '{name}', which the recipe does not have{did_you_mean(name, known)}; sources: {', '.join(known)}")
    return tuple(given)


def _sources_of(step: Step, known: tuple[str, ...]) -> tuple[str, ...]:
    return step.sources if isinstance(step, ForSources) else known


def step_inputs(steps: Sequence[Step]) -> dict[str, str]:
    """Name -> SHA-256 of everything that steps were made from besides their parameters."""
    results: dict[str, str] = {}
    for step in steps:
        results |= getattr(step.step if isinstance(step, ForSources) else step, "inputs", {})
    return results


def _build(declared: dict[str, Any]) -> Step:
    kind = declared.get("kind")
    if kind not in STEPS:
        raise UsageError(f"step kind is {kind!r}{did_you_mean(str(kind), STEPS)}; kinds: {', '.join(STEPS)}")
    make: Any = STEPS[kind]
    given = {name: value for name, value in declared.items() if name != "kind"}
    known = list(inspect.signature(make).parameters)
    for name in given:
        if name not in known:
            raise UsageError(f"step {kind} has no parameter '{name}'{did_you_mean(name, known)}; it has: {', '.join(known) or 'none'}")
    try:
        step: Step = TypeAdapter(make).validate_python(given if inspect.isclass(make) else ArgsKwargs((), given))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, entry['loc'])) or kind} is {entry['input']!r}: {what_is_needed(entry)}" for entry in error.errors())
        raise UsageError(f"step {kind}: {wrong}") from error
    return step
