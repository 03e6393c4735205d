"""A running gateway for tests: the real gate, dialects and core, a clock that leaps, no socket."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from io import StringIO
from typing import Any

import msgspec
from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.engines.port import Engine
from portward.model.channel import Channel
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.namespace import Namespace
from portward.model.request import RequestHead
from portward.model.room import Room
from portward.node.handshake import AdmittedHandshake
from portward.node.node import Node
from portward.node.sessions.path_handler import HttpReply
from portward.node.sessions.session import Session
from portward.settings import Settings
from portward.settings.endpoint import CredentialSource
from portward.settings.presets import ENDPOINTS, NAMESPACES
from portward.telemetry.audit.chain import AuditEntry
from portward.telemetry.events import Event
from portward.telemetry.telemetry import make_telemetry
from portward.testing import FakeClock, MemoryClient, connect

LOBBY = Channel.parse("rooms:lobby")
USER = ("user",)


_ELSEWHERE = frozenset({CredentialSource.COOKIE, CredentialSource.SUBPROTOCOL})
CREDENTIALS = tuple(kind for kind in CredentialSource if kind not in _ELSEWHERE)
"""Every place a token may come from, but a subprotocol."""


def settings(
    *,
    rooms: Mapping[str, Any] | None = None,
    namespace: Mapping[str, Any] | None = None,
    echo: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Settings:
    """The default settings with changes to `rooms`, to `echo`, and of whole sections."""
    changed = {"rooms": rooms or {}, "echo": echo or {}}
    endpoints = {
        name: replace(endpoint, **changed[name]) if changed.get(name) else endpoint
        for name, endpoint in ENDPOINTS.items()
    }
    namespaces = dict(NAMESPACES)
    namespaces["rooms"] = replace(namespaces["rooms"], **(namespace or {}))
    return Settings(endpoints=endpoints, namespaces=namespaces, **sections)


def family(name: str, **options: Any) -> dict[str, Namespace]:
    """The default namespaces with one more."""
    return {**NAMESPACES, name: Namespace(name=name, **options)}


class RunningGateway:
    """One gateway with its clock, and its clients."""

    def __init__(self, gateway: Gateway, clock: FakeClock, log: StringIO) -> None:
        self.gateway = gateway
        self.clock = clock
        self.log = log

    async def client(
        self,
        user: str | None = None,
        *rooms: str,
        roles: Iterable[str] = USER,
        path: str = "/rooms",
        peer: str = "127.0.0.1",
        **claims: Any,
    ) -> MemoryClient:
        """A connection; with `user` an authenticated one, in `rooms`."""
        client = await connect(self.gateway, path, peer=peer)
        if user is not None:
            await self.authenticate(client, user, roles=roles, **claims)
        for room in rooms:
            await ask(client, "join", roomId=room)
            assert client.last("room_joined")["roomId"] == room
        return client

    async def authenticate(
        self, client: MemoryClient, user: str, *, roles: Iterable[str] = USER, **claims: Any
    ) -> str:
        """Prove who a connection is; returns the token it did so with."""
        token = self.token(user, roles=roles, **claims)
        await ask(client, "auth", token=token)
        assert client.last("auth_success")["user"]["userId"] == user
        return token

    def token(
        self, user: str, *, roles: Iterable[str] = USER, ttl: float = 3600.0, **claims: Any
    ) -> str:
        """An access token of the running gateway."""
        return self.gateway.token(user, ttl=ttl, roles=list(roles), **claims)

    async def refusal(self, path: str = "/rooms", **more: Any) -> HandshakeRejection:
        """Why a handshake is turned away."""
        try:
            await connect(self.gateway, path, **more)
        except HandshakeRejected as refused:
            return refused.refusal
        raise AssertionError("the handshake was let in")

    async def advance(self, seconds: float) -> None:
        """Leap, then let the gateway act on it."""
        self.clock.advance(seconds)
        await settle()

    def count(self, family: str, **labels: str) -> float:
        """The value of one series, 0 when it never moved."""
        registry = self.gateway.telemetry.metrics.registry
        return registry.get_sample_value(f"portward_{family}", labels) or 0.0

    def events(self, event: Event) -> int:
        """How often something was recorded."""
        return int(self.count("events_total", event=event.value))

    def audited(self, event: Event) -> list[AuditEntry]:
        """The audited records of one event, in order."""
        recent = self.gateway.telemetry.audit.recent(10_000)
        return [entry for entry in recent if entry.event == event.value]

    def closes(self, ending: str, endpoint: str = "rooms") -> int:
        """How many connections were closed so."""
        return int(self.count("closes_total", endpoint=endpoint, ending=ending))

    async def room(self, name: str = "lobby", **fields: Any) -> Room:
        """Make or replace a room; fields as in JSON."""
        return await self.gateway.rooms.set(name, msgspec.convert({"id": name, **fields}, Room))

    def inside(self) -> tuple[int, int, int]:
        """What the doorman counts, and what there is: inside, anonymous, registered."""
        node = self.gateway.node
        return (
            node.admission_control.inside,
            node.admission_control.pending.sessions,
            len(node.registry),
        )


@asynccontextmanager
async def run_gateway(
    given: Settings | None = None, *, engine: Engine | None = None, clock: FakeClock | None = None
) -> AsyncIterator[RunningGateway]:
    """Run a gateway on a fake clock, with the memory engine or another."""
    clock, log = clock or FakeClock(), StringIO()
    chosen = given or settings()
    telemetry = make_telemetry(chosen, clock, log)
    async with Gateway(chosen, clock=clock, engine=engine, telemetry=telemetry) as gateway:
        yield RunningGateway(gateway, clock, log)


class RoutedGate:
    """The gate as a listener asks it: the handler of its path decides about a request."""

    def __init__(self, node: Node) -> None:
        self._service = service = node.handshakes
        self.has_capacity = service.has_capacity
        self.verify_followup = service.verify_followup

    def answer(self, head: RequestHead) -> HttpReply | None:
        """The answer of a path that has some; None where there is none."""
        handler = self._service.find(head.path).target
        answer = handler.answer(head) if handler.answer is not None else None
        assert answer is None or isinstance(answer, HttpReply)
        return answer

    async def admit(self, head: RequestHead, *, upgrade_checked: bool = False) -> AdmittedHandshake:
        """Admit a handshake, or raise its refusal."""
        handler, parameters = self._service.find(head.path)
        return await handler.admit(head, parameters, upgrade_checked=upgrade_checked)

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Record a refusal."""
        handler = self._service if head is None else self._service.find(head.path).target
        handler.refused(head, refused)


