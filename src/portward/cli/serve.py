"""`portward serve` and `portward demo`: a gateway in the foreground, until a signal stops it."""

import asyncio
import errno
import os
from collections.abc import Coroutine
from contextlib import closing
from typing import Annotated, Any

import typer

from portward.app.judging import judge
from portward.app.server import serve as serve_gateway
from portward.cli import serve_workers
from portward.cli.config import (
    ConfigOption,
    admin_key,
    lasting,
    read,
    ready,
    ready_for_this_run,
)
from portward.cli.errors import CommandRefused
from portward.cli.output import announce, complain
from portward.cli.ports import can_listen
from portward.cli.state import state_file
from portward.model.errors import Unavailable
from portward.settings import CheckLevel, Loaded, Settings, SettingsError
from portward.telemetry.keys import AuditError

try:
    import uvloop
except ImportError:  # pragma: no cover - some systems have none
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop


def serve(
    config: ConfigOption = None,
    host: Annotated[
        str | None, typer.Option(help="Address of the public listener, or unix:/path.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the public listener.")] = None,
    admin_port: Annotated[int | None, typer.Option(help="Port of the admin listener.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that share the listeners; more than one needs Redis."),
    ] = None,
) -> int:
    """Run the gateway. SIGTERM or Ctrl-C drains it; SIGHUP reads the settings again."""
    flags = {
        "server.host": host,
        "server.port": port,
        "server.admin_port": admin_port,
        "server.workers": workers,
    }

    def as_written() -> Settings:
        return lasting(read(config, flags)).settings

    def again() -> Settings:
        return _completed(lasting(read(config, flags))).settings

    place = serve_workers.place()
    if place is not None:
        return serve_workers.work(place, as_written, run)
    loaded = read(config, flags)
    refuse_unsafe(loaded.settings)
    loaded = _completed(lasting(loaded))
    _show_admin_key(loaded)
    if loaded.settings.server.workers > 1:
        return serve_workers.lead(loaded, config, as_written, run)
    return run(serve_gateway(loaded.settings, announce=announce, reload=again), loaded.settings)


def demo(
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Print addresses, logins, tokens, and commands that use them."
        ),
    ] = False,
) -> int:
    """Serve every endpoint with pages, logins, a simulated engine and a simulated user."""
    # Imported here, because no other command needs the modules of the demo.
    from portward.cli import demo as services  # noqa: PLC0415 - see above

    with closing(services.listener()) as listener:
        loaded = _completed(services.loaded(listener.url, verbose=verbose))
        if verbose:
            _show_admin_key(loaded)
        detail = announce if verbose else _drop

        async def whole() -> int:
            around = services.DemoServices(loaded.settings, listener, announce, detail)
            async with around:
                return await serve_gateway(loaded.settings, announce=detail, started=around.begin)

        return run(whole(), loaded.settings)


def _drop(_: str) -> None:
    """Print nothing: a sink for lines that are not wanted."""


def run(work: Coroutine[Any, Any, int], settings: Settings) -> int:
    """Run a gateway until it ends.

    Raises:
        CommandRefused: it cannot be served with these settings; the text is the reason.
    """
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(work)
    except (SettingsError, AuditError, ValueError) as error:
        raise CommandRefused(str(error)) from None
    except Unavailable as error:
        raise CommandRefused(f"the store cannot be reached: {error}") from None
    except OSError as error:
        raise CommandRefused(_why(error, settings)) from None


def _why(error: OSError, settings: Settings) -> str:
    """Describe which address could not be bound: the error itself does not contain it."""
    server = settings.server
    if error.filename and server.host == f"unix:{error.filename}":
        return f"cannot listen on {server.host}: {error.strerror}"
    public = (server.host, server.port, "--port", "server.port")
    listeners = [] if server.host.startswith("unix:") else [public]
    if settings.admin.enabled:
        listeners.append(
            (server.admin_host, server.admin_port, "--admin-port", "server.admin_port")
        )
    taken = [each for each in listeners if each[1] and not can_listen(*each[:2])]
    reason = os.strerror(error.errno) if error.errno else str(error)
    if not taken:
        return f"cannot serve: {reason}"
    where = " and ".join(f"{host}:{port}" for host, port, _, _ in taken)
    hint = ""
    if error.errno == errno.EADDRINUSE:
        ways = " and ".join(f"{flag} ({key})" for _, _, flag, key in taken)
        hint = f"; choose another port with {ways}"
    return f"cannot listen on {where}: {reason}{hint}"


SECRETS = frozenset({"token-secret-weak", "session-secret-weak"})


def _warn(settings: Settings) -> None:
    """Print in development what would prevent a start in production and is easily carried over to it."""
    for each in judge(settings, production=True):
        if each.id in SECRETS and each.level in {CheckLevel.WARN, CheckLevel.FAIL}:
            complain(f"portward: {each.id}: {each.what}; production refuses that")


def refuse_unsafe(settings: Settings) -> None:
    """Refuse settings that are unsafe in production, with a line for every failed rule.

    Raises:
        CommandRefused: a rule fails.
    """
    if not settings.production:
        _warn(settings)
        return
    failed = [each for each in judge(settings) if each.level is CheckLevel.FAIL]
    for each in failed:
        complain(f"portward: {each.id}: {each.what}; change: {each.change}")
    if failed:
        raise CommandRefused("not served in production: `portward check` shows every rule")


def _completed(loaded: Loaded) -> Loaded:
    try:
        return ready(loaded)
    except CommandRefused as refusal:
        complain(f"portward: {refusal}; secrets are generated for this run only")
        return ready_for_this_run(loaded)


def _show_admin_key(loaded: Loaded) -> None:
    key = admin_key(loaded)
    if key is not None:
        kept = loaded.sources["admin.api_keys"].startswith("state ")
        announce(f"{'admin key':<12} {key}  ({state_file() if kept else 'for this run only'})")
