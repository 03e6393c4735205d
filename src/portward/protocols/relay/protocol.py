"""The relay protocol: the messages before the upstream is connected, and the gateway's own ones later.

Flat JSON objects with a `type`; a client may add an `id`, which is sent back with the answer. Once the
upstream is connected its own events go both ways. A client may still send the gateway a newer token
(`authenticate`, `refresh`) or a `ping`, see :func:`aside`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec

import portward.protocols.relay.messages as wire
from portward.model import commands as ask
from portward.model import replies as say
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import KIB
from portward.model.replies import Push, Reply
from portward.model.request import RequestHead
from portward.node.sessions import ClientProtocol
from portward.protocols.message import json_details, milliseconds, optional
from portward.protocols.relay.request import RequestedRelay, read_request
from portward.security import strict_json
from portward.security.credentials import GivenCredential
from portward.settings.resolve import Endpoint

_KEYS: Final = {
    tag: frozenset({"type", *kind.__struct_encode_fields__})
    for tag, kind in (
        ("authenticate", wire.RelayAuthenticate),
        ("refresh", wire.RelayRefresh),
        ("connect_realtime", wire.RelayConnect),
        ("ping", wire.RelayPing),
    )
}
"""Keys that each message may have; one with any other key is not of this protocol."""

_TOKENS: Final = ("authenticate", "refresh")
_OWN: Final = re.compile(rb'"(?:authenticate|refresh|ping)"|\\u')
"""Found in every message that may be the gateway's own: a type, or an escape that may be part of one."""
_MAX_OWN: Final = 64 * KIB

_encode = msgspec.json.Encoder().encode


class ConnectUpstream(Command, frozen=True):
    """Connect to the upstream; without a model, to the default one."""

    model: str | None = None


class Relayed(Command, frozen=True):
    """Pass a message on to the upstream."""

    charged = False

    payload: bytes
    binary: bool


class UpstreamConnected(Reply, frozen=True):
    """The session is connected to the upstream. Without a model, the upstream itself has chosen one."""

    model: str | None


class RelayProtocol(ClientProtocol):
    """Decodes messages until the upstream is connected, and encodes those of the gateway."""

    name = "relay"
    binary = True
    stateful = True
    closes: ClassVar[Mapping[Disconnect, tuple[int, str]]] = {
        Disconnect.AUTH_TIMEOUT: (1008, "Authentication timeout")
    }

    def read_request(
        self, head: RequestHead, credential: GivenCredential | None, rules: Endpoint
    ) -> RequestedRelay:
        """Return the model and the parameters of a handshake.

        Raises:
            HandshakeRejected: they cannot be passed on.
        """
        return read_request(head, credential, rules)

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Decode one message. A message of another form was meant for the upstream: `NOT_CONNECTED`."""
        message = _object(payload, binary)
        identifier = strict_json.identifier(message)
        try:
            return _command(message, identifier)
        except CommandError as fault:
            fault.command_id = identifier
            raise

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:  # noqa: ARG002 - the port's
        """Encode the answer to a command."""
        build = _REPLIES.get(type(reply))
        return None if build is None else _encode(build(reply, optional(command.id)))

    def reply_error(self, fault: CommandError, now: int) -> bytes:  # noqa: ARG002 - the port's
        """Encode the error of a refused command or event; the latter has the event's type as `event`."""
        kind = fault.kind
        code, text = wire.FAULTS.get(kind, (kind.code, kind.text))
        refused = wire.RelayError(
            code=code,
            message=text,
            retry_after_ms=optional(fault.retry_after),
            event=optional(fault.about if kind is ErrorKind.EVENT_REFUSED else None),
            details=json_details(fault.details),
            id=optional(fault.command_id),
        )
        return _encode(refused)

    def push(self, push: Push, now: int) -> bytes | None:  # noqa: ARG002 - the port's
        """Encode a push; None when this protocol has no message for it."""
        if isinstance(push, say.Parting):
            return _parting(push)
        if isinstance(push, say.Expiring):
            return _encode(wire.RelayTokenExpiring(expires_at=milliseconds(push.expires_at)))
        if isinstance(push, say.ShuttingDown):
            return _encode(wire.RelayShutdown(retry_ms=push.retry))
        return None


