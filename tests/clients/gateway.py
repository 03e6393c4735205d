"""A real gateway process for clients under test, and its admin API."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from portward.security.tokens import sign
from tests.e2e.process import KEY, SECRET
from tests.process_start import starting

SETTINGS: Final = f"""
[server]
port = 0
admin_port = 0
drain_timeout = "2s"
[tokens]
secrets = ["{SECRET}"]
[admin]
api_keys = ["{KEY}"]
[limits.connections]
max = 0
[limits.auth]
rate = "none"
[limits.attempts]
rate = "none"
[limits.messages]
rate = "none"
[limits.history]
rate = "none"
[limits.join]
rate = "none"
[limits.frames]
rate = "none"
[namespaces.rooms]
max_subscribers = 0
history_size = 1000
[namespaces.alerts]
cooldown = "0s"
history_size = 500
"""


class Process:
    """A running gateway: the port of its listener, and its admin API."""

    def __init__(self, port: int, admin: str, pid: int) -> None:
        self.port = port
        self.pid = pid
        self._admin = admin
        self._http: httpx.AsyncClient | None = None

    async def call(self, method: str, **body: Any) -> Any:
        """One call of the admin API."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return await self.post(client, method, body)

    async def post(self, client: httpx.AsyncClient, method: str, body: Mapping[str, Any]) -> Any:
        """One call of the admin API over a connection that stays."""
        answer = await client.post(
            f"{self._admin}api/{method}", json=dict(body), headers={"X-API-Key": KEY}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]


@contextmanager
def gateway_process(
    folder: Path, more: str = "", gate: str = "max_per_user = 0\n", **environment: str
) -> Iterator[Process]:
    """Run `portward serve` with the memory engine and without limits until the block ends.

    `more` are tables of the settings; `gate` is what stands in the table of that name.
    """
    config = folder / "portward.toml"
    config.write_text(f"{more}\n[gate]\n{gate}{SETTINGS}")
    with starting(folder, "serve", "--config", str(config), **environment) as process:
        port = int(process.await_line(r"^rooms +ws://[^/]+:(\d+)/")[1])
        admin = process.await_line(r"^admin +(http://\S+)")[1]
        process.await_line(r"^ready")
        yield Process(port, admin, process.pid)
        assert "Traceback" not in process.said, process.said


def token(
    user: str, *, ttl: float = 600, age: float = 0.0, secret: str = SECRET, **claims: Any
) -> str:
    """An access token that runs out in `ttl` seconds and was issued `age` seconds ago."""
    now = time.time()
    made: dict[str, Any] = {"sub": user, "iat": int(now - age), "exp": int(now + ttl)}
    return sign(made | {"roles": ["user"], "permissions": ["alerts:*"]} | claims, secret)
