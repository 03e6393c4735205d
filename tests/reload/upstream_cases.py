"""The reloadable keys of `upstream`, and the same of an upstream with a name."""

import asyncio
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from portward.protocols.relay.upstream_address import is_public
from tests.reload.case import ClientSide, Observe, ReloadCase
from tests.reload.issuer import token
from tests.reload.process import WAIT
from tests.reload.tokens_cases import ONE, A

_QUIET: Final = 1.0
"""Seconds after which a connection that should last is taken to last."""


_numbers = count()


def _user() -> str:
    """A token of a user that nobody was before: budgets are by user."""
    return token(A, sub=f"user-{next(_numbers)}")


class _Relay:
    """What a user of one relay can observe. `path` is that of its endpoint."""

    def __init__(self, path: str) -> None:
        self._path = path

    def asked(self, *headers: str) -> Observe:
        """The path and query that the upstream is asked for, and these headers of the handshake."""

        async def observe(client: ClientSide) -> object:
            await self._answered(client)
            asked = client.gateway.web.upstream.asked[-1]
            return [asked.target, *(asked.headers.get(name) for name in headers)]

        return observe

    def connects(self, query: str = "") -> Observe:
        """What a client learns that asks to be connected: a status, a code, or `connected`."""

        async def observe(client: ClientSide) -> object:
            return await self._answered(client, query)

        return observe

    def told(self, *messages: str | bytes) -> Observe:
        """What these messages are answered, one after the other: the code of an error, or `echoed`."""

        async def observe(client: ClientSide) -> object:
            socket = await client.open(self._path, token=_user())
            return [await _answer(socket, message) for message in messages]

        return observe

    def lasts(self) -> Observe:
        """Whether a connection is open for as long as one waits, else its close code."""

        async def observe(client: ClientSide) -> object:
            socket = await client.open(self._path, token=_user())
            try:
                await asyncio.wait_for(socket.wait_closed(), _QUIET)
            except TimeoutError:
                return "open"
            return socket.close_code

        return observe

    def set_to(self, voice: str) -> Observe:
        """What an event that sets the voice is answered."""

        async def observe(client: ClientSide) -> object:
            event = json.dumps({"type": "session.update", "session": {"voice": voice}})
            socket = await client.open(self._path, token=_user())
            await socket.send(event)
            while True:
                answer = await asyncio.wait_for(socket.recv(), WAIT)
                # The gateway's own first event is echoed, too.
                if '"type":"realtime"' not in str(answer):
                    return _read(answer)

        return observe

    def refused_private(self) -> Observe:
        """Whether the upstream's address was refused because it is private, by the log."""

        async def observe(client: ClientSide) -> object:
            before = len(client.gateway.output)
            assert await self._answered(client) == "upstream_unavailable"

            def later(fields: Any) -> bool:
                lines = client.gateway.output[before:]
                return any(json.loads(line) == fields for line in lines if line.startswith("{"))

            fields = await client.gateway.logged("upstream.fail", later)
            return fields["detail"] == "upstream address is private"

        return observe

    async def _answered(self, client: ClientSide, query: str = "") -> object:
        try:
            socket = await client.open(f"{self._path}{query}", token=_user())
        except InvalidStatus as refused:
            return refused.response.status_code
        return await _answer(socket, _event("x"))


async def _answer(socket: ClientConnection, message: str | bytes) -> object:
    """What a message is answered, or why the connection is over."""
    with suppress(ConnectionClosed):
        await socket.send(message)
    try:
        return _read(await asyncio.wait_for(socket.recv(), WAIT))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


def _near() -> str:
    """A name that looks like one of the operator's network, and is this machine."""
    for name in (socket.gethostname(), "ip6-localhost", "ip6-loopback"):
        with suppress(OSError):
            found = socket.getaddrinfo(name, 1)
            if "." not in name and not any(map(is_public, (str(each[4][0]) for each in found))):
                return name
    return "localhost"


def _read(answer: str | bytes) -> object:
    if isinstance(answer, bytes):
        return "echoed"
    event = json.loads(answer)
    return event["code"] if event["type"] == "error" else "echoed"


def _event(kind: str) -> str:
    return json.dumps({"type": kind})


