"""`portward serve` at a Unix socket as real processes: start, end, kill, and two at one path."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.e2e.process import ROOT, SECRET

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name."""
    with TemporaryDirectory(prefix="pw") as made:
        yield Path(made)


@asynccontextmanager
async def started(folder: Path, name: str, path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A gateway with its own file and state, at a path that others may have too."""
    config = folder / f"{name}.toml"
    config.write_text(f"""
[server]
host = "unix:{path}"
admin_port = 0
drain_timeout = "1s"
trusted_proxies = ["unix:"]
[tokens]
secrets = ["{SECRET}"]
[engine]
url = "memory://"
""")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "XDG_STATE_HOME": str(folder / name),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "portward", "serve", "--config", str(config)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready(process: asyncio.subprocess.Process) -> list[str]:
    """What a process prints until it serves."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or lines[-1] != "ready":
        line = await process.stdout.readline()
        assert line, lines
        lines.append(line.decode().strip())
    return lines


def sockets(folder: Path) -> list[Path]:
    """The sockets in a folder."""
    return list(folder.glob("*.sock"))


async def healthy(path: Path) -> bool:
    """Whether the gateway at a path answers."""
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.get("http://gate/health")).status_code == 200


async def test_a_path_has_one_gateway_at_a_time(folder: Path) -> None:
    """A second one does not start, and takes nothing away; after the end of the first nothing is left."""
    path = folder / "gate.sock"
    async with started(folder, "one", path) as one:
        lines = await ready(one)
        assert f"rooms        ws+unix:{path}:/rooms" in lines
        assert await healthy(path)
        async with started(folder, "two", path) as two:
            said, _ = await two.communicate()
        assert two.returncode == 1
        assert f"cannot listen on unix:{path}: another process listens there" in said.decode()
        assert "Traceback" not in said.decode()
        assert await healthy(path)
        one.send_signal(signal.SIGTERM)
        await one.communicate()
    assert one.returncode == 0
    assert sockets(folder) == []


async def test_the_path_of_a_killed_gateway_is_taken_over(folder: Path) -> None:
    """Nobody tidies up after SIGKILL; the next start does."""
    path = folder / "gate.sock"
    async with started(folder, "one", path) as one:
        await ready(one)
        one.kill()
        await one.communicate()
    assert sockets(folder) == [path]
    async with started(folder, "two", path) as two:
        await ready(two)
        assert await healthy(path)


async def test_a_file_at_the_path_stays(folder: Path) -> None:
    """The start fails with one line, and the file is as it was."""
    path = folder / "gate.sock"
    path.write_text("precious")
    async with started(folder, "one", path) as one:
        said, _ = await one.communicate()
    assert one.returncode == 1
    assert "no socket" in said.decode()
    assert path.read_text() == "precious"
