"""Refusals by a close code: the table, what stays a status, and that nothing is left of them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.disconnects import Disconnect
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import Rate
from portward.model.request import RequestHead
from portward.node.handshake.closed_refusals import ENDINGS, ClosedRefusal, closed_refusal
from portward.settings.endpoint import CredentialSource, Refuse
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.presets import ENDPOINTS
from portward.testing import connect
from portward.testing.gateway import request
from tests.running_gateway import RoutedGate, RunningGateway, run_gateway, settings

PAGE = "http://localhost:3000"
CLOSE: Mapping[str, Any] = {"refuse": Refuse.CLOSE, "credentials": (CredentialSource.QUERY,)}
BY_STATUS = [each for each in HandshakeRejection if each not in ENDINGS]


async def refused(running: RunningGateway, head: RequestHead) -> HandshakeRejected:
    """The refusal of a handshake."""
    gate = RoutedGate(running.gateway.node)
    with pytest.raises(HandshakeRejected) as caught:
        await gate.admit(head)
    gate.refused(head, caught.value)
    return caught.value


async def code(
    running: RunningGateway, path: str = "/rooms", **headers: str
) -> int | HandshakeRejection:
    """The close code of a refused handshake, or its refusal where that is a status."""
    found = await refused(running, request(path, **{"origin": PAGE} | headers))
    return found.code if isinstance(found, ClosedRefusal) else found.refusal


def test_every_refusal_is_decided() -> None:
    """What a page could have caused by its form, host or origin is never a close."""
    assert set(BY_STATUS) == {
        *(
            HandshakeRejection.BAD_REQUEST,
            HandshakeRejection.MULTIPLE_CREDENTIALS,
            HandshakeRejection.WRONG_VERSION,
            HandshakeRejection.METHOD,
        ),
        *(
            HandshakeRejection.HEADERS_TOO_LARGE,
            HandshakeRejection.URI_TOO_LONG,
            HandshakeRejection.HEAD_TIMEOUT,
        ),
        *(
            HandshakeRejection.UNKNOWN_PATH,
            HandshakeRejection.DISABLED,
            HandshakeRejection.ORIGIN,
            HandshakeRejection.HOST,
            HandshakeRejection.INSECURE,
        ),
        HandshakeRejection.INTERNAL,
    }


def test_codes_agree_with_statuses() -> None:
    """What comes with `Retry-After` invites to come back, but for the user's own number of connections."""
    for refusal, ending in ENDINGS.items():
        assert ending.reconnect is (refusal.retry and refusal is not HandshakeRejection.USER_CAP), (
            refusal
        )


@pytest.mark.parametrize("path", ["/rooms", "/alerts", "/live", "/realtime", "/echo"])
@pytest.mark.parametrize("refusal", ENDINGS)
async def test_the_words_are_those_of_the_protocol(path: str, refusal: HandshakeRejection) -> None:
    """A refusal that passes says first when to come back, where the protocol has a word for it."""
    endpoints = {name: replace(each, enabled=True) for name, each in ENDPOINTS.items()}
    async with run_gateway(replace(settings(), endpoints=endpoints)) as running:
        endpoint = running.gateway.node.endpoints[path]
        found = closed_refusal(
            endpoint, HandshakeRejected(refusal, retry_after=2.0), "x", lambda: 0.5, 0
        )
    assert found is not None
    ending = ENDINGS[refusal]
    own = endpoint.protocol.closes.get(ending, (ending.code, ending.reason))
    assert ((found.code, found.reason), found.subprotocol) == (own, "x")
    texts = [each.payloads[0].decode() for each in found.messages]
    told = {Disconnect.TOO_MANY_REQUESTS: 2, Disconnect.TRY_LATER: 2, Disconnect.SHUTDOWN: 1}
    assert len(texts) == (0 if path == "/echo" else told.get(ending, 0))
    for text in texts:
        assert "3000" in text
        assert "retry" in text.lower()
    types = [json.loads(text)["type"] for text in texts]
    assert types == ["error", "closing"][2 - len(types) :]


@pytest.mark.parametrize("refusal", BY_STATUS)
async def test_the_others_stay_a_status(refusal: HandshakeRejection) -> None:
    """There is no close for them."""
    async with run_gateway() as running:
        endpoint = running.gateway.node.endpoints["/rooms"]
        assert closed_refusal(endpoint, HandshakeRejected(refusal), None, lambda: 0.0, 0) is None


