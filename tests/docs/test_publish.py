"""The recipes of the page on publishing, run as printed against `portward serve`."""

import asyncio
import datetime
import json
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from portward.publisher import AsyncPublisher
from tests.docs.pages import DOCS, ROOT, blocks
from tests.e2e.nodes import token
from tests.e2e.process import KEY, serving

CLIENT: Final = ROOT / "clients" / "js"
PAGE: Final = DOCS / "how-to" / "publish.md"
pytestmark = [pytest.mark.timeout(240), pytest.mark.long]


def python_block(word: str) -> str:
    """The Python block that has this in it."""
    (found,) = [each.text for each in blocks("python", PAGE) if word in each.text]
    return found


def command(word: str) -> list[str]:
    """The words of the printed command line that has this in it, behind `python`."""
    lines = [line for each in blocks("console", PAGE) for line in each.text.splitlines()]
    (found,) = [line.removeprefix("$ python ") for line in lines if word in line]
    return shlex.split(found)


class Place:
    """A folder to run programs in, and the gateway they publish to."""

    def __init__(self, folder: Path, admin: str, rooms: str) -> None:
        self.folder = folder
        self.rooms = rooms
        self.admin = admin
        self.publisher = AsyncPublisher(admin, KEY)

    async def run(self, *arguments: str, **environ: str) -> str:
        """Run Python; what it prints."""
        added = {"PYTHONPATH": f"{ROOT / 'src'}:{self.folder}", "GATEWAY_ADMIN": self.admin}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | added | {"PORTWARD_API_KEY": KEY} | environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def said(self, channel: str) -> list[Any]:
        """What was published to a channel."""
        return [each.data for each in (await self.publisher.history(channel)).publications]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway with the rooms of the page."""
    (tmp_path / "work").mkdir()
    async with serving(tmp_path) as served:
        place = Place(tmp_path / "work", served.admin, served.url)
        for room in ("lobby", "orders"):
            await place.publisher.set_room(room)
        yield place
        await place.publisher.close()


async def test_scripts(place: Place) -> None:
    """A script, a job that runs twice, and a program with asyncio publish what they say, the job once."""
    (place.folder / "send.py").write_text(python_block("sys.argv[1]"))
    line = command("send.py")
    assert await place.run(*line) == "1"
    assert await place.said("rooms:lobby") == [line[-1]]
    (place.folder / "nightly.py").write_text(python_block("report-{today}"))
    day = datetime.datetime.now(tz=datetime.UTC).astimezone().date()
    await place.run("nightly.py")
    await place.run("nightly.py")
    days = {
        f"the report of {each.isoformat()} is ready" for each in (day, day + datetime.timedelta(1))
    }
    reports = await place.said("rooms:orders")
    assert set(reports) <= days
    (place.folder / "many.py").write_text(python_block("AsyncPublisher("))
    assert await place.run("many.py") == str(len(reports) + 3)
    assert sorted((await place.said("rooms:orders"))[len(reports) :]) == [0, 1, 2]


@pytest.mark.skipif(
    not (CLIENT / "dist").exists(), reason="`make test` builds the TypeScript client"
)
async def test_node(place: Place) -> None:
    """The script for Node publishes as it is printed."""
    (place.folder / "node_modules").mkdir()
    (place.folder / "node_modules" / "portward").symlink_to(CLIENT)
    (block,) = blocks("js", PAGE)
    (place.folder / "send.mjs").write_text(block.text)
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", "send.mjs"],
        cwd=place.folder,
        env=os.environ | {"GATEWAY_ADMIN": place.admin, "PORTWARD_API_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert await place.said("rooms:lobby") == ["hello from Node"]


async def test_the_django_command(place: Place) -> None:
    """In a new project the command publishes, and tells of a refusal in one line."""
    await place.run("-m", "django", "startproject", "mysite", ".")
    await place.run("-m", "django", "startapp", "shop")
    folder = place.folder / "shop" / "management" / "commands"
    folder.mkdir(parents=True)
    (folder / "announce.py").write_text(python_block("BaseCommand"))
    settings = place.folder / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + '\nINSTALLED_APPS.append("shop")\n')
    line = command("manage.py")
    assert await place.run(*line) == "published at 1"
    assert await place.said("rooms:orders") == [line[-1]]
    with pytest.raises(
        AssertionError, match="CommandError: not published: refused with status 401"
    ):
        await place.run(*line, PORTWARD_API_KEY="another")


async def test_the_celery_task(place: Place) -> None:
    """Celery runs the task of the page; the same order is announced once."""
    pytest.importorskip("celery")
    (place.folder / "tasks.py").write_text(python_block("@app.task"))
    program = (
        "import tasks; tasks.app.conf.task_always_eager = True;"
        "print([tasks.order_shipped.delay(7).get() for _ in range(2)])"
    )
    assert await place.run("-c", program, BROKER="memory://") == "[1, 1]"
    assert await place.said("rooms:orders") == [{"order": 7, "state": "shipped"}]


def test_the_bounds() -> None:
    """The example with its bounds makes a publisher."""
    names: dict[str, Any] = {}
    exec(python_block("Retries(attempts=6"), names)  # noqa: S102 - the page's own
    names["publisher"].close()


async def test_a_ticket_for_a_page(place: Place) -> None:
    """The lines of the page on the gate make a ticket, with which a page connects once."""
    (block,) = blocks("python ticket", DOCS / "gate.md")
    names: dict[str, Any] = {"api_key": KEY}
    exec(block.text.replace("http://127.0.0.1:8081", place.admin), names)  # noqa: S102 - the page's own
    made = await asyncio.to_thread(names["ticket_for"], token("ann"))
    names["publisher"].close()
    address = place.rooms.replace("/rooms", f"/alerts?ticket={made['ticket']}")
    async with connect(address, origin=Origin("http://localhost:3000"), proxy=None) as socket:
        assert json.loads(await socket.recv())["type"] == "handshake"
    with pytest.raises(InvalidStatus, match="401"):
        await connect(address, origin=Origin("http://localhost:3000"), proxy=None)


def test_the_error_table_is_whole() -> None:
    """The page names every code of a refusal."""
    from portward.client.publisher.errors import _CODES  # noqa: PLC0415 - this test alone

    text = PAGE.read_text(encoding="utf-8")
    assert [code for code in _CODES.values() if f"`{code}`" not in text] == []
