"""`GET /test`, as pages and operators of the relay ask it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.node.sessions.path_handler import HttpReply
from portward.settings import Secret, Settings
from portward.settings.endpoint import AuthMode
from portward.settings.presets import ENDPOINTS
from portward.telemetry.events import Event
from portward.testing.gateway import request
from tests.protocols.relay.fake_upstream import relaying
from tests.running_gateway import RoutedGate, RunningGateway, run_gateway

pytestmark = pytest.mark.p1

ORIGIN = "http://localhost:3000"


def given(**realtime: Any) -> Settings:
    """Settings with changes to the relay."""
    return Settings(endpoints={**ENDPOINTS, "realtime": replace(ENDPOINTS["realtime"], **realtime)})


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningGateway]:
    """A gateway with an upstream."""
    async with relaying(monkeypatch) as (running, _):
        yield running


def ask(running: RunningGateway, **headers: str) -> HttpReply:
    """Ask for the status."""
    answer = RoutedGate(running.gateway.node).answer(request("/test", **headers))
    assert isinstance(answer, HttpReply)
    return answer


async def test_all_is_well(running: RunningGateway) -> None:
    """It says what the relay is like, to programs and to pages of listed origins."""
    answer = ask(running)
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "status": "ok", "enabled": True, "authRequired": True, "upstreamConfigured": True,
    }  # fmt: skip
    headers = dict(ask(running, origin=ORIGIN).headers)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Vary"] == "Origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in dict(answer.headers)


async def test_it_says_what_is_missing() -> None:
    """Neither a key nor a proof of anyone's name."""
    async with run_gateway(given(auth=AuthMode.NONE)) as running:
        told = json.loads(ask(running).body)
        assert (told["authRequired"], told["upstreamConfigured"]) == (False, False)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example"]
)
async def test_other_pages_are_refused(running: RunningGateway, origin: str) -> None:
    """As at the relay itself."""
    answer = ask(running, origin=origin)
    assert (answer.status, answer.body) == (403, b"")
    assert running.events(Event.ORIGIN_REJECT) == 1
    assert running.events(Event.CONNECTION_BLOCKED) == 1


async def test_questions_count_as_attempts(running: RunningGateway) -> None:
    """Of one address ten in a minute, with the handshakes; then it is told when to come back."""
    for _ in range(10):
        assert ask(running).status == 200
    answer = ask(running)
    assert answer.status == 429
    assert int(dict(answer.headers)["Retry-After"]) >= 1
    assert running.events(Event.HTTP_RATE_LIMIT_EXCEEDED) == 1
    assert (await running.refusal("/realtime")).status == 429
    await running.advance(60)
    assert ask(running).status == 200


async def test_a_slash_at_the_end(running: RunningGateway) -> None:
    """`/test/` is the same page, refusals included; `/test//` is none."""
    gate = RoutedGate(running.gateway.node)
    for path in ("/test", "/test/"):
        answer = gate.answer(request(path))
        assert answer is not None
        assert answer.status == 200
    gate.answer(request("/test/", origin="https://evil.example"))
    assert running.count("handshakes_refused_total", endpoint="realtime", reason="origin") == 1
    assert gate.answer(request("/test//")) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
async def test_other_methods(running: RunningGateway, method: str) -> None:
    """It is for reading; and who asks otherwise is judged all the same."""
    gate = RoutedGate(running.gateway.node)
    answer = gate.answer(replace(request("/test"), method=method))
    assert answer is not None
    assert (answer.status, dict(answer.headers)["Allow"]) == (405, "GET")
    foreign = gate.answer(replace(request("/test", origin="https://evil.example"), method=method))
    assert foreign is not None
    assert foreign.status == 403
    assert gate.answer(replace(request("/health"), method=method)) is None


async def test_a_preflight_is_answered_and_counts_nothing(running: RunningGateway) -> None:
    """A page whose tracing adds headers asks first; what is no preflight, or not listed, is refused."""
    gate = RoutedGate(running.gateway.node)
    asked = request("/test", origin=ORIGIN, access_control_request_method="GET")
    for _ in range(20):
        answer = gate.answer(replace(asked, method="OPTIONS"))
        assert answer is not None
        assert answer.status == 204
        headers = dict(answer.headers)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "traceparent" in headers["Access-Control-Allow-Headers"]
    assert ask(running).status == 200
    evil = request("/test", origin="https://evil.example", access_control_request_method="GET")
    refused = gate.answer(replace(evil, method="OPTIONS"))
    assert refused is not None
    assert refused.status == 403
    async with run_gateway(given(enabled=False)) as off:
        answer = RoutedGate(off.gateway.node).answer(replace(asked, method="OPTIONS"))
        assert answer is not None
        assert answer.status == 503


async def test_switched_off() -> None:
    """The relay and its status are 503 together, however it is asked."""
    async with run_gateway(given(enabled=False)) as running:
        assert ask(running).status == 503
        posted = RoutedGate(running.gateway.node).answer(replace(request("/test"), method="POST"))
        assert posted is not None
        assert posted.status == 503
        assert (await running.refusal("/realtime")).status == 503


async def test_there_is_no_relay() -> None:
    """Without one the path is as unknown as any other."""
    async with run_gateway(Settings(endpoints={"rooms": ENDPOINTS["rooms"]})) as running:
        assert RoutedGate(running.gateway.node).answer(request("/test")) is None


async def test_a_key_that_comes_later() -> None:
    """With the settings read again a key is there, or is gone, without a restart."""
    async with run_gateway() as running:
        gateway = running.gateway
        told = []
        for key in ("", "sk-test-key-of-the-upstream", ""):
            upstream = replace(gateway.settings.upstream, api_key=Secret(key))
            gateway.reload(replace(gateway.settings, upstream=upstream))
            told.append(json.loads(ask(running).body)["upstreamConfigured"])
        assert told == [False, True, False]
