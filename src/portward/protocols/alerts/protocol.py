"""The alerts protocol: supervisors and dashboards that receive the alerts of the calls they name.

A client's message is one JSON object with a `type` and its fields; it may have an `id`, which is sent
back with the answer. Messages to the client are `{"type", "payload"}`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UnsetType

import portward.protocols.alerts.call_ids as call_ids
import portward.protocols.alerts.encode as encode
import portward.protocols.alerts.messages as wire
import portward.protocols.alerts.record as record
from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import HISTORY_LIMIT
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push, Reply
from portward.protocols.alerts.call_ids import CallIds
from portward.protocols.base import JsonProtocol
from portward.security import strict_json

DEFAULT_LIMIT: Final = 50
ASKED: Final = 100
"""Most call ids of one message that are subscribed to; further ones are ignored."""
LEFT: Final = 1000
"""Most call ids of one message that are unsubscribed from."""
_NUMERIC: Final = re.compile(r"\s*\d+(?:\.\d+)?\s*", re.ASCII)


class AlertsProtocol(JsonProtocol):
    """A call `c1` is the channel `<namespace>:c1`."""

    name = "alerts"
    ranked = True
    closes: ClassVar[Mapping[Disconnect, tuple[int, str]]] = {
        Disconnect.SHUTDOWN: (1001, "Server shutting down")
    }

    def __init__(self, namespace: str) -> None:
        self._ids = CallIds(namespace)
        self._readers: dict[str, tuple[type[wire.AlertsRequest], Callable[[Any, Any], Command]]] = {
            "subscribe": (wire.AlertsSubscribe, self._subscribe),
            "unsubscribe": (wire.AlertsUnsubscribe, self._unsubscribe),
            "getHistory": (wire.AlertsReadHistory, self._history),
            "ping": (wire.AlertsPing, self._ping),
            "refresh": (wire.AlertsRefresh, self._refresh),
        }

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:
        """Encode the answer to a command. See `ClientProtocol.reply`."""
        return encode.reply(command, reply, now, self._ids)

    def reply_error(self, fault: CommandError, now: int) -> bytes:
        """Encode a command error. See `ClientProtocol.reply_error`."""
        return encode.reply_error(fault, now)

    def urgency(self, publication: Publication) -> int:
        """Return the rank of the severity of an alert."""
        return record.urgency(publication)

    def push(self, push: Push, now: int) -> bytes | None:  # noqa: ARG002 - the port's
        """Encode a push. See `ClientProtocol.push`."""
        return encode.push(push, self._ids)

    def read(self, message: Any, identifier: str | int | None) -> Command:
        """Return the command of a message. See `JsonProtocol.read`."""
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(kind, str):
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        schema, build = self._readers.get(kind, (None, None))
        if schema is None or build is None:
            raise CommandError(ErrorKind.UNKNOWN_TYPE, about=kind[: strict_json.MAX_ID])
        return build(msgspec.convert(message, schema), identifier)

    def _channels(self, calls: Iterable[Any], most: int) -> dict[str, Channel]:
        """The channels of the first call ids, each once; a value that is no call id is skipped."""
        texts = dict.fromkeys(filter(call_ids.is_text, calls))
        found = ((call, self._ids.encode(call)) for call in islice(texts, most))
        return {call: channel for call, channel in found if channel is not None}

    def _subscribe(self, message: wire.AlertsSubscribe, identifier: str | int | None) -> Command:
        channels = self._channels(message.call_ids, ASKED)
        positions = message.since or {}
        since = {
            channel: Position(positions[call].offset, positions[call].epoch)
            for call, channel in channels.items()
            if call in positions
        }
        return ask.SubscribeMany(id=identifier, channels=tuple(channels.values()), since=since)

    def _unsubscribe(
        self, message: wire.AlertsUnsubscribe, identifier: str | int | None
    ) -> Command:
        calls = message.call_ids
        channels = None
        if not isinstance(calls, UnsetType):
            channels = tuple(self._channels(calls, LEFT).values())
        return ask.UnsubscribeMany(id=identifier, channels=channels)

    def _history(self, message: wire.AlertsReadHistory, identifier: str | int | None) -> Command:
        channel = None
        if message.call_id is not None:
            channel = self._ids.encode(message.call_id)
            if channel is None:
                raise CommandError(ErrorKind.INVALID_STRUCTURE)
        return ask.ReadHistories(id=identifier, channel=channel, limit=_limit(message.limit))

    @staticmethod
    def _ping(_: wire.AlertsRequest, identifier: str | int | None) -> Command:
        return ask.Ping(id=identifier)

    @staticmethod
    def _refresh(message: wire.AlertsRefresh, identifier: str | int | None) -> Command:
        if not message.token:
            raise CommandError(ErrorKind.TOKEN_REQUIRED)
        return ask.Refresh(id=identifier, token=message.token)


def _limit(value: Any) -> int:
    """The limit of a history request: a number, or one in a string; the default for anything else.

    0 asks for the positions only.
    """
    if isinstance(value, str) and _NUMERIC.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or 0 != value < 1:
        return DEFAULT_LIMIT
    return int(min(value, HISTORY_LIMIT))
