"""The client for programs without an event loop: the same methods, and each waits for its result.

    with Portward("ws://127.0.0.1:8080", get_token=get_token) as client:
        room = client.room("lobby")
        room.join()
        room.send("hello")
        for message in room:
            ...

One thread in the background has the event loop. Functions given to it, callbacks too, run outside the
calling thread; `get_token` and `get_state` may be plain functions, and may block.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import portward.client.portward as asynchronous
from portward.client.background import ClientTasks, unblocked
from portward.client.blocking import (
    BlockingAlerts,
    BlockingLive,
    BlockingRelay,
    BlockingRoom,
    BlockingTopic,
)
from portward.client.listeners import Callback

__all__ = [
    "BlockingAlerts",
    "BlockingLive",
    "BlockingRelay",
    "BlockingRoom",
    "BlockingTopic",
    "Portward",
]


class Portward:
    """A client of the gateway at `url`; its arguments are those of `portward.client.Portward`."""

    def __init__(
        self, url: str, *, get_token: str | Callable[..., Any] | None = None, **options: Any
    ) -> None:
        given = get_token if isinstance(get_token, str) else unblocked(get_token)
        self._client = asynchronous.Portward(url, get_token=given, **options)
        self._background = ClientTasks()

    def __repr__(self) -> str:
        return repr(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, and end the thread."""
        self._background.close(self._client.close)

    def on(self, event: str, callback: Callback) -> Callable[[], None]:
        """Call `callback` with every event of this name, in the background thread."""
        return self._client.on(event, callback)

    def room(self, room_id: str, *, get_state: Callable[..., Any] | None = None) -> BlockingRoom:
        """A room."""
        room = self._client.room(room_id, get_state=unblocked(get_state))
        return BlockingRoom(self._background, room)

    def alerts(self) -> BlockingAlerts:
        """The alerts endpoint."""
        return BlockingAlerts(self._background, self._client.alerts())

    def live(
        self, *, cookie: str | Callable[..., Any] | None = None, origin: str | None = None
    ) -> BlockingLive:
        """The live endpoint."""
        given = cookie if isinstance(cookie, str) else unblocked(cookie)
        return BlockingLive(self._background, self._client.live(cookie=given, origin=origin))

    def relay(self, *, model: str | None = None) -> BlockingRelay:
        """The relay endpoint."""
        return BlockingRelay(self._background, self._client.relay(model=model))
