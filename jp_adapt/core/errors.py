"""The error tree. Every error a user can cause carries its exit code and, where there is one, the place that caused it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class JpAdaptError(Exception):
    """Base of all errors of jp-adapt: something failed while running."""

    exit_code = 1


class UsageError(JpAdaptError):
    """A wrong flag or a wrong recipe; nothing ran."""

    exit_code = 2


class InputError(JpAdaptError):
    """An input is missing, unreadable, empty, or not the pinned one."""

    exit_code = 3


class GateError(JpAdaptError):
    """A quality gate did not hold; nothing was kept."""

    exit_code = 4


class RunFolderError(JpAdaptError):
    """The run folder belongs to another recipe, or to another process."""

    exit_code = 5


class Interrupted(JpAdaptError):
    """Stopped by Ctrl-C or SIGTERM after a checkpoint was saved."""

    exit_code = 130


class Problems:
    """Collects everything that is wrong with an input, so that all of it is reported at once."""

    def __init__(self) -> None:
        self.errors: list[JpAdaptError] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Catch an error of the block and keep it for later."""
        try:
            yield
        except JpAdaptError as error:
            self.errors.append(error)

    def refuse(self) -> None:
        """Raise the collected errors as one, each line once: as a UsageError if there is one among them, otherwise with the type of the first."""
        if self.errors:
            kind = UsageError if any(isinstance(error, UsageError) for error in self.errors) else type(self.errors[0])
            raise kind("\n".join(dict.fromkeys(line for error in self.errors for line in str(error).split("\n")))) from self.errors[0]


def one_line(error: Exception) -> str:
    """The message of a library's error, on one line and without its full stop; the error's name if it has no message."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
