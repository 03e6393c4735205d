"""Errors of a command: one line of text, and an exit code.

CommandRefused   1   the command was not carried out
UsageError       2   the command or the settings are not valid
"""

import typer


class CommandRefused(typer.TyperException):
    """The command is not carried out; the text is one line and contains no secret."""

    exit_code = 1


class UsageError(typer.TyperException):
    """The command or the settings are not valid."""

    exit_code = 2
