"""The file of the SQLite engine: its name, its owner, and files that are not its own."""

import asyncio
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from portward.engines.port import EngineUnavailable
from portward.engines.sqlite import (
    EngineFileError,
    EngineInUse,
    SqliteEngine,
    schema,
    sqlite_path,
    store,
    writer,
)
from portward.engines.sqlite.files import Claim
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import Recorder
from tests.engines.sqlite_parts import KEPT, ROOM, draft, offsets, opened
from tests.stores import stores


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "engine.db"


def put(path: Path, content: bytes) -> None:
    """Write a file."""
    path.write_bytes(content)


def content_of(path: Path) -> bytes:
    """Read a file."""
    return path.read_bytes()


def names_in(path: Path) -> set[str]:
    """What is in a directory."""
    return {each.name for each in path.iterdir()}


async def refused(path: Path) -> str:
    """What an engine says of a file it does not start on."""
    engine = SqliteEngine(str(path), FakeClock())
    with pytest.raises(ValueError, match="engine file") as caught:
        await engine.start(Recorder())
    await engine.stop()
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///rel.db", "rel.db"),
        ("sqlite:///data/rel.db", "data/rel.db"),
        ("sqlite:////var/abs.db", "/var/abs.db"),
        ("sqlite:///with%20space.db", "with space.db"),
    ],
)
def test_urls_name_files(url: str, path: str) -> None:
    """Three slashes lead to a relative path, four to an absolute one."""
    assert sqlite_path(url) == path


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://", "sqlite:///", "sqlite://host/file.db", "sqlite:file.db", "redis://x",
        "sqlite:///:memory:", "sqlite:///dir/", "sqlite:///a.db?mode=ro", "sqlite:///a.db#x",
        "sqlite:///a%00b",
    ],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    """What names no file is an error that says how one is named."""
    with pytest.raises(ValueError, match="sqlite:///"):
        sqlite_path(url)


def loosen(path: Path) -> None:
    """Let everybody read the files of a store."""
    path.chmod(0o644)
    Path(f"{path}-wal").touch(mode=0o644)


async def test_a_copied_file_becomes_its_owners_alone(path: Path) -> None:
    """A file that was put there with wider rights, as a restored copy, loses them."""
    async with opened(path, FakeClock()) as engine:
        await engine.streams.publish(ROOM, draft(), KEPT, None)
    loosen(path)
    async with opened(path, FakeClock()) as engine:
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {0o600}


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    """A folder or a device is refused, and nothing is put beside it."""
    place = tmp_path / "folder"
    place.mkdir()
    with pytest.raises(EngineFileError, match="is no file"):
        Claim(str(place)).take()
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


async def test_files_are_their_owners_alone(path: Path) -> None:
    """Nobody else may read the file, nor those beside it."""
    async with opened(path, FakeClock()) as engine:
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    names = ("engine.db", "engine.db-wal", "engine.db-shm", "engine.db.lock")
    assert modes == dict.fromkeys(names, 0o600)
    assert names_in(path.parent) == {"engine.db", "engine.db.lock"}


async def test_a_file_serves_one_engine(path: Path) -> None:
    """A second engine is told that the file is in use, by whatever name it knows it."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    async with opened(path, FakeClock()):
        for name in (path, link):
            assert "in use" in await refused(name)
            with pytest.raises(EngineInUse):
                await SqliteEngine(str(name), FakeClock()).start(Recorder())
    async with opened(link, FakeClock()) as engine:
        assert engine.healthy


@pytest.mark.parametrize("content", [b"no database " * 1000, b"SQLite format 3\0" + b"x" * 8000])
async def test_garbage_is_refused(path: Path, content: bytes) -> None:
    """A file that is no database is left as it is."""
    put(path, content)
    await refused(path)
    assert content_of(path) == content


async def test_a_foreign_database_is_refused(path: Path) -> None:
    """Another program's database is left as it is."""
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    before = content_of(path)
    assert "another program" in await refused(path)
    assert content_of(path) == before


async def test_a_damaged_file_is_refused(path: Path) -> None:
    """A page that was overwritten is noticed at the start."""
    async with opened(path, FakeClock()) as engine:
        for number in range(100):
            await engine.streams.publish(ROOM, draft(number, data="x" * 900), KEPT, None)
    content = content_of(path)[:-40_000] + b"\xff" * 40_000
    put(path, content)
    await refused(path)
    assert content_of(path) == content


