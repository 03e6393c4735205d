"""The live endpoint for an application: topics, each with the latest of every key."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from portward.client import decode
from portward.client.backoff import Backoff
from portward.client.channel import ChannelFeed, GetState
from portward.client.clock import sleep
from portward.client.codec import FlatCodec, Incoming
from portward.client.endpoint import EndpointClient, EndpointOptions
from portward.client.errors import ClientError, ConnectionLost, NoAnswer, RequestRefused
from portward.client.events import TopicData
from portward.client.listeners import EventReader
from portward.client.requests import RequestConnection, refusal
from portward.model.clock import Clock

TopicState = Literal["out", "subscribing", "in"]
_MOST_KEYS: Final = 1000


class Topic(ChannelFeed[TopicData]):
    """A topic: `async for data in topic` subscribes to it; `close` ends that.

    Events: `data` (TopicData), `snapshot` (a tuple of TopicData, at every subscription), `gap` (Gap),
    `forbidden` (the error), `error` (what get_state raised).
    """

    EVENTS = frozenset({"data", "snapshot", "gap", "forbidden", "error"})
    MAIN = "data"

    def __init__(
        self,
        name: str,
        live: "LiveClient",
        clock: Clock,
        backoff: Backoff,
        get_state: GetState | None,
    ) -> None:
        super().__init__(name, clock, backoff, get_state)
        self.name = name
        self.state: TopicState = "out"
        self._live = live
        self._latest: dict[str, TopicData] = {}

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, {self.state})"

    @property
    def expecting(self) -> bool:
        """Whether anything may come."""
        return self.state != "out"

    @property
    def snapshot(self) -> tuple[TopicData, ...]:
        """The latest of every key, the one longest unchanged first."""
        return tuple(self._latest.values())

    def __aiter__(self) -> EventReader[TopicData]:
        if not self.ended:
            self.subscribe()
        return super().__aiter__()

    def subscribe(self) -> None:
        """Subscribe, now and after every reconnect; needs a running loop."""
        if self.state == "out":
            self.resume()
            self.state = "subscribing"
            self._live.want(self)

    async def close(self) -> None:
        """Unsubscribe; the iteration ends."""
        if self.state != "out":
            self.out(None)
            await self._live.unwant(self)

    # -- for the client

    def subscribed(self, said: decode.TopicSubscribed) -> None:
        """The gateway says that this connection is subscribed."""
        self.state = "in"
        self._latest = {each.key: each.event(self.name) for each in said.snapshot if each.key}
        # What was published meanwhile is not recovered here: only an unmoved position is no gap.
        self.entered(said.position, None)
        self.emit("snapshot", self.snapshot)

    def data(self, said: decode.TopicMessage) -> None:
        """A publication came."""
        event = said.event(self.name)
        if said.key is not None:
            self._latest.pop(said.key, None)
            self._latest[said.key] = event
            if len(self._latest) > _MOST_KEYS:
                del self._latest[next(iter(self._latest))]
        self.received(said.offset, event)

    def interrupted(self) -> None:
        """The connection is gone; the topic is subscribed to again on the next."""
        if self.state == "in":
            self.state = "subscribing"

    def out(self, error: ClientError | None) -> None:
        """Nothing more comes; with an error when that was not asked for."""
        self.state = "out"
        self.forget()
        self.finish(error)
        if isinstance(error, RequestRefused):
            self.emit("forbidden", error)


class LiveClient(EndpointClient):
    """Topics of one gateway. Events: those of every endpoint."""

    def __init__(self, options: EndpointOptions, origin: str) -> None:
        super().__init__(options, FlatCodec())
        self._origin = origin
        self._topics: dict[str, Topic] = {}
        self._wanted: dict[str, Topic] = {}

    # -- for applications

    def topic(self, name: str, *, get_state: GetState | None = None) -> Topic:
        """The topic of this name; the same object each time. `get_state` counts the first time."""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(name, self, self._clock, self._backoff, get_state)
        return topic

    async def close(self) -> None:
        """Close; every iteration ends."""
        await super().close()
        self._wanted.clear()
        for topic in self._topics.values():
            topic.out(None)
            await topic.settle()

    # -- for topics

    def want(self, topic: Topic) -> None:
        """Subscribe to a topic, now and after every reconnect."""
        self._reconnecting.start()
        self._wanted[topic.name] = topic
        connection = self._reconnecting.connection
        if connection is not None:
            self._background(self._subscribe(connection, topic))

    async def unwant(self, topic: Topic) -> None:
        """Unsubscribe from a topic."""
        self._wanted.pop(topic.name, None)
        connection = self._reconnecting.connection
        if connection is not None:
            try:
                await connection.request("unsubscribe", {"topic": topic.name})
            except (ConnectionLost, RequestRefused):
                return  # not being subscribed is what was wanted

    # -- for the connection

    async def prepare(self) -> Mapping[str, str]:
        """The cookie goes into the handshake, with an origin: without one it does not count."""
        cookie = await self._tokens.get(self._reason)
        return {"Origin": self._origin} | ({} if cookie is None else {"Cookie": cookie})

    async def open(self, connection: RequestConnection) -> None:
        """Subscribe to every topic again; the answers may come later."""
        self._accepted()
        for topic in self._wanted.values():
            self._background(self._subscribe(connection, topic))

    def receive(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        """Take a message."""
        self._common(connection, incoming)
        self.observe(incoming, answer)
        topic = self._wanted.get(str(incoming.data.get("topic")))
        if topic is None:
            return
        if incoming.kind == "data":
            topic.data(msgspec.convert(incoming.data, decode.TopicMessage))
        elif incoming.kind == "subscribed":
            topic.subscribed(msgspec.convert(incoming.data, decode.TopicSubscribed))
        elif incoming.kind == "error" and not answer:
            self._forbid(topic, refusal(incoming.data))

    def lost(self) -> None:
        """The connection is gone."""
        super().lost()
        for topic in self._wanted.values():
            topic.interrupted()

    def stopped(self, error: ClientError) -> None:
        """Nothing is subscribed any more."""
        wanted, self._wanted = self._wanted, {}
        for topic in wanted.values():
            topic.out(error)

    @property
    def blocked(self) -> bool:
        """Whether an iteration falls behind."""
        return any(topic.crowded for topic in self._wanted.values())

    async def _subscribe(self, connection: RequestConnection, topic: Topic) -> None:
        attempt = 0
        while connection.closed is None and self._wanted.get(topic.name) is topic:
            try:
                await connection.request("subscribe", {"topic": topic.name})
            except NoAnswer as error:
                connection.drop(str(error))
            except ConnectionLost:
                return  # the next connection subscribes to every topic
            except RequestRefused as refused:
                if not refused.temporary:
                    self._forbid(topic, refused)
                    return
                named = refused.retry_after
                wait = self._backoff.delay(attempt) if named is None else self._backoff.after(named)
                attempt += 1
                await sleep(self._clock, wait)
            else:
                return

    def _forbid(self, topic: Topic, error: RequestRefused) -> None:
        self._wanted.pop(topic.name, None)
        topic.out(error)