async def settle() -> None:
    """Let everything that is ready run."""
    await MemoryClient().settle()


async def ask(client: MemoryClient, kind: str, *, id: str | None = None, **data: Any) -> None:  # noqa: A002 - the word on the wire
    """Send one envelope and let the gateway answer."""
    envelope: dict[str, Any] = {"type": kind, "data": data}
    if id is not None:
        envelope["id"] = id
    client.send(envelope)
    await client.settle()


def session_of(client: MemoryClient) -> Session:
    """The session behind a client."""
    session = client.session
    assert isinstance(session, Session)
    return session


def errors(client: MemoryClient) -> list[str]:
    """The texts of all errors a client was told."""
    return [error["data"]["message"] for error in client.all("error")]


def kinds(client: MemoryClient) -> list[str]:
    """The types of all messages a client was told."""
    return [message["type"] for message in client.received]


def contents(client: MemoryClient) -> list[Any]:
    """What was said in the messages a client was sent."""
    return [message["data"]["content"] for message in client.all("message")]


def offsets(client: MemoryClient) -> list[int]:
    """The offsets of the messages a client was sent."""
    return [message["data"]["offset"] for message in client.all("message")]


def forget(*clients: MemoryClient) -> None:
    """Drop what clients were told so far."""
    for client in clients:
        client.received.clear()


def encoded(value: object) -> bytes:
    """JSON as bytes, to compare answers to the last one."""
    return msgspec.json.encode(value)
