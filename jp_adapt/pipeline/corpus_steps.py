"""The steps that a corpus recipe may name, and how they are made from what it says of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ArgsKwargs

from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.corpus.clean import MaskPersonal, RepairDecoding, StripMarkup
from jp_adapt.corpus.language import KeepLanguage
from jp_adapt.corpus.normalise import Normalise
from jp_adapt.corpus.quality import Quality
from jp_adapt.corpus.steps import Step
from jp_adapt.pipeline.benchmark_texts import decontaminate
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
    for index, declared in enumerate(loaded.recipe.steps):
        place = loaded.place(("steps", index))
        try:
            step = _build(declared)
        except UsageError as error:
            problems.append(f"{place}: {error}")
            continue
        if step.name in [other.name for other in steps]:
            problems.append(f"{place}: a step '{step.name}' stands above already, and their counts could not be told apart")
        steps.append(step)
    if problems:
        raise UsageError("\n".join(problems))
    return tuple(steps)


def _build(declared: dict[str, Any]) -> Step:
    kind = declared.get("kind")
    if kind not in STEPS:
        raise UsageError(f"step kind is {kind!r}{did_you_mean(str(kind), STEPS)}; kinds: {', '.join(STEPS) or 'none'}")
    make: Any = STEPS[kind]
    given = {name: value for name, value in declared.items() if name != "kind"}
    known = list(inspect.signature(make).parameters)
    for name in given:
        if name not in known:
            raise UsageError(f"step {kind} has no parameter '{name}'{did_you_mean(name, known)}; it has: {', '.join(known) or 'none'}")
    try:
        step: Step = TypeAdapter(make).validate_python(given if inspect.isclass(make) else ArgsKwargs((), given))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or kind} is {one['input']!r}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors())
        raise UsageError(f"step {kind}: {wrong}") from error
    return step