def _cases(table: str, path: str) -> tuple[ReloadCase, ...]:
    """The cases of one table of settings, to which the endpoint at `path` leads."""
    relay = _Relay(path)
    shown = "upstreams.<name>" if table.startswith("upstreams.") else table
    spend = json.dumps({"type": "x", "usage": {"total_tokens": 9}})
    listen = json.dumps({"type": "x", "usage": {"seconds": 9}})

    def case(
        key: str,
        before: object,
        after: object,
        observe: Observe,
        seen_before: object,
        seen_after: object,
        *,
        common: Mapping[str, object] | None = None,
        **more: Any,
    ) -> ReloadCase:
        """A case of a key, with other keys of the table that hold before and after."""
        base = {**ONE, **{f"{table}.{name}": value for name, value in (common or {}).items()}}
        name, _, pin = key.partition(".")
        return ReloadCase(
            key=f"{shown}.{name}.<name>" if pin else f"{shown}.{name}",
            before=base if before is None else {**base, f"{table}.{key}": before},
            after=base if after is None else {**base, f"{table}.{key}": after},
            observe=observe,
            seen_before=seen_before,
            seen_after=seen_after,
            **more,
        )

    return (
        case(
            "url",
            "{upstream}/a?model={model}",
            "{upstream}/b?model={model}",
            relay.asked(),
            ["/a?model=gpt-realtime"],
            ["/b?model=gpt-realtime"],
        ),
        case(
            "api_key",
            "sk-one",
            "sk-two",
            relay.asked("authorization"),
            ["/?model=gpt-realtime", "Bearer sk-one"],
            ["/?model=gpt-realtime", "Bearer sk-two"],
        ),
        case(
            "api_key",
            None,
            None,
            relay.asked("authorization"),
            ["/?model=gpt-realtime", "Bearer sk-one"],
            ["/?model=gpt-realtime", "Bearer sk-two"],
            common={"api_key": None, "api_key_file": "{folder}/key"},
            files_before={"key": "sk-one\n"},
            files_after={"key": "sk-two\n"},
            note="in a file that was written again",
        ),
        case(
            "api_key_file",
            "{folder}/one",
            "{folder}/two",
            relay.asked("authorization"),
            ["/?model=gpt-realtime", "Bearer sk-one"],
            ["/?model=gpt-realtime", "Bearer sk-two"],
            common={"api_key": None},
            files_before={"one": "sk-one\n", "two": "sk-two\n"},
        ),
        case(
            "auth_header",
            "Authorization",
            "api-key",
            relay.asked("authorization", "api-key"),
            ["/?model=gpt-realtime", "Bearer sk-base", None],
            ["/?model=gpt-realtime", None, "sk-base"],
        ),
        case(
            "auth_scheme",
            "Key",
            "",
            relay.asked("authorization"),
            ["/?model=gpt-realtime", "Key sk-base"],
            ["/?model=gpt-realtime", "sk-base"],
        ),
        case(
            "models",
            ["gpt-realtime"],
            ["gpt-realtime", "org/other"],
            relay.connects("?model=org%2Fother"),
            "model_not_allowed",
            "echoed",
        ),
        case(
            "parameters", ["call_id"], ["call_id", "x"], relay.connects("?x=1"), 400, "echoed"
        ),
        case(
            "allow_private", False, True, relay.refused_private(), True, False,
            common={"url": f"ws://{_near()}:9/?model={{model}}"},
        ),
        case(
            "connect_timeout", "300ms", "60s", relay.connects(), "upstream_unavailable", "echoed",
            common={"url": "{upstream}/slow"},
        ),
        case(
            "policy", "open", "strict", relay.told(_event("x")),
            ["echoed"], ["event_refused"],
        ),
        case(
            "allow_events", ["x"], ["x", "y"], relay.told(_event("x"), _event("y")),
            ["echoed", "event_refused"], ["echoed", "echoed"],
        ),
        case(
            "allow_binary", False, True, relay.told(b"\xff\x00"),
            ["event_refused"], ["echoed"],
        ),
        case("max_duration", "200ms", "1h", relay.lasts(), 3504, "open"),
        case(
            "max_messages", 1, 2, relay.told(_event("x"), _event("x")),
            ["echoed", "quota_exceeded"], ["echoed", "echoed"],
        ),
        case(
            "max_bytes", 60, 600, relay.told(*[_event("x")] * 3),
            ["echoed", "echoed", "quota_exceeded"], ["echoed"] * 3,
        ),
        case(
            "max_tokens", 5, 50_000, relay.told(spend, _event("x")),
            ["echoed", "quota_exceeded"], ["echoed", "echoed"],
        ),
        case(
            "tokens_per_second", 1, 0, relay.told(listen, _event("x")),
            ["echoed", "quota_exceeded"], ["echoed", "echoed"],
            common={"max_tokens": 5},
        ),
        case(
            "pin.voice", "a", "b", relay.set_to("b"), "event_refused", "echoed",
        ),
    )  # fmt: skip


UPSTREAM: Final = (*_cases("upstream", "/realtime"), *_cases("upstreams.second", "/second"))
