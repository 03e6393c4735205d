"""Values of the file that are read without the engine, and of files of older versions or other programs."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from portward.engines.port import Key
from portward.engines.sqlite import EngineFileError, schema, stored_value
from portward.testing.clock import FakeClock
from tests.engines.sqlite_parts import count, opened

KEY = Key("k")
LIST = Key("list")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "engine.db"


async def test_lists_survive(path: Path) -> None:
    """A list is as it was after a restart, and goes on there; no more rows are kept than asked for."""
    async with opened(path, FakeClock()) as engine:
        await engine.kv.prepend(LIST, ("a", "b", "c"), 3)
    async with opened(path, FakeClock()) as engine:
        await engine.kv.prepend(LIST, ("d",), 3)
        assert await engine.kv.read(LIST, 9) == ("d", "c", "b")
        assert await count(engine, "lists") == 3


async def test_a_note_is_read_beside_the_engine(path: Path) -> None:
    """Another process reads a text while the gateway runs, and after it has ended, and leaves no trace."""
    async with opened(path, FakeClock()) as engine:
        await engine.kv.put(KEY, b"one")
        await engine.kv.put(KEY, b"two")
        assert stored_value(str(path), KEY) == b"two"
        assert stored_value(str(path), Key("other")) is None
        await engine.kv.put(KEY, b"three")
        assert stored_value(str(path), KEY) == b"three"
    before = sorted(file.name for file in path.parent.iterdir())
    assert stored_value(str(path), KEY) == b"three"
    assert sorted(file.name for file in path.parent.iterdir()) == before
    assert "engine.db-wal" not in before


async def test_a_note_is_read_after_a_crash(path: Path, tmp_path: Path) -> None:
    """What stands only in the log of a gateway that died is read as well."""
    copy = tmp_path / "copy.db"
    async with opened(path, FakeClock()) as engine:
        await engine.kv.put(KEY, b"one")
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    assert stored_value(str(copy), KEY) == b"one"


async def test_a_linked_file_is_the_file(path: Path, tmp_path: Path) -> None:
    """A note is found by way of a link while the gateway has the file by its own name."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    async with opened(path, FakeClock()) as engine:
        await engine.kv.put(KEY, b"one")
        assert stored_value(str(link), KEY) == b"one"


def test_no_note_where_there_is_no_file(path: Path) -> None:
    """A file that is missing is told of, and not made."""
    with pytest.raises(EngineFileError, match="no such file"):
        stored_value(str(path), KEY)
    assert not path.exists()


def test_no_note_in_a_strange_file(path: Path) -> None:
    """An empty file, a text and a database of another program are told of."""
    path.write_bytes(b"")
    with pytest.raises(EngineFileError, match="empty"):
        stored_value(str(path), KEY)
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(EngineFileError, match="cannot be used"):
        stored_value(str(path), KEY)
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE kept (key, value)")
    other.close()
    with pytest.raises(EngineFileError, match="another program"):
        stored_value(str(path), KEY)


def test_no_note_in_a_spoilt_file(path: Path) -> None:
    """A file that looks like ours and has not what ours has is told of."""
    spoilt = sqlite3.connect(path)
    spoilt.execute(f"PRAGMA application_id = {schema.APPLICATION_ID:d}")
    spoilt.execute("PRAGMA user_version = 1")
    spoilt.execute("CREATE TABLE other (x)")
    spoilt.commit()
    spoilt.close()
    with pytest.raises(EngineFileError, match="cannot be read"):
        stored_value(str(path), KEY)


async def test_a_file_without_lists_gets_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the first version is brought up to date, and keeps its texts."""
    with monkeypatch.context() as before:
        before.setattr(schema, "VERSION", 1)
        before.setattr(schema, "to_key_value", lambda _: None)
        first = schema.open_writer(str(path))
        first.execute("INSERT INTO kept (key, value) VALUES ('k', 'one')")
        first.close()
    assert stored_value(str(path), KEY) == b"one"
    async with opened(path, FakeClock()) as engine:
        await engine.kv.prepend(LIST, ("a",), 3)
        assert await engine.kv.get(KEY) == b"one"
        assert await engine.kv.read(LIST, 9) == ("a",)
