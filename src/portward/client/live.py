"""The live client: topics, each with the latest publication of every key."""

from collections.abc import Mapping
from itertools import count
from typing import Any, Final, Literal

import msgspec

import portward.client.decode as decode
from portward.client.backoff import Backoff
from portward.client.channel import ChannelFeed, GetState
from portward.client.channels import ChannelsClient
from portward.client.clock import sleep
from portward.client.codec import FlatCodec, Incoming
from portward.client.endpoint import EndpointOptions
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
    ENTERING = "subscribing"
    state: TopicState

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
        self._live = live
        self._latest: dict[str, TopicData] = {}

    @property
    def snapshot(self) -> tuple[TopicData, ...]:
        """The latest publication of every key, the oldest first."""
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
        """The gateway confirms the subscription of this connection."""
        self.state = "in"
        self._latest = {each.key: each.event(self.name) for each in said.snapshot if each.key}
        # What was published meanwhile is not recovered here: only an unmoved position is no gap.
        self.entered(said.position, None)
        self.emit("snapshot", self.snapshot)

    def data(self, said: decode.TopicMessage) -> None:
        """A publication was received."""
        event = said.event(self.name)
        if said.key is not None:
            self._latest.pop(said.key, None)
            self._latest[said.key] = event
            if len(self._latest) > _MOST_KEYS:
                del self._latest[next(iter(self._latest))]
        self.received(said.offset, event)

    def out(self, error: ClientError | None) -> None:
        """The subscription ends; with an error when that was not requested."""
        self.state = "out"
        self.forget()
        self.finish(error)
        if isinstance(error, RequestRefused):
            self.emit("forbidden", error)


class LiveClient(ChannelsClient[Topic]):
    """Topics of one gateway. Events: those of every endpoint."""

    def __init__(self, options: EndpointOptions, origin: str) -> None:
        super().__init__(options, FlatCodec())
        self._origin = origin

    # -- for applications

    def topic(self, name: str, *, get_state: GetState | None = None) -> Topic:
        """The topic of this name; the same object each time. `get_state` counts the first time."""
        topic = self._channels.get(name)
        if topic is None:
            topic = Topic(name, self, self._clock, self._backoff, get_state)
            self._channels[name] = topic
        return topic

    # -- for the connection

    async def prepare(self) -> Mapping[str, str]:
        """The cookie goes into the handshake, with an origin: without one it does not count."""
        cookie = await self._tokens.get(self._reason)
        return {"Origin": self._origin} | ({} if cookie is None else {"Cookie": cookie})

    async def open(self, connection: RequestConnection) -> None:
        """Subscribe to every topic again; the answers may come later."""
        self._accepted()
        for topic in self._wanted.values():
            self._background(self._enter(connection, topic))

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

    def _leaving(self, channel: Topic) -> tuple[str, dict[str, Any]]:
        return "unsubscribe", {"topic": channel.name}

    async def _enter(self, connection: RequestConnection, channel: Topic) -> None:
        for attempt in count():
            if connection.closed is not None or self._wanted.get(channel.name) is not channel:
                return
            try:
                await connection.request("subscribe", {"topic": channel.name})
            except NoAnswer as error:
                connection.drop(str(error))
            except ConnectionLost:
                return  # the next connection subscribes to every topic
            except RequestRefused as refused:
                if not refused.temporary:
                    self._forbid(channel, refused)
                    return
                await sleep(self._clock, self._backoff.wait(attempt, refused.retry_after))
            else:
                return

    def _forbid(self, topic: Topic, error: RequestRefused) -> None:
        self._wanted.pop(topic.name, None)
        topic.out(error)
