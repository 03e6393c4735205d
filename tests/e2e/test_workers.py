"""Several workers on one port: real processes, a real Redis, real signals."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from portward.cli.main import main
from portward.security.tokens import sign
from tests.e2e.listeners import EnvelopeClient
from tests.e2e.process import CONFIG
from tests.e2e.workers import (
    Member,
    WorkerGroup,
    children,
    member,
    members,
    ready,
    run_workers,
    store,
)
from tests.engines.redis_servers import Server

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis of the test's own."""
    with store(tmp_path) as server:
        yield server


@pytest.fixture
async def served(tmp_path: Path, redis: Server) -> AsyncIterator[WorkerGroup]:
    """Two workers that serve."""
    async with run_workers(tmp_path, redis.url) as made:
        yield await ready(made)


async def closed(speaker: EnvelopeClient) -> int | None:
    """Wait until a connection is closed; its close code."""
    with pytest.raises(ConnectionClosed):
        await speaker.hear_until("never")
    return speaker.socket.close_code


async def test_messages_cross_between_workers(served: WorkerGroup) -> None:
    """Members of a room hear each other, whichever worker they are with."""
    async with AsyncExitStack() as stack:
        everyone = await members(stack, served, 4)
        for speaker in (everyone[0], next(m for m in everyone if m.node != everyone[0].node)):
            await speaker.say("message", roomId="hall", content=f"from {speaker.node}")
            for each in everyone:
                heard = await each.hear_until("message")
                assert heard["data"]["content"] == f"from {speaker.node}"


async def test_one_admin_api(served: WorkerGroup) -> None:
    """Connections, channels, metrics, revocations and events are those of both workers together."""
    async with AsyncExitStack() as stack:
        everyone = await members(stack, served, 4)
        total = len(everyone)
        listed = await served.call("connections")
        assert listed["total"] == total
        assert len({each["client"] for each in listed["connections"]}) == total
        pages = [await served.call("connections", offset=n, limit=1) for n in range(total)]
        assert [page["connections"] for page in pages] == [[each] for each in listed["connections"]]
        channels = await served.call("channels")
        assert channels["channels"] == {"rooms:hall": {"num_clients": total}}
        assert (channels["total"], channels["missing"]) == (1, [])
        metrics = await served.metrics()
        assert metrics['portward_connections{endpoint="rooms"}'] == total
        assert metrics['portward_connections_total{endpoint="rooms"}'] == total
        assert metrics['portward_workers{state="up"}'] == 2
        assert metrics['portward_workers{state="down"}'] == 0
        assert metrics["portward_engine_up"] == 1
        [build] = [value for name, value in metrics.items() if "build_info" in name]
        assert build == 1
        nodes = (await served.call("info"))["nodes"]
        assert {each["uid"] for each in nodes} == {each.node for each in everyone}
        opened = [
            e for e in (await served.call("security_events"))["events"] if e["event"] == "auth.ok"
        ]
        assert len(opened) == total
        numbers = [each["seq"] for each in opened]
        assert numbers == sorted(set(numbers))
        twin = await member(stack, served, "u0")
        assert await served.call("revoke", user="u0") == {"ended": 2, "missing": []}
        assert {await closed(everyone[0]), await closed(twin)} == {3503}
        new = (await served.call("security_events", since=numbers[-1]))["events"]
        assert "auth.revoke" in [each["event"] for each in new]
        assert (await served.status("openapi.json"), await served.status("")) == (200, 200)


async def test_worker_that_is_killed_is_replaced(served: WorkerGroup) -> None:
    """Who was with it comes back, who was with the other notices nothing, and all hear each other."""
    async with AsyncExitStack() as stack:
        everyone = await members(stack, served, 4)
        os.kill(served.workers[0], signal.SIGKILL)
        victim = (await served.said(r"worker\.end +node=(\S+) detail='ended by signal 9'"))[1]
        lost = [each for each in everyone if each.node == victim]
        kept = [each for each in everyone if each.node != victim]
        assert {await closed(each) for each in lost} == {1006}
        back = [await member(stack, served, f"back{n}") for n in range(len(lost))]
        await served.until(lambda: served.count(rf"worker\.start +node={victim}") == 2)
        back.append(await member(stack, served, "late"))
        await back[0].say("message", roomId="hall", content="we are back")
        for each in (*kept, *back):
            assert (await each.hear_until("message"))["data"]["content"] == "we are back"
        assert (await served.metrics())["portward_workers_replaced_total"] == 1
        assert await served.status("ready") == 200


