"""Preflight for `portward check`: builds what the settings describe, and calls the services they name.

It serves and stores nothing. No text of a finding contains a secret.
"""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from msgspec.structs import replace

import portward.app.build as build
from portward.app.build import make_engine
from portward.app.runtime import with_secret
from portward.app.server import tls_context
from portward.engines.sqlite import sqlite_path
from portward.model.channel import Channel
from portward.model.errors import Unavailable
from portward.model.events import BusEvent
from portward.model.publication import Publication
from portward.node.sessions import Hooks, LoopClock
from portward.protocols.relay.service import make_upstream
from portward.security.hosts import HostPolicy
from portward.security.tokens import keys_from_jwks
from portward.settings import CheckLevel, Finding, Settings, SettingsError, resolve
from portward.telemetry.keys import AuditError, audit_key, key_path
from portward.telemetry.telemetry import make_telemetry

TIMEOUT: Final = 10.0
"""Seconds that each service has to answer."""
LARGEST: Final = 1024 * 1024
_OK: Final = 200


class _PreflightFailed(Exception):  # noqa: N818 - the text of a finding
    """A service did not answer as required; the text is the reason."""


def build_checks(settings: Settings) -> list[Finding]:
    """Do the steps of a start before it listens: each error that stops `serve` gives a failed finding.

    The event loop must run.
    """
    found: list[Finding] = []
    for rule, right, change, attempt in _ATTEMPTS:
        try:
            attempt(settings)
        except (SettingsError, AuditError, Unavailable, ValueError) as error:
            found.append(Finding(rule, CheckLevel.FAIL, " ".join(str(error).split()), change))
        except OSError as error:
            found.append(Finding(rule, CheckLevel.FAIL, _reason(error), change))
        else:
            found.append(Finding(rule, CheckLevel.OK, right))
    return found


def _parts(settings: Settings) -> None:
    """Build all parts of a gateway, and start none of them."""
    resolved = resolve(with_secret(settings))
    clock = LoopClock()
    unwritten = replace(resolved, audit=replace(settings.audit, file=""))
    telemetry = make_telemetry(unwritten, clock, io.StringIO())
    try:
        ports = build.make_ports(resolved, None, clock, telemetry)
        build.make_node(resolved, ports, Hooks())
    finally:
        telemetry.close()


def _audit(settings: Settings) -> None:
    """Check the key beside the audit file, and whether its folder is writable."""
    if not settings.audit.file:
        return
    file = Path(settings.audit.file)
    if key_path(file).exists() and not settings.tokens.session_secret:
        audit_key(file)
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise AuditError(f"{file} cannot be written by this user")


def _hosts(settings: Settings) -> None:
    HostPolicy(settings.admin.allowed_hosts)


_ATTEMPTS: Final = (
    (
        "start-hosts",
        "names of the admin listener can be read, if there are any",
        "admin.allowed_hosts",
        _hosts,
    ),
    (
        "start-certificate",
        "the certificate can be loaded, if there is one",
        "server.tls",
        tls_context,
    ),
    ("start-parts", "a gateway can be built of these settings", "as the finding says", _parts),
    ("start-audit", "the audit file can be written, if there is one", "audit.file", _audit),
)


async def connect_checks(settings: Settings) -> AsyncIterator[Finding]:
    """Yield one finding for each service that the settings use, as soon as it is known."""
    for rule, change, ask in _services(settings):
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await ask(settings)
        except TimeoutError:
            yield Finding(rule, CheckLevel.FAIL, f"no answer within {TIMEOUT:g} s", change)
        except (_PreflightFailed, Unavailable, ValueError) as error:
            yield Finding(rule, CheckLevel.FAIL, str(error) or type(error).__name__, change)
        except (httpx.HTTPError, OSError) as error:
            yield Finding(rule, CheckLevel.FAIL, f"cannot be reached: {_reason(error)}", change)
        else:
            yield Finding(rule, CheckLevel.OK, answer)


