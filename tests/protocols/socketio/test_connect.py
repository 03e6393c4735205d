"""A CONNECT of a namespace that the client is in already: repeated, with a newer token, or a wrong one."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.engines.port import EngineUnavailable
from portward.node.rights.authentication import Authentication
from portward.protocols.socketio.server import Socket
from portward.settings.endpoint import AuthMode
from portward.telemetry.events import Event
from tests.running_gateway import RunningGateway, run_gateway, session_of
from tests.socketio_peer import SocketPeer, member, reach, rooms_of, workspaces_settings

DASHBOARD = "workspace:w1:dashboard"
ROOT, OTHER = "/", "/x"


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with a namespace `/x` that counts who enters it."""
    async with run_gateway(workspaces_settings()) as running:
        space = running.gateway.workspaces.namespace(OTHER)
        entered: list[str] = []

        @space.on("connect")
        def opened(socket: Socket, _: dict[str, Any]) -> None:
            entered.append(socket.sid)

        @space.on("count")
        def count(_: Socket) -> int:
            return len(entered)

        yield running


def sid_of(packet: str) -> str:
    """The id that a client was given."""
    assert packet[0] == "0"
    return str(json.loads(packet[packet.index("{") :])["sid"])


async def in_both(running: RunningGateway) -> tuple[SocketPeer, dict[str, str]]:
    """A client in a room of the root, and in `/x`; its ids."""
    ann = await member(running, "ann", DASHBOARD)
    await ann.enter(nsp=OTHER)
    sids = {ROOT: sid_of(ann.packets[0]), OTHER: sid_of(ann.packets[-1])}
    ann.forget()
    return ann, sids


def refused(packet: str, nsp: str) -> str:
    """The code of a CONNECT_ERROR."""
    head = "4" if nsp == ROOT else f"4{nsp},"
    assert packet.startswith(head + "{"), packet
    told = json.loads(packet[len(head) :])
    assert told["message"]
    return str(told["data"]["code"])


SAME: dict[str, Any] = {
    "nothing": None,
    "no token": {},
    "an empty token": {"token": ""},
    "null": {"token": None},
    "no text": {"token": 7},
    "something else": {"document": "d1"},
    "the same token": {"token": "the same"},
}


@pytest.mark.p1
@pytest.mark.parametrize("nsp", [ROOT, OTHER])
@pytest.mark.parametrize("auth", SAME.values(), ids=list(SAME))
async def test_the_same_again(
    running: RunningGateway, nsp: str, auth: dict[str, Any] | None
) -> None:
    """Without another token the client is told its id again, and stays where it is; no handler runs."""
    ann, sids = await in_both(running)
    session = session_of(ann)
    if auth == {"token": "the same"}:
        auth = {"token": running.token("ann", roles=("agent",), workspaceId="w1")}
        await ann.call("token_refresh", auth)
    ann.forget()
    claims = session.claims
    for _ in range(3):
        await ann.enter(auth, nsp)
    assert [sid_of(packet) for packet in ann.forget()] == [sids[nsp]] * 3
    assert session.claims is claims
    assert rooms_of(ann)[:1] == ["workspaces:w1:dashboard"]
    assert await ann.call("count", nsp=OTHER) == 1
    assert ann.alive


async def test_without_authentication() -> None:
    """Where nobody proves anything a token changes nothing."""
    async with run_gateway(workspaces_settings(endpoint={"auth": AuthMode.NONE})) as running:
        eve = await reach(running.gateway)
        for auth in (None, None, {"token": "x"}):
            await eve.enter(auth)
        assert len({sid_of(packet) for packet in eve.packets}) == 1
        assert eve.alive


@pytest.mark.parametrize("nsp", [ROOT, OTHER])
async def test_a_newer_token(running: RunningGateway, nsp: str) -> None:
    """Another token of the same user is put in force, and the rights are judged by it."""
    ann, sids = await in_both(running)
    running.clock.advance(10)
    newer = running.token("ann", roles=("reader",), ttl=7200, workspaceId="w1")
    await ann.enter({"token": newer}, nsp)
    assert [sid_of(packet) for packet in ann.forget()] == [sids[nsp]]
    assert running.events(Event.AUTH_REFRESH) == 1
    claims = session_of(ann).claims
    assert claims is not None
    assert claims.roles == {"reader"}
    assert await ann.call("dashboard_action", {"action": "go"}) == {"error": "PERMISSION_DENIED"}
    await running.advance(5000)
    assert ann.alive


