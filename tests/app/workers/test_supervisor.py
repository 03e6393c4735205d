import asyncio
from collections.abc import AsyncIterator

import pytest

from portward.app.workers.control_protocol import WorkerOrder, WorkerReport
from portward.app.workers.supervisor import (
    FIRST_DELAY,
    SOUND,
    TRIES,
    ReportHandler,
    StartFailedError,
    Supervisor,
)
from portward.telemetry import Telemetry
from portward.testing import FakeClock
from tests.app.workers.worker_admins import FakeWorker, telemetry


class Stage:
    """A supervisor and the workers it has started so far, in order."""

    def __init__(self, size: int) -> None:
        self.clock = FakeClock()
        self.log: Telemetry = telemetry(self.clock)
        self.started: list[FakeWorker] = []
        self.told: list[tuple[int, str]] = []
        self.complaints: list[str] = []
        self.ready: list[list[int]] = []
        self.replaced: list[int] = []
        self.room = True
        self.supervisor = Supervisor(size, "box", self.start, self, self.clock, self.log)

    def on_text(self, number: int, text: str) -> None:
        """Keep what a worker prints."""
        self.told.append((number, text))

    def complain(self, text: str) -> None:
        """Keep why a worker could not serve."""
        self.complaints.append(text)

    def changed(self) -> None:
        """Keep which workers accept."""
        self.ready.append(self.supervisor.ready)

    async def start(self, number: int, replaced: int, on_report: ReportHandler) -> FakeWorker:
        """Start a worker."""
        if not self.room:
            raise OSError(11, "no more processes")
        self.replaced.append(replaced)
        puppet = FakeWorker(number, on_report)
        self.started.append(puppet)
        return puppet

    async def settle(self) -> None:
        """Let everything happen that waits for nothing."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def leap(self, seconds: float) -> None:
        """Let time pass."""
        await self.settle()
        self.clock.advance(seconds)
        await self.settle()

    async def up(self, *puppets: FakeWorker) -> None:
        """Let workers accept."""
        for puppet in puppets:
            puppet.report(WorkerReport(ready=True))
        await self.settle()

    @property
    def numbers(self) -> list[int]:
        """The numbers of all workers that were started."""
        return [each.number for each in self.started]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Two workers that were started."""
    made = Stage(2)
    made.supervisor.begin()
    await made.settle()
    yield made
    await made.supervisor.close()
    made.log.close()


async def test_complete_when_all_accept(stage: Stage) -> None:
    """The start is over when the last worker accepts."""
    assert stage.numbers == [0, 1]
    await stage.up(stage.started[1])
    assert not stage.supervisor.complete.is_set()
    assert stage.supervisor.ready == [1]
    await stage.up(stage.started[0])
    assert stage.supervisor.complete.is_set()
    assert stage.supervisor.ready == [0, 1]


async def test_dead_worker_is_replaced(stage: Stage) -> None:
    """After half a second another takes the place and the number; the others are left alone."""
    await stage.up(*stage.started)
    stage.started[0].die(-9)
    await stage.settle()
    assert stage.supervisor.ready == [1]
    assert not stage.supervisor.complete.is_set()
    assert stage.told == [(0, "")]
    await stage.leap(FIRST_DELAY - 0.01)
    assert len(stage.started) == 2
    await stage.leap(0.01)
    assert stage.numbers == [0, 1, 0]
    assert stage.supervisor.replaced == 1
    assert stage.replaced == [0, 0, 1]
    assert stage.started[1].told == ["REPLACED"]
    assert stage.ready == [[0], [0, 1], [1]]


async def test_back_off_grows(stage: Stage) -> None:
    """A worker that keeps dying is replaced ever more slowly, and never given up."""
    await stage.up(*stage.started)
    for pause in (0.5, 1, 2, 4, 8, 16, 30, 30):
        stage.started[-1].die(1)
        await stage.leap(pause - 0.01)
        count = len(stage.started)
        await stage.leap(0.01)
        assert len(stage.started) == count + 1


async def test_minute_of_life_forgets(stage: Stage) -> None:
    """Who lived for a minute is replaced as soon as the first time."""
    await stage.up(*stage.started)
    for _ in range(4):
        stage.started[-1].die(1)
        await stage.leap(30.0)
    await stage.leap(SOUND)
    count = len(stage.started)
    stage.started[-1].die(1)
    await stage.leap(FIRST_DELAY)
    assert len(stage.started) == count + 1


async def test_deaths_before_ready_count_in_a_row() -> None:
    """At the start, a worker that was ready in between may end as often again before all is given up."""
    made = Stage(2)
    made.supervisor.begin()
    watching = asyncio.create_task(made.supervisor.watch())
    await made.settle()
    for ready in (False, False, True, False, False):
        if ready:
            await made.up(made.started[-1])
        made.started[-1].die(1)
        await made.leap(30.0)
    assert not watching.done()
    made.started[-1].die(1)
    with pytest.raises(StartFailedError):
        await asyncio.wait_for(watching, 30)
    await made.supervisor.close()
    made.log.close()


async def test_replacement_during_a_start(stage: Stage) -> None:
    """A worker that is being started while another is replaced hears of it as soon as it is there."""
    await stage.up(*stage.started)
    go = asyncio.Event()
    start = stage.start

    async def slow(number: int, replaced: int, on_report: ReportHandler) -> FakeWorker:
        if number == 0:
            await go.wait()
        return await start(number, replaced, on_report)

    stage.supervisor._start = slow
    for each in (0, 1):
        stage.started[each].die(1)
    await stage.leap(FIRST_DELAY)
    go.set()
    await stage.settle()
    assert stage.numbers == [0, 1, 1, 0]
    told = [
        before + each.told.count("REPLACED")
        for before, each in zip(stage.replaced, stage.started, strict=True)
    ]
    assert told[2:] == [2, 2]