_Ask = Callable[[Settings], Awaitable[str]]


def _services(settings: Settings) -> list[tuple[str, str, _Ask]]:
    found: list[tuple[str, str, _Ask]] = [("connect-store", "engine.url", _store)]
    if settings.identity_provider.url:
        found.append(("connect-provider", "identity_provider.url", _provider))
    if settings.tokens.jwks_url:
        found.append(("connect-jwks", "tokens.jwks_url", _jwks))
    for key, given in settings.relayed.items():
        if given.api_key:
            change = f"{key}.url, {key}.api_key"
            found.append(("connect-upstream", change, partial(_upstream, key)))
    return found


class _NoEvents:
    """Implements `engines.port.EngineEvents` for an engine that serves no gateway."""

    def on_publication(
        self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
    ) -> None:
        """Drop a publication."""

    def on_control(self, event: BusEvent) -> None:
        """Drop an event of another node."""

    def on_interrupted(self) -> None:
        """Ignore a gap: nothing is delivered."""

    def on_health_changed(self, up: bool) -> None:
        """Ignore a change: the start itself fails when the store is away."""

    def on_eviction_changed(self, possible: bool) -> None:
        """Ignore a change: the start itself fails when keys may be dropped."""

    def on_keys_dropped(self) -> None:
        """Ignore a loss: nothing is in memory here."""


async def _store(settings: Settings) -> str:
    """Open Redis as the gateway does, which checks its version and its memory policy.

    For SQLite only the folder is checked: the file is for one process, perhaps a gateway that runs now.
    """
    scheme = settings.engine_url.partition("://")[0]
    if scheme == "memory":
        return "memory:// needs no service"
    if scheme == "sqlite":
        return _folder(settings)
    engine = make_engine(settings, LoopClock())
    try:
        await engine.start(_NoEvents())
    finally:
        await engine.stop()
    return f"the store answers ({scheme})"


def _folder(settings: Settings) -> str:
    folder = Path(sqlite_path(settings.engine_url)).resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _PreflightFailed(f"the folder {folder} is missing, or this user cannot write to it")
    return f"the folder {folder} can be written to"


async def _provider(settings: Settings) -> str:
    """Ask for the user without a cookie: a working provider refuses, or names no user."""
    base = settings.identity_provider.url.rstrip("/")
    status, _ = await _get(f"{base}/users/me?fields=id")
    if status not in {_OK, 401, 403}:
        raise _PreflightFailed(
            f"answers {status} to a question without a cookie; 401 or 403 is expected"
        )
    return f"the identity provider answers ({status} without a cookie)"


async def _jwks(settings: Settings) -> str:
    status, body = await _get(settings.tokens.jwks_url)
    if status != _OK:
        raise _PreflightFailed(f"answers {status}")
    keys = keys_from_jwks(body)
    if not keys:
        raise _PreflightFailed("has no key that tokens can be verified with")
    return f"the key set has {len(keys)} usable keys"


async def _upstream(key: str, settings: Settings) -> str:
    """Open one connection with the key, and close it: nothing is sent, so it costs nothing."""
    given = settings.relayed[key]
    client = make_upstream(given)
    if client is None:
        raise _PreflightFailed("no upstream can be made of these settings")
    model = given.models[0]
    connection = await client.open(model)
    await connection.close(1000)
    return f"the upstream of {key} takes the key, and a connection for {model}"


async def _get(url: str) -> tuple[int, bytes]:
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False) as client,
        client.stream("GET", url, headers={"accept": "application/json"}) as answer,
    ):
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > LARGEST:
                raise _PreflightFailed("answers with more than 1 MiB")
        return answer.status_code, bytes(body)


def _reason(error: Exception) -> str:
    """Return the kind of failure, without the address, which may contain a password."""
    cause = error.__cause__ or error.__context__
    text = getattr(error, "strerror", None) or getattr(cause, "strerror", None)
    return text or type(error).__name__
