"""The engine's checkpoint of an audit file, as whoever checks the file asks for it."""

import asyncio
import socket
from pathlib import Path

import pytest

from portward.app.checkpoints import engine_checkpoint, node_of
from portward.engines.port import EngineUnavailable, Key
from portward.engines.redis import RedisEngine, parse_url
from portward.engines.sqlite import SqliteEngine
from portward.settings import Settings
from portward.settings.operation import AuditSettings
from portward.settings.sections import EngineSettings, ServerSettings
from portward.telemetry import AuditError, Checkpoint
from portward.telemetry.audit.checkpoint import as_text
from portward.testing import FakeClock
from portward.testing.engine_contract import Recorder
from tests.engines.redis_servers import Server as RedisServer
from tests.engines.redis_servers import free_port, need_redis, servers

FILE = Path("/var/lib/audit.jsonl")
KEPT = Checkpoint("audit.jsonl", 7, "ab")


def over(url: str, **server: object) -> Settings:
    """Settings with this engine."""
    return Settings(
        engine=EngineSettings(url=url),
        server=ServerSettings(instance_id="n1", **server),  # type: ignore[arg-type] # fields of tests
    )


async def test_sqlite_is_read_while_it_is_in_use(tmp_path: Path) -> None:
    """A checkpoint is read beside the gateway that keeps it, by file and node."""
    path = tmp_path / "engine.db"
    engine = SqliteEngine(str(path), FakeClock())
    await engine.start(Recorder())
    try:
        await engine.kv.put(Key("audit:audit.jsonl:n1"), as_text(KEPT).encode())
        given = over(f"sqlite:///{path}")
        assert await engine_checkpoint(given, FILE) == KEPT
        assert await engine_checkpoint(given, FILE, "n2") is None
        await engine.kv.put(Key("audit:audit.jsonl:n2"), b"nonsense")
        with pytest.raises(AuditError, match="cannot be read"):
            await engine_checkpoint(given, FILE, "n2")
    finally:
        await engine.stop()
    assert await engine_checkpoint(given, FILE) == KEPT


async def test_redis_is_asked(tmp_path: Path) -> None:
    """A checkpoint is asked for without becoming a node of the store."""
    need_redis()
    with servers(RedisServer(tmp_path / "redis", "--save", "")) as (server,):
        engine = RedisEngine(parse_url(server.url), FakeClock())
        await engine.start(Recorder())
        await engine.kv.put(Key("audit:audit.jsonl:n1"), as_text(KEPT).encode())
        await engine.stop()
        assert await engine_checkpoint(over(server.url), FILE) == KEPT
        assert await engine_checkpoint(over(server.url), FILE, "n2") is None
        assert server.cli("KEYS", "*").split() == ["portward:audit:audit.jsonl:n1"]


async def test_redis_that_is_away() -> None:
    """Nobody answering is told without the password of the address."""
    url = f"redis://:canary@127.0.0.1:{free_port()}/0"
    with pytest.raises(EngineUnavailable) as caught:
        await asyncio.wait_for(engine_checkpoint(over(url), FILE), 60)
    assert "canary" not in str(caught.value)


async def test_engines_that_have_none(tmp_path: Path) -> None:
    """Memory, a file that is not there and an engine that does not exist are told of."""
    with pytest.raises(ValueError, match="memory://"):
        await engine_checkpoint(Settings(), FILE)
    with pytest.raises(ValueError, match="no such file"):
        await engine_checkpoint(over(f"sqlite:///{tmp_path}/none.db"), FILE)
    with pytest.raises(ValueError, match="abacus"):
        await engine_checkpoint(over("abacus://"), FILE)


def test_the_name_of_the_node() -> None:
    """One process is known by its name or its machine; workers by their number, which their file has."""
    machine = socket.gethostname()
    audit = AuditSettings(file="/var/lib/audit.jsonl")
    assert node_of(Settings(), FILE) == machine
    assert node_of(Settings(server=ServerSettings(instance_id="n1")), FILE) == "n1"
    several = Settings(server=ServerSettings(workers=2, port=8080), audit=audit)
    assert node_of(several, FILE) == f"{machine}-8080-0"
    assert node_of(several, Path("audit.jsonl.1")) == f"{machine}-8080-1"
    named = Settings(server=ServerSettings(workers=2, instance_id="n1"), audit=audit)
    assert node_of(named, Path("audit.jsonl.1")) == "n1-1"
