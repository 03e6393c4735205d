"""`portward`: all commands together; every failure becomes one line and an exit code."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from traceback import extract_tb
from typing import Annotated, Final

import typer

import portward.cli.audit as audit
import portward.cli.check as check
import portward.cli.remote as remote
import portward.cli.rooms as rooms
import portward.cli.serve as serve
import portward.cli.tokens as tokens
from portward.cli.connect import command as connect
from portward.cli.terminal import complain, line, shown
from portward.settings import SettingsError
from portward.version import __version__

USAGE: Final = 2
REFUSED: Final = 1
INTERRUPTED: Final = 130
_UNWRITTEN: Final = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})
"""The errors of writing to a descriptor: libraries print the help and the tables."""

app = typer.Typer(
    name="portward",
    help="A secure real-time gateway for WebSocket, Engine.IO and HTTP clients.",
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _demo(
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Print addresses, logins, tokens, and commands that use them."
        ),
    ] = False,
) -> int:
    """Serve every endpoint with pages, logins, a simulated engine and a simulated user."""
    # Imported here, because no other command needs the modules of the demo.
    from portward.cli.demo import serve_demo  # noqa: PLC0415 - see above

    return serve_demo(verbose=verbose)


app.command()(serve.serve)
app.command("demo")(_demo)
for _command in (
    check.check,
    tokens.token,
    tokens.inspect,
    check.config,
    remote.publish,
    remote.revoke,
    remote.connections,
    remote.call,
    connect.connect,
):
    app.command()(_command)
app.add_typer(rooms.rooms)
app.add_typer(audit.audit)
app.command()(audit.version)


@app.callback()
def _portward(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        line(f"portward {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        line(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 1 refused, 2 not understood, 130 interrupted."""
    _show_what_cannot_be_encoded()
    code = _outcome(arguments)
    return code if _flushed() else code or REFUSED


def _outcome(arguments: Sequence[str] | None) -> int:
    try:
        outcome = app(
            args=None if arguments is None else list(arguments),
            prog_name="portward",
            standalone_mode=False,
        )
    except SettingsError as error:
        return _failed(str(error), USAGE)
    except typer.TyperException as error:
        return _failed(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return REFUSED
    except Exception as error:  # noqa: BLE001 - users never get a traceback
        return _failed(_internal(error), REFUSED)
    return outcome if isinstance(outcome, int) else 0


def _failed(text: str, code: int) -> int:
    complain(f"portward: {shown(' '.join(text.split()))}")
    return code


def _internal(error: Exception) -> str:
    """Return the class and the place of an error, without any value: it may be a secret."""
    if isinstance(error, OSError) and error.errno in _UNWRITTEN and error.filename is None:
        return f"standard output cannot be written: {error.strerror}"
    if sys.flags.dev_mode:
        raise error
    place = extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a text
    return f"internal error: {type(error).__name__} at {where}; python -X dev shows more"


def _flushed() -> bool:
    """Write the rest of standard output; text that cannot be written is dropped.

    Otherwise Python would try again at exit and print its own error.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    except AttributeError:  # there is no standard output
        pass
    return True


def _show_what_cannot_be_encoded() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
