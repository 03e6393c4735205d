"""`portward serve` with several workers: the parent, and each of the workers it starts."""

import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from portward.app.server import serve
from portward.app.workers.control_protocol import Secrets
from portward.app.workers.parent import WorkersPlan, serve_workers
from portward.app.workers.worker import WorkerPlace, taken
from portward.cli.terminal import CommandRefused, announce, complain, shown
from portward.settings import Loaded, Settings, SettingsError

Read = Callable[[], Settings]
Run = Callable[[Coroutine[Any, Any, int], Settings], int]


def place() -> WorkerPlace | None:
    """Return the place that this process was started for as a worker; None for any other process.

    Raises:
        CommandRefused: the process looks like a worker, but has no parent.
    """
    try:
        return taken(os.environ)
    except ValueError as error:
        raise CommandRefused(str(error)) from None


def work(at: WorkerPlace, read: Read, run: Run) -> int:
    """Serve as one of several workers. Errors are reported to the parent, which prints them."""

    def again() -> Settings:
        return at.settings(read())

    try:
        settings = again()
        return run(serve(settings, announce=at.announce, reload=again, place=at), settings)
    except (CommandRefused, SettingsError) as error:
        at.fail(" ".join(str(error).split()))
        return CommandRefused.exit_code
    finally:
        at.close()


def lead(loaded: Loaded, config: Path | None, read: Read, run: Run) -> int:
    """Serve as the parent of `server.workers` workers.

    Raises:
        CommandRefused: it cannot be served with these settings.
    """
    settings = loaded.settings
    plan = WorkersPlan(
        command=_command(config, settings),
        reload=read,
        announce=announce,
        complain=lambda text: complain(f"portward: {shown(text)}"),
        secrets=_made_up(loaded),
    )
    return run(serve_workers(settings, plan), settings)


def _command(config: Path | None, settings: Settings) -> tuple[str, ...]:
    """Return the command that starts a worker. Shared values are fixed, even when the file changes later."""
    options = ("-X", "dev") if sys.flags.dev_mode else ()
    if Path(__file__).parents[2] != Path.cwd():
        options = (*options, "-P")  # files in the working folder must not be imported as modules
    given = ("--config", str(config)) if config is not None else ()
    server = settings.server
    shared = {"host": server.host, "admin-port": server.admin_port, "workers": server.workers}
    flags = [f"--{name}={value}" for name, value in shared.items()]
    return (sys.executable, *options, "-m", "portward", "serve", *given, *flags)


def _made_up(loaded: Loaded) -> Secrets:
    """Return the generated development secrets: all workers must use the same ones."""
    sources = loaded.sources
    tokens, admin = loaded.settings.tokens, loaded.settings.admin

    def made(key: str) -> bool:
        return sources[key].startswith(("state ", "made up"))

    return Secrets(
        token=tokens.secrets[0].reveal() if made("tokens.secrets") else "",
        session=tokens.session_secret.reveal() if made("tokens.session_secret") else "",
        admin=admin.api_keys[0].key.reveal() if made("admin.api_keys") else "",
    )
