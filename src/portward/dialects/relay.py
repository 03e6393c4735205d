"""The relay dialect: the messages before the upstream is connected, and the gateway's own ones later.

Flat JSON objects with a `type`; a client may add an `id`, which comes back with the answer. Once the
upstream is connected its own events go both ways. Beside them a client may still send the gateway a
newer token (`authenticate`, `refresh`) or a `ping`, see :func:`aside`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec

from portward.dialects import intake
from portward.model import commands as ask
from portward.model import replies as say
from portward.model.commands import Command
from portward.model.endings import Ending
from portward.model.faults import RATE_FAULTS, Fault, FaultKind
from portward.model.limits import KIB
from portward.model.replies import Push, Reply

_KEYS: Final = {
    "authenticate": frozenset({"type", "id", "token"}),
    "refresh": frozenset({"type", "id", "token"}),
    "connect_realtime": frozenset({"type", "id", "model"}),
    "ping": frozenset({"type", "id"}),
}
"""What each message may have; one with any other key is none of this dialect."""

_TOKENS: Final = ("authenticate", "refresh")
_OWN: Final = re.compile(rb'"(?:authenticate|refresh|ping)"|\\u')
"""One of these is in every message that may be the gateway's own: a word, or an escape that may hide it."""
_MAX_OWN: Final = 64 * KIB

_INVALID_TOKEN: Final = ("invalid_token", "Invalid token")
_WORDS: Final[Mapping[FaultKind, tuple[str, str]]] = {
    FaultKind.AUTHENTICATION_FAILED: _INVALID_TOKEN,
    FaultKind.TOKEN_REVOKED: _INVALID_TOKEN,
    FaultKind.TOKEN_REQUIRED: _INVALID_TOKEN,
    FaultKind.NOT_AUTHENTICATED: ("not_authenticated", "Authentication required"),
    **dict.fromkeys(RATE_FAULTS, ("rate_limited", "Too many requests")),
}
"""Codes and texts of this dialect where they differ from those of the fault."""

_PARTINGS: Final[Mapping[Ending, tuple[str, str]]] = {
    Ending.AUTH_TIMEOUT: ("auth_timeout", "Authentication timeout"),
    Ending.BAD_GATEWAY: ("upstream_unavailable", "Upstream unavailable"),
    Ending.QUOTA: ("quota_exceeded", "Quota exceeded"),
    Ending.EXPIRED: ("token_expired", "Token expired"),
    Ending.REVOKED: ("revoked", "Session revoked"),
}
"""Endings that are told in a message before the close."""

_encode = msgspec.json.Encoder().encode


class RelayDialect:
    """Implements `dialects.port.Dialect`. Messages are read here until the upstream is connected."""

    name = "relay"
    binary = True
    resumable = False
    closes: ClassVar[Mapping[Ending, tuple[int, str]]] = {
        Ending.AUTH_TIMEOUT: (1008, "Authentication timeout"),
    }

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Read one message. What is none of this dialect's was meant for the upstream: `NOT_CONNECTED`."""
        message = _object(payload, binary)
        identifier = intake.identifier(message)
        try:
            return _command(message, identifier)
        except Fault as fault:
            fault.command_id = identifier
            raise

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:  # noqa: ARG002 - the port's
        """The answer to a command."""
        found = _REPLIES.get(type(reply))
        if found is None:
            return None
        kind, build = found
        return _message(kind, build(reply), command.id)

    def fault(self, fault: Fault, now: int) -> bytes:  # noqa: ARG002 - the port's
        """The error that answers a refused command or event; the latter's type is its `event`."""
        kind = fault.kind
        body = _error(*_WORDS.get(kind, (kind.code, kind.text)))
        if fault.retry_after is not None:
            body["retryAfterMs"] = fault.retry_after
        if kind is FaultKind.EVENT_REFUSED and fault.about is not None:
            body["event"] = fault.about
        if fault.details is not None:
            body["details"] = fault.details
        return _message("error", body, fault.command_id)

    def push(self, push: Push, now: int) -> bytes | None:  # noqa: ARG002 - the port's
        """Words nobody asked for. What is no word of this dialect is not said."""
        if isinstance(push, say.Parting):
            words = _PARTINGS.get(push.ending)
            if words is None:
                return None
            retry = {} if push.retry is None else {"retryMs": push.retry}
            return _message("error", _error(*words) | retry)
        if isinstance(push, say.Expiring):
            return _message("token_expiring", {"expiresAt": _milliseconds(push.expires_at)})
        if isinstance(push, say.ShuttingDown):
            return _message("shutdown", {"retryMs": push.retry})
        return None


