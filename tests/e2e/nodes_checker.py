"""Numbered publications, those who listen to them, and a checker of what they were told."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import httpx

from portward.client import Backoff, Disconnected, Event, Joined, RoomsClient
from portward.client import Message as Told
from portward.model.position import Position
from tests.e2e.nodes import PATIENCE, Node, eventually, token
from tests.e2e.process import KEY

UNAVAILABLE = 503
GENTLE = Backoff(first=0.2, longest=1.0)
"""Comes back soon, so that a test does not wait for it."""


class Acknowledged(NamedTuple):
    """A publication that was answered with its place."""

    room: str
    number: int
    position: Position


class Publisher:
    """Publishes numbers to rooms in turn, through the admin API of one node at a time.

    `node` may be changed at any time. `acknowledged` and `refused` are what became of the numbers; any
    answer but a position and "not now" is an error, which every method raises.
    """

    def __init__(self, node: Node, rooms: Sequence[str], pause: float = 0.02) -> None:
        self.node = node
        self.acknowledged: list[Acknowledged] = []
        self.refused: list[int] = []
        self._rooms = itertools.cycle(rooms)
        self._pause = pause
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        headers = {"X-API-Key": KEY}
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE, headers=headers) as client:
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                room = next(self._rooms)
                body = {"channel": f"rooms:{room}", "data": number}
                answer = await client.post(f"{self.node.admin}api/publish", json=body)
                self._note(answer, room, number)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._pause)

    def _note(self, answer: httpx.Response, room: str, number: int) -> None:
        if answer.status_code == UNAVAILABLE:
            self.refused.append(number)
            return
        assert answer.status_code == 200, answer.text
        place = answer.json()["result"]
        self.acknowledged.append(Acknowledged(room, number, Position(**place)))

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


class Listener:
    """A client in rooms, which comes back by itself; all it has been told is kept in order."""

    def __init__(self, client: RoomsClient) -> None:
        self.client = client
        self.events: list[Event] = []
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.client:
            self.events.append(event)

    async def finish(self) -> None:
        """Close, and let the rest of the events be told."""
        await self.client.close()
        await self._task

    def at(self, room: str) -> Position | None:
        """Where it stands in a room."""
        return self.client.positions.get(room)

    def numbers(self, room: str) -> list[object]:
        """What it was told in a room."""
        return [
            each.content for each in self.events if isinstance(each, Told) and each.room == room
        ]

    @property
    def partings(self) -> list[Disconnected]:
        """When it lost its connection, or could not make one."""
        return [each for each in self.events if isinstance(each, Disconnected)]

    def losses(self, room: str) -> list[Loss]:
        """What it was told to have lost in a room. Everything else has been heard in order, once.

        Raises:
            AssertionError: there is a repeat, a gap nobody told of, or an epoch that nobody announced.
        """
        found: list[Loss] = []
        place: Position | None = None
        for event in self.events:
            if isinstance(event, Joined) and event.room == room:
                if place is not None and not event.recovered:
                    found.append(Loss(place, event.position))
                if not event.recovered:
                    place = event.position
                    assert event.missed == 0
            elif isinstance(event, Told) and event.room == room:
                assert place is not None
                assert event.position == Position(place.offset + 1, place.epoch), "a silent gap"
                place = event.position
        return found

    def check(self, room: str, publisher: Publisher) -> None:
        """All that was acknowledged was told, at its place, or was told to be lost.

        Raises:
            AssertionError: something vanished without a word.
        """
        losses = self.losses(room)
        told = {
            each.position: each.content
            for each in self.events
            if isinstance(each, Told) and each.room == room
        }
        for each in publisher.acknowledged:
            if each.room != room:
                continue
            lost = any(loss.covers(each.position) for loss in losses)
            heard = told.get(each.position)
            assert heard == each.number or (heard is None and lost), each


@asynccontextmanager
async def publishing(node: Node, *rooms: str) -> AsyncIterator[Publisher]:
    """A publisher, for the time of a block at most."""
    publisher = Publisher(node, rooms)
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
