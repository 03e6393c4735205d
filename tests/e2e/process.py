"""`portward serve` as a real process, with real signals."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.listeners import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of the tests, long enough to be one"
KEY = "an api key of the tests"
CONFIG = f"""
[server]
port = 0
admin_port = 0
drain_timeout = "2s"
[tokens]
secrets = ["{SECRET}"]
[admin]
api_keys = ["{KEY}"]
[limits.auth]
rate = "none"
[limits.attempts]
rate = "none"
[limits.messages]
rate = "none"
[limits.join]
rate = "none"
[namespaces.rooms]
max_subscribers = 0
history_size = 1000
"""


class Served:
    """A running gateway: where it is, and what it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output: list[str] = []
        self.url = ""
        self.admin = ""

    async def read(self) -> None:
        """Collect what it prints until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.output.append(line.decode())

    async def said(self, pattern: str) -> re.Match[str]:
        """Wait for a line."""
        async with asyncio.timeout(3 * PATIENCE):
            while True:
                for line in self.output:
                    found = re.search(pattern, line)
                    if found:
                        return found
                await asyncio.sleep(0.01)

    async def call(self, method: str, **body: Any) -> Any:
        """One call of the admin API."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{self.admin}api/{method}", json=body, headers={"X-API-Key": KEY}
            )
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]


@asynccontextmanager
async def serving(folder: Path, settings: str = CONFIG) -> AsyncIterator[Served]:
    """Run `portward serve` until the block ends; it must not have printed a traceback."""
    config = folder / "portward.toml"
    config.write_text(settings)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "XDG_STATE_HOME": str(folder),
        "NO_COLOR": "1",
        "PORTWARD_ENGINE__URL": f"sqlite:///{folder}/portward.db",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "portward", "serve", "--config", str(config)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    served = Served(process)
    reading = asyncio.create_task(served.read())
    try:
        served.url = (await served.said(r"rooms +(ws://\S+)"))[1]
        served.admin = (await served.said(r"admin +(http://\S+)"))[1]
        await served.said(r"^ready")
        yield served
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
        await process.wait()
        await reading
    assert not any("Traceback" in line for line in served.output), served.output