async def test_start_that_fails(stage: Stage) -> None:
    """Who dies three times before accepting, at the start, stops it all with its own reason."""
    watching = asyncio.create_task(stage.supervisor.watch())
    await stage.up(stage.started[0])
    for _ in range(TRIES):
        stage.started[-1].report(WorkerReport(failed="no store"))
        stage.started[-1].die(1)
        await stage.leap(5.0)
    with pytest.raises(StartFailedError, match="no store"):
        await asyncio.wait_for(watching, 30)
    assert stage.complaints == ["worker 1: no store"] * (TRIES - 1)


async def test_start_that_fails_without_a_word(stage: Stage) -> None:
    """A worker that says nothing is described by how it ended."""
    watching = asyncio.create_task(stage.supervisor.watch())
    for _ in range(TRIES):
        stage.started[-1].die(-11)
        await stage.leap(5.0)
    with pytest.raises(StartFailedError, match="ended by signal 11"):
        await asyncio.wait_for(watching, 30)


async def test_later_nobody_is_given_up(stage: Stage) -> None:
    """Once all have accepted, a worker that cannot start is tried again for ever."""
    await stage.up(*stage.started)
    for _ in range(3 * TRIES):
        stage.started[-1].report(WorkerReport(failed="no store"))
        stage.started[-1].die(1)
        await stage.leap(30.0)
    assert len(stage.started) == 2 + 3 * TRIES


async def test_system_without_room(stage: Stage) -> None:
    """A process that cannot be started counts as one that died."""
    await stage.up(*stage.started)
    stage.room = False
    stage.started[0].die(1)
    await stage.leap(1.0)
    assert len(stage.started) == 2
    stage.room = True
    await stage.leap(2.0)
    assert stage.numbers == [0, 1, 0]


async def test_all_leave_together(stage: Stage) -> None:
    """Who accepts drains, who does not yet is ended, who waits for its turn does not come."""
    await stage.up(*stage.started)
    stage.started[1].die(1)
    await stage.leap(FIRST_DELAY)
    watching = asyncio.create_task(stage.supervisor.watch())
    stage.supervisor.stop(WorkerOrder.LEAVE)
    assert stage.started[0].told == ["REPLACED", "LEAVE"]
    assert stage.started[2].told == ["LEAVE", "terminate"]
    stage.started[0].die(0)
    await asyncio.wait_for(watching, 30)
    assert stage.supervisor.code == 0


async def test_leaving_during_a_pause(stage: Stage) -> None:
    """Nobody is replaced any more once all are to leave."""
    await stage.up(*stage.started)
    stage.started[1].die(1)
    await stage.settle()
    stage.supervisor.stop(WorkerOrder.LEAVE)
    stage.started[0].die(0)
    await asyncio.wait_for(stage.supervisor.watch(), 30)
    assert len(stage.started) == 2


async def test_leaving_before_anybody_came() -> None:
    """Told to leave at once, nobody is even started."""
    made = Stage(2)
    made.supervisor.begin()
    made.supervisor.stop(WorkerOrder.LEAVE)
    await asyncio.wait_for(made.supervisor.watch(), 30)
    assert made.started == []
    made.log.close()


async def test_leaving_while_one_is_started() -> None:
    """A process that was just being started when all are to leave is ended."""
    made = Stage(1)
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(number: int, replaced: int, on_report: ReportHandler) -> FakeWorker:
        begun.set()
        await go.wait()
        return await made.start(number, replaced, on_report)

    made.supervisor = Supervisor(1, "box", slow, made, made.clock, made.log)
    made.supervisor.begin()
    await asyncio.wait_for(begun.wait(), 30)
    made.supervisor.stop(WorkerOrder.LEAVE)
    go.set()
    await asyncio.wait_for(made.supervisor.watch(), 30)
    assert made.started[0].told == ["terminate"]
    made.log.close()


async def test_end_at_once(stage: Stage) -> None:
    """The second order ends all of them at once."""
    await stage.up(stage.started[0])
    stage.supervisor.stop(WorkerOrder.END)
    assert stage.started[0].told == ["END"]
    assert stage.started[1].told == ["END", "terminate"]
    stage.started[0].die(0)
    await asyncio.wait_for(stage.supervisor.watch(), 30)
    assert stage.supervisor.code == 0


async def test_who_does_not_leave_is_killed(stage: Stage) -> None:
    """Whoever is killed in the end did not leave as told: the exit code says so."""
    await stage.up(*stage.started)
    stage.supervisor.stop(WorkerOrder.LEAVE)
    stage.started[0].die(0)
    stage.supervisor.kill()
    await asyncio.wait_for(stage.supervisor.watch(), 30)
    assert stage.supervisor.code == 1


async def test_orders_reach_who_accepts(stage: Stage) -> None:
    """An order goes to those that accept, and what they answer is passed on."""
    await stage.up(stage.started[1])
    assert stage.supervisor.order(WorkerOrder.RELOAD) == [1]
    assert [each.told for each in stage.started] == [[], ["RELOAD"]]
    stage.started[1].report(WorkerReport(text="reloaded: nothing changed"))
    assert stage.told == [(1, "reloaded: nothing changed")]