async def test_an_endpoint_that_is_not_set_so_answers_by_status() -> None:
    """The default, beside an endpoint that closes."""
    async with run_gateway(settings(rooms=CLOSE)) as running:
        assert await code(running, "/rooms?token=x") == 3500
        assert await code(running, "/alerts?token=x") is HandshakeRejection.UNAUTHENTICATED
    async with run_gateway(settings(rooms={"credentials": (CredentialSource.QUERY,)})) as running:
        assert await code(running, "/rooms?token=x") is HandshakeRejection.UNAUTHENTICATED


async def test_outcomes_of_a_credential() -> None:
    """None, a bad one, and one without the role the endpoint wants; malformed ones stay 400."""
    async with run_gateway(settings(rooms={**CLOSE, "roles": ("staff",)})) as running:
        assert await code(running) == 3500
        assert await code(running, "/rooms?token=x") == 3500
        assert await code(running, "/rooms/?token=x") == 3500
        token = running.token("ann", roles=["user"])
        assert await code(running, f"/rooms?token={token}") == 3507
        assert (
            await code(running, f"/rooms?token={token}&token=x")
            is HandshakeRejection.MULTIPLE_CREDENTIALS
        )
        assert await code(running, "/rooms?%zz") is HandshakeRejection.BAD_REQUEST
        assert running.inside() == (0, 0, 0)


async def test_a_page_that_may_not_connect_learns_nothing() -> None:
    """Origin, host and form are judged first, whatever else is wrong, and answered by their status."""
    async with run_gateway(settings(rooms=CLOSE)) as running:
        for origin in ("https://evil.example", "null"):
            assert await code(running, "/rooms?token=x", origin=origin) is HandshakeRejection.ORIGIN
        assert await code(running, "/rooms?token=x", host="a b") is HandshakeRejection.BAD_REQUEST
        assert (
            await code(running, "/rooms?token=x", upgrade="h2c") is HandshakeRejection.BAD_REQUEST
        )
        found = await code(running, "/rooms?token=x", sec_websocket_protocol="chat")
        assert found is HandshakeRejection.BAD_REQUEST
        running.gateway.node.admission_control.draining = True
        assert await code(running, "/rooms") == 3001
        # The order of checks stays, and the answer is not a close.
        assert await code(running, origin="https://evil.example") is HandshakeRejection.DRAINING


async def test_a_program_is_answered_alike() -> None:
    """Without an origin, where that is let in, the close comes as well."""
    async with run_gateway(settings(rooms=CLOSE)) as running:
        found = await refused(running, request("/rooms?token=x"))
        assert isinstance(found, ClosedRefusal)


async def test_rates_and_caps() -> None:
    """An address's own limits pass again; the user's own number of connections does not."""
    one = Limits(attempts=RateLimit(rate=Rate(2, 60.0, 2)), connections=ConnectionLimit(max=1))
    async with run_gateway(settings(rooms={**CLOSE, "limits": one})) as running:
        token = running.token("ann", roles=["user"])
        await connect(running.gateway, f"/rooms?token={token}", origin=PAGE)
        assert await code(running, f"/rooms?token={token}") == 3013
        found = await refused(running, request("/rooms?token=x", peer="127.0.0.2", origin=PAGE))
        assert isinstance(found, ClosedRefusal)
        assert found.refusal is HandshakeRejection.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("rooms", "expected"), [({"max_connections": 1}, 1013), ({}, None)], ids=["full", "room"]
)
async def test_a_full_endpoint(rooms: dict[str, Any], expected: int | None) -> None:
    """It passes: 1013, with the time to wait."""
    async with run_gateway(settings(rooms={**CLOSE, **rooms})) as running:
        first = f"/rooms?token={running.token('ann', roles=['user'])}"
        await connect(running.gateway, first, origin=PAGE)
        second = f"/rooms?token={running.token('bob', roles=['user'])}"
        if expected is None:
            await connect(running.gateway, second, origin=PAGE)
        else:
            assert await code(running, second) == expected


async def test_the_log_has_status_and_code() -> None:
    """The refusal is counted under its reason; the code stands beside the status it would have had."""
    async with run_gateway(settings(rooms=CLOSE)) as running:
        await code(running, "/rooms?token=x")
        running.gateway.telemetry.log.flush()
        (line,) = [
            each for each in running.log.getvalue().splitlines() if "handshake.reject" in each
        ]
        assert "status=401" in line
        assert "code=3500" in line
        labels = {"endpoint": "rooms", "reason": "unauthenticated"}
        assert running.count("handshakes_refused_total", **labels) == 1
