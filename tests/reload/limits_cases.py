"""The reloadable keys of `limits`, for the gateway and for one endpoint."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.e2e.listeners import PATIENCE, EnvelopeClient
from tests.reload.case import ClientSide, ReloadCase
from tests.reload.issuer import token
from tests.reload.tokens_cases import ONE, A

TRIES: Final = 6
"""Events of one observation: more than any of the limits in the cases lets through."""
_users = count()

Passed = Callable[[ClientSide], Awaitable[int]]
"""How many of :data:`TRIES` events passed, of a client that no limit knows yet."""


def _stranger(client: ClientSide) -> ClientSide:
    """A client at another address, so that what was counted before does not matter."""
    return ClientSide(client.gateway, client.stack)


def _handshake() -> str:
    """A token of a user that no limit knows yet."""
    return token(A, sub=f"user-{next(_users)}", roles=["user"])


async def _attempts(client: ClientSide) -> int:
    here = _stranger(client)
    statuses = [await here.status("/echo", token=_handshake()) for _ in range(TRIES)]
    assert set(statuses) <= {101, 429}
    return statuses.count(101)


async def _connections(client: ClientSide) -> int:
    here = _stranger(client)
    opened: list[ClientConnection] = []
    statuses = []
    for _ in range(TRIES):
        try:
            opened.append(await here.open("/echo", token=_handshake()))
            statuses.append(101)
        except Exception as refused:  # noqa: BLE001 - its status is what is looked at
            statuses.append(refused.response.status_code)  # type: ignore[attr-defined]
    for socket in opened:
        await socket.close()
    assert set(statuses) <= {101, 429}
    return statuses.count(101)


async def _auth(client: ClientSide) -> int:
    """Distinct credentials that are refused, until the address has spent what it may."""
    here = _stranger(client)
    bad = [token("x" * 40, sub=f"bad-{next(_users)}") for _ in range(TRIES)]
    statuses = [await here.status("/echo", token=each) for each in bad]
    assert set(statuses) <= {401, 429}
    return statuses.count(401)


def _asked(kind: str, refused: str, **data: Any) -> Passed:
    """Messages of a new user, of which some are answered with a refusal of this code."""

    async def observe(client: ClientSide) -> int:
        speaker = await _stranger(client).speaker(_handshake())
        answers = [await speaker.ask(kind, **data) for _ in range(TRIES)]
        codes = [each["data"].get("code") for each in answers if each["type"] == "error"]
        return TRIES - codes.count(refused)

    return observe


async def _typing(client: ClientSide) -> int:
    """Typing has no answer but its refusal; a heartbeat afterwards shows that all were looked at."""
    speaker = await _stranger(client).speaker(_handshake())
    await client.gateway.call("rooms_set", id="hall", name="hall")
    assert (await speaker.ask("join", roomId="hall"))["type"] == "room_joined"
    for number in range(TRIES):
        await speaker.say("typing", f"t{number}", roomId="hall", active=True)
    await speaker.say("heartbeat", "last")
    refused = 0
    while (message := await speaker.hear()).get("id") != "last":
        refused += message["type"] == "error" and message["data"]["code"] == "rate_limited"
    return TRIES - refused


async def _frames(client: ClientSide) -> int:
    """Heartbeats that are answered, until the connection is closed for their number."""
    socket = await _stranger(client).open()
    speaker = EnvelopeClient(socket)
    answered = 0
    try:
        for number in range(TRIES):
            await speaker.say("heartbeat", str(number))
        while answered < TRIES:
            answered += (await speaker.hear())["type"] == "heartbeat_response"
    except ConnectionClosed:
        pass
    return answered


async def _control_frames(client: ClientSide) -> int:
    """Pings that are answered, until the connection is closed for their number."""
    socket = await _stranger(client).open("/echo", token=_handshake())
    answered = 0
    try:
        for _ in range(TRIES):
            await asyncio.wait_for(await socket.ping(), PATIENCE)
            answered += 1
        await socket.send(json.dumps("still here"))
        await asyncio.wait_for(socket.recv(), PATIENCE)
    except ConnectionClosed:
        pass
    return answered


_RATES: Final[Mapping[str, tuple[str, Passed]]] = {
    "attempts": ("echo", _attempts),
    "messages": ("rooms", _asked("presence", "rate_limited", roomId="nowhere")),
    "auth": ("echo", _auth),
    "join": ("rooms", _asked("join", "join_rate_limited", roomId="nowhere")),
    "history": ("rooms", _asked("history", "rate_limited", roomId="nowhere")),
    "typing": ("rooms", _typing),
    "frames": ("rooms", _frames),
    "control_frames": ("echo", _control_frames),
}
"""Per limit: an endpoint where it can be seen, and how."""


def _rate_cases(name: str, prefix: str, key: str) -> list[ReloadCase]:
    _, observe = _RATES[name]

    def case(option: str, before: object, after: object, seen: tuple[int, int]) -> ReloadCase:
        shared = {**ONE, **({} if option == "rate" else {f"{prefix}.{name}.rate": "3/h"})}
        written = f"{prefix}.{name}.{option}"
        return ReloadCase(
            key=f"{key}.{name}.{option}",
            before={**shared, written: before},
            after={**shared, written: after},
            observe=observe,
            seen_before=seen[0],
            seen_after=seen[1],
        )

    return [
        case("rate", "3/h", "5/h", (3, 5)),
        case("burst", 2, 4, (2, 4)),
        case("mode", "enforce", "observe", (3, TRIES)),
    ]


def _connection_cases(prefix: str, key: str) -> list[ReloadCase]:
    most = f"{prefix}.connections.max"
    mode = f"{prefix}.connections.mode"
    return [
        ReloadCase(
            key=f"{key}.connections.max",
            before={**ONE, most: 2},
            after={**ONE, most: 4},
            observe=_connections,
            seen_before=2,
            seen_after=4,
        ),
        ReloadCase(
            key=f"{key}.connections.mode",
            before={**ONE, most: 2, mode: "enforce"},
            after={**ONE, most: 2, mode: "observe"},
            observe=_connections,
            seen_before=2,
            seen_after=TRIES,
        ),
    ]


LIMITS: Final = (
    *_connection_cases("limits", "limits"),
    *(case for name in _RATES for case in _rate_cases(name, "limits", "limits")),
    *_connection_cases("endpoints.echo.limits", "endpoints.<name>.limits"),
    *(
        case
        for name, (endpoint, _) in _RATES.items()
        for case in _rate_cases(name, f"endpoints.{endpoint}.limits", "endpoints.<name>.limits")
    ),
)
