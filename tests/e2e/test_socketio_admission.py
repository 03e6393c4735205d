"""Who comes in to the workspaces with an unmodified Socket.IO client, who does not, and what each is told."""

from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.gateways import ORIGIN, TOKENS, UNLIMITED, own_listener, until
from tests.e2e.socketio_client import MODES, Tab, browsing, token
from tests.e2e.socketio_gateways import CROWDED, DASHBOARD, FREE, ROLES, socketio_gateway
from tests.e2e.socketio_raw import polling

ERRORS = '[endpoints.workspaces]\nrefuse = "connect_error"\n'
SENT_OUT = "io server disconnect"
BAD = {
    "AUTH_REQUIRED": None,
    "expired": token("ann", ttl=-3600),
    "forged": token("ann", secret="a secret of somebody else, long enough for it"),
    "nonsense": "nonsense",
}

each_mode = pytest.mark.parametrize("mode", list(MODES))


async def refused(tab: Tab, code: str) -> None:
    """The client is told why, sent out, and does not come back."""
    assert await tab.heard("error") == {"code": code}
    told = await tab.told("disconnect")
    assert (told["reason"], told["active"], told["reconnecting"]) == (SENT_OUT, False, False)


@each_mode
async def test_a_token(mode: str) -> None:
    """A token comes in by `auth`, by a function that makes one, or by the header."""
    async with socketio_gateway() as on:
        by_auth = on.tabs.open(on.url, {"token": token("ann")}, **MODES[mode])
        header = {"Authorization": f"Bearer {token('bob')}"}
        by_header = on.tabs.open(on.url, extraHeaders=header, **MODES[mode])
        transports = {(await tab.connected())["transport"] for tab in (by_auth, by_header)}
        assert transports <= {"polling", "websocket"}
        if mode == "default":
            assert (await by_auth.told("upgrade"))["transport"] == "websocket"
        for tab in (by_auth, by_header):
            await tab.join(DASHBOARD)
        assert {each.user for each in on.gateway.connections()} == {"ann", "bob"}
        by_auth.leave()
        assert (await by_auth.told("disconnect"))["reason"] == "io client disconnect"


@each_mode
async def test_the_token_of_the_connect_packet_wins(mode: str) -> None:
    """Of two tokens the one in `auth` says who comes in."""
    async with socketio_gateway() as on:
        header = {"Authorization": f"Bearer {token('bob')}"}
        tab = on.tabs.open(on.url, {"token": token("ann")}, extraHeaders=header, **MODES[mode])
        await tab.connected()
        assert [each.user for each in on.gateway.connections()] == ["ann"]


@each_mode
async def test_a_refused_credential(mode: str) -> None:
    """Without a good token the client gets the event `error`, is disconnected, and stays away."""
    async with socketio_gateway() as on:
        await on.gateway.revoke(jti="gone")
        bad = BAD | {"revoked": token("ann", jti="gone")}
        tabs = {
            name: on.tabs.open(on.url, {} if given is None else {"token": given}, **MODES[mode])
            for name, given in bad.items()
        }
        for name, tab in tabs.items():
            await refused(tab, "AUTH_REQUIRED" if name == "AUTH_REQUIRED" else "INVALID_TOKEN")
        assert on.gateway.connections() == []


@each_mode
async def test_a_refused_credential_as_a_connect_error(mode: str) -> None:
    """With `refuse = "connect_error"` the code is in the data of the error, and nobody connects."""
    async with socketio_gateway(FREE + ERRORS) as on:
        await on.gateway.revoke(jti="gone")
        bad = BAD | {"revoked": token("ann", jti="gone")}
        for name, given in bad.items():
            tab = on.tabs.open(on.url, {} if given is None else {"token": given}, **MODES[mode])
            told = await tab.told("connect_error")
            code = "AUTH_REQUIRED" if name == "AUTH_REQUIRED" else "INVALID_TOKEN"
            assert (told["data"], told["active"]) == ({"code": code}, False)
            assert told["message"]
            assert not [each for each in tab.records if each["kind"] in {"connect", "event"}]


@each_mode
async def test_a_refused_header(mode: str) -> None:
    """A bad token in the header is refused in the same words."""
    async with socketio_gateway() as on:
        header = {"Authorization": "Bearer nonsense"}
        await refused(on.tabs.open(on.url, extraHeaders=header, **MODES[mode]), "INVALID_TOKEN")


@each_mode
async def test_another_try_with_a_good_token(mode: str) -> None:
    """Who was refused comes in by connecting again with a good token."""
    async with socketio_gateway() as on:
        tab = on.tabs.open(on.url, {"token": "nonsense"}, **MODES[mode])
        await refused(tab, "INVALID_TOKEN")
        await tab.connected()
        tab.order("auth", auth={"token": token("ann")})
        tab.order("call", method="connect")
        await tab.connected()
        await tab.join(DASHBOARD)


@each_mode
async def test_a_revocation(mode: str) -> None:
    """Whose token is revoked is sent out at once."""
    async with socketio_gateway() as on:
        tab = await on.tabs.member(on.url, "ann", DASHBOARD, **MODES[mode])
        await on.gateway.revoke(user="ann")
        told = await tab.told("disconnect")
        assert (told["reason"], told["active"]) == (SENT_OUT, False)
        assert on.gateway.connections() == []


