"""`python -m tests.parity.bfcl CLONE`: the checks of BFCL's own code beside ours.

CLONE is ShishirPatil/gorilla at 6ea5797. Its parser and its AST checker are run as they are; what they import beside (handlers of models, other parsers) is
left out. The answers are the right calls of every question, and each of them changed in many ways: an argument gone, of another type, in capitals,
a call twice, in another order, another function, no call at all.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from jp_adapt.benchmarks.items import Item, load_benchmark
from jp_adapt.evaluation.metrics.calls import tool_calls

LEFT_OUT = ("tenacity", "bfcl_eval.utils", *(f"bfcl_eval.model_handler.parser.{name}_parser" for name in ("java", "js", "json", "xml")))
OTHERS = (1, 1.0, True, "x", "", None, [], ["x"], [1], {}, {"a": 1}, (1, 2))
Call = tuple[str, dict[str, Any]]


class _Empty(ModuleType):
    """A module that has every name, and nothing behind it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _peer(clone: Path) -> Callable[[str, Item], bool]:
    """Whether its own code takes an answer to an item for right."""
    sys.path.insert(0, str(clone / "berkeley-function-call-leaderboard"))
    sys.modules |= {name: _Empty(name) for name in LEFT_OUT}
    models = _Empty("bfcl_eval.constants.model_config")
    models.MODEL_CONFIG_MAPPING = defaultdict(lambda: type("Config", (), {"underscore_to_dot": False}))
    sys.modules[models.__name__] = models
    check = import_module("bfcl_eval.eval_checker.ast_eval.ast_checker").ast_checker
    decode = import_module("bfcl_eval.model_handler.utils").default_decode_ast_prompting
    python = import_module("bfcl_eval.constants.enums").Language.PYTHON

    def right(answer: str, item: Item) -> bool:
        try:
            calls = decode(answer)
        except Exception:
            calls = None
        expected = item.scored_by["calls"]
        if isinstance(expected, str):
            return bool(calls) == (expected == "any")
        return bool(calls is not None and check(item.scored_by["functions"], calls, expected, python, item.group, "any")["valid"])

    return right


def _value(allowed: Sequence[Any]) -> Any:
    """The first value that is allowed, objects with the first of each of theirs."""
    first = next(value for value in allowed if value != "")
    if isinstance(first, list):
        return [_object(entry) if isinstance(entry, dict) else entry for entry in first]
    return _object(first) if isinstance(first, dict) else first


def _object(allowed: dict[str, Any]) -> dict[str, Any]:
    return {
        key: values[0] if isinstance(values, list) and values else values for key, values in allowed.items() if not (isinstance(values, list) and "" in values)
    }


def _text(calls: Sequence[Call]) -> str:
    return "[" + ", ".join(f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})" for name, arguments in calls) + "]"


def _answers(right: Sequence[dict[str, Any]]) -> Iterator[str]:
    calls: list[Call] = []
    for call in right:
        ((name, allowed),) = call.items()
        calls.append((name, {key: _value(values) for key, values in allowed.items() if any(value != "" for value in values)}))
    yield from (_text(calls), _text(calls[::-1]), _text([*calls, *calls[:1]]), _text(calls[1:]), _text(calls).strip("[]"), f"```{_text(calls)}```")
    for place, (name, arguments) in enumerate(calls):

        def changed(new: Call, place: int = place) -> str:
            return _text([*calls[:place], new, *calls[place + 1 :]])

        yield changed((f"{name}x", arguments))
        yield changed((name, arguments | {"zzz": 1}))
        for key, value in arguments.items():
            yield changed((name, {other: entry for other, entry in arguments.items() if other != key}))
            more = (
                [f"{value.upper()} ."]
                if isinstance(value, str)
                else [float(value)]
                if isinstance(value, int)
                else [tuple(value)]
                if isinstance(value, list)
                else []
            )
            yield from (changed((name, arguments | {key: other})) for other in (*OTHERS, *more))
            if isinstance(value, int):
                yield _text(calls).replace(f"{key}={value!r}", f"{key}={value!r} + 0")
    yield from ("I cannot do that.", "", "[]", "none()")


def main() -> int:
    """Print how many answers are checked alike, by category; 1 where any is not."""
    clone = Path(sys.argv[1])
    with TemporaryDirectory() as data:
        (Path(data) / "bfcl").symlink_to(clone.resolve())
        items = load_benchmark("en/bfcl", data).items
    peer = _peer(clone)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for item in items:
        expected = item.scored_by["calls"]
        names = [entry["name"] for entry in item.scored_by["functions"]] or ["nothing"]
        some = [{names[0]: {}}] if isinstance(expected, str) else expected
        for answer in dict.fromkeys(_answers(some)):
            theirs = peer(answer, item)
            for place, value in enumerate((True, theirs, theirs == bool(tool_calls(answer, item.scored_by)))):
                counts[item.group][place] += value
    for category, (answers, right, alike) in counts.items():
        print(f"{category}: {alike:,} of {answers:,} answers checked alike ({right:,} of them right)")
    answers, alike = (sum(count[place] for count in counts.values()) for place in (0, 2))
    print(f"all: {alike:,} of {answers:,}")
    return 0 if alike == answers else 1


if __name__ == "__main__":
    sys.exit(main())
