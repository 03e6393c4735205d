"""How a command fails: in one line, with an exit code.

Refusal   1   what was asked is not done
Usage     2   what was asked makes no sense
"""

import typer


class CommandRefused(typer.TyperException):
    """The command is not carried out; the text is one line and holds no secret."""

    exit_code = 1


class UsageError(typer.TyperException):
    """The command, or what is configured, cannot be understood."""

    exit_code = 2
