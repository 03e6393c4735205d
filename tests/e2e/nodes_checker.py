"""Numbered publications, their subscribers, and a checker of what the subscribers received."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import httpx

from portward.client import Backoff, Disconnected, Event, Joined, RoomsClient
from portward.client import Message as Told
from portward.model.position import Position
from tests.e2e.nodes import PATIENCE, Node, eventually, token
from tests.e2e.process import KEY

UNAVAILABLE = 503
PAUSE = 0.02
"""Seconds between two publications of one publisher."""
GENTLE = Backoff(first=0.2, longest=1.0)
"""Comes back soon, so that a test does not wait for it."""


class Acknowledged(NamedTuple):
    """A publication that was answered with its place."""

    room: str
    content: str
    position: Position


class Publisher:
    """Publishes numbers to rooms in turn, through the admin API of one node at a time.

    `node` may be changed at any time. `acknowledged` and `refused` are what became of the numbers; any
    answer but a position and "not now" is an error, which every method raises.
    """

    def __init__(self, node: Node, rooms: Sequence[str], namespace: str) -> None:
        self.node = node
        self._name = node.name
        self._namespace = namespace
        self.acknowledged: list[Acknowledged] = []
        self.refused: list[str] = []
        self._rooms = itertools.cycle(rooms)
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        headers = {"X-API-Key": KEY}
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE, headers=headers) as client:
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                room = next(self._rooms)
                content = f"{self._name}{number}"
                body = {"channel": f"{self._namespace}:{room}", "data": content}
                answer = await client.post(f"{self.node.admin}api/publish", json=body)
                self._note(answer, room, content)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), PAUSE)

    def _note(self, answer: httpx.Response, room: str, content: str) -> None:
        if answer.status_code == UNAVAILABLE:
            self.refused.append(content)
            return
        assert answer.status_code == 200, answer.text
        place = answer.json()["result"]
        self.acknowledged.append(Acknowledged(room, content, Position(**place)))

    async def more(self, count: int = 20) -> None:
        """Wait until so many more were acknowledged."""
        goal = len(self.acknowledged) + count
        await self._until(lambda: len(self.acknowledged) >= goal)

    async def refusal(self) -> None:
        """Wait until one more was refused."""
        known = len(self.refused)
        await self._until(lambda: len(self.refused) > known)

    async def _until(self, condition: Callable[[], bool]) -> None:
        await eventually(lambda: self._task.done() or condition())
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Publish no more; what is under way is awaited."""
        self._stopping.set()
        await self._task

    async def cancel(self) -> None:
        """Publish no more, whatever is under way."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    def last(self, room: str) -> Position:
        """Where the room stands after the last acknowledged number."""
        return [each.position for each in self.acknowledged if each.room == room][-1]


class Loss(NamedTuple):
    """A client was told that it cannot be joined to its place, and goes on from another."""

    before: Position
    after: Position

    def covers(self, position: Position) -> bool:
        """Whether a publication at this position is among what may be gone."""
        late = position.epoch != self.before.epoch or position.offset > self.before.offset
        early = position.epoch != self.after.epoch or position.offset <= self.after.offset
        return late and early


class History:
    """What a client was told, in order."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events

    def told(self, room: str) -> list[Told]:
        """The messages of a room."""
        return [each for each in self.events if isinstance(each, Told) and each.room == room]

    def losses(self, room: str) -> list[Loss]:
        """What it was told to have lost in a room. Everything else has been heard in order, once.

        Raises:
            AssertionError: there is a repeat, a gap nobody told of, or an epoch that nobody announced.
        """
        found: list[Loss] = []
        place: Position | None = None
        for event in self.events:
            if isinstance(event, Joined) and event.room == room and not event.recovered:
                if place is not None:
                    found.append(Loss(place, event.position))
                place = event.position
            elif isinstance(event, Told) and event.room == room:
                assert place is not None
                assert event.position == Position(place.offset + 1, place.epoch), "a silent gap"
                place = event.position
        return found

    def check(self, room: str, acknowledged: Iterable[Acknowledged]) -> None:
        """All that was acknowledged was told, at its place, or was told to be lost.

        Raises:
            AssertionError: something vanished without a word.
        """
        losses = self.losses(room)
        told = {each.position: each.content for each in self.told(room)}
        for each in acknowledged:
            if each.room == room:
                lost = any(loss.covers(each.position) for loss in losses)
                heard = told.get(each.position)
                assert heard == each.content or (heard is None and lost), each


class Listener(History):
    """A client in rooms, which comes back by itself; all it is told is kept."""

    def __init__(self, client: RoomsClient) -> None:
        super().__init__([])
        self._client = client
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self._client:
            self.events.append(event)

    async def finish(self) -> None:
        """Close, and let the rest of the events be told."""
        await self._client.close()
        await self._task

    def at(self, room: str) -> Position | None:
        """Where it stands in a room."""
        return self._client.positions.get(room)

    @property
    def partings(self) -> list[Disconnected]:
        """When it lost its connection, or could not make one."""
        return [each for each in self.events if isinstance(each, Disconnected)]


@asynccontextmanager
async def publishing(node: Node, *rooms: str, namespace: str = "rooms") -> AsyncIterator[Publisher]:
    """A publisher, for the time of a block at most."""
    publisher = Publisher(node, rooms, namespace)
    try:
        yield publisher
    finally:
        await publisher.cancel()


@asynccontextmanager
async def listening(url: str, user: str, *rooms: str) -> AsyncIterator[Listener]:
    """A client in rooms, for the time of a block."""
    client = RoomsClient(url, token=token(user), backoff=GENTLE, timeout=PATIENCE)
    async with client:
        listener = Listener(client)
        try:
            for room in rooms:
                await client.join(room)
            yield listener
        finally:
            await listener.finish()
