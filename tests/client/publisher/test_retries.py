"""What failed for the moment is repeated, with the same body, after bounded waits."""

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from portward.client.publisher import (
    AsyncPublisher,
    CallRefused,
    CallTimedOut,
    GatewayUnreachable,
    Publisher,
    PublisherError,
    Retries,
    UnexpectedAnswer,
)

KEY = "a-key-that-is-nowhere-shown"
URL = "http://127.0.0.1:8081"
DONE = httpx.Response(200, json={"result": {"offset": 7, "epoch": "e"}})
Step = httpx.Response | Exception


def refused(status: int, retry_after: str | None = None) -> httpx.Response:
    """An error of the admin API."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(status, json={"error": {"code": 1, "message": "no"}}, headers=headers)


class Script:
    """Answers requests by a list of steps; the last one is repeated. Time passes in waits alone."""

    def __init__(self, *steps: Step, **retries: Any) -> None:
        self.steps = list(steps)
        self.bodies: list[dict[str, Any]] = []
        self.waits: list[float] = []
        self.draw = 1.0
        given = {"draw": lambda: self.draw, "clock": lambda: sum(self.waits), **retries}
        self.publisher = Publisher(
            URL,
            KEY,
            retries=Retries(**given),
            sleep=self.waits.append,
            transport=httpx.MockTransport(self.answer),
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The next step."""
        assert request.headers["Authorization"] == f"apikey {KEY}"
        self.bodies.append(json.loads(request.content))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, content=step.content, headers=step.headers)


FAILURES: list[Step] = [
    *(refused(status) for status in (408, 425, 429, 500, 503)),
    httpx.Response(502, text="<html>a proxy's page</html>"),
    httpx.Response(504),
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("late"),
    httpx.ReadTimeout("late"),
    httpx.PoolTimeout("late"),
    httpx.RemoteProtocolError("cut"),
    httpx.ReadError("reset"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_what_failed_for_the_moment_is_repeated(failure: Step) -> None:
    """The same body is sent again, with the key that makes it one publication."""
    script = Script(failure, failure, DONE)
    assert script.publisher.publish("rooms:a", {"x": 1}).offset == 7
    assert len(script.bodies) == 3
    assert script.bodies[0] == script.bodies[1] == script.bodies[2]
    assert len(script.bodies[0]["idempotency_key"]) == 32
    assert script.waits == [0.25, 0.5]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 416, 501])
def test_what_lasts_is_not_repeated(status: int) -> None:
    """Any other refusal is raised at once."""
    script = Script(refused(status))
    with pytest.raises(CallRefused) as raised:
        script.publisher.publish("rooms:a", 1)
    assert (raised.value.status, raised.value.number, raised.value.temporary) == (status, 1, False)
    assert raised.value.code != "error"
    assert script.waits == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="hello"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"result": {"offset": "x"}}),
        httpx.Response(200, json={"result": None}),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
        httpx.Response(404, text="no such page"),
    ],
    ids=repr,
)
def test_another_server_is_noticed(answer: httpx.Response) -> None:
    """An answer that is none of the admin API's is an error of its own, and no redirect is followed."""
    script = Script(answer)
    with pytest.raises(UnexpectedAnswer, match="no admin API"):
        script.publisher.publish("rooms:a", 1)
    assert len(script.bodies) == 1


def test_attempts_are_bounded() -> None:
    """After the last attempt the last error is raised; the waits grow up to a bound."""
    script = Script(refused(503), attempts=8, longest=2.0, within=1000.0)
    with pytest.raises(CallRefused) as raised:
        script.publisher.publish("rooms:a", 1)
    assert raised.value.code == "unavailable"
    assert raised.value.temporary
    assert script.waits == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0]


def test_time_is_bounded() -> None:
    """No wait begins that would end too late."""
    script = Script(refused(503), attempts=1000, within=10.0)
    with pytest.raises(CallRefused):
        script.publisher.publish("rooms:a", 1)
    assert sum(script.waits) <= 10.0


@pytest.mark.parametrize(
    ("value", "draw", "wait"),
    [("3", 0.0, 3.0), ("3", 1.0, 3.75), ("1", 1.0, 1.5), ("8", 1.0, 10.0)],
)
def test_a_named_time_is_kept(value: str, draw: float, wait: float) -> None:
    """`Retry-After` is the least to wait, and a random part is added."""
    script = Script(refused(429, value), DONE)
    script.draw = draw
    script.publisher.publish("rooms:a", 1)
    assert script.waits == [wait]


def test_a_time_that_is_too_late_is_raised() -> None:
    """A wait that the bound does not allow is left to the caller, who is told of it."""
    script = Script(refused(503, "3600"))
    with pytest.raises(CallRefused) as raised:
        script.publisher.publish("rooms:a", 1)
    assert raised.value.retry_after == 3600
    assert script.waits == []


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "²", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_another_retry_after_is_ignored(value: str) -> None:
    """What is no whole number of seconds is as if it were not there."""
    script = Script(httpx.Response(503, headers=[(b"Retry-After", value.encode())]), DONE)
    script.publisher.publish("rooms:a", 1)
    assert script.waits == [0.25]


