"""The error tree. Every error a user can cause carries its exit code and, where there is one, the place that caused it."""

from __future__ import annotations


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


def one_line(error: Exception) -> str:
    """The message of an error of a library, on one line and without its full stop; its name where it says nothing."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