@pytest.mark.long
async def test_workers_drain_together_under_load(served: WorkerGroup) -> None:
    """SIGTERM to the parent tells the clients of all workers, closes them and ends with 0."""
    async with AsyncExitStack() as stack:
        everyone = await members(stack, served, 6)
        loading = asyncio.create_task(_load(everyone[0]))
        await everyone[1].hear_until("message")
        served.process.send_signal(signal.SIGTERM)
        codes = await asyncio.gather(*(_sent_off(each) for each in everyone[1:]))
        assert set(codes) == {3001}
        await asyncio.gather(loading, return_exceptions=True)
    assert await served.wait() == 0
    assert served.count(r"drain\.start") == 2


async def _load(speaker: Member) -> None:
    while True:
        await speaker.say("message", roomId="hall", content="still here")
        await asyncio.sleep(0.01)


async def _sent_off(speaker: Member) -> int | None:
    assert (await speaker.hear_until("shutdown"))["data"]["retryMs"] > 0
    return await closed(speaker)


async def test_interrupt_of_the_whole_group_drains(served: WorkerGroup) -> None:
    """Ctrl-C reaches parent and workers alike; that is no second signal to anybody."""
    async with AsyncExitStack() as stack:
        everyone = await members(stack, served, 2)
        os.killpg(served.process.pid, signal.SIGINT)
        assert {await _sent_off(each) for each in everyone} == {3001}
    assert await served.wait() == 0


async def test_second_signal_ends_at_once(tmp_path: Path, redis: Server) -> None:
    """During a long drain a second signal ends all workers; the exit code is still 0."""
    config = CONFIG.replace('drain_timeout = "2s"', 'drain_timeout = "10m"')
    async with run_workers(tmp_path, redis.url, config=config) as served, AsyncExitStack() as stack:
        await ready(served)
        everyone = await members(stack, served, 4)
        served.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(each.hear_until("shutdown") for each in everyone))
        served.process.send_signal(signal.SIGTERM)
        assert await served.wait() == 0


async def test_parent_that_is_killed_leaves_nobody(tmp_path: Path, served: WorkerGroup) -> None:
    """The workers notice, tell their clients, drain and end; even the folder of sockets is gone."""
    async with AsyncExitStack() as stack:
        everyone = await members(stack, served, 2)
        assert len(served.workers) == 2
        os.kill(served.process.pid, signal.SIGKILL)
        assert {await _sent_off(each) for each in everyone} == {3001}
    assert await served.wait() == -signal.SIGKILL
    assert children(served.process.pid) == []
    assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[Path]:
    """Folders of sockets that were not removed."""
    return list(folder.glob("portward-*"))


async def test_reload_is_told_once(tmp_path: Path, served: WorkerGroup) -> None:
    """SIGHUP reaches every worker; bad settings reach none. Either way one line says so."""
    config = tmp_path / "portward.toml"
    text = config.read_text()
    config.write_text(
        text.replace('[limits.messages]\nrate = "none"', '[limits.messages]\nrate = "5/min"')
    )
    served.process.send_signal(signal.SIGHUP)
    assert (await served.said(r"^reloaded: (.*)"))[1] == "limits.messages.rate"
    await served.until(lambda: served.count(r"settings\.reload") == 2)
    assert served.count("^reloaded") == 1
    config.write_text("nonsense")
    served.process.send_signal(signal.SIGHUP)
    await served.said(r"^reload refused: .* not valid TOML")
    assert served.count("reload refused") == 1


