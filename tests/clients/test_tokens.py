"""Tokens of a few seconds, refreshed again and again, while their source is not to be relied on."""

import asyncio
from itertools import count

import pytest

from tests.clients.client_programs import CLIENTS, Driver, with_each
from tests.clients.fault_proxy import FaultProxy, fault_proxy
from tests.clients.gateway import Process, token
from tests.clients.programs import Record

pytestmark = [pytest.mark.slow]
PATIENCE = 60.0


class Source:
    """Gives tokens of `ttl` seconds; of each seven questions one fails, one hangs, one gets an older token.

    `good` counts the new tokens that were given for a refresh.
    """

    def __init__(self, user: str, ttl: float) -> None:
        self.user = user
        self.ttl = ttl
        self.good = 0
        self.older = token(user, ttl=ttl, age=30)
        self.asked: list[str] = []

    def __call__(self, question: Record) -> Record | None:
        """What is answered."""
        self.asked.append(question["reason"])
        turn = len(self.asked) % 7
        if turn == 3:
            return {"do": "fail", "unauthorized": False}
        if turn == 5:
            return None
        if turn == 6:
            return {"do": "answer", "value": self.older}
        self.good += question["reason"] == "refresh"
        return {"do": "answer", "value": token(self.user, ttl=self.ttl)}


async def refreshed(
    gateway: Process, driver: Driver, proxy: FaultProxy, source: Source, times: int
) -> None:
    """Publish until so many tokens were given for a refresh; no message is missed, nothing breaks."""
    room = f"tokens-{driver.user}"
    driver.tokens = source
    await driver.start(proxy.url)
    await driver.done("join done", do="join", room=room, state=False)
    for number in count(1):
        await gateway.call("publish", channel=f"rooms:{room}", data=number)
        await driver.reports.first(lambda record: is_number(record, number))  # noqa: B023 - awaited at once
        if source.good >= times:
            break
        await asyncio.sleep(0.1)
    numbers = [record["value"]["content"] for record in driver.reports.all("message")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert driver.reports.all("gap") + driver.reports.all("stopped") == []


def is_number(record: Record, number: int) -> bool:
    """Whether a report is of a message with this number."""
    return bool(record["kind"] == "message" and record["value"]["content"] == number)


@pytest.mark.timeout(90)
async def test_a_token_of_two_seconds(gateway: Process) -> None:
    """It is refreshed on the connection that stands, although its source fails now and then."""

    async def scenario(client: str) -> None:
        async with fault_proxy(gateway.port) as proxy, CLIENTS[client](f"short-{client}") as driver:
            await refreshed(gateway, driver, proxy, Source(driver.user, 2.0), 2)
            assert len(proxy.connections) == 1
            await driver.done("closed", do="close")

    await with_each(scenario)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_token_of_five_seconds_is_refreshed_twenty_times(gateway: Process) -> None:
    """For longer than a gateway bears a token that has run out, no message is missed."""

    async def scenario(client: str) -> None:
        async with fault_proxy(gateway.port) as proxy, CLIENTS[client](f"long-{client}") as driver:
            source = Source(driver.user, 5.0)
            await refreshed(gateway, driver, proxy, source, 20)
            assert {"refresh", "connect"} <= set(source.asked)
            await driver.done("closed", do="close")

    await with_each(scenario)


@pytest.mark.timeout(90)
async def test_no_login_any_more(gateway: Process) -> None:
    """When the source says that there is no login, the client stops, and tells so once."""

    async def scenario(client: str) -> None:
        async with fault_proxy(gateway.port) as proxy, CLIENTS[client](f"gone-{client}") as driver:
            driver.tokens = lambda _: {"do": "fail", "unauthorized": True}
            await driver.start(proxy.url, speed=20)
            await driver.do(do="join", room="lobby")
            stopped = await driver.reports.first("stopped")
            assert (stopped["code"], stopped["temporary"]) == ("unauthorized", False)
            assert (await driver.reports.first("join done"))["error"] is not None
            opened = len(proxy.connections)
            await asyncio.sleep(2.0)
            assert len(proxy.connections) == opened <= 1
            assert len(driver.reports.all("stopped")) == 1
            await driver.done("closed", do="close")

    await with_each(scenario)


@pytest.mark.timeout(90)
async def test_a_token_that_is_refused_is_asked_for_once_more(gateway: Process) -> None:
    """The second answer is good: it is let in. A second refusal stops it."""

    async def scenario(client: str) -> None:
        for second_is_good in (True, False):
            user = f"refused-{client}-{second_is_good}"
            async with fault_proxy(gateway.port) as proxy, CLIENTS[client](user) as driver:
                reasons: list[str] = []

                def answer(
                    question: Record,
                    reasons: list[str] = reasons,
                    user: str = user,
                    is_good: bool = second_is_good,
                ) -> Record:
                    reasons.append(question["reason"])
                    refused = token(
                        "somebody", secret="a secret of somebody else, long enough " * 2
                    )
                    good = is_good and question["reason"] == "rejected"
                    return {"do": "answer", "value": token(user) if good else refused}

                driver.tokens = answer
                await driver.start(proxy.url, speed=20)
                await driver.do(do="join", room="lobby")
                done = await driver.reports.first("join done")
                assert (done["error"] is None) == second_is_good
                assert reasons == ["connect", "rejected"]
                assert len(driver.reports.all("stopped")) == (not second_is_good)
                await driver.done("closed", do="close")

    await with_each(scenario)