def test_two_publishers_wait_differently() -> None:
    """Waits are random: what failed together does not come back together."""

    def waits() -> list[float]:
        found: list[float] = []
        publisher = Publisher(
            URL, KEY, sleep=found.append, transport=httpx.MockTransport(lambda _: refused(503, "1"))
        )
        with pytest.raises(CallRefused):
            publisher.publish("rooms:a", 1)
        return found

    assert waits() != waits()


async def test_the_publisher_for_asyncio_does_the_same() -> None:
    """It repeats, waits, and raises the same errors."""
    waits: list[float] = []
    steps: Iterator[Step] = iter(
        [httpx.ReadTimeout("late"), refused(503), DONE, httpx.ReadTimeout("")]
    )

    def answer(_: httpx.Request) -> httpx.Response:
        step = next(steps)
        if isinstance(step, Exception):
            raise step
        return step

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    retries = Retries(attempts=3, draw=lambda: 1.0, clock=lambda: 0.0)
    transport = httpx.MockTransport(answer)
    async with AsyncPublisher(URL, KEY, retries=retries, sleep=sleep, transport=transport) as it:
        assert (await it.publish("rooms:a", 1)).offset == 7
        assert waits == [0.25, 0.5]
    once = AsyncPublisher(URL, KEY, retries=Retries(attempts=1), transport=transport)
    with pytest.raises(CallTimedOut):
        await once.publish("rooms:a", 1)
    await once.close()


CALLS: list[Callable[[Publisher], object]] = [
    lambda it: it.broadcast(["rooms:a"], 1),
    lambda it: it.alert("c", "t", "low", {}),
    lambda it: it.analysis("result", {}),
    lambda it: it.call("publish", {"channel": "rooms:a", "data": 1}),
]


@pytest.mark.parametrize("call", CALLS)
def test_everything_that_publishes_has_a_key(call: Callable[[Publisher], object]) -> None:
    """Each call that publishes carries a key, another one for each call."""
    script = Script(refused(503), refused(400))
    for _ in range(2):
        with pytest.raises(CallRefused):
            call(script.publisher)
    keys = [body["idempotency_key"] for body in script.bodies]
    assert keys[0] == keys[1] != keys[2]


def test_a_batch_has_keys_of_its_own() -> None:
    """In a batch each command that publishes gets a key, unless it has one."""
    script = Script(refused(400))
    with pytest.raises(CallRefused):
        script.publisher.batch(
            [
                {"publish": {"channel": "rooms:a", "data": 1}},
                {"publish": {"channel": "rooms:a", "data": 1, "idempotency_key": "mine"}},
                {"roles_get": {"user": "ann"}},
            ]
        )
    first, second, third = script.bodies[0]["commands"]
    assert len(first["publish"]["idempotency_key"]) == 32
    assert second["publish"]["idempotency_key"] == "mine"
    assert third == {"roles_get": {"user": "ann"}}


@pytest.mark.parametrize(
    "step", [refused(401), httpx.ConnectError("x"), httpx.Response(200)], ids=repr
)
def test_the_key_is_shown_nowhere(step: Step, caplog: pytest.LogCaptureFixture) -> None:
    """No repr, log line, error or traceback has the key, nor what was to be published."""
    caplog.set_level(logging.DEBUG)
    script = Script(step, attempts=1)
    with pytest.raises(PublisherError) as raised:
        script.publisher.publish("rooms:a", "what was to be published")
    shown = "".join(traceback.format_exception(raised.value))
    shown += f"{raised.value!r} {raised.value} {script.publisher!r} {caplog.text}"
    shown += repr(vars(script.publisher)["_http"]) + repr(vars(script.publisher)["_http"].headers)
    assert KEY not in shown
    assert "to be published" not in shown.replace(
        'publish("rooms:a", "what was to be published")', ""
    )


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8081", "ftp://host", "http://", "http://user:secret@host", "http://[", "http://h?x=1",
     "http://h:99999", "http://h#a", "ws://h"],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    """An address that cannot be one is refused at once, and not repeated in the error."""
    with pytest.raises(ValueError, match="admin listener") as raised:
        Publisher(url, KEY)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("key", ["", " ", " k", "k ", "k\n", "k\r\nX: y", "ключ", "k\0"])
def test_keys_that_are_none(key: str) -> None:
    """A key that no header can carry is refused at once, and not repeated in the error."""
    with pytest.raises(ValueError, match="API key"):
        Publisher(URL, key)


@pytest.mark.parametrize("data", [float("nan"), float("inf"), [float("-inf")], "\ud800"])
def test_data_that_is_no_json(data: object) -> None:
    """NaN, infinities and lone surrogates are refused before anything is sent."""
    script = Script(DONE)
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        script.publisher.publish("rooms:a", data)
    assert script.bodies == []


def test_revoke_takes_one_thing() -> None:
    """Exactly one credential is named."""
    script = Script(DONE)
    for named in ({}, {"user": "a", "jti": "b"}):
        with pytest.raises(ValueError, match="exactly one"):
            script.publisher.revoke(**named)


def test_errors_have_codes() -> None:
    """Each error has a word for programs."""
    found = {
        CallTimedOut().code,
        GatewayUnreachable("ConnectError").code,
        UnexpectedAnswer(200).code,
        CallRefused(401, 101, "no", None).code,
    }
    assert found == {"timeout", "unreachable", "unexpected_answer", "unauthorized"}
