"""Jinja for templates of others (benchmark declarations, chat templates): the part that prompts need, with a bound on the work of one rendering.

Jinja's own sandbox keeps a template away from the machine, and lets it take all time and memory: a large factor, a loop in a loop, a sum of lists. Here every
rendering has a purse. What an expression gives is paid for by its size (the texts in a list one by one, as often as they stand in it), each round of a loop
costs something too, and what would be large is priced before it is made.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from jp_adapt.core.foreign_json import parse_json

MAX_TEMPLATE = 20_000  # characters
PURSE = 32_000_000  # characters that one rendering may make or go through
VALUE = 20  # what a value in a list costs besides its characters
ROUND = 1_000  # what a round of a loop costs, or a call
MAX_ARGUMENT = 10_000  # of a filter or a method: widths, counts, digits
MAX_BITS = 10_000  # of a whole number
MAX_LITERAL = 20_000  # characters; one that is nested deeper than Python parses is an error of its own

FILTERS = (
    *(
        "batch",
        "capitalize",
        "count",
        "d",
        "default",
        "dictsort",
        "first",
        "float",
        "groupby",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
    ),
    *("max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title"),
    *("tojson", "trim", "truncate", "unique", "upper", "wordcount"),
)
GLOBALS = ("range", "dict", "namespace")
METHODS = {
    str: "capitalize casefold center count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric isspace isupper join ljust "
    "lower lstrip partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase "
    "title upper zfill",
    list: "count index",
    tuple: "count index",
    dict: "get items keys values",
    float: "is_integer",
    LoopContext: "changed cycle",
}
PRICED = ("join", "replace", "indent")  # filters and methods that make far more than they are given
STATEMENTS: tuple[type[nodes.Node], ...] = (nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock, nodes.With)


class TooMuchError(Exception):
    """A rendering that would exceed its budget (its purse)."""


class _Purse(threading.local):
    left = PURSE


_purse = _Purse()


def pay(amount: int) -> None:
    _purse.left -= amount
    if _purse.left < 0:
        raise TooMuchError("takes too many steps, or makes too large a text")


def pay_for(value: Any) -> Any:
    """Pay for a value by its size, and give it back. What stands in a list twice is paid twice, as whoever writes it out would have to."""
    if isinstance(value, (str, bytes)):
        pay(len(value))
        return value
    cost, left, waiting = 0, _purse.left, [value]
    while waiting and cost <= left:
        entry = waiting.pop()
        cost += VALUE
        if isinstance(entry, (list, tuple, set, frozenset, dict)):
            cost += VALUE * len(entry)
            for inner in itertools.chain(entry, entry.values()) if isinstance(entry, dict) else entry if cost <= left else ():
                if type(inner) is str:
                    cost += len(inner)
                else:
                    waiting.append(inner)
        elif isinstance(entry, (str, bytes)):
            cost += len(entry)
        elif isinstance(entry, int):
            if entry.bit_length() > MAX_BITS:
                raise TooMuchError("makes a number of too many digits")
            cost += entry.bit_length() // 8
    pay(cost)
    return value


def rounds(values: Iterable[Any]) -> Iterator[Any]:
    """The items of a loop, each round paid for."""
    for value in values:
        pay(ROUND)
        yield value


def _limit_arguments(arguments: Iterable[Any]) -> None:
    for argument in arguments:
        if isinstance(argument, int) and abs(argument) > MAX_ARGUMENT:
            raise TooMuchError(
                f"{argument:.3g} is more than {MAX_ARGUMENT:,} as an argument" if abs(argument) < 1e300 else "has an argument of too many digits"
            )
        pay_for(argument)


def _price(name: str, value: Any, arguments: tuple[Any, ...]) -> None:
    """Pay for what a filter or method is going to make, where that can be far more than what it is given."""
    if name == "replace" and len(arguments) >= 2 and isinstance(value, str):
        old, new = str(arguments[0]), str(arguments[1])
        pay(value.count(old) * len(new))
    elif name == "join" and arguments:
        text, parts = (value, arguments[0]) if isinstance(value, str) and not isinstance(arguments[0], str) else (arguments[0], value)
        pay(len(str(text)) * (len(parts) if hasattr(parts, "__len__") else MAX_ARGUMENT))
    elif name == "indent" and isinstance(value, str):
        width = arguments[0] if arguments else 4
        pay((value.count("\n") + 1) * (width if isinstance(width, int) else len(str(width))))


def _paying(name: str, function: Any) -> Callable[..., Any]:
    """A filter or test that pays for its arguments and its result."""
    first = 1 if getattr(function, "jinja_pass_arg", None) is not None else 0

    @functools.wraps(function)
    def paying(*arguments: Any, **options: Any) -> Any:
        value, more = arguments[first], (*arguments[first + 1 :], *options.values())
        if more:
            _limit_arguments(more)
        if not (isinstance(value, Undefined) or hasattr(value, "__next__")):
            pay_for(value)
            if name in PRICED:
                _price(name, value, more)
        made = function(*arguments, **options)
        return rounds(made) if hasattr(made, "__next__") else _pay(made)

    return paying


class _Bounds(NodeTransformer):
    """Refuse what prompts do not need, and put a price on what is not a call: loops, the text in them, slices, comparisons, `~`."""

    def __init__(self, statements: tuple[type[nodes.Node], ...]) -> None:
        self._statements = statements

    def visit(self, node: nodes.Node, *arguments: Any, **options: Any) -> Any:
        if isinstance(node, nodes.Stmt) and not isinstance(node, self._statements):
            raise TemplateSyntaxError(f"'{type(node).__name__.lower()}' is not for templates", node.lineno)
        return super().visit(node, *arguments, **options)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            raise TemplateSyntaxError("a loop that calls itself is not for templates", node.lineno)
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_rounds")
        node.body = _with_toll(node.body)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        node.body = _with_toll(node.body)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, "_pay")
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, "_pay")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, "_pay") if isinstance(node.arg, nodes.Slice) else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_joined")


def _with_toll(body: list[nodes.Node]) -> list[nodes.Node]:
    """What is written again and again, with a first statement that pays for the text of the template in it, each time."""
    size = sum(len(data.data) for node in body for data in _texts(node))
    return [nodes.Output([_filtered(nodes.Const(size), "_toll")]), *body] if size else body


def _texts(node: nodes.Node) -> Iterator[nodes.TemplateData]:
    return iter([node]) if isinstance(node, nodes.TemplateData) else node.find_all(nodes.TemplateData)


def _filtered(node: Any, name: str) -> nodes.Expr:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _joined(values: list[Any]) -> str:
    """`a ~ b`. An undefined part raises as it does there."""
    return "".join(str(value if isinstance(value, Undefined) else pay_for(value)) for value in values)


def _pay(value: Any) -> Any:
    return value if isinstance(value, Undefined) else pay_for(value)


@pass_context
def _written(_context: Context, value: Any) -> Any:
    """What `{{ }}` writes. With the context as its argument Jinja cannot call it for constants while it compiles."""
    return _pay(value)


@pass_context
def _toll(_context: Context, size: int) -> str:
    pay(size)
    return ""


def _from_json(text: str) -> Any:
    return parse_json(text, "fromjson", lone_surrogates="replace")


def _from_literal(text: str) -> Any:
    """The value of a Python literal, as MMMU's data write lists."""
    if len(text) > MAX_LITERAL:
        raise TooMuchError(f"reads a literal of {len(text):,} characters")
    return ast.literal_eval(text)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox with a purse. Text is taken as it is: nothing is escaped, and by default trailing newlines stay."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    statements = STATEMENTS

    def __init__(self, filters: Iterable[str] = FILTERS, **options: Any) -> None:
        """`options`: of Jinja's own Environment."""
        options = {"undefined": StrictUndefined, "keep_trailing_newline": True} | options
        super().__init__(autoescape=False, optimized=False, finalize=_written, **options)
        self.filters = {name: _paying(name, self.filters[name]) for name in filters}
        self.filters |= {"_rounds": rounds, "_pay": _pay, "_joined": _joined, "_toll": _toll}
        self.add_filter("fromjson", _from_json)
        self.add_filter("fromliteral", _from_literal)
        self.tests = {name: _paying(name, function) for name, function in self.tests.items() if name not in ("filter", "test")}
        self.globals = {name: self.globals[name] for name in GLOBALS}

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """A filter that pays for its arguments and its result."""
        self.filters[name] = _paying(name, function)

    @staticmethod
    def fill_purse(amount: int = PURSE) -> None:
        """Begin a rendering that may take `amount`."""
        _purse.left = amount

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        return super()._generate(_Bounds(self.statements).visit(source), *arguments, **options)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        whole = isinstance(left, int) and isinstance(right, int)
        if operator == "**" and whole and abs(left) > 1 and right * left.bit_length() > MAX_BITS:
            raise TooMuchError("makes a number of too many digits")
        if operator == "*" and not whole:
            for text, times in ((left, right), (right, left)):
                if isinstance(text, (str, bytes, list, tuple)) and isinstance(times, int):
                    pay(max(0, times) * (len(text) + 1) * (1 if isinstance(text, (str, bytes)) else VALUE))
        if operator == "%" and isinstance(left, (str, bytes)) and re.search(r"[0-9]{4}|\*", str(left)):
            raise TooMuchError("has a width of too many digits")
        _pay(left), _pay(right)
        return pay_for(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *arguments: Any, **options: Any) -> Any:  # names as the base class has them: they hide no option
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if __obj not in __self.globals.values() and not isinstance(__obj, Macro):
            if name not in next((names for kind, names in METHODS.items() if isinstance(owner, kind)), "").split():
                raise SecurityError(f"'{name or type(__obj).__name__}' cannot be called here")
            _pay(owner)
            if name in PRICED:
                _price(name, owner, arguments)
        pay(ROUND)
        _limit_arguments((*arguments, *options.values()))
        made = super().call(__context, __obj, *arguments, **options)
        return made if isinstance(made, range) else pay_for(made)
