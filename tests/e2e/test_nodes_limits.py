"""Limits count what comes in at two nodes together."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.nodes import (
    PATIENCE,
    Cluster,
    Message,
    Node,
    Peer,
    People,
    away,
    cluster,
    eventually,
    people,
    token,
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes for all tests of this file; each test has users and an address of its own."""
    with cluster(tmp_path_factory.mktemp("limits")) as made:
        yield made


@pytest.fixture
async def crowd() -> AsyncIterator[People]:
    """Makes clients."""
    async with people() as made:
        yield made


class Model:
    """What a limit of so many a minute allows: all at once, and then one after the other.

    Made before the first event; `judge` is called after the last.
    """

    def __init__(self, per_minute: int) -> None:
        self._burst = per_minute
        self._begun = time.monotonic()

    def judge(self, answers: list[Message], code: str) -> None:
        """The number of allowed events is right to one, and every other was refused by the limit."""
        passed = time.monotonic() - self._begun
        refused = [each["data"] for each in answers if each["type"] == "error"]
        assert {each["code"] for each in refused} <= {code}
        assert all(each["retryAfterMs"] > 0 for each in refused)
        allowed = len(answers) - len(refused)
        most = self._burst + passed * self._burst / 60
        assert min(self._burst, len(answers)) - 1 <= allowed <= most + 1


def _all(answers: list[list[Message]]) -> list[Message]:
    return [each for some in answers for each in some]


async def talk(peer: Peer, room: str, count: int) -> list[Message]:
    """Say so much, one after the other."""
    return [await peer.ask("message", roomId=room, content=str(n)) for n in range(count)]


async def test_messages_of_a_user(two: Cluster, crowd: People) -> None:
    """A user who talks at both nodes may send no more than one who talks at one."""
    limit = Model(60)
    # Both joins are messages, too.
    tabs = [await crowd.user(node, token("ann"), "talk", endpoint="limited") for node in two]
    answers = await asyncio.gather(*(talk(each, "talk", 34) for each in tabs))
    limit.judge([{"type": "room_joined"}] * 2 + _all(answers), "rate_limited")


async def test_messages_one_after_the_other(two: Cluster, crowd: People) -> None:
    """What was used up at one node is used up at the other."""
    limit = Model(60)
    tabs = [await crowd.user(node, token("bob"), "turns", endpoint="limited") for node in two]
    answers = await talk(tabs[0], "turns", 57) + await talk(tabs[1], "turns", 9)
    limit.judge([{"type": "room_joined"}] * 2 + answers, "rate_limited")


async def test_who_waits_as_told_gets_through(two: Cluster, crowd: People) -> None:
    """Refused at both nodes, a user waits as long as told and succeeds at the first attempt."""
    tabs = [await crowd.user(node, token("cid"), "wait", endpoint="limited") for node in two]
    refused = 0
    for n in range(120):
        answer = await tabs[n % 2].ask("message", roomId="wait", content=str(n))
        if answer["type"] == "error":
            refused += 1
            await asyncio.sleep(answer["data"]["retryAfterMs"] / 1000)
            await tabs[(n + 1) % 2].wish("message", roomId="wait", content="now")
            break
    assert refused == 1


async def test_joins_of_a_user(two: Cluster, crowd: People) -> None:
    """A user may join no more rooms at two nodes than at one."""
    limit = Model(20)
    tabs = [await crowd.user(node, token("dan"), endpoint="limited") for node in two]

    async def join(tab: Peer, name: str) -> list[Message]:
        return [await tab.ask("join", roomId=f"{name}{n}") for n in range(14)]

    answers = await asyncio.gather(
        *(join(tab, node.name) for tab, node in zip(tabs, two, strict=True))
    )
    limit.judge(_all(answers), "join_rate_limited")


