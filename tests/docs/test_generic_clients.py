"""The lines for generic WebSocket libraries, as printed: after a revocation none makes another attempt."""

import asyncio
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from portward.client.closes import invites_return
from portward.client.publisher import AsyncPublisher
from tests.docs.pages import DOCS, ROOT, blocks
from tests.e2e.listeners import PATIENCE
from tests.e2e.nodes import token
from tests.e2e.process import CONFIG, KEY, Served, serving

PAGE: Final = DOCS / "endpoints" / "rooms.md"
NODE: Final = ROOT / "tests" / "js"
LIBRARIES: Final = ("reconnecting-websocket", "partysocket", "browser")
WAIT: Final = 6 * PATIENCE
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not (NODE / "node_modules" / "partysocket").exists(),
        reason="`make test` installs the libraries",
    ),
]


def lines(info: str) -> str:
    """The printed lines behind this word."""
    (block,) = blocks(info, PAGE)
    return block.text


PYTHON: Final = """
import asyncio, json, sys
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

url, token = sys.argv[1:]

async def talk(socket):
    print("attempt", flush=True)
    await socket.send(json.dumps({"type": "auth", "data": {"token": token}, "timestamp": 0}))
    async for text in socket:
        if json.loads(text)["type"] == "auth_success":
            print("authenticated", flush=True)

async def main():
LINES
    print("stopped", flush=True)

asyncio.run(main())
"""


class Program:
    """A client of the page in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[str] = []

    async def line(self, wanted: str) -> None:
        """Read up to the next such line."""
        assert self.process.stdout is not None
        while True:
            text = (await asyncio.wait_for(self.process.stdout.readline(), WAIT)).decode().strip()
            assert text, self.seen
            self.seen.append(text)
            if text == wanted:
                return

    async def rest(self) -> list[str]:
        """All lines, once the process has ended by itself."""
        assert self.process.stdout is not None
        text = await asyncio.wait_for(self.process.stdout.read(), WAIT)
        assert await self.process.wait() == 0
        return [*self.seen, *text.decode().split("\n")[:-1]]


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[Program]:
    """Run it until the block ends."""
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def of_node(library: str, served: Served, user: str, rule: str) -> tuple[str, ...]:
    """The command that runs the lines of a library."""
    script = NODE / "generic_sockets.mjs"
    code = f"{rule}\n{lines(f'js {library}')}"
    return "node", str(script), library, served.url, token(user), code


def of_python(served: Served, user: str, printed: str) -> tuple[str, ...]:
    """The command that runs the lines for `websockets`."""
    code = PYTHON.replace("LINES", textwrap.indent(printed, "    "))
    return sys.executable, "-c", code, served.url, token(user)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A gateway."""
    async with serving(tmp_path, CONFIG) as served:
        yield served


@pytest.mark.long
async def test_no_attempt_follows_a_revocation(served: Served) -> None:
    """With the lines each client connects once and ends; without them it comes back for ever."""
    commands = {
        name: (
            of_node(name, served, f"{name}-a", lines("js stop")),
            of_node(name, served, f"{name}-b", "const comesBack = () => true;"),
        )
        for name in LIBRARIES
    }
    printed = lines("python websockets")
    commands["python"] = (
        of_python(served, "python-a", printed),
        of_python(served, "python-b", printed.replace("break", "continue")),
    )
    async with AsyncPublisher(served.admin, KEY) as publisher:
        for name, (with_lines, without) in commands.items():
            async with program(*with_lines) as client:
                await client.line("authenticated")
                assert await publisher.revoke(user=f"{name}-a") == 1
                seen = await client.rest()
            assert seen.count("attempt") == 1, (name, seen)
            async with program(*without) as client:
                await client.line("authenticated")
                assert await publisher.revoke(user=f"{name}-b") == 1
                await client.line("attempt")


@pytest.mark.parametrize("reason", ["", "Connection timeout", "policy violation", "slow"])
def test_the_lines_agree_with_the_client(reason: str) -> None:
    """For every code and reason of rooms the printed rules decide as the Python client does."""
    codes = [*range(1000, 1016), *range(3000, 4000)]
    asked = f"{codes}.map((code) => comesBack({{ code, reason: {reason!r} }}))"
    script = f"{lines('js stop')}; console.log(JSON.stringify({asked}))"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    passing, *others = lines("python websockets").splitlines()
    rule = re.search(r"if not \((.*)\):", "\n".join(others))
    assert rule is not None
    names: dict[str, Any] = {}
    exec(passing, names)  # noqa: S102 - the page's own
    for code, in_node in zip(codes, json.loads(done.stdout), strict=True):
        if code == 1008 or reason != "Connection timeout":
            in_python = eval(rule[1], names | {"code": code, "reason": reason})  # noqa: S307 - likewise
            assert (in_node, in_python) == (invites_return(code, reason),) * 2, code
