"""Output and errors of the commands. External text is never interpreted as markup or control codes.

CommandRefused   exit code 1   the command was not carried out
UsageError       exit code 2   the command or the settings are not valid
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from portward.security.redaction import clean
from portward.telemetry.sink import sink_for

LONGEST: Final = 100_000
"""The most characters of one value that are shown."""
_PIPE_WIDTH: Final = 10_000
"""Columns without a terminal: no line is wrapped, because a program may read it."""
STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class CommandRefused(typer.TyperException):
    """The command is not carried out; the text is one line and contains no secret."""

    exit_code = 1


class UsageError(typer.TyperException):
    """The command or the settings are not valid."""

    exit_code = 2


def console(*, stderr: bool = False) -> Console:
    """Make a console for the current standard output, or for standard error."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def line(text: str) -> None:
    """Print a line of the result and flush it.

    Raises:
        BrokenPipeError: the reader has closed the pipe.
        CommandRefused: it cannot be written.
    """
    if sys.stdout is None:
        raise CommandRefused("standard output is closed")
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandRefused(f"standard output cannot be written: {error.strerror}") from None


def announce(text: str) -> None:
    """Print a line and flush it, if possible: a gateway serves without a reader of its output, too."""
    _write_if_possible(sys.stdout, text)


def complain(text: str) -> None:
    """Print a line to standard error and flush it, if possible."""
    _write_if_possible(sys.stderr, text)


def _write_if_possible(stream: TextIO | None, text: str) -> None:
    # Bypass the stream's buffer: text that cannot be written must not stay there and fail again at exit.
    sink_for(stream, pause=lambda _: None).write(f"{text}\n".encode(errors="backslashreplace"))


def shown(value: object) -> str:
    """Return an external value cleaned for one line."""
    return clean(value, LONGEST)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns; a cell with a level of the checklist is coloured."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(shown(cell), STYLES.get(cell, "")) for cell in row))
    screen = console()
    with screen.capture() as capture:
        screen.print(made)
    # No blanks after the last cell of a line, because programs read it too.
    line("\n".join(each.rstrip() for each in capture.get().splitlines()))