def _parting(push: say.Parting) -> bytes | None:
    error = wire.PARTINGS.get(push.ending)
    if error is None:
        if push.retry is None or push.told:
            return None
        return _encode(wire.RelayClosing(reason=push.ending.name.lower(), retry_ms=push.retry))
    code, text = error
    return _encode(wire.RelayError(code=code, message=text, retry_ms=optional(push.retry)))


def aside(payload: bytes) -> Command | None:
    """Decode a message that is for the gateway although the upstream is connected.

    Those are `{"type": "ping"}` and `{"type": "authenticate", "token": "…"}` or `refresh`, each with an
    `id` or without, and with no other key. None: the message is for the upstream.

    Raises:
        CommandError: `EVENT_REFUSED`, a message of another form that has a token of the gateway.
    """
    if len(payload) > _MAX_OWN or not _OWN.search(payload):
        return None
    try:
        message = strict_json.parse(payload)
    except CommandError as fault:
        if b'"token"' in payload and any(f'"{each}"'.encode() in payload for each in _TOKENS):
            refused = CommandError(ErrorKind.EVENT_REFUSED, detail="a token of the gateway")
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
        raise CommandError(ErrorKind.EVENT_REFUSED, about=kind, detail="a token of the gateway")
    return command


def _own(message: dict[str, Any]) -> Command | None:
    """The command of a message of exactly this form; None for any other."""
    identifier = strict_json.identifier(message)
    try:
        return _command(message, identifier)
    except CommandError as fault:
        if fault.kind is ErrorKind.NOT_CONNECTED:
            return None
        fault.command_id = identifier
        raise


def _object(payload: bytes, binary: bool) -> dict[str, Any]:
    refused = CommandError(ErrorKind.NOT_CONNECTED)
    message = None
    try:
        message = None if binary else strict_json.parse(payload)
    except CommandError as fault:
        refused.details = fault.details
    if not isinstance(message, dict):
        raise refused
    return message


def _command(message: dict[str, Any], identifier: str | int | None) -> Command:
    kind = message.get("type")
    keys = _KEYS.get(kind) if isinstance(kind, str) else None
    if keys is None or not keys.issuperset(message) or ("id" in message and identifier is None):
        raise CommandError(ErrorKind.NOT_CONNECTED)
    if kind == "connect_realtime":
        return _connect(message, identifier)
    if kind == "ping":
        return ask.Ping(id=identifier, charged=False)
    token = message.get("token")
    if not isinstance(token, str) or not token:
        raise CommandError(ErrorKind.AUTHENTICATION_FAILED)
    return (ask.Authenticate if kind == "authenticate" else ask.Refresh)(id=identifier, token=token)


def _connect(message: dict[str, Any], identifier: str | int | None) -> Command:
    model = message.get("model")
    if "model" in message and not isinstance(model, str):
        raise CommandError(ErrorKind.MODEL_REFUSED)
    return ConnectUpstream(id=identifier, model=model)


_REPLIES: Final[dict[type[Reply], Callable[[Any, Any], wire.RelayMessage]]] = {
    say.Authenticated: lambda reply, identifier: wire.RelayAuthSuccess(
        user_id=reply.identity.subject, id=identifier
    ),
    UpstreamConnected: lambda reply, identifier: wire.RelayConnected(
        model=optional(reply.model), id=identifier
    ),
    say.Pong: lambda _, identifier: wire.RelayPong(id=identifier),
    say.Refreshed: lambda reply, identifier: wire.RelayRefreshSuccess(
        expires_at=milliseconds(reply.expires_at), id=identifier
    ),
}
