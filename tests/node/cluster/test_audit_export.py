"""What a node writes down in the store: checkpoints of its audit, and security events for others."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from portward.engines.memory import MemoryEngine
from portward.engines.port import Engine, EngineUnavailable, Key
from portward.node.cluster.audit_export import (
    BATCH,
    CHECKPOINT_INTERVAL,
    EVENTS,
    GATHER,
    WAITING,
    Checkpoints,
    SecurityEvents,
)
from portward.node.sessions.background import Background
from portward.settings import Settings
from portward.settings.operation import AuditSettings
from portward.settings.sections import ServerSettings
from portward.telemetry import AuditEntry, verify_audit
from portward.telemetry.events import Event
from portward.telemetry.telemetry import make_telemetry
from portward.testing import FakeClock
from tests.node.simulated_cluster import NodeEngine, SimulatedCluster, simulated_cluster
from tests.running_gateway import RunningGateway, run_gateway, settings

KEY = "audit:audit.jsonl:n1"
CANARY = "canary-4711"


@pytest.fixture
def clock() -> FakeClock:
    """The time of everything here."""
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The audit file."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
async def net() -> AsyncIterator[SimulatedCluster]:
    """Two nodes on one store."""
    async with simulated_cluster(2) as net:
        yield net


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other threads do, however long that takes them."""
    while not condition():  # noqa: ASYNC110 - a thread sets no event of the loop
        await asyncio.sleep(0.001)


def given(path: Path, **more: Any) -> Settings:
    """The settings of a node that has a name and an audit file."""
    return settings(
        audit=AuditSettings(file=str(path)), server=ServerSettings(instance_id="n1"), **more
    )


class Desk:
    """Both kinds of notes over a real audit, without a node around them."""

    def __init__(self, engine: Engine, clock: FakeClock, path: Path | None) -> None:
        chosen = Settings(audit=AuditSettings(file=str(path) if path else ""))
        self.log = StringIO()
        self.telemetry = telemetry = make_telemetry(chosen, clock, self.log)
        self.failures: list[BaseException] = []
        self.background = Background(self.failures.append)
        wired = (engine, telemetry, self.background, clock, "n1")
        self.checkpoints = Checkpoints(*wired)
        self.events = SecurityEvents(*wired)

    def audited(self, event: Event) -> list[AuditEntry]:
        """The records of one event."""
        return [each for each in self.telemetry.audit.recent(5000) if each.event == event.value]


@asynccontextmanager
async def desk(engine: Engine, clock: FakeClock, path: Path | None = None) -> AsyncIterator[Desk]:
    """A desk with its audit, in a file or in memory."""
    made = Desk(engine, clock, path)
    try:
        yield made
        assert made.failures == []
    finally:
        await made.background.drain(30.0)
        made.telemetry.close()


