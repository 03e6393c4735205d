"""`portward serve`: a gateway in the foreground, until a signal stops it."""

import asyncio
import errno
import os
import socket
from collections.abc import Coroutine
from typing import Annotated, Any, Final

import typer

import portward.cli.serve_workers as serve_workers
from portward.app.judging import judge
from portward.app.server import serve as serve_gateway
from portward.cli.config import (
    ConfigOption,
    admin_key,
    read,
    with_default_store,
    with_new_secrets,
    with_secrets,
)
from portward.cli.state import state_file
from portward.cli.terminal import CommandRefused, announce, complain
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
        return with_default_store(read(config, flags)).settings

    def again() -> Settings:
        return completed(with_default_store(read(config, flags))).settings

    place = serve_workers.place()
    if place is not None:
        return serve_workers.work(place, as_written, run)
    loaded = read(config, flags)
    refuse_unsafe(loaded.settings)
    loaded = completed(with_default_store(loaded))
    show_admin_key(loaded)
    if loaded.settings.server.workers > 1:
        return serve_workers.lead(loaded, config, as_written, run)
    return run(serve_gateway(loaded.settings, announce=announce, reload=again), loaded.settings)


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


_HIGHEST_PORT: Final = 65_535
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


def completed(loaded: Loaded) -> Loaded:
    """Fill in development secrets, stored ones or, if they cannot be stored, new ones for this run."""
    try:
        return with_secrets(loaded)
    except CommandRefused as refusal:
        complain(f"portward: {refusal}; secrets are generated for this run only")
        return with_new_secrets(loaded)


def show_admin_key(loaded: Loaded) -> None:
    """Print the generated admin key, if one is in use, and where it is stored."""
    key = admin_key(loaded)
    if key is not None:
        kept = loaded.sources["admin.api_keys"].startswith("state ")
        announce(f"{'admin key':<12} {key}  ({state_file() if kept else 'for this run only'})")


def can_listen(host: str, port: int) -> bool:
    """Return whether a listener could be opened there now."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(address)
            except OSError:
                return False
    return True


def free_port(host: str, first: int, *taken: int) -> int:
    """Return the first free port from `first` on that is not in `taken`; 0 when there is none."""
    candidates = (port for port in range(first, _HIGHEST_PORT + 1) if port not in taken)
    return next((port for port in candidates if can_listen(host, port)), 0)
