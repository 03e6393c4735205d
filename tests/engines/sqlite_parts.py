"""What the tests of the SQLite engine share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from portward.engines.sqlite import SqliteEngine
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.model.namespace import Namespace, Snapshot
from portward.model.publication import Draft, HistoryQuery
from portward.testing.engine_contract import Recorder

ROOM = Channel.parse("rooms:general")
OTHER = Channel.parse("rooms:other")
LIVE = Channel.parse("live:match")
KEPT = Namespace(name="rooms", history_size=100, history_ttl=3600.0, idle_ttl=300.0)
BY_KEY = Namespace(name="live", snapshot=Snapshot.LATEST_BY_KEY)
ANN = Identity(
    subject="ann", token_id="j1", digest="d1", issued_at=50.0, roles=frozenset({"user"})
)  # fmt: skip
ALL = HistoryQuery(limit=10_000)


@asynccontextmanager
async def opened(
    path: Path, clock: Clock, sink: Recorder | None = None
) -> AsyncIterator[SqliteEngine]:
    """A started engine on a file; stopped in the end."""
    engine = SqliteEngine(str(path), clock)
    await engine.start(sink or Recorder())
    try:
        yield engine
    finally:
        await engine.stop()


def draft(number: int = 0, *, key: str | None = None, data: object = None) -> Draft:
    """A publication with an id of its own."""
    return Draft(id=f"{number:032x}", time=1, data=number if data is None else data, key=key)


async def offsets(
    engine: SqliteEngine, channel: Channel = ROOM, namespace: Namespace = KEPT
) -> list[int]:
    """What is kept of a channel."""
    page = await engine.streams.history(channel, ALL, namespace)
    return [each.offset for each in page.publications]


async def count(engine: SqliteEngine, table: str) -> int:
    """How many rows a table has."""
    sql = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name of the test's own
    return int(await engine.store.read(lambda db: db.execute(sql).fetchone()[0]))