async def test_a_newer_file_is_refused(path: Path) -> None:
    """A file of a later version is not touched by this one."""
    async with opened(path, FakeClock()):
        pass
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    assert "newer version (schema 99" in await refused(path)


async def test_a_missing_directory_is_named(path: Path) -> None:
    """Where no file can be made the error says why."""
    assert "No such file or directory" in await refused(path / "nowhere" / "engine.db")


async def test_a_path_is_always_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that SQLite would take for something else is a file in the working directory."""
    monkeypatch.chdir(tmp_path)
    async with opened(Path(":memory:"), FakeClock()) as engine:
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert ":memory:" in names_in(tmp_path)


async def test_a_file_that_cannot_be_read_is_let_go(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that fails half way leaves the file closed and free."""

    def fails(path: str) -> sqlite3.Connection:
        raise EngineFileError(path, "cannot be used")

    with monkeypatch.context() as patched:
        patched.setattr(store, "open_reader", fails)
        await refused(path)
    async with opened(path, FakeClock()) as engine:
        assert engine.healthy


async def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """A directory in the place of the file is an error."""
    await refused(tmp_path)


async def test_a_file_that_was_only_begun_is_used(path: Path) -> None:
    """A process that died before it made the first table left nothing that matters."""
    begun = sqlite3.connect(path)
    begun.execute("PRAGMA journal_mode = WAL")
    begun.close()
    assert content_of(path)
    async with opened(path, FakeClock()) as engine:
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert await offsets(engine) == [1]


async def test_an_older_file_is_brought_up(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the version before gets what is new, and keeps what it had."""
    async with opened(path, FakeClock()) as engine:
        await engine.streams.publish(ROOM, draft(), KEPT, None)
    newer = tmp_path / "sql"
    shutil.copytree(schema._FOLDER, newer)  # type: ignore[arg-type]  # it is a folder here
    (newer / f"{schema.VERSION + 1}.sql").write_text("CREATE TABLE more (x);\n")
    monkeypatch.setattr(schema, "_FOLDER", newer)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    async with opened(path, FakeClock()) as engine:
        await engine.store.execute("INSERT INTO more VALUES (?)", (1,))
        assert await offsets(engine) == [1]


async def test_a_stop_that_is_given_up_leaves_the_file_free(path: Path) -> None:
    """Who does not wait for a stop to end gets what was queued written, and the file free."""
    engine = SqliteEngine(str(path), FakeClock())
    await engine.start(Recorder())
    publishing = asyncio.ensure_future(engine.streams.publish(ROOM, draft(), KEPT, None))
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(engine.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert (await publishing).position.offset == 1
    async with asyncio.timeout(30):
        while engine.store._executor is not None:  # noqa: ASYNC110 - the engine has no event for it
            await asyncio.sleep(0)
    async with opened(path, FakeClock()) as another:
        assert await offsets(another) == [1]


async def test_a_stop_on_a_full_disk_is_a_stop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that cannot write any more can still be stopped."""
    engine = SqliteEngine(str(path), FakeClock())
    await engine.start(Recorder())
    await offsets(engine)
    monkeypatch.setattr(writer, "MAX_QUEUED", 0)
    await engine.stop()
    monkeypatch.setattr(writer, "MAX_QUEUED", 100)
    async with opened(path, FakeClock()) as another:
        assert await offsets(another) == []


async def test_commits_reach_the_disk(path: Path) -> None:
    """The file is written ahead, and every commit waits for the disk."""
    async with opened(path, FakeClock()) as engine:
        found = await engine.store.write(
            lambda db: [
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys")
            ]
        )
    assert found == ["wal", 2, 2, 1]


async def test_nothing_is_asked_of_a_closed_file(path: Path) -> None:
    """Before the start and after the stop the engine says that it is not available."""
    engine = SqliteEngine(str(path), FakeClock())
    with pytest.raises(EngineUnavailable, match="closed"):
        await engine.streams.publish(ROOM, draft(), KEPT, None)
    with pytest.raises(EngineUnavailable, match="closed"):
        await stores(engine).approvals.get("a1")
    assert not names_in(path.parent)


async def test_a_start_that_is_given_up_leaves_the_file_free(path: Path) -> None:
    """Who cancels a start does not keep the file from the next one."""
    engine = SqliteEngine(str(path), FakeClock())
    starting = asyncio.ensure_future(engine.start(Recorder()))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with asyncio.timeout(30):
        while engine.store._executor is not None:  # noqa: ASYNC110 - the engine has no event for it
            await asyncio.sleep(0)
    async with opened(path, FakeClock()) as another:
        assert another.healthy
