"""The programs of the page on the Python client run as they are printed."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portward.security.tokens import sign
from tests.docs.pages import DOCS, ROOT, blocks
from tests.e2e.process import SECRET, Served, serving

PAGE = DOCS / "how-to" / "python-client.md"
pytestmark = pytest.mark.timeout(300)


def program(word: str) -> str:
    """The program of the page that has this in it."""
    (found,) = [each.text for each in blocks("python", PAGE) if word in each.text]
    return found


def token(user: str = "dave", **claims: Any) -> str:
    """A token that the process accepts."""
    now = int(time.time())
    given = {"sub": user, "iat": now, "exp": now + 600, "roles": ["user"], **claims}
    return sign(given, SECRET)


def start(folder: Path, text: str, *arguments: str, python: str = sys.executable) -> Any:
    """Start a program, as a user would, in a folder of its own."""
    (folder / "hello.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python == sys.executable:
        kept["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.Popen(
        [python, "-X", "dev", "hello.py", *arguments],
        cwd=folder,
        env=kept | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A running gateway."""
    (tmp_path / "gateway").mkdir()
    async with serving(tmp_path / "gateway") as running:
        yield running


async def ended(process: Any) -> str:
    """What a program printed, once it has ended well."""
    output, _ = await asyncio.to_thread(process.communicate, timeout=120)
    assert process.returncode == 0, output
    text: str = output
    return text


async def test_programs(served: Served, tmp_path: Path) -> None:
    """The programs for rooms and alerts print what the page promises."""
    base = served.url.removesuffix("/rooms")
    process = start(tmp_path, program('== "bye"'), base, token())
    first = await asyncio.to_thread(process.stdout.readline)
    assert first.startswith("Stored(id=")
    assert await asyncio.to_thread(process.stdout.readline) == "dave: hello\n"
    await served.call("publish", channel="rooms:lobby", data="bye")
    assert await ended(process) == "None: bye\n"
    for word, printed in (
        ("are you there?", "stored at 3\n"),
        ("what did I miss?", "4 messages, the last: what did I miss?\n"),
    ):
        assert await ended(start(tmp_path, program(word), base, token())) == printed
    said = await ended(start(tmp_path, program("client.sync"), base, token()))
    assert said.startswith("Stored(id=")
    assert said.endswith("dave from a script\n")
    await alerts(served, tmp_path, base)


async def alerts(served: Served, tmp_path: Path, base: str) -> None:
    """The program on alerts prints the first one of its calls."""
    process = start(tmp_path, program("alerts.subscribe"), base, token())
    reading = asyncio.create_task(ended(process))
    report = {"callId": "call-7", "callQuality": {"mosScore": 2.1}}
    while not reading.done():
        # Until the program has subscribed nothing reaches it, and it says nothing of that.
        await served.call("analysis", event="result", payload=report)
        await asyncio.wait({reading}, timeout=0.5)
    assert await reading == "call-7 call_quality critical {'mosScore': 2.1}\n"


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_the_wheel_in_an_empty_folder(served: Served, tmp_path: Path) -> None:
    """The wheel is installed where there is nothing else, and the quick start runs there."""
    dist, place = tmp_path / "dist", tmp_path / "empty"
    place.mkdir()
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(dist), str(ROOT)]
    python = str(place / ".venv" / "bin" / "python")
    await _run(build)
    await _run([sys.executable, "-m", "venv", str(place / ".venv")])
    (wheel,) = dist.glob("*.whl")
    await _run([python, "-m", "pip", "install", "-q", str(wheel)])
    base = served.url.removesuffix("/rooms")
    process = start(place, program('== "bye"'), base, token(), python=python)
    assert (await asyncio.to_thread(process.stdout.readline)).startswith("Stored(id=")
    await served.call("publish", channel="rooms:lobby", data="bye")
    assert await ended(process) == "dave: hello\nNone: bye\n"


async def _run(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
