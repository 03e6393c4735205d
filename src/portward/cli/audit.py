"""`portward audit verify` and `portward version`."""

import asyncio
import platform
from pathlib import Path
from typing import Annotated

import typer

from portward.app.checkpoints import engine_checkpoint
from portward.cli.config import DEFAULT_STORE, ConfigOption, read, with_default_store
from portward.cli.terminal import CommandRefused, complain, line
from portward.engines.port import EngineUnavailable
from portward.settings import Settings
from portward.telemetry import Checkpoint
from portward.telemetry.audit.verify import verify_audit
from portward.telemetry.keys import AuditError
from portward.version import __version__

audit = typer.Typer(name="audit", help="The chained record of security events.")


@audit.callback()
def _audit() -> None:
    """Make a group of the one command there is."""


@audit.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The audit file.", metavar="FILE")],
    config: ConfigOption = None,
    engine: Annotated[
        bool | None,
        typer.Option(
            "--engine/--no-engine",
            help="Whether the engine's checkpoint is used too; by default if the engine is persistent.",
        ),
    ] = None,
    node: Annotated[
        str, typer.Option(help="The node that wrote it, if it was another one.", metavar="NAME")
    ] = "",
) -> int:
    """Check the chain of an audit file: shows the first invalid line, and detects a cut end.

    Its key and one checkpoint are files beside it; the files of earlier days are checked with it. The
    engine of the settings has another checkpoint, which is stored elsewhere.
    """
    kept = _kept(file, config, node, required=bool(engine)) if engine is not False else None
    try:
        report = verify_audit(file, engine=kept)
    except AuditError as error:
        raise CommandRefused(str(error)) from None
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None
    if not report.ok:
        raise CommandRefused(str(report))
    line(str(report))
    return 0


def _kept(file: Path, config: Path | None, node: str, *, required: bool) -> Checkpoint | None:
    """Read the engine's checkpoint before the file: the file can only grow in the meantime."""
    loaded = read(config)
    if not required and _is_volatile(loaded.settings):
        return None
    try:
        found = asyncio.run(engine_checkpoint(with_default_store(loaded).settings, file, node))
    except EngineUnavailable as error:
        raise CommandRefused(f"{error}; --no-engine checks the file alone") from None
    except (AuditError, ValueError) as error:
        raise CommandRefused(str(error)) from None
    if found is None:
        absent = f"the engine has no checkpoint of {file.name} by this node; --node names another"
        if required:
            raise CommandRefused(absent)
        complain(f"portward: {absent}")
    return found


def _is_volatile(settings: Settings) -> bool:
    """Return whether no engine stores checkpoints: it is in memory, or the default store does not exist."""
    if settings.engine.url is None:
        return not Path(DEFAULT_STORE.removeprefix("sqlite:///")).exists()
    return settings.engine_url.startswith("memory:")


def version() -> None:
    """Print the version, the Python and the system."""
    line(f"portward {__version__}")
    line(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")