def cut(path: Path, lines: int) -> None:
    """Leave so many lines of a file, and take the checkpoint beside it away."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))
    path.with_name(f"{path.name}.checkpoint").unlink()


# -- checkpoints


@pytest.mark.p1
async def test_a_checkpoint_is_kept(clock: FakeClock, path: Path) -> None:
    """At the start, every ten seconds when something was recorded, and in the end."""
    engine = MemoryEngine(clock)
    async with run_gateway(given(path), engine=engine, clock=clock) as running:

        async def kept() -> int:
            text = await engine.kv.get(Key(KEY))
            return json.loads(text)["seq"] if text else 0

        await until(lambda: not running.gateway.node.background)
        first = await kept()
        assert first >= 1
        running.gateway.telemetry.record(Event.ADMIN_ACT, method="x")
        last = running.gateway.telemetry.audit.last
        await running.advance(CHECKPOINT_INTERVAL)
        await until(lambda: not running.gateway.node.background)
        assert await kept() == last > first
        assert running.events(Event.AUDIT_CUT) == 0
        running.gateway.telemetry.record(Event.ADMIN_ACT, method="y")
    assert await kept() == last + 2  # what was recorded, and that the server stopped


async def test_nothing_new_is_not_written(clock: FakeClock, path: Path) -> None:
    """A node that has nothing to tell does not trouble the store."""
    net = SimulatedCluster(clock)
    engine = NodeEngine(net)
    async with desk(engine, clock, path) as made:
        await made.checkpoints.keep()
        assert len(engine.called("kv.put audit")) == 1
        await made.checkpoints.keep()
        assert len(engine.called("kv.put audit")) == 1
        assert len(engine.called("kv.get audit")) == 1


async def test_without_a_file_there_are_no_checkpoints(clock: FakeClock) -> None:
    """An audit in memory has no end that could be cut."""
    engine = NodeEngine(SimulatedCluster(clock))
    async with desk(engine, clock) as made:
        made.checkpoints.start()
        await made.checkpoints.keep()
        await made.checkpoints.stop()
        assert (engine.calls, clock.pending) == ([], 0)


@pytest.mark.p1
async def test_a_cut_file_is_told_of_at_the_next_start(clock: FakeClock, path: Path) -> None:
    """A tail that was cut together with the checkpoint beside the file is recorded, loudly, once."""
    engine = MemoryEngine(clock)
    async with desk(engine, clock, path) as made:
        for _ in range(5):
            made.telemetry.record(Event.ADMIN_ACT, method="x")
        await made.checkpoints.keep()
    cut(path, 4)
    async with desk(engine, clock, path) as made:
        await made.checkpoints.keep()
        (entry,) = made.audited(Event.AUDIT_CUT)
        assert entry.fields == {"reason": "cut", "file": "audit.jsonl", "seq": 6, "count": 2}
    async with desk(engine, clock, path) as made:
        await made.checkpoints.keep()
        assert len(made.audited(Event.AUDIT_CUT)) == 1, "read back, and not told again"
    report = verify_audit(path)
    assert str(report).endswith(f"sound, but audit.cut is recorded at event {entry.seq}")


@pytest.mark.p1
async def test_a_replaced_line_is_told_of(clock: FakeClock, path: Path) -> None:
    """A file that was cut and grew again before anybody compared it is found out by the line."""
    net = SimulatedCluster(clock)
    engine = NodeEngine(net)
    async with desk(engine, clock, path) as made:
        for _ in range(3):
            made.telemetry.record(Event.ADMIN_ACT, method="x")
        await made.checkpoints.keep()
    cut(path, 2)
    engine.away = True
    async with desk(engine, clock, path) as made:
        for _ in range(5):
            made.telemetry.record(Event.ADMIN_ACT, method="y")
        made.checkpoints.start()
        with pytest.raises(EngineUnavailable):
            await made.checkpoints.stop()
        assert made.audited(Event.AUDIT_CUT) == []
    engine.away = False
    async with desk(engine, clock, path) as made:
        await made.checkpoints.keep()
        (entry,) = made.audited(Event.AUDIT_CUT)
        assert (entry.fields["reason"], entry.fields["seq"]) == ("changed", 4)


async def test_a_sound_file_is_not_told_of(clock: FakeClock, path: Path) -> None:
    """A gateway that died after its last checkpoint finds its file as it left it."""
    engine = MemoryEngine(clock)
    async with desk(engine, clock, path) as made:
        await made.checkpoints.keep()
        made.telemetry.record(Event.ADMIN_ACT, method="after the checkpoint")
    async with desk(engine, clock, path) as made:
        await made.checkpoints.keep()
        assert made.audited(Event.AUDIT_CUT) == []


@pytest.mark.parametrize("text", ["nonsense", '{"name":"other","seq":1,"mac":"x"}'])
async def test_a_spoilt_checkpoint_is_told_of(clock: FakeClock, path: Path, text: str) -> None:
    """Spoiling what the store has does not make a cut tail pass; then it goes on."""
    engine = MemoryEngine(clock)
    await engine.kv.put(Key(KEY), text.encode())
    async with desk(engine, clock, path) as made:
        await made.checkpoints.keep()
        (entry,) = made.audited(Event.AUDIT_CUT)
        assert entry.fields["reason"] == "unreadable"
        kept = await engine.kv.get(Key(KEY))
        assert kept is not None
        assert json.loads(kept)["seq"] == made.telemetry.audit.last


async def test_nothing_is_written_over_before_it_was_read(clock: FakeClock, path: Path) -> None:
    """While the store cannot be asked, its checkpoint stays; once it answers all is made up for."""
    net = SimulatedCluster(clock)
    engine = NodeEngine(net)
    await net.store.kv.put(Key(KEY), b'{"name":"audit.jsonl","seq":99,"mac":"x"}')
    engine.away = True
    async with desk(engine, clock, path) as made:
        made.checkpoints.start()
        clock.advance(CHECKPOINT_INTERVAL)
        await made.background.drain(30.0)
        engine.away = False
        assert b'"seq":99' in (await engine.kv.get(Key(KEY)) or b"")
        clock.advance(CHECKPOINT_INTERVAL)
        await made.background.drain(30.0)
        assert len(made.audited(Event.AUDIT_CUT)) == 1
        assert b'"seq":99' not in (await engine.kv.get(Key(KEY)) or b"")
        await made.checkpoints.stop()


async def test_one_checkpoint_at_a_time(clock: FakeClock, path: Path) -> None:
    """A look that takes long is not overtaken by the next one."""
    engine = NodeEngine(SimulatedCluster(clock))
    async with desk(engine, clock, path) as made:
        await asyncio.gather(made.checkpoints.keep(), made.checkpoints.keep())
        assert len(engine.called("kv.get audit")) == 1


# -- security events


async def listed(engine: Engine) -> list[dict[str, Any]]:
    """What stands in the shared list, the newest first."""
    return [json.loads(text) for text in await engine.kv.read(Key(EVENTS), 20_000)]


async def test_security_events_are_shared(net: SimulatedCluster) -> None:
    """What any node audits stands in the list, as in the audit and with its node, the newest first."""
    first, second = net.gateways
    await net.advance(GATHER)
    first.gateway.telemetry.record(Event.AUTH_FAIL, client="c1", reason="expired")
    await net.advance(GATHER)
    second.gateway.telemetry.record(Event.ROOM_REMOVE, channel="rooms:x")
    second.gateway.telemetry.record(Event.CONN_OPEN, client="not a security event")
    await net.advance(GATHER)
    found = await listed(net.store)
    assert [each["event"] for each in found[:2]] == ["room.remove", "auth.fail"]
    (entry,) = first.audited(Event.AUTH_FAIL)
    told = found[1]
    assert (told["seq"], told["time"], told["fields"]) == (entry.seq, entry.time, entry.fields)
    assert set(told) == {"seq", "time", "node", "event", "fields"}
    assert "server.start" in {each["event"] for each in found}
    assert "conn.open" not in {each["event"] for each in found}


@pytest.mark.p0
async def test_no_secret_is_shared(net: SimulatedCluster) -> None:
    """A token that was refused, or revoked, stands in no entry of the list."""
    running = net.gateways[0]
    client = await running.client()
    client.send({"type": "auth", "data": {"token": f"eyJhbGciOiJub25lIn0.{CANARY}."}})
    token = await running.authenticate(await running.client(), "ann")
    await running.gateway.revoke(token=token)
    await net.advance(GATHER)
    texts = await net.store.kv.read(Key(EVENTS), 1000)
    assert {"auth.fail", "auth.revoke"} <= {json.loads(text)["event"] for text in texts}
    assert not any(CANARY in text or token in text for text in texts)


async def test_an_engine_of_one_process_has_no_list(clock: FakeClock) -> None:
    """Where nobody else could read it, nothing is written."""
    engine = MemoryEngine(clock)
    async with run_gateway(engine=engine, clock=clock) as running:
        running.gateway.telemetry.record(Event.AUTH_FAIL, reason="expired")
        await running.advance(2 * GATHER)
    assert await listed(engine) == []


async def test_what_waits_at_the_end_is_written(clock: FakeClock) -> None:
    """A node that stops leaves nothing behind, and listens no longer."""
    net = SimulatedCluster(clock)
    engine = NodeEngine(net)
    async with run_gateway(engine=engine, clock=clock) as running:
        telemetry = running.gateway.telemetry
        telemetry.record(Event.AUTH_FAIL, reason="expired")
    told = [each["event"] for each in await listed(net.store)]
    assert told[:2] == ["server.stop", "auth.fail"]
    assert telemetry.audit.listeners == []


async def test_events_before_the_start_are_shared(clock: FakeClock, path: Path) -> None:
    """What was wrong with the audit file when it was opened is told too; an earlier run's events are not."""
    net = SimulatedCluster(clock)
    async with desk(NodeEngine(net), clock, path) as made:
        made.telemetry.record(Event.ADMIN_ACT, method="earlier")
    cut(path, 1)
    async with desk(NodeEngine(net), clock, path) as made:
        made.events.start()
        await made.events.stop()
    assert [each["event"] for each in await listed(net.store)] == ["audit.mend"]