async def bad_token(running: RunningGateway, kind: str) -> str:
    """A token that is not put in force, and would not be by `token_refresh`."""
    match kind:
        case "expired":
            token = running.token("ann", ttl=10, workspaceId="w1")
            await running.advance(100)
            return token
        case "revoked":
            token = running.token("ann", jti="j1", workspaceId="w1")
            await running.gateway.revoke(jti="j1")
            return token
        case _:
            return kind


@pytest.mark.p0
@pytest.mark.parametrize("nsp", [ROOT, OTHER])
@pytest.mark.parametrize("kind", ["expired", "revoked", "a.b.c", "x"])
async def test_a_token_that_is_refused(running: RunningGateway, nsp: str, kind: str) -> None:
    """A token that is not valid is answered with a CONNECT_ERROR, and changes nothing."""
    ann, sids = await in_both(running)
    claims = session_of(ann).claims
    await ann.enter({"token": await bad_token(running, kind)}, nsp)
    (answer,) = ann.forget()
    assert refused(answer, nsp) == "INVALID_TOKEN"
    assert session_of(ann).claims is claims
    await ann.enter(nsp=nsp)
    assert [sid_of(packet) for packet in ann.forget()] == [sids[nsp]]
    assert await ann.call("leave_room", {"room": DASHBOARD}) == {"left": DASHBOARD}


@pytest.mark.p0
@pytest.mark.parametrize("nsp", [ROOT, OTHER])
@pytest.mark.parametrize("claims", [{"user": "bob"}, {"workspaceId": "w2"}])
async def test_a_token_of_somebody_else(
    running: RunningGateway, nsp: str, claims: dict[str, Any]
) -> None:
    """A token of another user or workspace ends the connection, as in `token_refresh`."""
    ann, _ = await in_both(running)
    given = {"user": "ann", "workspaceId": "w1", **claims}
    await ann.enter({"token": running.token(given.pop("user"), **given)}, nsp)
    answers = {packet for packet in ann.forget() if refused_in(packet, nsp)}
    assert len(answers) == 1
    assert refused(answers.pop(), nsp) == "INVALID_TOKEN"
    assert ann.closed == (3500, "invalid token")


def refused_in(packet: str, nsp: str) -> bool:
    """Whether it is the CONNECT_ERROR, where all others are what the other namespace is told."""
    other = "" if nsp == OTHER else f"{OTHER},"
    if packet.startswith("4"):
        return True
    assert packet in {f'2{other}["error",{{"code":"INVALID_TOKEN"}}]', f"1{other}"}
    return False


async def test_attempts_are_counted(running: RunningGateway) -> None:
    """Tokens in repeated CONNECTs count as attempts; over the limit none is looked at."""
    ann, sids = await in_both(running)
    codes = []
    for number in range(12):
        await ann.enter({"token": f"x{number}"})
        codes.append(refused(ann.forget()[0], ROOT))
    assert codes[0] == "INVALID_TOKEN"
    assert codes[-1] == "RATE_LIMITED"
    await ann.enter()
    assert sid_of(ann.forget()[0]) == sids[ROOT]


async def test_a_store_that_cannot_be_asked(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that cannot be judged now is refused for now, and changes nothing."""
    ann, sids = await in_both(running)

    async def unavailable(*_: object) -> bool:
        raise EngineUnavailable

    monkeypatch.setattr(running.gateway.node.context.stores.revocations, "is_revoked", unavailable)
    await ann.enter({"token": running.token("ann", workspaceId="w1")})
    (answer,) = ann.forget()
    assert refused(answer, ROOT) == "UNAVAILABLE"
    await ann.enter()
    assert sid_of(ann.forget()[0]) == sids[ROOT]


async def test_sent_out_meanwhile(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was sent out of the namespace while its token was judged is not told an id."""
    ann, _ = await in_both(running)
    refresh = Authentication.replace_token

    async def refresh_and_dismiss(*given: Any) -> Any:
        reply = await refresh(*given)
        (socket,) = running.gateway.workspaces.sockets(OTHER)
        socket.disconnect()
        return reply

    monkeypatch.setattr(Authentication, "replace_token", refresh_and_dismiss)
    await ann.enter({"token": running.token("ann", roles=("agent",), workspaceId="w1")}, OTHER)
    assert ann.forget() == [f"1{OTHER},"]
    assert ann.alive
