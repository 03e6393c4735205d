"""One channel for an application: messages in order, gaps by name, and the state behind them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from portward.client.backoff import Backoff
from portward.client.clock import sleep
from portward.client.errors import ClientError, GapError
from portward.client.events import Gap
from portward.client.listeners import Feed
from portward.client.positions import Action, Deliver, Load, PositionTracker
from portward.model.clock import Clock
from portward.model.position import Position

T = TypeVar("T")
GetState = Callable[[Position], Awaitable[Position | None]]
"""Loads what the application keeps of a channel, as of the position or later.

It may return the position up to which its state goes: messages up to there are then left out.
"""


class ChannelFeed(Feed[T], ABC):
    """Delivers the messages of one channel, each once.

    With `get_state` it is called with the position at every entry and after every gap, and what comes
    meanwhile is held. A call that fails is repeated after a wait. Without it a gap is an event, and an
    error of the iteration when there is no callback for `gap`.
    """

    ENTERING: str
    """The state between the request to enter and the answer."""

    def __init__(
        self, channel: str, clock: Clock, backoff: Backoff, get_state: GetState | None = None
    ) -> None:
        super().__init__()
        self.state = "out"
        self.channel = channel
        self.tracker: PositionTracker[T] = PositionTracker(loads=get_state is not None)
        self._clock = clock
        self._backoff = backoff
        self._get_state = get_state
        self._loading: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channel!r}, {self.state})"

    @property
    def expecting(self) -> bool:
        """Whether messages may come."""
        return self.state != "out"

    @abstractmethod
    def out(self, error: ClientError | None) -> None:
        """The channel is left; with an error when that was not requested."""

    def interrupted(self) -> None:
        """The connection is lost; the channel is entered again on the next."""
        if self.state == "in":
            self.state = self.ENTERING

    @property
    def position(self) -> Position | None:
        """The position up to which everything was received."""
        return self.tracker.position

    def entered(
        self, position: Position, recovered: bool | None, items: Iterable[tuple[int, T]] = ()
    ) -> None:
        """The channel was entered, for the first time or again."""
        self._apply(self.tracker.entered(position, recovered, items))

    def received(self, offset: int, item: T) -> None:
        """A message was received."""
        self._apply(self.tracker.received(offset, item))

    def lose(self, start: Position | None, end: Position | None) -> None:
        """Messages are lost."""
        gap = Gap(channel=self.channel, start=start, end=end)
        if not self.listened("gap"):
            self.interrupt(GapError(self.channel))
        self.emit("gap", gap)

    def forget(self) -> None:
        """Forget the position; nothing is loaded or held any more."""
        self._stop_loading()
        self.tracker.forget()

    def _apply(self, actions: Iterable[Action[T]]) -> None:
        for action in actions:
            if isinstance(action, Deliver):
                self.deliver(action.item)
            elif isinstance(action, Load):
                self._stop_loading()
                self._loading = asyncio.create_task(self._load(action.position))
            else:
                self.lose(action.start, action.end)

    def _stop_loading(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None

    async def settle(self) -> None:
        """Leave no task."""
        task = self._loading
        self._stop_loading()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def _load(self, position: Position) -> None:
        assert self._get_state is not None  # noqa: S101 - there are no loads without it
        attempt = 0
        while True:
            try:
                covered = await self._get_state(position)
            except Exception as error:  # noqa: BLE001 - an application raises what it likes
                self._report(error)
                await sleep(self._clock, self._backoff.delay(attempt))
                attempt += 1
            else:
                break
        self._loading = None
        self._apply(self.tracker.loaded(covered))

    def _report(self, error: Exception) -> None:
        if self.listened("error"):
            self.emit("error", error)
            return
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"get_state of {self.channel!r} failed", "exception": error}
        )
