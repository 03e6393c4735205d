"""Messages that clients send over connections that are cut: each settles once, and none is stored twice."""

import asyncio
from collections import Counter
from itertools import count

import pytest

from tests.clients.client_programs import CLIENTS, Driver, with_each
from tests.clients.fault_proxy import PLAIN, Script, fault_proxy, random_cuts
from tests.clients.gateway import Process
from tests.clients.programs import Record

PATIENCE = 90.0
BYTES_DOWN = 6000
TOGETHER = 5
RUNS = count(1)


async def sent(driver: Driver, room: str, number: int) -> list[Record]:
    """Send numbered messages, a few at a time; what each was settled with, in order."""
    for start in range(0, number, TOGETHER):
        place = len(driver.reports.records)
        for each in range(start, start + TOGETHER):
            await driver.do(do="send", room=room, content=str(each), id=str(each))
        for each in range(start, start + TOGETHER):
            await driver.reports.first(lambda record: is_result(record, each), place, PATIENCE)  # noqa: B023 - awaited at once
    results = driver.reports.all("sent")
    assert [record["error"] for record in results] == [None] * number
    by_number = sorted(results, key=lambda record: int(record["id"]))
    assert [record["id"] for record in by_number] == [str(each) for each in range(number)]
    return [record["value"] for record in by_number]


def is_result(record: Record, number: int) -> bool:
    """Whether a report settles the message of this number."""
    return bool(record["kind"] == "sent" and record["id"] == str(number))


async def stored(gateway: Process, room: str) -> dict[int, str]:
    """The contents of a room by their offsets."""
    contents: dict[int, str] = {}
    while True:
        since = {"offset": max(contents, default=0)}
        page = await gateway.call("history", channel=f"rooms:{room}", limit=100, since=since)
        if not page["publications"]:
            return contents
        contents |= {each["offset"]: each["data"] for each in page["publications"]}


def check(results: list[Record], contents: dict[int, str]) -> None:
    """What was called stored is there, at its place; the rest is there once or not at all, as it says."""
    statuses = Counter(result["status"] for result in results)
    assert statuses["refused"] == 0, statuses
    assert statuses["unknown"] > 0, statuses
    times = Counter(contents.values())
    assert max(times.values()) == 1
    for number, result in enumerate(results):
        if result["status"] == "stored":
            assert contents[result["offset"]] == str(number)
    assert set(contents.values()) <= {str(number) for number in range(len(results))}


async def run(gateway: Process, messages: int, cuts: int) -> None:
    """Both clients send through proxies of their own."""

    async def scenario(client: str) -> None:
        room = f"sent-{client}-{next(RUNS)}"
        scripts = random_cuts(3, BYTES_DOWN, cuts)
        active: list[bool] = []
        numbers = count()

        def plan(_: int) -> Script:
            return scripts(next(numbers)) if active else PLAIN

        async with fault_proxy(gateway.port, plan) as proxy, CLIENTS[client](room) as driver:
            await driver.start(proxy.url, speed=5, luck=0.02)
            await driver.done("join done", do="join", room=room, state=False)
            active.append(True)
            proxy.cut_all()
            results = await asyncio.wait_for(sent(driver, room, messages), PATIENCE)
            await driver.done("closed", do="close")
            check(results, await stored(gateway, room))

    await with_each(scenario)


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_few_messages(gateway: Process) -> None:
    """100 messages over 30 broken connections: each is stored, or unknown, and in the room at most once."""
    await run(gateway, 100, 30)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_many_messages(gateway: Process) -> None:
    """900 messages over 200 broken connections: each is stored, or unknown, and in the room at most once."""
    await run(gateway, 900, 200)
