"""Two gateways behind nginx and HAProxy with the files as shipped: trouble of one costs others nothing."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from tests.certificates import make_certificates
from tests.deploy.fleet import PAGE, PATIENCE, SOURCES, Fleet, fleet, gateways
from tests.deploy.proxies import PROXIES, proxy_of, unused_port
from tests.e2e.nodes import eventually
from tests.engines.redis_servers import until

PAUSES = (0.0, 0.3, 0.7, 1.5)
"""Seconds for which a node has been stopped when clients come: before and after health checks notice it."""
POLL = "/socket.io/?EIO=4&transport=polling"
REFUSED = {
    "/echo": 404,
    "/nowhere": 404,
    "/realtime": 503,
    "/test": 503,
    "/rooms": 400,
    "/live": 400,
    "/socket.io/?EIO=3&transport=polling": 400,
    f"{POLL}&sid=unknown": 400,
}


@pytest.fixture(scope="module", params=PROXIES)
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Two nodes behind each of the proxies; no identity provider answers."""
    with fleet(request.param, tmp_path_factory.mktemp("fleet"), unused_port()) as made:
        yield made


@pytest.fixture(params=PROXIES)
def doomed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """Two nodes of one test, which may end them."""
    with fleet(request.param, tmp_path, unused_port()) as made:
        yield made


async def test_refusals_cost_nobody_else(two: Fleet) -> None:
    """Any number of refusals, of whatever status, comes as it is, and all others come in meanwhile."""

    async def ask(path: str) -> None:
        for source in SOURCES * 3:
            answer = await two.status(path, source)
            assert answer.status_code == REFUSED[path], path

    async with asyncio.TaskGroup() as group:
        for path in REFUSED:
            group.create_task(ask(path))
        for _ in range(5):
            await two.everybody_comes_in()


async def test_a_provider_that_is_away(two: Fleet) -> None:
    """Users of live are told 503 and when to come back; users of rooms and of polling notice nothing."""
    for source in SOURCES:
        with pytest.raises(InvalidStatus) as refused:
            async with two.client(source, "/live", cookie="directus_session_token=x"):
                pass
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["Retry-After"]) >= 1
        assert (await two.status(POLL, source, origin=PAGE)).status_code == 200
    await two.everybody_comes_in()


async def test_a_session_of_polling_stays_with_its_node(two: Fleet) -> None:
    """Every request of a session reaches the node that has it, whatever the order of its parameters."""
    for source in SOURCES:
        opened = await two.status(POLL, source, origin=PAGE)
        sid = json.loads(opened.text[1:])["sid"]
        for path in (f"{POLL}&sid={sid}", f"/socket.io/?sid={sid}&EIO=4&transport=polling"):
            posted = await two.status(path, source, "POST", b"3", origin=PAGE)
            assert (posted.status_code, posted.text) == (200, "ok")


async def _answers(client: ClientConnection) -> None:
    """Ask for a pong of the gateway itself, not of the proxy."""
    async with asyncio.timeout(PATIENCE):
        await (await client.ping())


async def _ends(client: ClientConnection) -> None:
    async with asyncio.timeout(PATIENCE):
        await client.wait_closed()


@pytest.mark.long
async def test_a_node_that_drains(doomed: Fleet) -> None:
    """Newcomers go to the other node while one drains; when both do, all are told 503 and when to return."""
    async with AsyncExitStack() as stack:
        staying = await doomed.stay(stack)
        first, second = doomed.nodes
        first.begin_stop()
        await eventually(lambda: "drain.start" in first.said)
        for _ in range(3):
            await doomed.everybody_comes_in()
        assert await second.open() >= len(staying[second])
        second.begin_stop()
        await eventually(lambda: "drain.start" in second.said)
        # All at once: the node listens only until the last of its clients has left.
        await asyncio.gather(*(_is_told_to_return(doomed, source) for source in SOURCES))


async def _is_told_to_return(fleet: Fleet, source: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with fleet.client(source):
            pass
    assert refused.value.response.status_code == 503
    assert "Retry-After" in refused.value.response.headers


@pytest.mark.long
async def test_a_node_that_is_killed(doomed: Fleet) -> None:
    """Its own clients lose their connection; all others keep theirs, and everybody comes in at once."""
    async with AsyncExitStack() as stack:
        staying = await doomed.stay(stack)
        gone, left = doomed.nodes
        gone.kill()
        for _ in range(3):
            await doomed.everybody_comes_in()
            for source in SOURCES:
                assert (await doomed.status(POLL, source, origin=PAGE)).status_code == 200
        for client in staying[gone]:
            await _ends(client)
        for client in staying[left]:
            await _answers(client)


@pytest.mark.long
async def test_a_node_that_hangs(doomed: Fleet) -> None:
    """While a node is stopped everybody comes in at the other one; when it goes on, its clients are there."""
    async with AsyncExitStack() as stack:
        staying = await doomed.stay(stack)
        hung, _ = doomed.nodes
        for seconds in PAUSES:
            hung.pause()
            await asyncio.sleep(seconds)
            await doomed.everybody_comes_in()
            polls = await asyncio.gather(
                *(doomed.status(POLL, source, origin=PAGE) for source in SOURCES)
            )
            assert {answer.status_code for answer in polls} == {200}
            assert (await doomed.status("/realtime")).status_code == 503
            for client in staying[doomed.nodes[1]]:
                await _answers(client)
            hung.resume()
            for client in staying[hung]:
                await _answers(client)


@pytest.mark.long
@pytest.mark.parametrize("name", PROXIES)
async def test_a_machine_that_is_gone(name: str, tmp_path: Path) -> None:
    """Where connecting to a node takes for ever, everybody comes in at the other one."""
    certificates = make_certificates(tmp_path, "127.0.0.1")
    with gateways(tmp_path, unused_port()) as nodes, _black_hole() as hole:
        addresses = (hole, nodes[1].address)
        with proxy_of(name, tmp_path / "proxy", certificates, addresses) as proxy:
            two = Fleet(proxy, nodes, certificates.client_context())
            for _ in range(3):
                await two.everybody_comes_in()


@contextmanager
def _black_hole() -> Iterator[str]:
    """An address at which the kernel drops every attempt to connect: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()

        def full() -> bool:
            probe = stack.enter_context(socket.socket())
            probe.settimeout(0.2)
            try:
                probe.connect(address)
            except TimeoutError:
                return True
            return False

        until(full)
        yield f"127.0.0.1:{address[1]}"


@pytest.mark.long
@pytest.mark.parametrize("name", PROXIES)
async def test_a_provider_that_hangs(name: str, tmp_path: Path) -> None:
    """Its users wait, are told 503 by the gateway and not 504 by the proxy; nobody else waits."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        fleet(name, tmp_path, silent.getsockname()[1]) as two,
    ):

        async def waits(source: str) -> None:
            cookie = "directus_session_token=x"
            with pytest.raises(InvalidStatus) as refused:
                async with two.client(source, "/live", cookie=cookie):
                    pass
            assert refused.value.response.status_code == 503
            assert "Retry-After" in refused.value.response.headers

        async with asyncio.TaskGroup() as group:
            for source in SOURCES:
                group.create_task(waits(source))
            for _ in range(5):
                await two.everybody_comes_in()
