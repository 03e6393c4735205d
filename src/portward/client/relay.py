"""The relay endpoint for an application: one conversation with the upstream at a time."""

import json
from collections.abc import Mapping
from typing import Any, Final

from portward.client.codec import FlatCodec, Incoming
from portward.client.endpoint import EndpointClient, EndpointOptions
from portward.client.errors import (
    AuthenticationRefused,
    ConnectionLost,
    ConversationEnded,
    RequestRefused,
)
from portward.client.listeners import Feed
from portward.client.options import StateChange
from portward.client.requests import RequestConnection

RelayMessage = dict[str, Any] | str | bytes
"""An event of the upstream; a text that is no event; a binary message."""

_ANSWERS: Final = frozenset({"pong", "auth_success", "refresh_success", "realtime_connected"})
_NOTICES: Final = frozenset({"token_expiring", "shutdown", "closing"})
_UPSTREAM_LIMIT: Final = 20.0
"""Seconds in which the gateway connects the upstream and answers."""


class RelayCodec(FlatCodec):
    """As `FlatCodec`; everything that is no message of the gateway is passed on unchanged."""

    def decode(self, payload: str | bytes) -> Incoming:
        """Read a message; an id counts only in answers of the gateway."""
        try:
            incoming = super().decode(payload)
        except ValueError:
            return Incoming("", {}, None, payload)
        answers = incoming.kind in _ANSWERS or _is_own_error(incoming)
        return incoming if answers else incoming._replace(id=None)


class RelayClient(EndpointClient, Feed[RelayMessage]):
    """Conversations with the upstream: `async for message in relay`, and callbacks by `on`.

    A conversation ends with its connection: the iteration then raises ConversationEnded, and `connect`
    begins another one. Nothing is sent twice.

    Events: `event` (a dictionary, or text that is no JSON object), `binary` (bytes), `ended`
    (ConversationEnded), and those of every endpoint.
    """

    EVENTS = EndpointClient.EVENTS | {"event", "binary", "ended"}
    MAIN = "event"

    def __init__(self, options: EndpointOptions, model: str | None = None) -> None:
        super().__init__(options, RelayCodec())
        self.resumes = False
        self.model = model
        """The model asked for; once connected, the one of the conversation."""
        self._wanted_model = model
        self._talking = False

    # -- for applications

    async def connect(self, model: str | None = None) -> None:
        """Begin a conversation, unless one is under way; waits until the upstream is connected.

        Raises:
            ClientError: an error that does not pass, such as a token or a model that is refused.
        """
        if model is not None:
            self._wanted_model = model
        self.resume()
        await super().connect()

    async def send(self, message: Mapping[str, Any] | str | bytes) -> None:
        """Send an event, a text as it is, or a binary message.

        Raises:
            ConnectionLost: there is no conversation, or it broke meanwhile.
        """
        connection = self._reconnecting.connection
        if connection is None:
            raise ConnectionLost("there is no conversation; connect first")
        if isinstance(message, str | bytes):
            await connection.send(message)
        else:
            await connection.send(json.dumps(message, ensure_ascii=False))

    async def close(self) -> None:
        """Close; the iteration ends."""
        await super().close()
        self.finish()

    def deliver(self, item: RelayMessage) -> None:
        """Give a message to the callbacks and the iterations."""
        if isinstance(item, bytes):
            self.emit("binary", item)
        super().deliver(item)

    def emit(self, event: str, value: Any) -> None:
        """Binary messages have an event of their own."""
        if not (event == "event" and isinstance(value, bytes)):
            super().emit(event, value)

    # -- for the connection

    async def prepare(self) -> Mapping[str, str]:
        """Get a token before the gateway begins to wait for it."""
        self._token = await self._tokens.get(self._reason)
        return {}

    async def open(self, connection: RequestConnection) -> None:
        """Authenticate, and ask for the upstream."""
        if self._token is not None:
            await self._authenticate(connection, self._token)
        self._accepted()
        asked = {} if self._wanted_model is None else {"model": self._wanted_model}
        await connection.request("connect_realtime", asked, _UPSTREAM_LIMIT)

    async def _authenticate(self, connection: RequestConnection, token: str) -> None:
        try:
            await connection.request("authenticate", {"token": token})
        except RequestRefused as refused:
            if refused.temporary:
                raise
            if self._reason == "rejected" or not self._tokens.renews:
                raise AuthenticationRefused(refused.code, refused.text) from None
            self._reason = "rejected"
            newer = await self._tokens.get(self._reason)
            await self._authenticate(connection, newer or "")

    def receive(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        """Take a message."""
        self.observe(incoming, answer)
        if incoming.kind == "token_expiring":
            self._refresher.due(connection)
        if incoming.kind in _NOTICES or _is_own_error(incoming):
            self._common(connection, incoming)
        if incoming.kind == "realtime_connected" and answer:
            self.model = incoming.data.get("model")
            self._talking = True
        elif self._talking and not answer and incoming.kind not in _ANSWERS | _NOTICES:
            self.deliver(incoming.data or incoming.payload)

    @property
    def blocked(self) -> bool:
        """Whether an iteration falls behind."""
        return self.crowded

    def _state_changed(self, change: StateChange) -> None:
        if change.state in ("idle", "stopped") and change.error is not None:
            ended = ConversationEnded(change.error)
            talked, self._talking = self._talking, False
            self.finish(ended if talked else change.error)
            if talked:
                self.emit("ended", ended)
        super()._state_changed(change)


def _is_own_error(incoming: Incoming) -> bool:
    return incoming.kind == "error" and isinstance(incoming.data.get("code"), str)
