"""Numbered messages to clients whose connections are cut again and again: what each client must receive."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.clients.client_programs import Client, Driver
from tests.clients.fault_proxy import PLAIN, Cut, FaultProxy, Script, fault_proxy, random_cuts
from tests.clients.gateway import Process
from tests.clients.programs import Record

BATCH: Final = 10
AHEAD: Final = 150
"""How many messages may be published that a client has not seen yet, outages apart."""
OUTAGE: Final = 400
"""More messages than a recovery brings."""
PATIENCE: Final = 60.0
BYTES_DOWN: Final = 9000
"""The most that one connection brings before it is cut: some ten messages in each of two rooms."""


@dataclass
class Channel:
    """What one client has reported of one room, checked as it comes: each number once, in order.

    Without a state, what is missing is covered by one gap, from the last message to the next one. With a
    state there is never a gap: the state that is asked for reaches at least to the last message.
    """

    room: str
    with_state: bool
    last: int = 0
    messages: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    states: int = 0

    def take(self, record: Record) -> None:
        """Check one report."""
        match record["kind"]:
            case "message":
                number = record["value"]["content"]["n"]
                assert record["value"]["offset"] == number, record
                assert number == self.last + 1, (self, record)
                self.last, self.messages = number, self.messages + 1
            case "gap":
                assert not self.with_state, record
                start, end = record["value"]["from"]["offset"], record["value"]["to"]["offset"]
                assert start == self.last < end, (self, record)
                self.last = end
                self.gaps.append((start, end))
            case "state wanted":
                assert self.with_state, record
                assert record["position"]["offset"] >= self.last, (self, record)
                self.last = record["position"]["offset"]
                self.states += 1


class Subject:
    """One client behind a proxy of its own, in two rooms: one with a state and one without."""

    def __init__(self, driver: Driver, proxy: FaultProxy, plain: str, stated: str) -> None:
        self.driver = driver
        self.proxy = proxy
        self.channels = {plain: Channel(plain, False), stated: Channel(stated, True)}
        self._place = 0

    def check(self) -> None:
        """Check what was reported since the last time."""
        records = self.driver.reports.records
        for record in records[self._place :]:
            assert record["kind"] != "stopped", record
            assert record["kind"] != "left" or record["value"]["code"] is None, record
            name = record.get("room") or record.get("channel")
            if name in self.channels:
                self.channels[name].take(record)
        self._place = len(records)

    @property
    def last(self) -> int:
        """The number that it has reached in both rooms."""
        return min(channel.last for channel in self.channels.values())

    async def join(self) -> None:
        """Be in both rooms."""
        for channel in self.channels.values():
            await self.driver.done(
                "join done", do="join", room=channel.room, state=channel.with_state
            )
        self.check()


class Cutter:
    """A plan that cuts a number of connections at random places; with `away` it refuses all of them."""

    def __init__(self, seed: int, cuts: int) -> None:
        self.done = 0
        self.away = False
        self.active = False
        self._scripts = random_cuts(seed, BYTES_DOWN, cuts)
        self._cuts = cuts

    def __call__(self, _: int) -> Script:
        """The script of the next connection."""
        if self.away:
            return Script(refuse=True)
        if not self.active or self.finished:
            return PLAIN
        self.done += 1
        return self._scripts(self.done - 1)

    @property
    def finished(self) -> bool:
        """Whether all cuts were given out."""
        return self.done >= self._cuts


class Publisher:
    """Publishes numbered messages to several rooms over the admin API."""

    def __init__(self, gateway: Process, http: httpx.AsyncClient, rooms: list[str]) -> None:
        self.last = 0
        self._gateway = gateway
        self._http = http
        self._channels = [f"rooms:{room}" for room in rooms]

    async def publish(self, count: int) -> None:
        """Publish the next messages."""
        commands: list[Any] = []
        for _ in range(count):
            self.last += 1
            body = {"channels": self._channels, "data": {"n": self.last}}
            commands.append({"broadcast": body})
        replies = (await self._gateway.post(self._http, "batch", {"commands": commands}))["replies"]
        for reply in replies:
            assert all("result" in each for each in reply["broadcast"]["responses"]), reply


async def _reached(subjects: list[Subject], number: int, patience: float) -> None:
    """Wait until all clients have seen a number, checking what they report."""
    async with asyncio.timeout(patience):
        while True:
            for subject in subjects:
                subject.check()
            if all(subject.last >= number for subject in subjects):
                return
            await asyncio.sleep(0.005)


@dataclass
class Run:
    """How much is published, how often connections are cut, and how often the network is away."""

    numbers: int
    cuts: int
    outages: int
    seed: int


async def numbered_messages(
    gateway: Process, clients: dict[str, Client], run: Run
) -> dict[str, Subject]:
    """Publish to all clients at once; returns them when each has come to the last number."""
    mark = f"{run.seed}-{run.numbers}"
    rooms = [f"plain-{mark}", f"stated-{mark}"]
    cutters = [Cutter(run.seed + place, run.cuts) for place in range(len(clients))]
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        subjects: dict[str, Subject] = {}
        for cutter, (name, client) in zip(cutters, clients.items(), strict=True):
            proxy = await stack.enter_async_context(fault_proxy(gateway.port, cutter))
            driver = await stack.enter_async_context(client(f"{name}-{mark}"))
            await driver.start(proxy.url, speed=5, luck=0.01)
            subjects[name] = Subject(driver, proxy, *rooms)
            await subjects[name].join()
        publisher = Publisher(gateway, http, rooms)
        await _publish(publisher, list(subjects.values()), cutters, run)
        for subject in subjects.values():
            await subject.driver.done("closed", do="close")
            subject.check()
        return subjects


async def _publish(
    publisher: Publisher, subjects: list[Subject], cutters: list[Cutter], run: Run
) -> None:
    """Publish until all numbers are used and all cuts are made, no faster than the clients read."""
    for cutter, subject in zip(cutters, subjects, strict=True):
        cutter.active = True
        subject.proxy.cut_all()
    outages = [run.numbers * (each + 1) // (run.outages + 1) for each in range(run.outages)]
    while publisher.last < run.numbers or not all(cutter.finished for cutter in cutters):
        if outages and publisher.last >= outages[0]:
            outages.pop(0)
            await _outage(publisher, subjects, cutters)
        await publisher.publish(BATCH)
        await _reached(subjects, publisher.last - AHEAD, PATIENCE)
    await _reached(subjects, publisher.last, PATIENCE)


async def _outage(publisher: Publisher, subjects: list[Subject], cutters: list[Cutter]) -> None:
    """Let the network be away for longer than a recovery reaches back."""
    for cutter, subject in zip(cutters, subjects, strict=True):
        cutter.away = True
        subject.proxy.cut_all(Cut.RST)
    await publisher.publish(OUTAGE)
    for cutter in cutters:
        cutter.away = False
    await _reached(subjects, publisher.last, PATIENCE)


def check_run(subjects: dict[str, Subject], run: Run) -> None:
    """Each number was seen once, in order, or is covered; little is missing beside the outages."""
    for name, subject in subjects.items():
        for channel in subject.channels.values():
            assert channel.last >= run.numbers, (name, channel)
            most = run.outages * (OUTAGE + AHEAD + BATCH)
            assert channel.last - channel.messages <= most, (name, channel)
        plain, stated = subject.channels.values()
        assert len(plain.gaps) >= run.outages, (name, plain)
        assert (stated.gaps, stated.states >= run.outages + 1) == ([], True), (name, stated)
        cut = [each for each in subject.proxy.connections if each.script not in _WHOLE]
        assert len(cut) == run.cuts
        assert not any(each.open for each in cut)


_WHOLE: Final = (PLAIN, Script(refuse=True))
