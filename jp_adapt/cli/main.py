"""The command `jp-adapt`: parses, calls the pipeline, and turns errors into exit codes."""

from __future__ import annotations

import argparse
import errno
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from jp_adapt.cli.output import StdoutError, drop_stdout, prepare_streams, tell_error
from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.signals import sigterm_as_interrupt
from jp_adapt.core.suggest import did_you_mean

VERBS = (
    "init",
    "advise",
    "run",
    "check",
    "plan",
    "preview",
    "status",
    "runs",
    "ui",
    "report",
    "tokenizer",
    "corpus",
    "data",
    "eval",
    "judge",
    "merge",
    "export",
    "chat",
    "serve",
    "launch",
    "list",
    "show",
    "copy",
    "schema",
    "env",
)

ACTIONS = {
    "eval": ("matrix", "server", "compare", "published", "page", "export-lm-eval"),
    "runs": ("tag",),
}  # verbs of their own beneath another, each in the module of its name

RESUMED = (["run"], ["eval"], ["data", "fetch"], ["judge"], ["corpus", "prepare"])  # what continues where it was stopped

# what the system says of an input that is missing, closed, or has a name that no file can have
NO_INPUT = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}

EXIT_CODES = """exit codes: 0 done · 1 failed while running · 2 wrong usage or recipe, nothing ran · 3 an input is missing or not the pinned one ·
4 a quality gate did not hold · 5 the run folder belongs to another recipe · 130 interrupted, checkpoint saved"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if re.fullmatch(r"the following arguments are required: (VERB|ACTION)", message):  # nothing but `jp-adapt` or `jp-adapt corpus`
            self.print_help(sys.stderr)
            self.exit(2)
        message = re.sub(rf"(, )?'({'|'.join(ACTIONS)}) [a-z-]+'", "", message)  # `eval compare` is a verb only inside of this parser
        wrong = re.search(r"invalid choice: '([^']*)'", message)
        near = did_you_mean(wrong.group(1), VERBS) if wrong else ""
        tell_error(f"{message}{near}\nTry: {self.prog} --help")
        self.exit(2)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib import metadata

        print(f"jp-adapt {metadata.version('jp-adapt')}")
        parser.exit()


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The parser of all verbs, or of `verb` alone where it is one: a tenth of the work. Each verb's module describes itself."""
    parser = _Parser(prog="jp-adapt", description="Make a Llama-family model speak Japanese.", epilog=EXIT_CODES)
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    names = (*VERBS, *(f"{name} {action}" for name, actions in ACTIONS.items() for action in actions))
    for name in (verb,) if verb in names else names:
        import_module(f"jp_adapt.cli.{name.split()[-1].replace('-', '_')}").add_parser(verbs)
    return parser


def joined(arguments: list[str]) -> list[str]:
    """`eval compare` and the like as one verb: `eval MODEL` and `runs FOLDER` have a name there. `merge ADAPTER` is the old name of `export adapter`."""
    if arguments[:1] == ["merge"] and arguments[1:2] != ["explain"] and any(argument.split("=")[0] == "--base" for argument in arguments):
        print("jp-adapt merge ADAPTER is now: jp-adapt export adapter ADAPTER", file=sys.stderr)
        return ["export", "adapter", *arguments[1:]]
    if len(arguments) > 1 and arguments[1] in ACTIONS.get(arguments[0], ()):
        return [" ".join(arguments[:2]), *arguments[2:]]
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = joined(list(sys.argv[1:] if arguments is None else arguments))
    try:
        prepare_streams()
        _refuse_other_bytes(given)
        with sigterm_as_interrupt():
            code = _command(given)
        sys.stdout.flush()
        return code
    except JpAdaptError as error:
        tell_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        goes_on = given[:1] in RESUMED or given[:2] in RESUMED
        print("interrupted; the same command resumes from what is finished" if goes_on else "interrupted; nothing was kept", file=sys.stderr)
        return 130
    except StdoutError as error:
        drop_stdout()
        if error.errno == errno.EPIPE:  # the reader has gone, as in `jp-adapt list | head -1`
            return 0
        tell_error(f"stdout cannot be written ({error.strerror})")
        return JpAdaptError.exit_code
    except OSError as error:
        tell_error(": ".join(str(part) for part in (error.filename, error.strerror or error) if part is not None))
        return InputError.exit_code if error.errno in NO_INPUT else JpAdaptError.exit_code


def _refuse_other_bytes(given: Sequence[str]) -> None:
    """UsageError for an argument whose bytes are not UTF-8: names go into JSON, YAML and pages."""
    for argument in given:
        try:
            argument.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError(f"{argument!a}: byte 0x{ord(argument[error.start]) & 0xFF:02X} is not UTF-8; give the file or folder another name") from error


def _command(given: list[str]) -> int:
    """Parse and run. argparse ends help and wrong usage by SystemExit; what it printed must have arrived first."""
    try:
        # a command that starts itself in several processes repeats what was given
        args, unknown = build_parser(given[0] if given else None).parse_known_args(given, argparse.Namespace(given=given))
        if unknown and "rest" in args and not any(word.startswith("-") for word in unknown):  # argparse takes no words behind an option for a list before it
            setattr(args, args.rest, [*getattr(args, args.rest), *unknown])
        elif unknown:
            command = " ".join(filter(None, ("jp-adapt", args.verb, getattr(args, "action", None))))
            tell_error(f"unrecognized arguments: {' '.join(unknown)}\nTry: {command} --help")
            raise SystemExit(2)
    except SystemExit:
        sys.stdout.flush()
        raise
    code: int = args.main(args)
    return code
