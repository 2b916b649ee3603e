"""Calls of functions that a model writes as text, beside those that are right: the AST check of the Berkeley Function Calling Leaderboard.

Patil et al. 2025 (BFCL, ICML); ShishirPatil/gorilla at 6ea5797, berkeley-function-call-leaderboard/bfcl_eval (eval_checker/ast_eval/ast_checker.py,
model_handler/utils.py), for functions described as Python's. A call is right where it names the function, gives all that is required and nothing that is not
described, and each value has its type and is one of those that the record allows; of texts, case, spaces and some marks do not count. Nothing is run.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Call = tuple[str, dict[str | None, Any]]  # a function's name, and its arguments by name
TYPES = {"string": str, "integer": int, "float": float, "boolean": bool, "array": list, "tuple": list, "dict": dict, "any": str}
OPTIONAL = ""  # among the values that are allowed: it may be left out
NO_CALL, ANY_CALL = "none", "any"  # in the place of right calls: no function fits; one fits, and its arguments are not looked at
_IGNORED = re.compile(r"[ ,./\-_*^]")
_MAX_POWER = 64
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def tool_calls(answer: str, asked: Mapping[str, Any]) -> float:
    """Whether an answer makes the right calls, in any order. `asked` has the `functions`, described as JSON schemas, and the right `calls`: for each the name
    and, by argument, the values that are allowed; or "none", or "any"."""
    try:
        calls = written_calls(answer)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        return float(asked["calls"] == NO_CALL)
    if isinstance(asked["calls"], str):
        return float(bool(calls) == (asked["calls"] == ANY_CALL))
    return float(len(calls) == len(asked["calls"]) and _all_matched(calls, asked["calls"], {entry["name"]: entry for entry in asked["functions"]}))


def written_calls(answer: str) -> list[Call]:
    """The calls of `[name(argument=value), ...]`, as Python reads it; the brackets may be missing, and backticks stand around it. ValueError or SyntaxError
    where it is none."""
    text = answer.strip("`\n ")
    text = ("" if text.startswith("[") else "[") + text + ("" if text.endswith("]") else "]")
    body = ast.parse(text.strip().strip("'"), mode="eval").body
    if isinstance(body, ast.Call):
        return [_call(body)]
    if not isinstance(body, (ast.List, ast.Tuple, ast.Set)) or not all(isinstance(entry, ast.Call) for entry in body.elts):
        raise ValueError("not a list of calls")
    return [_call(entry) for entry in body.elts if isinstance(entry, ast.Call)]


def _call(node: ast.Call) -> Call:
    return ast.unparse(node.func), {entry.arg: _value(entry.value) for entry in node.keywords}


def _value(node: ast.expr) -> Any:
    """What an argument's value says; a name is its text, as a variable or `true` is meant so. ValueError for what is no value."""
    match node:
        case ast.Constant():
            return "..." if node.value is Ellipsis else node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List():
            return [_value(entry) for entry in node.elts]
        case ast.Tuple():
            return tuple(_value(entry) for entry in node.elts)
        case ast.Dict():
            return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key is not None}
        case ast.Name():
            return node.id
        case ast.BinOp():
            return _number(node)
        case ast.Call():
            return dict([_call(node)]) if node.keywords else ast.unparse(node)
        case ast.Subscript():
            return ast.unparse(node)
    raise ValueError(f"no value: {type(node).__name__}")


def _number(node: ast.expr) -> Any:
    """A sum of literal numbers, worked out. ValueError for another one."""
    match node:
        case ast.BinOp() if type(node.op) in _OPERATORS:
            left, right = _number(node.left), _number(node.right)
            if isinstance(node.op, ast.Pow) and max(abs(left), abs(right)) > _MAX_POWER:
                raise ValueError("a power too large to work out")
            return _OPERATORS[type(node.op)](left, right)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.Constant(value=int() | float() as number):
            return number
    raise ValueError("not a sum of numbers")


def _all_matched(calls: Sequence[Call], right: Sequence[Mapping[str, Any]], functions: Mapping[str, Any]) -> bool:
    """Each right call, in order, takes the first written one that is left and fits, as there."""
    left = list(calls)
    for allowed in right:
        ((name, values),) = allowed.items()
        fits = (at for at, call in enumerate(left) if call[0] == name and name in functions and _fits(call[1], functions[name]["parameters"], values))
        found = next(fits, None)
        if found is None:
            return False
        del left[found]
    return True


def _fits(arguments: Mapping[str | None, Any], described: Mapping[str, Any], allowed: Mapping[str, Any]) -> bool:
    """Whether the arguments of a call are right."""
    properties = described["properties"]
    if not set(described.get("required", ())) <= arguments.keys():
        return False
    if any(name is None or name not in properties or name not in allowed for name in arguments):
        return False
    if not all(_is_right(value, properties[name], allowed[name]) for name, value in arguments.items() if name is not None):
        return False
    return all(OPTIONAL in values for name, values in allowed.items() if name not in arguments)


def _is_right(value: Any, described: Mapping[str, Any], allowed: Sequence[Any]) -> bool:
    """Whether a value has its type and is allowed."""
    kind = TYPES.get(described["type"])
    inner = TYPES.get(described.get("items", {}).get("type")) if described["type"] in ("array", "tuple") else None
    if described["type"] == "tuple" and isinstance(value, tuple):
        value = list(value)
    if described["type"] == "float" and type(value) is int:
        value = float(value)
    typed, variable = _typed(value, kind, inner, allowed)
    if not typed:
        return False
    if not variable:
        if kind is dict:
            return any(_same_object(value, entry) for entry in allowed if entry != OPTIONAL)
        if kind is list and inner is dict:
            return any(len(value) == len(entry) and all(map(_same_object, value, entry)) for entry in allowed)
        if kind is str:
            return _plain(value) in [_plain(entry) for entry in allowed if isinstance(entry, str)]
        if kind is list:
            return [_plain(entry) for entry in value] in [[_plain(part) for part in entry] for entry in allowed]
    return value in allowed


def _typed(value: Any, kind: type | None, inner: type | None, allowed: Sequence[Any]) -> tuple[bool, bool]:
    """Whether a value has its type, and whether a variable may stand for it: what is allowed is then of another type than what is described."""
    usual = next((type(entry) for entry in allowed if entry != OPTIONAL), None)
    as_described = type(value) is kind  # exactly: True is no integer
    if as_described:
        if inner is not None and not any(not isinstance(entry, list) or all(_typed(part, inner, None, entry)[0] for part in value) for entry in allowed):
            return False, False
        return True, usual not in (None, kind)
    return type(value) is usual, True


def _same_object(value: Mapping[str, Any], allowed: Mapping[str, Any]) -> bool:
    """Whether an object has allowed values under known keys, and all keys that may not be left out."""
    known = all(key in allowed and _plain(entry) in [_plain(option) for option in allowed[key]] for key, entry in value.items())
    return known and all(OPTIONAL in options for key, options in allowed.items() if key not in value)


def _plain(value: Any) -> Any:
    """A text without what does not count; anything else as it is."""
    return _IGNORED.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value
