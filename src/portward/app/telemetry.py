"""Construction of telemetry from settings."""

import os
import socket
import sys
from typing import TextIO

from portward.model.clock import Clock
from portward.settings import Settings
from portward.settings.endpoint import AuthMode
from portward.settings.resolve import with_defaults
from portward.telemetry import Options, Telemetry, open_telemetry
from portward.version import __version__


def insecure(settings: Settings) -> bool:
    """Return whether a protection is switched off that production requires."""
    return any(
        endpoint.enabled and endpoint.auth is AuthMode.NONE
        for endpoint in settings.endpoints.values()
    )


def make_telemetry(settings: Settings, clock: Clock, stream: TextIO | None = None) -> Telemetry:
    """Make metrics, log and audit from the settings. The log goes to standard error.

    Raises:
        AuditError: the audit file or its key cannot be used.
    """
    stream, log = stream or sys.stderr, with_defaults(settings).log
    options = Options(
        endpoints=tuple(settings.endpoints),
        namespaces=tuple(settings.namespaces),
        version=__version__,
        older_live=_live(settings) if settings.metrics.older_names else (),
        instance=settings.server.instance_id or socket.gethostname(),
        style=log.format,
        level=log.level,
        colors=_is_terminal(stream) and "NO_COLOR" not in os.environ,
        hash_users=log.hash_users,
        insecure=insecure(settings),
        audit_file=settings.audit.file,
        node=settings.server.instance_id if settings.server.workers > 1 else "",
    )
    user_secret = settings.tokens.session_secret.reveal()
    return open_telemetry(clock, options, user_secret=user_secret, stream=stream)


def _live(settings: Settings) -> tuple[str, ...]:
    """Return the endpoints that are compatible with an older live server."""
    given = settings.endpoints.items()
    return tuple(name for name, endpoint in given if endpoint.dialect == "live")


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # the stream is closed
        return False
