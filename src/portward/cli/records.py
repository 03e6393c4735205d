"""`portward audit verify` and `portward version`."""

import platform
from pathlib import Path
from typing import Annotated

import typer

from portward.cli.errors import Refusal
from portward.cli.output import line
from portward.telemetry.keys import AuditError
from portward.telemetry.verify import verify_audit
from portward.version import __version__

audit = typer.Typer(name="audit", help="The chained record of security events.")


@audit.callback()
def _audit() -> None:
    """Make a group of the one command there is."""


@audit.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The audit file.", metavar="FILE")],
) -> int:
    """Check the chain of an audit file: names the first bad line, and notices a cut tail.

    Its key and its checkpoint are the files beside it, its earlier days are checked with it.
    """
    try:
        report = verify_audit(file)
    except AuditError as error:
        raise Refusal(str(error)) from None
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from None
    if not report.ok:
        raise Refusal(str(report))
    line(str(report))
    return 0


def version() -> None:
    """Print the version, and what it runs on."""
    line(f"portward {__version__}")
    line(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")