async def test_batches_keep_the_order(clock: FakeClock) -> None:
    """Many events at once go in a few commands, and stand in the order they were recorded."""
    net = SimulatedCluster(clock)
    engine = NodeEngine(net)
    async with desk(engine, clock) as made:
        made.events.start()
        for _ in range(BATCH + 50):
            made.telemetry.record(Event.ADMIN_ACT, method="x")
        assert engine.calls == []
        clock.advance(GATHER)
        assert [len(args[1]) for args in engine.called("kv.prepend ws_security_events")] == [
            BATCH,
            50,
        ]
        numbers = [each["seq"] for each in await listed(net.store)]
        assert numbers == list(range(BATCH + 50, 0, -1))
        await made.events.stop()


async def test_a_store_that_is_away_is_waited_for(clock: FakeClock) -> None:
    """So many events wait and are written once it is back; how many found no room is told."""
    net = SimulatedCluster(clock)
    engine = NodeEngine(net)
    async with desk(engine, clock) as made:
        made.events.start()
        engine.away = True
        for _ in range(WAITING + 7):
            made.telemetry.record(Event.ADMIN_ACT, method="x")
        clock.advance(5 * GATHER)
        assert made.events.lost == 7
        made.telemetry.log.flush()
        assert made.log.getvalue().count("audit.fail") == 1
        assert await listed(net.store) == []
        engine.away = False
        clock.advance(GATHER)
        found = await listed(net.store)
        assert [each["seq"] for each in found[1:]] == list(range(WAITING, 0, -1))
        assert (found[0]["event"], found[0]["fields"]) == (
            "audit.fail", {"reason": "shared", "count": 7},
        )  # fmt: skip
        assert made.events.lost == 0
        await made.events.stop()
        assert clock.pending == 0