async def test_refused_tokens_of_an_address(two: Cluster, crowd: People) -> None:
    """As many different tokens of an address are refused at two nodes as at one; then it has to wait."""
    limit = Model(10)
    peers = [await crowd.connect(node, "limited", "127.0.0.78") for node in two for _ in range(8)]
    answers = await asyncio.gather(
        *(each.ask("auth", token=f"nonsense{number}") for number, each in enumerate(peers))
    )
    tried = [
        {"type": "tried"} if each["data"]["code"] == "authentication_failed" else each
        for each in answers
    ]
    limit.judge(tried, "auth_rate_limited")
    for node in two:
        await crowd.user(node, token("eve"), endpoint="limited", address="127.0.0.78")


async def test_good_tokens_of_an_address(two: Cluster, crowd: People) -> None:
    """Good tokens are not counted, at however many nodes."""
    peers = [await crowd.connect(node, "limited", "127.0.0.77") for node in two for _ in range(16)]
    answers = await asyncio.gather(
        *(each.ask("auth", token=token(f"eve{number}")) for number, each in enumerate(peers))
    )
    assert {each["type"] for each in answers} == {"auth_success"}


async def test_addresses_do_not_share_a_limit(two: Cluster, crowd: People) -> None:
    """What one address has used up at one node keeps nobody else from the other."""
    spent = [await crowd.connect(two.a, "limited", "127.0.0.79") for _ in range(30)]
    answers = await asyncio.gather(
        *(each.ask("auth", token=f"nonsense{number}") for number, each in enumerate(spent))
    )
    assert "auth_rate_limited" in {each["data"]["code"] for each in answers}
    await crowd.user(two.b, token("flo"), endpoint="limited", address="127.0.0.80")


async def handshake(node: Node, endpoint: str, address: str, credential: str = "") -> Message:
    """Try to connect, in the form in which `Model` judges answers."""
    try:
        async with connect(
            node.url(endpoint),
            additional_headers={"Authorization": credential} if credential else None,
            local_addr=(address, 0),
            open_timeout=PATIENCE,
        ):
            return {"type": "connected"}
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status == 401:
            return {"type": "tried"}
        wait = int(refused.response.headers["Retry-After"]) * 1000
        return {"type": "error", "data": {"code": str(status), "retryAfterMs": wait}}


async def test_handshakes_of_an_address(two: Cluster) -> None:
    """An address may connect as often at two nodes as at one."""
    limit = Model(60)
    answers = await asyncio.gather(
        *(handshake(node, "limited", "127.0.0.81") for node in two for _ in range(34))
    )
    limit.judge(answers, "429")


async def test_refused_credentials_of_an_address(two: Cluster) -> None:
    """An address may present as many bad credentials in handshakes at two nodes as at one."""
    limit = Model(10)
    answers = [
        await handshake(node, "limited", "127.0.0.82", f"Bearer nonsense{number}{node.name}")
        for number in range(8)
        for node in two
    ]
    limit.judge(answers, "429")
    for node in two:
        good = await handshake(node, "limited", "127.0.0.82", f"Bearer {token('gil')}")
        assert good == {"type": "connected"}


@pytest.mark.long
@pytest.mark.slow
async def test_limits_while_the_store_is_away(two: Cluster, crowd: People) -> None:
    """Each of two nodes then allows half of what both may: it neither refuses all nor allows all."""
    # The first to start knows of the other from its second announcement on.
    await eventually(lambda: _are_acquainted(two))
    peers = [await crowd.user(node, token(f"u{node.name}"), endpoint="limited") for node in two]
    async with away(two):
        begun = time.monotonic()
        for each in peers:
            answers = [await each.ask("heartbeat") for _ in range(38)]
            allowed = sum(answer["type"] == "heartbeat_response" for answer in answers)
            passed = time.monotonic() - begun
            assert 29 <= allowed <= 30 + passed / 2 + 1


async def _are_acquainted(two: Cluster) -> bool:
    return all(each["uptime"] >= 10 for each in (await two.a.call("info"))["nodes"])