@each_mode
@pytest.mark.parametrize("refuse", ["event", "connect_error"])
async def test_the_eleventh_connection(mode: str, refuse: str) -> None:
    """Ten connections come in from one address; the eleventh is told why not, and the ten stay."""
    own = f'[endpoints.workspaces]\nrefuse = "{refuse}"\n'
    async with socketio_gateway(TOKENS + UNLIMITED + ROLES + own) as on:
        tabs = [on.tabs.open(on.url, {"token": token(f"u{n}")}, **MODES[mode]) for n in range(10)]
        for tab in tabs:
            await tab.connected()
        late = on.tabs.open(on.url, {"token": token("late")}, **MODES[mode])
        if refuse == "event":
            await refused(late, "TOO_MANY_CONNECTIONS")
        else:
            told = await late.told("connect_error")
            assert (told["data"], told["active"]) == ({"code": "TOO_MANY_CONNECTIONS"}, False)
        for tab in tabs:
            await tab.join(DASHBOARD)
        tabs[0].leave()
        await until(lambda: len(on.gateway.connections()) == 9)
        await on.tabs.member(on.url, "after", DASHBOARD, **MODES[mode])


@each_mode
async def test_the_sixty_first_message(mode: str) -> None:
    """Sixty messages a minute are answered; the next is told the limit, and the connection stays."""
    free = UNLIMITED.replace('[limits.messages]\nrate = "none"\n', "")
    async with socketio_gateway(TOKENS + free + ROLES) as on:
        tab = on.tabs.open(on.url, {"token": token("ann")}, **MODES[mode])
        await tab.connected()
        answers = [await tab.ask("leave_room", {"room": DASHBOARD}) for _ in range(60)]
        # What refills the bucket while a slow machine asks is no part of the sixty.
        for _ in range(200):
            if answers[-1] != {"left": DASHBOARD}:
                break
            answers.append(await tab.ask("leave_room", {"room": DASHBOARD}))
        refusal = answers.pop()
        assert len(answers) >= 60
        assert all(each == {"left": DASHBOARD} for each in answers)
        assert refusal["error"] == "RATE_LIMITED"
        assert refusal["retryMs"] > 0
        assert await tab.heard("error") == {"code": "RATE_LIMITED"}
        assert [each.user for each in on.gateway.connections()] == ["ann"]
        for _ in range(5):
            tab.emit("leave_room", {"room": DASHBOARD})
        assert await tab.heard("error") == {"code": "RATE_LIMITED"}
        assert not [each for each in tab.records if each["kind"] == "disconnect"]


@each_mode
@pytest.mark.parametrize("origin", [ORIGIN, "http://evil.example"])
async def test_an_origin(mode: str, origin: str) -> None:
    """Who shows a foreign origin is refused on every transport, and no session is made."""
    async with socketio_gateway() as on:
        header = {"Origin": origin}
        options: dict[str, Any] = MODES[mode] | {"reconnection": False}
        tab = on.tabs.open(on.url, {"token": token("ann")}, extraHeaders=header, **options)
        if origin == ORIGIN:
            await tab.connected()
            return
        await tab.told("connect_error")
        assert on.gateway.node.admission_control.inside == 0
        assert on.gateway.connections() == []


async def test_a_stolen_id() -> None:
    """A session's id is of no use to another user: it hears nothing, and the session goes on."""
    async with own_listener(FREE) as place, polling(place.base[5:], "/socket.io/") as ann:
        await ann.say(f'0{{"token":"{token("ann")}"}}')
        assert str(await ann.message()).startswith('0{"sid":')
        room = f'{{"room":"{DASHBOARD}"}}'
        await ann.say(f'20["join_room",{room}]')
        assert await ann.message() == f'30[{{"joined":"{DASHBOARD}"}}]'
        await place.gateway.workspaces.emit(DASHBOARD, "dashboard_update", {"n": 1})
        thief = {"Authorization": f"Bearer {token('bob')}"}
        url = ann.url(sid=ann.sid)
        for method, body in (("GET", None), ("POST", f'42["leave_room",{room}]'), ("POST", "1")):
            answer = await ann.http.request(method, url, content=body, headers=thief)
            assert (answer.status_code, answer.json()["code"]) == (403, 4)
        with pytest.raises(InvalidStatus) as caught:
            await connect(ann.url("websocket", ann.sid), additional_headers=thief).__aenter__()
        assert caught.value.response.status_code == 403
        assert await ann.message() == '2["dashboard_update",{"n":1}]'


async def test_a_mount_below_a_path_of_ones_own() -> None:
    """The endpoint's path is the client's `path`, with and without its slash."""
    own = '[endpoints.workspaces]\npath = "/desk/io"\n'
    async with socketio_gateway(FREE + own) as on:
        for path in ("/desk/io", "/desk/io/"):
            for mode in MODES.values():
                await on.tabs.member(on.url, "ann", DASHBOARD, path=path, **mode)
        lost = on.tabs.open(on.url, {"token": token("ann")}, reconnection=False)
        await lost.told("connect_error")


async def test_nobody_comes_by_another_path_of_the_house() -> None:
    """A client whose options are wrong for everything gets an error, not a hang."""
    async with (
        socketio_gateway(FREE + CROWDED.replace("workspaces", "rooms")) as on,
        browsing() as others,
    ):
        tab = others.open(on.url, {"token": token("ann")}, path="/rooms", reconnection=False)
        assert (await tab.told("connect_error"))["message"]
