import asyncio

import pytest

from portward.cli.demo_publisher import ROOM, DemoPublisher
from portward.model.errors import Unavailable


class Gateway:
    """Takes publications while it can."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, object, str]] = []
        self.trouble: list[Exception | None] = []
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, channel: str, data: object, *, key: str) -> None:
        """Take one, or raise what is troubling."""
        await self.open.wait()
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is not None:
            raise trouble
        self.taken.append((channel, data, key))


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(2 * ROOM):
        await asyncio.sleep(0)


async def test_order_is_kept() -> None:
    """What is said first is published first, and all of it."""
    gateway = Gateway()
    outlet = DemoPublisher(gateway.publish)
    outlet("live:a", 1, "x")
    task = asyncio.create_task(outlet.run())
    for number in range(2, 9):
        outlet("live:b", number, "y")
    await turns()
    assert [data for _, data, _ in gateway.taken] == list(range(1, 9))
    assert gateway.taken[0] == ("live:a", 1, "x")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_room_is_bounded() -> None:
    """What piles up before a gateway that does not answer is bounded."""
    gateway = Gateway()
    outlet = DemoPublisher(gateway.publish)
    for number in range(ROOM + 50):
        outlet("live:a", number, "x")
    task = asyncio.create_task(outlet.run())
    await turns()
    assert [data for _, data, _ in gateway.taken] == list(range(ROOM))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_store_that_is_away() -> None:
    """A publication that cannot be stored is skipped, and the next one is tried."""
    gateway = Gateway()
    gateway.trouble = [Unavailable(), None]
    outlet = DemoPublisher(gateway.publish)
    outlet("live:a", 1, "x")
    outlet("live:a", 2, "x")
    task = asyncio.create_task(outlet.run())
    await turns()
    assert [data for _, data, _ in gateway.taken] == [2]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_gateway_that_was_left() -> None:
    """When the gateway is not running any more, the outlet ends."""
    gateway = Gateway()
    gateway.trouble = [RuntimeError("not running")]
    outlet = DemoPublisher(gateway.publish)
    outlet("live:a", 1, "x")
    await outlet.run()
    assert gateway.taken == []


async def test_mistakes_are_not_hidden() -> None:
    """A publication that is refused is a mistake of the demo, and shows."""
    gateway = Gateway()
    gateway.trouble = [ValueError("no channel")]
    outlet = DemoPublisher(gateway.publish)
    outlet("nonsense", 1, "x")
    with pytest.raises(ValueError, match="no channel"):
        await outlet.run()
