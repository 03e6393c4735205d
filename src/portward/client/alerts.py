"""The alerts client: alerts of calls, each once, and every gap."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

import portward.client.decode as decode
from portward.client.codec import AlertsCodec, Incoming
from portward.client.endpoint import EndpointClient, EndpointOptions
from portward.client.errors import (
    ClientError,
    ConnectionLost,
    GapError,
    NoAnswer,
    RequestRefused,
)
from portward.client.events import CallAlert, Denied, Gap
from portward.client.listeners import Feed
from portward.client.positions import Deliver, PositionTracker
from portward.client.requests import RequestConnection
from portward.client.room_values import converted
from portward.model.position import Position

ALL: Final = "*"
"""Stands for all calls."""
_KNOWN_IDS: Final = 2048


class AlertsClient(EndpointClient, Feed[CallAlert]):
    """Alerts of one gateway: `async for alert in alerts`, and callbacks by `on`.

    Events: `alert` (CallAlert), `gap` (Gap, whose channel is the call), `denied` (Denied), and those of
    every endpoint.
    """

    EVENTS = EndpointClient.EVENTS | {"alert", "gap", "denied"}
    MAIN = "alert"

    def __init__(self, options: EndpointOptions) -> None:
        super().__init__(options, AlertsCodec())
        self._calls: dict[str, PositionTracker[CallAlert]] = {}
        self._established: set[str] = set()
        """Calls that the gateway has confirmed: a missed alert of them is a gap."""
        self._current: set[str] = set()
        """Of these, those of the current connection."""
        self._unplaced: set[str] = set()
        """Of these, on a new connection, those whose position is not known."""
        self._ids: OrderedDict[str, None] = OrderedDict()

    # -- for applications

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls that were subscribed to."""
        return tuple(self._calls)

    async def subscribe(self, call_ids: Iterable[str]) -> tuple[str, ...]:
        """Subscribe to calls, `*` for all of them; returns what this client is subscribed to.

        Calls that are denied are left out, and an event. After a reconnect all are subscribed again.

        Raises:
            RequestRefused: too many at the moment.
            ClientError: the client has stopped, or is closed.
        """
        ids = list(call_ids)
        self.resume()
        self._reconnecting.start()
        fresh = [call for call in ids if call not in self._calls]
        for call in fresh:
            self._calls[call] = PositionTracker()
        try:
            await self._subscribe(ids)
        except RequestRefused:
            self._forget(fresh)
            raise
        return self.calls

    async def unsubscribe(self, call_ids: Iterable[str] | None = None) -> tuple[str, ...]:
        """Unsubscribe from calls, or from all; returns those that remain."""
        ids = list(self._calls if call_ids is None else call_ids)
        self._forget(ids)
        connection = self._reconnecting.connection
        if connection is not None and ids:
            with suppress(ConnectionLost):  # the next connection subscribes to what remains
                await connection.request("unsubscribe", {"callIds": ids})
        return self.calls

    async def history(
        self, call_id: str | None = None, limit: int | None = None
    ) -> tuple[CallAlert, ...]:
        """The newest alerts of a call, or of all subscribed ones, oldest first.

        Raises:
            RequestRefused: too many requests.
            ConnectionLost: there was no answer.
        """
        data = {"callId": call_id, "limit": limit}
        given = {name: value for name, value in data.items() if value is not None}
        page = converted(await self._request("getHistory", given), decode.AlertPage)
        return tuple(each.event() for each in page.alerts)

    async def close(self) -> None:
        """Close; the iteration ends."""
        await super().close()
        self.finish()

    # -- for the connection

    async def prepare(self) -> Mapping[str, str]:
        """The token goes into the handshake."""
        token = await self._tokens.get(self._reason)
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    async def open(self, connection: RequestConnection) -> None:
        """Subscribe again, each call from its position."""
        self._accepted()
        if not self._calls:
            return
        since = {
            call: tracker.position
            for call, tracker in self._calls.items()
            if tracker.position is not None
        }
        self._unplaced = self._established - set(since)
        asked: dict[str, Any] = {"callIds": list(self._calls)}
        await connection.request("subscribe", asked | ({"since": since} if since else {}))
        await self._locate(connection)

    def receive(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        """Take a message."""
        self._common(connection, incoming)
        self.observe(incoming, answer)
        if incoming.kind == "alert":
            self._alert(msgspec.convert(incoming.data, decode.AlertMessage).event())
        elif incoming.kind == "subscribed":
            self._subscribed(msgspec.convert(incoming.data, decode.SubscribedAnswer))
        elif incoming.kind == "expiring":
            self._refresher.due(connection)
        elif incoming.kind == "error" and not answer:
            call = incoming.data.get("callId")
            if isinstance(call, str):
                self._deny([call])

    def lost(self) -> None:
        """The connection is lost."""
        super().lost()
        self._current.clear()

    def stopped(self, error: ClientError) -> None:
        """Nothing is subscribed any more."""
        self._forget(list(self._calls))
        self.finish(error)

    @property
    def blocked(self) -> bool:
        """Whether an iteration falls behind."""
        return self.crowded

    # -- subscribing

    async def _subscribe(self, ids: list[str]) -> None:
        while True:
            connection = await self._reconnecting.ready()
            # The connection may have been made for them, and has subscribed to them then.
            missing = [call for call in ids if call in self._calls and call not in self._current]
            if not missing:
                return
            try:
                await connection.request("subscribe", {"callIds": missing})
                await self._locate(connection)
            except NoAnswer:
                connection.drop("no answer")
            except ConnectionLost:
                continue  # the next connection subscribes to all of them
            else:
                return

    async def _locate(self, connection: RequestConnection) -> None:
        """Get the positions of calls that have had no alert yet, so that their gaps are found, too."""
        if all(tracker.position is not None for tracker in self._calls.values()):
            return
        try:
            answer = await connection.request("getHistory", {"limit": 0})
        except RequestRefused:
            return  # without a position a reconnect reports a possible gap
        for call, position in converted(answer, decode.AlertPage).positions.items():
            tracker = self._calls.get(call)
            if tracker is not None and tracker.position is None:
                tracker.entered(position, None)

    def _subscribed(self, said: decode.SubscribedAnswer) -> None:
        for call in said.call_ids:
            tracker = self._calls.get(call)
            if tracker is None:
                continue
            if said.recovered.get(call) is False or call in self._unplaced:
                self._lose(call, tracker)
            self._established.add(call)
            self._current.add(call)
            self._unplaced.discard(call)
        if said.denied:
            self._deny(said.denied)

    def _lose(self, call: str, tracker: PositionTracker[CallAlert]) -> None:
        gap = Gap(channel=call, start=tracker.position, end=None)
        tracker.forget()
        if not self.listened("gap"):
            self.interrupt(GapError(call))
        self.emit("gap", gap)

    def _deny(self, calls: Iterable[str]) -> None:
        denied = tuple(calls)
        self._forget(denied)
        self.emit("denied", Denied(calls=denied))

    def _forget(self, calls: Iterable[str]) -> None:
        for call in calls:
            self._calls.pop(call, None)
            self._established.discard(call)
            self._current.discard(call)

    # -- alerts

    def _alert(self, alert: CallAlert) -> None:
        tracker = self._calls.get(ALL) or self._calls.get(alert.call)
        if tracker is None or alert.id in self._ids:
            return
        if not alert.late:
            place = alert.position
            if tracker.position is None or tracker.position.epoch != place.epoch:
                tracker.position = Position(place.offset - 1, place.epoch)
            if not any(isinstance(each, Deliver) for each in tracker.received(place.offset, alert)):
                return
        self._ids[alert.id] = None
        if len(self._ids) > _KNOWN_IDS:
            self._ids.popitem(last=False)
        self.deliver(alert)
