import asyncio
import socket
from typing import Any

import pytest

from portward.model.errors import Unavailable
from portward.protocols.relay.upstream_address import MOST, find, is_public

PUBLIC = ["104.18.6.192", "8.8.8.8", "2606:4700::6812:6c0", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.31.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "5f00::1",
    "no address",
    "",
]


@pytest.mark.p1
@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    """Addresses of the Internet are public."""
    assert is_public(address)


@pytest.mark.p1
@pytest.mark.parametrize("address", PRIVATE)
def test_private(address: str) -> None:
    """Whatever leads into a network, to this machine or to nowhere is not public."""
    assert not is_public(address)


class Resolver:
    """Gives the answers it was told, and counts the questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        self.answers = answers
        self.asked: list[Any] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self)

    async def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        """Stands in place of the loop's own method."""
        self.asked.append((host, port))
        kind = socket.AF_INET
        return [(kind, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.answers]


@pytest.mark.p1
@pytest.mark.parametrize("address", PRIVATE)
async def test_one_private_address_is_enough(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A name is refused when any of its addresses is private."""
    Resolver(monkeypatch, "8.8.8.8", address)
    with pytest.raises(Unavailable, match=r"^upstream address is private$"):
        await find("api.example", 443, allow_private=False)


async def test_private_may_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator may say that the upstream is in this network."""
    Resolver(monkeypatch, "10.0.0.1")
    assert await find("api.example", 443, allow_private=True) == ["10.0.0.1"]


@pytest.mark.p1
@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "::1", "localhost"])
async def test_other_ways_to_write_this_machine(host: str) -> None:
    """However an address is written, it is judged as what it resolves to."""
    with pytest.raises(Unavailable, match=r"private|resolve"):
        await find(host, 443, allow_private=False)


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither family keeps the other from being tried, and few addresses are."""
    four, six = ["8.8.8.8", "8.8.4.4"], ["2606:4700::1", "2606:4700::2", "2606:4700::3"]
    Resolver(monkeypatch, *six, *four, *six)
    found = await find("api.example", 443, allow_private=False)
    assert found == [six[0], four[0], six[1], four[1]]
    assert len(found) == MOST
    Resolver(monkeypatch, *four, six[0])
    assert await find("api.example", 443, allow_private=False) == [four[0], six[0], four[1]]


@pytest.mark.parametrize("host", ["a" * 70, "no-such-name.invalid", "a..b"])
async def test_names_that_do_not_resolve(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A name nobody has, or nobody can have, is unavailable."""
    real = asyncio.get_running_loop().getaddrinfo

    async def offline(name: str, port: int, **kinds: Any) -> Any:
        if name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return await real(name, port, **kinds)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", offline)
    with pytest.raises(Unavailable, match=r"^upstream name does not resolve$"):
        await find(host, 443, allow_private=True)


async def test_empty_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without addresses is unavailable."""
    Resolver(monkeypatch)
    with pytest.raises(Unavailable, match=r"^upstream name does not resolve$"):
        await find("api.example", 443, allow_private=True)
