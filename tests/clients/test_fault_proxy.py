"""The fault proxy does to connections what its scripts say, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.clients.fault_proxy import (
    PLAIN,
    UNHARMED,
    Cut,
    FaultProxy,
    Plan,
    Script,
    always,
    fault_proxy,
    random_cuts,
)

PATIENCE = 20.0
SILENCE = 0.2


@asynccontextmanager
async def proxied(plan: Plan = UNHARMED) -> AsyncIterator[tuple[FaultProxy, list[bytes]]]:
    """A proxy in front of a server that sends back what it is sent, with what the server received."""
    received: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(received)
        received.append(b"")
        try:
            while data := await reader.read(65536):
                received[number] += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        async with fault_proxy(server.sockets[0].getsockname()[1], plan) as proxy:
            yield proxy, received
    finally:
        server.close()
        await server.wait_closed()


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """All that comes until the end, and whether the end was a reset."""
    data = b""
    async with asyncio.timeout(PATIENCE):
        try:
            while piece := await reader.read(65536):
                data += piece
        except ConnectionError:
            return data, True
    return data, False


async def talk(proxy: FaultProxy, data: bytes) -> tuple[bytes, bool]:
    """Send something; what comes back until the end, and whether the end was a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(data)
        return await read(reader)
    finally:
        writer.close()


async def test_a_plain_connection_is_forwarded() -> None:
    """Bytes pass both ways, an end in order passes too, and both directions are counted."""
    async with proxied() as (proxy, received):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a" * 200_000)
        assert len(await reader.readexactly(200_000)) == 200_000
        writer.write_eof()
        assert await read(reader) == (b"", False)
        writer.close()
        connection = proxy.connections[0]
        assert (connection.up, connection.down) == (200_000, 200_000)
        assert received == [b"a" * 200_000]


@pytest.mark.parametrize("count", [0, 1, 7, 99, 100])
async def test_a_cut_down_forwards_exactly_so_many_bytes(count: int) -> None:
    """The client reads the bytes before the cut and none after it."""
    async with proxied(always(Script(cut_down=count, how=Cut.FIN))) as (proxy, received):
        data, was_reset = await talk(proxy, b"x" * 100)
        assert (data, was_reset) == (b"x" * count, False)
        assert received == [b"x" * 100]
        assert not proxy.open


@pytest.mark.parametrize("count", [0, 1, 50, 99])
async def test_a_cut_up_forwards_exactly_so_many_bytes(count: int) -> None:
    """The server reads the bytes before the cut and none after it."""
    async with proxied(always(Script(cut_up=count, how=Cut.FIN))) as (proxy, received):
        data, was_reset = await talk(proxy, b"y" * 100)
        assert (len(data) <= count, was_reset) == (True, False)
        assert received == [b"y" * count]


@pytest.mark.parametrize("script", [Script(cut_down=3), Script(cut_up=3), Script(refuse=True)])
async def test_a_reset_is_a_reset(script: Script) -> None:
    """The client reads an error, not an end in order."""
    async with proxied(always(script)) as (proxy, _):
        data, was_reset = await talk(proxy, b"z" * 10)
        assert len(data) <= 3
        assert was_reset


async def test_a_half_open_connection_stays_and_is_silent() -> None:
    """Nothing comes after the bytes of the script, and the sockets are not closed; `resume` goes on."""
    async with proxied(always(Script(hold_down=4))) as (proxy, received):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"12345678")
        assert await reader.readexactly(4) == b"1234"
        writer.write(b"more")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), SILENCE)
        assert proxy.connections[0].open
        assert received == [b"12345678"]
        writer.close()


async def test_hold_and_resume_at_run_time() -> None:
    """What comes while a connection is held is forwarded when it goes on."""
    async with proxied() as (proxy, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"
        proxy.hold_all()
        writer.write(b"b")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), SILENCE)
        proxy.resume_all()
        assert await asyncio.wait_for(reader.readexactly(1), PATIENCE) == b"b"
        writer.close()


@pytest.mark.parametrize("how", Cut)
async def test_all_are_cut_at_run_time(how: Cut) -> None:
    """Every connection that is open ends in the way that was asked for."""
    async with proxied() as (proxy, _):
        opened = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(5)]
        await asyncio.wait_for(proxy.accepted(5), PATIENCE)
        for reader, writer in opened:
            writer.write(b"?")
            assert await reader.readexactly(1) == b"?"
        proxy.cut_all(how)
        for reader, writer in opened:
            assert await read(reader) == (b"", how is Cut.RST)
            writer.close()
        assert not proxy.open


async def test_delay_and_rate_slow_it_down() -> None:
    """A piece comes no earlier than its delay, and bytes no faster than the rate."""
    loop = asyncio.get_running_loop()
    async with proxied(always(Script(delay=0.1))) as (proxy, _):
        started = loop.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"1")
        assert await reader.readexactly(1) == b"1"
        assert loop.time() - started >= 0.2
        writer.close()
    async with proxied(always(Script(rate=1000))) as (proxy, _):
        started = loop.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"1" * 300)
        assert await reader.readexactly(300) == b"1" * 300
        assert loop.time() - started >= 0.25
        writer.close()


async def test_the_plan_changes_at_run_time() -> None:
    """Each connection has the script that the plan gives when it opens."""
    async with proxied(always(Script(refuse=True))) as (proxy, _):
        assert (await talk(proxy, b"a"))[1]
        proxy.plan = always(Script(cut_down=1, how=Cut.FIN))
        assert await talk(proxy, b"ab") == (b"a", False)
        assert [connection.number for connection in proxy.connections] == [0, 1]
        assert proxy.attempts == sorted(proxy.attempts)


async def test_a_server_that_is_away_is_a_reset() -> None:
    """Where nothing listens behind the proxy, the client is reset."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with fault_proxy(port) as proxy:
        assert (await talk(proxy, b"a"))[1]


def test_random_cuts_follow_from_their_seed() -> None:
    """The same seed gives the same scripts, another seed gives others; after the last cut all is plain."""
    first, same, other = (random_cuts(seed, 5000, 200) for seed in (1, 1, 2))
    scripts = [first(number) for number in range(200)]
    assert scripts == [same(number) for number in range(200)]
    assert scripts != [other(number) for number in range(200)]
    assert {script.how for script in scripts} == set(Cut)
    assert any(script.cut_up is not None for script in scripts)
    assert len({script.cut_down for script in scripts}) > 100
    assert first(200) == PLAIN
