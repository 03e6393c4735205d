"""What commands print. Nothing that came from outside is taken for markup or for control codes."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from portward.cli.errors import CommandRefused
from portward.security.redaction import clean
from portward.telemetry.sink import sink_for

LONGEST: Final = 100_000
"""More of one value than this is never shown."""
_PIPE_WIDTH: Final = 10_000
"""Columns where there is no terminal: no line is broken that a program may read."""
STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def console(*, stderr: bool = False) -> Console:
    """A console for the present standard output, or for standard error."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def line(text: str) -> None:
    """Print a line of the result, at once.

    Raises:
        BrokenPipeError: the reader has left.
        Refusal: it cannot be written.
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
    """Print a line, at once, if that is possible: a gateway serves whether or not anybody reads."""
    _write_if_possible(sys.stdout, text)


def complain(text: str) -> None:
    """Print a line to standard error, at once, if that is possible."""
    _write_if_possible(sys.stderr, text)


def _write_if_possible(stream: TextIO | None, text: str) -> None:
    # Past the buffer of the stream: what cannot be written must not wait there, to fail again at the end.
    sink_for(stream, pause=lambda _: None).write(f"{text}\n".encode(errors="backslashreplace"))


def shown(value: object) -> str:
    """A value from outside, fit for one line."""
    return clean(value, LONGEST)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns; a cell that is a level of the checklist has its colour."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(shown(cell), STYLES.get(cell, "")) for cell in row))
    screen = console()
    with screen.capture() as capture:
        screen.print(made)
    # Nothing after the last cell of a line: it is read by programs as well.
    line("\n".join(each.rstrip() for each in capture.get().splitlines()))
