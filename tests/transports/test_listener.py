import asyncio
import os
import socket
import sys

import pytest

from portward.model.handshake_errors import HandshakeRejection
from portward.testing.clock import FakeClock
from portward.transports import listener as listening
from portward.transports.listener import Listener
from portward.transports.listener_state import ListenerState
from portward.transports.request_router import RequestRouter
from tests.transports.running_listener import Client, FakeGate, handshake, run_listener, until


def made(host: str | None = "127.0.0.1", port: int = 0, **options: object) -> Listener:
    """A listener that was not started."""
    return Listener(ListenerState(RequestRouter(FakeGate()), FakeClock()), host, port, **options)  # type: ignore[arg-type]


async def test_it_listens_on_a_port_of_the_kernels_choice() -> None:
    """Port 0 is answered with the port that was given."""
    listener = made()
    await listener.start()

    ((host, port),) = listener.addresses
    assert (host, port > 0, listener.accepting) == ("127.0.0.1", True, True)
    listener.close()
    assert (listener.addresses, listener.accepting) == ([], False)


async def test_several_addresses_share_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with more than one address is served on all of them."""
    loop = asyncio.get_running_loop()

    async def both(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in ("127.0.0.1", "127.0.0.2", "127.0.0.1")
        ]

    listener_state = ListenerState(RequestRouter(FakeGate()), FakeClock())
    listener = Listener(listener_state, "both.example", 0)
    monkeypatch.setattr(listening, "_resolve", both)
    await listener.start()

    hosts, ports = zip(*listener.addresses, strict=True)
    assert hosts == ("127.0.0.1", "127.0.0.2")
    assert len(set(ports)) == 1
    listener.close()
    assert loop.is_running()


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
async def test_ipv6_is_served_apart_from_ipv4() -> None:
    """An IPv6 socket takes no IPv4 clients, whose addresses it would disguise."""
    listener = made("::1")
    try:
        await listener.start()
    except OSError:
        pytest.skip("this machine has no IPv6")

    (sock,) = listener._sockets
    assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    listener.close()


async def test_an_address_that_is_taken_is_an_error() -> None:
    """Whoever cannot bind says so, and leaves nothing open."""
    first = made()
    await first.start()
    second = made(port=first.addresses[0][1])

    with pytest.raises(OSError, match="in use"):
        await second.start()

    assert second.addresses == []
    first.close()


async def test_several_processes_may_share_a_port() -> None:
    """With reuse_port a second listener binds to the same address."""
    first = made(reuse_port=True)
    await first.start()
    second = made(port=first.addresses[0][1], reuse_port=True)
    await second.start()

    assert first.addresses == second.addresses
    first.close()
    second.close()


@pytest.mark.p0
async def test_accepted_sockets_inherit_the_options() -> None:
    """No delay on small writes, and unacknowledged bytes do not keep a dead peer alive."""
    async with run_listener() as running:
        _, session = await running.enter()
        link = session.link
        sock = link._transport.get_extra_info("socket")  # type: ignore[attr-defined]

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if sys.platform == "linux":
            timeout = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert timeout == listening.USER_TIMEOUT


async def test_elsewhere_than_on_linux_one_option_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The listener starts where the kernel has no such timeout."""
    monkeypatch.setattr(sys, "platform", "darwin")
    listener = made()
    await listener.start()

    (sock,) = listener._sockets
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
    listener.close()


@pytest.mark.p0
async def test_sockets_are_counted_exactly() -> None:
    """After rounds of clients that vanish in every way the count is that of live sockets."""
    async with run_listener() as running:
        stays = [await running.enter() for _ in range(3)]
        for turn in range(20):
            clients = [await running.client() for _ in range(4)]
            await clients[0].send(handshake())
            await clients[1].send(b"GET ")
            await clients[2].send(handshake("/health"))
            for client in clients:
                client.reset() if turn % 2 else client.leave()
        await until(lambda: running.listener_state.sockets == len(stays))

        assert len(running.listener_state.unadmitted) == 0


