"""stdout and stderr as a command finds them: closed, full, gone, or in an encoding without Japanese."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

from jp_adapt.core.errors import JpAdaptError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_LINE = 1_000  # characters of a line of an error
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class StdoutError(OSError):
    """What was printed does not arrive: the reader has gone (EPIPE), or the disk is full. Told apart from what happens to other files."""


class _Stdout(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise StdoutError(error.errno, error.strerror) from error


def prepare_streams() -> None:
    """Make stdout and stderr safe to print to. JpAdaptError where stdout is closed, before anything is done whose result would go nowhere.

    A character that stdout's encoding lacks is replaced. A closed stream is filled with the null device, so that no file that is opened later takes its number
    and gets what libraries print.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if sys.stdout is None:
        sys.stdout = _nowhere()
        raise JpAdaptError("stdout is closed; send it to a file, or to /dev/null")
    given = sys.stdout
    if given is sys.__stdout__ and isinstance(given, io.TextIOWrapper):  # not where a caller has put something in its place
        errors = "replace" if given.errors in ("strict", "surrogateescape") else given.errors
        raw = io.BufferedWriter(_Stdout(given.fileno(), "w", closefd=False))
        sys.stdout = io.TextIOWrapper(raw, encoding=given.encoding, errors=errors, line_buffering=given.line_buffering)


def _nowhere() -> TextIO:
    return io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8")


def print_json(value: Any) -> None:
    """One line of JSON on stdout: Japanese as it is where stdout's encoding has it, and escaped elsewhere."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value)
    print(text)


def without_control(text: str) -> str:
    """A text of somebody else's as a terminal may get it: control characters but the line feed are written out."""
    return CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def print_text(text: str) -> None:
    """A file's text on stdout, as it is. JpAdaptError where stdout's encoding lacks one of its characters: a recipe must not lose them on its way."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError as error:
        raise JpAdaptError(f"stdout is {encoding}, which has no '{text[error.start]}'; print as UTF-8: PYTHONIOENCODING=utf-8 jp-adapt ...") from error
    print(text, end="")


def drop_stdout() -> None:
    """Let go what stdout still holds back and cannot write, so that nothing fails at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell_error(error: BaseException | str) -> None:
    """`error: ...` on stderr: no control characters, no line without end, and nothing where stderr cannot be written either."""
    lines = [without_control(line) for line in str(error).split("\n")]
    lines = [line if len(line) <= MAX_LINE else f"{line[: MAX_LINE // 2]} ... {line[-MAX_LINE // 2 :]}" for line in lines]
    try:
        print("error: " + "\n".join(lines), file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = _nowhere()
