"""The publisher against `portward serve`: retries over a restart publish once, and slow answers end."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from portward.publisher import (
    AsyncPublisher,
    CallRefused,
    CallTimedOut,
    GatewayUnreachable,
    Publisher,
    Retries,
)
from tests.e2e.process import CONFIG, KEY, ROOT, Served, serving

pytestmark = pytest.mark.timeout(180)

CLIENT = ROOT / "clients" / "js"
PATIENT = Retries(attempts=1000, first=0.1, longest=0.5, within=90.0)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Again:
    """A gateway at one address, which can be started again on the same store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.settings = CONFIG.replace("admin_port = 0", f"admin_port = {port}")
        self._stack = AsyncExitStack()

    async def start(self) -> Served:
        """Start it."""
        return await self._stack.enter_async_context(serving(self.folder, self.settings))

    async def stop(self) -> None:
        """End it."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Again]:
    """A gateway with a room that can be published to."""
    found = Again(folder)
    await found.start()
    try:
        async with AsyncPublisher(found.url, KEY, retries=PATIENT) as it:
            await it.set_room("lobby")
        yield found
    finally:
        await found.stop()


class LosesAnswers(httpx.HTTPTransport):
    """Delivers requests, and loses the first answers."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Let the gateway act, and report that the connection broke."""
        answer = super().handle_request(request)
        if self.left:
            self.left -= 1
            answer.read()
            answer.close()
            raise httpx.ReadError("the answer was lost")
        return answer


@pytest.mark.long
async def test_a_restart_between_retries_publishes_once(tmp_path: Path) -> None:
    """The answer is lost and the gateway restarted: the retry gets the position of the first publication."""
    async with gateway(tmp_path) as it:
        loop = asyncio.get_running_loop()
        restarts = 0

        def sleep(_: float) -> None:
            nonlocal restarts
            restarts += 1
            for step in (it.stop, it.start):
                asyncio.run_coroutine_threadsafe(step(), loop).result(60)

        def publish() -> list[Any]:
            transport = LosesAnswers(1)
            with Publisher(it.url, KEY, retries=PATIENT, sleep=sleep, transport=transport) as sent:
                first = sent.publish("rooms:lobby", "once")
                assert sent.history("rooms:lobby", limit=0).offset == first.offset
                return [each.data for each in sent.history("rooms:lobby").publications]

        assert await asyncio.to_thread(publish) == ["once"]
        assert restarts == 1


@pytest.mark.long
async def test_a_gateway_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """While nothing listens, attempts go on; the publication is made once the gateway is back."""
    async with gateway(tmp_path) as it:
        await it.stop()
        async with AsyncPublisher(it.url, KEY, retries=PATIENT) as sent:
            publishing = asyncio.create_task(sent.publish("rooms:lobby", "late"))
            await asyncio.sleep(0.2)
            assert not publishing.done()
            await it.start()
            assert (await publishing).offset == 1
        impatient = AsyncPublisher(
            f"http://127.0.0.1:{free_port()}", KEY, retries=Retries(attempts=2)
        )
        with pytest.raises(GatewayUnreachable):
            await impatient.publish("rooms:lobby", 1)
        await impatient.close()


async def test_the_real_refusals(tmp_path: Path) -> None:
    """A key that is not known, and a room that is not there, are told at once and for good."""
    async with gateway(tmp_path) as it:
        async with AsyncPublisher(it.url, "another key") as stranger:
            with pytest.raises(CallRefused) as unknown:
                await stranger.publish("rooms:lobby", 1)
        async with AsyncPublisher(it.url + "/", KEY) as sent:
            with pytest.raises(CallRefused) as missing:
                await sent.room("nowhere")
        errors = (unknown.value, missing.value)
        assert [(each.code, each.status) for each in errors] == [
            ("unauthorized", 401),
            ("not_found", 404),
        ]
        assert "another key" not in str(unknown.value)


async def test_slow_answers_end() -> None:
    """A server that takes the request and never answers is given up after the time-out."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    once = Retries(attempts=1)
    async with server:
        async with AsyncPublisher(url, KEY, timeout=0.1, retries=once) as slow:
            with pytest.raises(CallTimedOut):
                await slow.publish("rooms:lobby", 1)
        with (
            Publisher(url, KEY, timeout=0.1, retries=once) as slow_too,
            pytest.raises(CallTimedOut),
        ):
            await asyncio.to_thread(slow_too.publish, "rooms:lobby", 1)


@pytest.mark.long
@pytest.mark.skipif(
    not (CLIENT / "dist").exists(), reason="`make test` builds the TypeScript client"
)
async def test_a_restart_between_retries_of_node_publishes_once(tmp_path: Path) -> None:
    """The publisher of `portward/server` does the same: the answer is lost, and one message published."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "portward").symlink_to(CLIENT)
    shutil.copy(ROOT / "tests" / "e2e" / "publisher_node.mjs", tmp_path)
    async with gateway(tmp_path) as it:
        process = await asyncio.create_subprocess_exec(
            *("node", str(tmp_path / "publisher_node.mjs")),
            env=os.environ | {"GATEWAY_ADMIN": it.url, "PORTWARD_API_KEY": KEY},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert await process.stdout.readline() == b"lost\n"
        await it.stop()
        await it.start()
        process.stdin.write(b"go\n")
        assert json.loads(await process.stdout.readline()) == {"offset": 1, "said": ["once"]}
        assert await process.wait() == 0
