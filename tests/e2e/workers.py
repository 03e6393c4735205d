"""`portward serve` with several workers over a real Redis, as real processes with real signals."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from portward.security.tokens import sign
from tests.e2e.listeners import PATIENCE, EnvelopeClient
from tests.e2e.process import CONFIG, ROOT, SECRET, Served
from tests.engines.redis_servers import Server, need_redis, servers

LONG = 4 * PATIENCE
"""Seconds for what several processes have to do on a slow machine."""


class WorkerGroup(Served):
    """A gateway of several workers."""

    async def read(self) -> None:
        """Collect what all of them print, until the last of them has ended."""
        await super().read()
        self.silent.set()

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        self.silent = asyncio.Event()
        """Nobody is left who could print: neither the parent nor a worker."""

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return children(self.process.pid)

    async def metrics(self) -> dict[str, float]:
        """Every series of the one scrape."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            answer = await client.get(f"{self.admin}metrics")
        assert answer.status_code == 200
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        return {
            series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)
        }

    async def status(self, path: str) -> int:
        """The status of an answer of the admin listener."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            return (await client.get(f"{self.admin}{path}")).status_code

    async def until_whole(self) -> None:
        """Wait until all nodes answer, and so know each other."""
        async with asyncio.timeout(LONG):
            while True:
                answer = await self.call("info")
                if len(answer["nodes"]) == len(self.workers) and not answer["missing"]:
                    return
                await asyncio.sleep(0.1)

    def count(self, pattern: str) -> int:
        """How many lines match so far."""
        return sum(1 for line in self.output if re.search(pattern, line))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what it has said so far is enough."""
        async with asyncio.timeout(LONG):
            while not condition():  # noqa: ASYNC110 - it depends on processes, which set no event
                await asyncio.sleep(0.05)

    async def wait(self) -> int:
        """Wait for the end of all processes; the exit code of the parent."""
        async with asyncio.timeout(LONG):
            code = await self.process.wait()
            await self.silent.wait()
        return code


def children(pid: int) -> list[int]:
    """The processes a process has started and not yet seen the end of."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in text.split()]


def token(user: str, *roles: str) -> str:
    """An access token of the gateway under test."""
    now = int(time.time())
    return sign(
        {"sub": user, "iat": now, "exp": now + 600, "roles": list(roles or ("user",))}, SECRET
    )


@contextmanager
def store(folder: Path) -> Iterator[Server]:
    """A Redis of the test's own."""
    need_redis()
    with servers(Server(folder / "redis", "--save", "")) as (server,):
        yield server


@asynccontextmanager
async def run_workers(
    folder: Path, url: str, *arguments: str, workers: int = 2, config: str = CONFIG
) -> AsyncIterator[WorkerGroup]:
    """Run a gateway until the block ends. Leaves no process, whatever happened."""
    path = folder / "portward.toml"
    path.write_text(config)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "XDG_STATE_HOME": str(folder),
        "TMPDIR": str(folder),
        "PORTWARD_ENGINE__URL": url,
        "NO_COLOR": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "portward", "serve", "--config", str(path)),
        *("--workers", str(workers), *arguments),
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    made = WorkerGroup(process)
    reading = asyncio.create_task(made.read())
    known: list[int] = []
    try:
        yield made
    finally:
        known += made.workers
        if process.returncode is None:
            process.kill()
        await process.wait()
        try:
            # Without their parent the workers end by themselves.
            await asyncio.wait_for(reading, LONG)
        finally:
            for pid in known:
                if b"portward" in _command(pid):
                    os.kill(pid, signal.SIGKILL)
    assert not any("Traceback" in line for line in made.output), made.output


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def ready(made: WorkerGroup) -> WorkerGroup:
    """Wait until it serves."""
    made.url = (await made.said(r"^rooms +(ws://\S+)"))[1]
    made.admin = (await made.said(r"^admin +(http://\S+)"))[1]
    await made.said(r"^ready")
    return made


class Member(EnvelopeClient):
    """A client in a room; `node` is the worker that has it."""

    node = ""
    client = ""


async def member(stack: AsyncExitStack, made: WorkerGroup, user: str, room: str = "hall") -> Member:
    """A user in a room."""
    speaker = Member(await stack.enter_async_context(connect(made.url)))
    await speaker.ask("auth", token=token(user))
    await speaker.ask("join", roomId=room)
    return speaker


async def members(
    stack: AsyncExitStack, made: WorkerGroup, count: int, room: str = "hall"
) -> list[Member]:
    """Users in a room, at least one of them with each of two workers."""
    found: list[Member] = []
    while True:
        for _ in range(count):
            found.append(await member(stack, made, f"u{len(found)}", room))
        await _assign(made, found)
        if len({each.node for each in found}) > 1:
            return found


async def _assign(made: WorkerGroup, found: list[Member]) -> None:
    """Find out from the log who is with which worker."""
    listed = (await made.call("connections"))["connections"]
    users = {each["user"]: each["client"] for each in listed}
    for number, each in enumerate(found):
        each.client = users[f"u{number}"]
        each.node = (await made.said(rf"conn\.open +node=(\S+) client={each.client}"))[1]