async def test_who_stops_accepting_keeps_its_connections() -> None:
    """Existing sockets live on; a newcomer finds nobody."""
    async with run_listener() as running:
        client, session = await running.enter()
        running.listener.stop_accepting()

        with pytest.raises(ConnectionRefusedError):
            await Client.to(running.port)
        session.link.ping()
        assert await client.frame() == (0x89, b"")


# -- when descriptors run out


def lowest() -> int:
    """The number the next descriptor will have."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


@pytest.mark.p1
async def test_it_stops_accepting_when_most_descriptors_are_used_and_goes_on_later() -> None:
    """Newcomers wait in the kernel's queue until there is room again."""
    limit = (lowest() + 60) * 10 // 9
    async with run_listener(descriptors=limit) as running:
        clients = []
        while running.listener.accepting:
            client = await running.client()
            clients.append(client)
            await client.send(handshake("/health"))
            await asyncio.sleep(0)
        assert HandshakeRejection.OVERLOAD in running.gate.reasons
        waiting = await running.client()
        running.clock.advance(listening.RETRY)
        await asyncio.sleep(0.01)
        assert not running.listener.accepting

        for client in clients:
            client.leave()
        await until(lambda: running.listener_state.sockets == 0)
        running.clock.advance(listening.RETRY)
        await waiting.send(handshake())

        assert (await waiting.head())[0] == "HTTP/1.1 101 Switching Protocols"
        assert running.listener.accepting


async def test_without_any_descriptor_it_keeps_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even looking is possible then, and that is an answer, too."""
    async with run_listener(descriptors=100) as running:
        running.listener._crowded(10**6)
        running.listener._crowded(10**6)

        def fail(_: int) -> int:
            raise OSError

        monkeypatch.setattr(os, "dup", fail)
        running.clock.advance(10 * listening.RETRY)
        assert not running.listener.accepting
        monkeypatch.undo()
        running.clock.advance(listening.RETRY)
        await until(lambda: running.listener.accepting)


async def test_descriptors_that_are_gone_again_in_between_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listener that fails to go on tries again."""
    async with run_listener(descriptors=100) as running:
        running.listener._crowded(10**6)

        def fail(_: socket.socket) -> socket.socket:
            raise OSError

        monkeypatch.setattr(socket.socket, "dup", fail)
        running.clock.advance(listening.RETRY)
        await asyncio.sleep(0.01)
        assert not running.listener.accepting
        monkeypatch.undo()
        running.clock.advance(listening.RETRY)
        await until(lambda: running.listener.accepting)


async def test_closing_while_accepting_is_stopped_forgets_to_go_on() -> None:
    """The end is the end, also for what was put off."""
    async with run_listener(descriptors=100) as running:
        running.listener._crowded(10**6)
        running.listener.close()
        running.clock.advance(10 * listening.RETRY)
        await asyncio.sleep(0)

        assert not running.listener.accepting


async def test_closing_while_accepting_fails_to_resume_is_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listener that was closed meanwhile does not try again."""
    async with run_listener(descriptors=100) as running:
        running.listener._crowded(10**6)

        def fail(_: socket.socket) -> socket.socket:
            running.listener.close()
            raise OSError

        monkeypatch.setattr(socket.socket, "dup", fail)
        running.clock.advance(listening.RETRY)
        await asyncio.sleep(0.01)
        monkeypatch.undo()
        running.clock.advance(10 * listening.RETRY)
        await asyncio.sleep(0.01)

        assert not running.listener.accepting


async def test_closing_while_accepting_resumes_leaves_nothing_open() -> None:
    """A listener that was about to go on does not."""
    async with run_listener(descriptors=100) as running:
        running.listener._crowded(10**6)
        running.clock.advance(listening.RETRY)
        running.listener.close()
        await asyncio.sleep(0.01)

        assert not running.listener.accepting
        with pytest.raises(ConnectionRefusedError):
            await Client.to(running.port)
