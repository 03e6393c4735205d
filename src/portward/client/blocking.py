"""Rooms, alerts, topics and conversations for programs without an event loop."""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from portward.client.alerts import AlertsClient
from portward.client.background import ClientTasks, unblocked
from portward.client.events import CallAlert, Message, TopicData
from portward.client.listeners import Callback, Feed
from portward.client.live import LiveClient, Topic
from portward.client.outgoing import SendResult
from portward.client.relay import RelayClient, RelayMessage
from portward.client.room import Room

P = ParamSpec("P")
T = TypeVar("T")


def _waiting(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["BlockingFeed[Any]", P], T]:
    """Make a method that waits for the result of one of the asynchronous object."""

    @wraps(method)
    def call(self: "BlockingFeed[Any]", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._background.call(lambda: method(self._feed, *args, **kwargs))

    return call


class BlockingFeed(Generic[T]):
    """Something that is iterated by a thread."""

    def __init__(self, background: ClientTasks, feed: Feed[T]) -> None:
        self._background = background
        self._feed = feed

    def on(self, event: str, callback: Callback) -> Callable[[], None]:
        """Call `callback` with every event of this name, in the background thread."""
        return self._feed.on(event, callback)

    def next(self, timeout: float | None = None) -> T:
        """The next item.

        Raises:
            TimeoutError: there was none in `timeout` seconds.
            StopIteration: there will be none.
            ClientError: there will be none, for this reason.
        """
        try:
            return self._background.call(self._next, timeout)
        except StopAsyncIteration:
            raise StopIteration from None

    async def _next(self) -> T:
        return await anext(self._feed.__aiter__())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return self.next()


class BlockingRoom(BlockingFeed[Message]):
    """A room; see `portward.client.Room`."""

    def __init__(self, background: ClientTasks, room: Room) -> None:
        super().__init__(background, room)
        self._room = room

    def __repr__(self) -> str:
        return repr(self._room)

    @property
    def id(self) -> str:
        """The id of the room."""
        return self._room.id

    @property
    def users(self) -> tuple[str, ...]:
        """The users in the room, in the order in which they joined."""
        return self._room.presence.users

    def join(self, timeout: float | None = None) -> None:
        """Join."""
        self._background.call(self._room.join, timeout)

    def send(self, content: str, timeout: float | None = None) -> SendResult:
        """Send a message; wait for its outcome."""
        return self._background.call(partial(self._room.send, content), timeout)

    leave = _waiting(Room.leave)
    typing = _waiting(Room.typing)
    history = _waiting(Room.history)
    participants = _waiting(Room.participants)
    kick = _waiting(Room.kick)
    set_permissions = _waiting(Room.set_permissions)


class BlockingAlerts(BlockingFeed[CallAlert]):
    """The alerts endpoint; see `portward.client.AlertsClient`."""

    def __init__(self, background: ClientTasks, alerts: AlertsClient) -> None:
        super().__init__(background, alerts)
        self._alerts = alerts

    def subscribe(self, call_ids: Iterable[str], timeout: float | None = None) -> tuple[str, ...]:
        """Subscribe to calls."""
        return self._background.call(partial(self._alerts.subscribe, call_ids), timeout)

    unsubscribe = _waiting(AlertsClient.unsubscribe)
    history = _waiting(AlertsClient.history)


class BlockingTopic(BlockingFeed[TopicData]):
    """A topic; see `portward.client.Topic`."""

    def __init__(self, background: ClientTasks, topic: Topic) -> None:
        super().__init__(background, topic)
        self._topic = topic

    @property
    def snapshot(self) -> tuple[TopicData, ...]:
        """The latest of every key."""
        return self._topic.snapshot

    def subscribe(self) -> None:
        """Subscribe; publications wait for the iteration."""

        async def subscribe() -> None:
            self._topic.subscribe()

        self._background.call(subscribe)

    close = _waiting(Topic.close)


class BlockingLive:
    """The live endpoint; see `portward.client.LiveClient`."""

    def __init__(self, background: ClientTasks, live: LiveClient) -> None:
        self._background = background
        self._live = live

    def topic(self, name: str, *, get_state: Callable[..., Any] | None = None) -> BlockingTopic:
        """A topic."""
        topic = self._live.topic(name, get_state=unblocked(get_state))
        return BlockingTopic(self._background, topic)


class BlockingRelay(BlockingFeed[RelayMessage]):
    """The relay endpoint; see `portward.client.RelayClient`."""

    def __init__(self, background: ClientTasks, relay: RelayClient) -> None:
        super().__init__(background, relay)
        self._relay = relay

    def connect(self, model: str | None = None, timeout: float | None = None) -> None:
        """Begin a conversation."""
        self._background.call(partial(self._relay.connect, model), timeout)

    send = _waiting(RelayClient.send)
