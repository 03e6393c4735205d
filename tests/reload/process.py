"""`portward serve` whose settings a test replaces again and again with SIGHUP."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.reload.web import Web

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "an api key of the reload tests"
ORIGIN = "https://app.example.com"
SIGN_SECRET = "c3Vq8TzKw1Lm6Rb9Xn4Yd7Hf2Gp5Js0A"
WAIT = 60.0
"""Seconds the process has for anything; the machine may be busy."""
BASE: Mapping[str, object] = {
    "server.port": 0,
    "server.admin_port": 0,
    "server.drain_timeout": "1s",
    "engine.url": "memory://",
    "log.format": "json",
    "admin.api_keys": [API_KEY],
    "gate.allowed_origins": [ORIGIN],
    "identity_provider.url": "{web}",
    "identity_provider.cookies": ["session"],
    "limits.auth.rate": "none",
    "limits.attempts.rate": "none",
    "limits.messages.rate": "none",
    "limits.join.rate": "none",
    "endpoints.echo.enabled": True,
    "endpoints.signed.dialect": "rooms",
    "endpoints.signed.namespace": "rooms",
    "endpoints.signed.path": "/signed",
    "endpoints.signed.sign_messages": True,
    "endpoints.signed.sign_secret": SIGN_SECRET,
    "endpoints.asked.dialect": "rooms",
    "endpoints.asked.namespace": "asked",
    "endpoints.asked.path": "/asked",
    "namespaces.asked.authorize": "http",
    "namespaces.asked.authorize_url": "{web}/allow",
    "endpoints.rooms.auto_create": False,
    "endpoints.second.dialect": "relay",
    "endpoints.second.path": "/second",
    "endpoints.second.upstream": "second",
    **{
        f"{table}.{key}": value
        for table in ("upstream", "upstreams.second")
        for key, value in (
            ("url", "{upstream}/?model={model}"),
            ("api_key", "sk-base"),
            ("allow_private", True),
        )
    },
}
"""What every case has in common. A case overrides keys of it, both before and after the reload."""


class GatewayProcess:
    """A running `portward serve`. :meth:`configure` writes its settings anew and reloads them."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, web: Web) -> None:
        self._process = process
        self.folder = folder
        self.web = web
        self.output: list[str] = []
        self._printed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.public = self._line(r"rooms +(ws://[^/]+)/rooms")
        self.admin = self._line(r"admin +(http://[^/]+)/")
        self._line(r"^(ready)")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._printed:
                self.output.append(line.rstrip("\n"))
                self._printed.notify_all()

    def _line(self, pattern: str, after: int = 0) -> str:
        """The first group of the first line from `after` on that has the pattern."""

        def found() -> re.Match[str] | None:
            hits = (re.search(pattern, line) for line in self.output[after:])
            return next((hit for hit in hits if hit), None)

        with self._printed:
            assert self._printed.wait_for(lambda: found() or self._ended, WAIT), self.output[
                after:
            ][-20:]
            hit = found()
        assert hit is not None, self.output[after:][-20:]
        return hit[1]

    @property
    def _ended(self) -> bool:
        return self._process.poll() is not None

    async def configure(self, keys: Mapping[str, object]) -> str:
        """Put these settings in force over :data:`BASE`; what the process announces of it."""
        (self.folder / "portward.toml").write_text(written(self._filled({**BASE, **keys})))
        after = len(self.output)
        self._process.send_signal(signal.SIGHUP)
        return await asyncio.to_thread(self._line, r"^(reload(?:ed| refused).*)", after)

    def _filled(self, keys: Mapping[str, object]) -> dict[str, object]:
        """Replace `{folder}`, `{web}` and `{upstream}` in texts by where they are."""
        return {key: filled(value, **places(self.folder, self.web)) for key, value in keys.items()}

    async def call(self, method: str, **body: Any) -> Any:
        """One call of the admin API."""
        async with httpx.AsyncClient(trust_env=False, timeout=WAIT) as client:
            answer = await client.post(
                f"{self.admin}/api/{method}", json=body, headers={"X-API-Key": API_KEY}
            )
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def logged(self, event: str, accepted: Callable[[Any], bool] = lambda _: True) -> Any:
        """Wait for an event in the log; its fields."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            for line in tuple(self.output):
                fields = json.loads(line) if line.startswith("{") else {}
                if fields.get("event") == event and accepted(fields):
                    return fields
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {event} in the log")

    def end(self) -> None:
        """Drain it; it must end by itself, and must not have printed a traceback."""
        if not self._ended:
            self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(WAIT)
        self._reader.join(WAIT)
        assert not any("Traceback" in line for line in self.output), self.output[-50:]
        assert code == 0, (code, self.output[-5:])


def places(folder: Path, web: Web) -> dict[str, object]:
    """Where the places are that texts of settings may name."""
    port = web.upstream.url.rpartition(":")[2]
    return {
        "folder": folder, "web": web.url, "upstream": web.upstream.url, "upstream_port": port
    }  # fmt: skip


def filled(value: object, **places: object) -> object:
    """A value with `{name}` in its texts replaced; other braces stay."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(f"{{{name}}}", str(place))
        return value
    if isinstance(value, (list, tuple)):
        return [filled(each, **places) for each in value]
    return value


def written(keys: Mapping[str, object]) -> str:
    """Settings as TOML: one dotted key a line. None takes a key of :data:`BASE` away."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in keys.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


@contextmanager
def serving(
    folder: Path, web: Web, given: Mapping[str, object] | None = None
) -> Iterator[GatewayProcess]:
    """Run `portward serve` with :data:`BASE`, and what is given over it, until the block ends."""
    config = folder / "portward.toml"
    base = {**BASE, **(given or {})}
    keys = {key: filled(value, **places(folder, web)) for key, value in base.items()}
    config.write_text(written(keys))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PORTWARD_")}
    process = subprocess.Popen(
        (sys.executable, "-m", "portward", "serve", "--config", str(config)),
        env=ours
        | {"PYTHONPATH": str(ROOT / "src"), "XDG_STATE_HOME": str(folder), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        running = GatewayProcess(process, folder, web)
        yield running
        running.end()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