async def test_a_stop_while_the_store_is_away(clock: FakeClock) -> None:
    """A node stops although what waits cannot be written."""
    engine = NodeEngine(SimulatedCluster(clock))
    async with run_gateway(engine=engine, clock=clock) as running:
        engine.away = True
        running.gateway.telemetry.record(Event.AUTH_FAIL, reason="expired")
    assert isinstance(running, RunningGateway)


async def test_one_write_at_a_time(clock: FakeClock) -> None:
    """What is recorded while a batch is on its way waits for the next, and nothing is written twice."""
    net = SimulatedCluster(clock)
    engine = NodeEngine(net)
    gate = asyncio.Event()
    original = net.store.kv.prepend

    async def slow(key: Key, texts: tuple[str, ...], limit: int) -> None:
        await gate.wait()
        await original(key, texts, limit)

    net.store.kv.prepend = slow  # type: ignore[method-assign] # a store that takes its time
    async with desk(engine, clock) as made:
        made.events.start()
        made.telemetry.record(Event.ADMIN_ACT, method="x")
        clock.advance(GATHER)
        made.telemetry.record(Event.ADMIN_ACT, method="y")
        await made.events.write()
        clock.advance(GATHER)
        gate.set()
        await made.background.drain(30.0)
        assert [each["fields"]["method"] for each in await listed(net.store)] == ["y", "x"]
        await made.events.stop()