def aside(payload: bytes) -> Command | None:
    """The command in a message that is the gateway's own though the upstream is connected.

    Those are `{"type": "ping"}` and `{"type": "authenticate", "token": "…"}` or `refresh`, each with an
    `id` or without, and with no other key. None: it is the upstream's.

    Raises:
        Fault: `EVENT_REFUSED`, something else with a token for the gateway in it.
    """
    if len(payload) > _MAX_OWN or not _OWN.search(payload):
        return None
    try:
        message = intake.parse(payload)
    except Fault as fault:
        if b'"token"' in payload and any(f'"{each}"'.encode() in payload for each in _TOKENS):
            refused = Fault(FaultKind.EVENT_REFUSED, detail="a token of the gateway")
            refused.details = fault.details
            raise refused from None
        return None
    kind = message.get("type") if isinstance(message, dict) else None
    if kind == "ping":
        return _own(message)
    if kind not in _TOKENS or "token" not in message:
        return None
    command = _own(message)
    if command is None:
        raise Fault(FaultKind.EVENT_REFUSED, about=kind, detail="a token of the gateway")
    return command


def _own(message: dict[str, Any]) -> Command | None:
    """The command in a message of exactly this shape; None in any other."""
    identifier = intake.identifier(message)
    try:
        return _command(message, identifier)
    except Fault as fault:
        if fault.kind is FaultKind.NOT_CONNECTED:
            return None
        fault.command_id = identifier
        raise


def _object(payload: bytes, binary: bool) -> dict[str, Any]:
    refused = Fault(FaultKind.NOT_CONNECTED)
    message = None
    try:
        message = None if binary else intake.parse(payload)
    except Fault as fault:
        refused.details = fault.details
    if not isinstance(message, dict):
        raise refused
    return message


def _command(message: dict[str, Any], identifier: str | int | None) -> Command:
    kind = message.get("type")
    keys = _KEYS.get(kind) if isinstance(kind, str) else None
    if keys is None or not keys.issuperset(message) or ("id" in message and identifier is None):
        raise Fault(FaultKind.NOT_CONNECTED)
    if kind == "connect_realtime":
        return _connect(message, identifier)
    if kind == "ping":
        return ask.Ping(id=identifier, charged=False)
    token = message.get("token")
    if not isinstance(token, str) or not token:
        raise Fault(FaultKind.AUTHENTICATION_FAILED)
    return (ask.Authenticate if kind == "authenticate" else ask.Refresh)(id=identifier, token=token)


def _connect(message: dict[str, Any], identifier: str | int | None) -> Command:
    model = message.get("model")
    if "model" in message and not isinstance(model, str):
        raise Fault(FaultKind.MODEL_REFUSED)
    return ask.ConnectUpstream(id=identifier, model=model)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _error(code: str, text: str) -> dict[str, Any]:
    return {"code": code, "message": text}


def _message(kind: str, body: dict[str, Any], identifier: str | int | None = None) -> bytes:
    message = {"type": kind, **body}
    if identifier is not None:
        message["id"] = identifier
    return _encode(message)


_REPLIES: Final[dict[type[Reply], tuple[str, Callable[[Any], dict[str, Any]]]]] = {
    say.Authenticated: ("auth_success", lambda reply: {"userId": reply.identity.subject}),
    say.UpstreamConnected: (
        "realtime_connected",
        lambda reply: {} if reply.model is None else {"model": reply.model},
    ),
    say.Pong: ("pong", lambda _: {}),
    say.Refreshed: (
        "refresh_success",
        lambda reply: {"expiresAt": _milliseconds(reply.expires_at)},
    ),
}
