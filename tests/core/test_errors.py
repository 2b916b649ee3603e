"""The exit codes are a promise to scripts."""

from __future__ import annotations

import pytest

from jp_adapt.cli.main import EXIT_CODES
from jp_adapt.core import errors
from jp_adapt.core.errors import GateError, InputError, Problems, UsageError

CODES = {"JpAdaptError": 1, "UsageError": 2, "InputError": 3, "GateError": 4, "RunFolderError": 5, "Interrupted": 130}


def test_every_error_is_listed_here() -> None:
    results = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert results == CODES.keys()


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_code(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert kind.exit_code == code
    assert issubclass(kind, errors.JpAdaptError)
    assert kind.__doc__
    assert f"{code} " in EXIT_CODES, "the help names every exit code"


def test_problems_are_collected_and_told_as_one_error() -> None:
    problems = Problems()
    problems.refuse()
    for error in (InputError("a\nb"), GateError("b"), UsageError("c")):
        with problems.collected():
            raise error
    with pytest.raises(UsageError, match=r"^a\nb\nc$"):
        problems.refuse()
    problems.errors.pop()
    with pytest.raises(InputError, match=r"^a\nb$"):
        problems.refuse()
    with pytest.raises(ZeroDivisionError), problems.collected():
        _ = 1 / 0