async def test_audit_of_each_worker(
    tmp_path: Path, redis: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every worker keeps an audit file of its own, and each verifies."""
    file = tmp_path / "audit.jsonl"
    config = f"{CONFIG}\n[audit]\nfile = {json.dumps(str(file))}\n"
    async with run_workers(tmp_path, redis.url, config=config) as served:
        await ready(served)
        served.process.send_signal(signal.SIGTERM)
        assert await served.wait() == 0
    for each in (file, tmp_path / "audit.jsonl.1"):
        assert main(["audit", "verify", str(each)]) == 0
        assert "sound" in capsys.readouterr().out


async def test_made_up_secrets_are_shared(tmp_path: Path, redis: Server) -> None:
    """What development makes up is the same for all workers: a token is good with each of them."""
    config = "\n".join(
        line for line in CONFIG.splitlines() if not line.startswith(("secrets", "api_keys"))
    )
    async with run_workers(tmp_path, redis.url, config=config) as served, AsyncExitStack() as stack:
        await ready(served)
        assert served.count("^admin key") == 1
        state = json.loads(state_of(tmp_path))
        now = int(time.time())
        good = sign({"sub": "ann", "iat": now, "exp": now + 600}, state["token_secret"])
        nodes: set[str] = set()
        while len(nodes) < 2:
            speaker = EnvelopeClient(await stack.enter_async_context(connect(served.url)))
            assert (await speaker.ask("auth", token=good))["type"] == "auth_success"
            nodes.update(_nodes(served))


def _nodes(served: WorkerGroup) -> set[str]:
    found = (re.search(r"conn\.open +node=(\S+)", line) for line in served.output)
    return {match[1] for match in found if match}


def state_of(folder: Path) -> str:
    """What development has made up."""
    return (folder / "portward" / "development.json").read_text()


@pytest.mark.long
async def test_store_that_is_away_refuses_the_start(tmp_path: Path, redis: Server) -> None:
    """Where no worker can start, the parent tries three times, gives the worker's reason and 1."""
    redis.kill()
    async with run_workers(tmp_path, redis.url) as served:
        assert await served.wait() == 1
    [last] = [line for line in served.output if line.startswith("portward: ")][-1:]
    assert "the store cannot be reached" in last
    assert not any(line.startswith("ready") for line in served.output)


async def test_worker_or_store_that_is_away(served: WorkerGroup, redis: Server) -> None:
    """Whoever answers names the worker that did not; metrics and health go on, without Redis too."""
    async with AsyncExitStack() as stack:
        everyone = await members(stack, served, 4)
        frozen = served.workers[0]
        os.kill(frozen, signal.SIGSTOP)
        try:
            answer = await served.call("connections")
            (name,) = answer["missing"]
            assert answer["total"] == sum(1 for each in everyone if each.node != name) > 0
            info = await served.call("info")
            assert (len(info["nodes"]), info["missing"]) == (2, [name])
            metrics = await served.metrics()
            assert metrics['portward_workers{state="up"}'] == 1
            assert metrics['portward_workers{state="down"}'] == 1
            assert metrics['portward_connections{endpoint="rooms"}'] == answer["total"]
            assert (await served.status("health"), await served.status("ready")) == (200, 503)
        finally:
            os.kill(frozen, signal.SIGCONT)
        await served.until_whole()
        assert (await served.call("connections"))["total"] == len(everyone)
        redis.kill()
        try:
            answer = await served.call("connections")
            assert len(answer["missing"]) == 1
            assert 0 < answer["total"] < len(everyone)
            assert await served.status("health") == 200
            metrics = await served.metrics()
            assert metrics['portward_workers{state="up"}'] == 2
            assert metrics['portward_connections{endpoint="rooms"}'] == len(everyone)
        finally:
            redis.start()
        await served.until_whole()


@pytest.mark.long
async def test_no_worker_is_there(served: WorkerGroup) -> None:
    """While all workers are gone, the parent says that none is ready; then they are back."""
    for pid in served.workers:
        os.kill(pid, signal.SIGKILL)
    await served.until(lambda: served.count(r"worker\.end") == 2)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{served.admin}health")
        assert answer.status_code == 503
        assert answer.json()["status"] == "no worker is ready"
        assert answer.headers["connection"] == "close"
    await served.until(lambda: served.count(r"worker\.start") == 4)
    await served.until_whole()
    assert (await served.metrics())["portward_workers_replaced_total"] == 2
