"""The Python client against the real process: each endpoint, cut off and back."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portward.client import Portward, Stored
from portward.client.requests import RequestConnection
from portward.security.tokens import sign
from tests.e2e.process import SECRET, Served, serving


def token(user: str, **claims: Any) -> str:
    """A token that the process accepts."""
    now = int(time.time())
    given = {"sub": user, "iat": now, "exp": now + 600, "roles": ["user"], **claims}
    return sign(given, SECRET)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A running gateway."""
    async with serving(tmp_path) as running:
        yield running


def client(served: Served, user: str, **options: Any) -> Portward:
    """A client of a user."""
    base = served.url.removesuffix("/rooms")
    return Portward(base, **{"get_token": lambda: token(user), **options})


def cut(connection: RequestConnection | None) -> None:
    """Break a connection, as when a cable is pulled."""
    assert connection is not None
    connection._transport.abort()


async def test_rooms(served: Served) -> None:
    """Two users talk; one is cut off, comes back and gets what was said meanwhile, once."""
    async with client(served, "ann") as ann, client(served, "bob") as bob:
        room, other = ann.room("lobby"), bob.room("lobby")
        await room.join()
        await other.join()
        assert isinstance(await other.send("one"), Stored)
        async for message in room:
            assert (message.content, message.user) == ("one", "bob")
            break
        cut(ann.rooms._reconnecting.connection)
        assert isinstance(await other.send("two"), Stored)
        assert isinstance(await room.send("three"), Stored)
        heard = []
        async for message in room:
            heard.append(message.content)
            if len(heard) == 2:
                break
        assert heard == ["two", "three"]
        page = await room.history(limit=2)
        assert [each.content for each in page.messages] == ["two", "three"]
        assert set(room.presence) == {"ann", "bob"}
