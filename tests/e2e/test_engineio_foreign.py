"""Engine.IO and those it does not belong to: other pages, other people, other addresses."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from websockets.exceptions import InvalidStatus

from portward.app import build
from portward.settings.endpoint import CredentialSource
from portward.settings.sections import IdentityProviderSettings
from portward.telemetry.events import Event
from tests.e2e.engines import LISTENERS, ORIGIN, Peer, engine, guarded, heard, own_listener, until
from tests.node.fake_provider import FakeProvider
from tests.transports.running_listener import certificate

EVIL = "https://evil.example"


@pytest.fixture(params=sorted(LISTENERS))
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """An echo on each listener, for those with a token."""
    async with LISTENERS[request.param](guarded()) as running:
        yield running


def bearer(peer: Peer, user: str) -> dict[str, str]:
    """The header of somebody's own token."""
    return {"authorization": f"Bearer {peer.gateway.token(user)}"}


def status_of(refused: pytest.ExceptionInfo[InvalidStatus]) -> int:
    """What a WebSocket was refused with."""
    return refused.value.response.status_code


async def untouched(peer: Peer, sid: str, **headers: str) -> None:
    """The session is as it was."""
    response = await peer.post(sid, "4mine", **headers)
    assert (response.status_code, response.text) == (200, "ok")
    assert (await peer.poll(sid, **headers)).text == "4mine"


# -- other people


@pytest.mark.p1
async def test_another_subject(peer: Peer) -> None:
    """Another subject's token with the id is refused on each way, and recorded; the session goes on."""
    ann, bob = bearer(peer, "ann"), bearer(peer, "bob")
    sid = await peer.open(**ann)
    for response in (await peer.poll(sid, **bob), await peer.post(sid, "4x", **bob)):
        assert (response.status_code, response.json()["code"]) == (403, 4)
    with pytest.raises(InvalidStatus) as refused:
        async with peer.socket(sid, additional_headers=bob):
            pass
    assert status_of(refused) == 403
    assert peer.events(Event.SESSION_FOREIGN) == 3
    assert sid not in str(peer.gateway.telemetry.audit.recent(1000))
    await untouched(peer, sid, **ann)


@pytest.mark.p1
async def test_no_valid_token(peer: Peer) -> None:
    """A token that is not valid is nobody's, and neither is none where the session began with one."""
    ann = bearer(peer, "ann")
    sid = await peer.open(**ann)
    for header in ({"authorization": "Bearer x"}, {"authorization": "Basic eDp5"}, {}):
        for response in (await peer.poll(sid, **header), await peer.post(sid, "4x", **header)):
            assert (response.status_code, response.json()["code"]) == (403, 4)
    assert peer.events(Event.SESSION_FOREIGN) == 6
    await untouched(peer, sid, **ann)


async def test_the_same_subject(peer: Peer) -> None:
    """A newer token of the same subject is welcome; a WebSocket, as a page opens it, needs none."""
    sid = await peer.open(**bearer(peer, "ann"))
    newer = bearer(peer, "ann")
    await untouched(peer, sid, **newer)
    for headers in (newer, {}):
        async with peer.socket(sid, additional_headers=headers) as socket:
            await socket.send("2probe")
            assert await heard(socket) == "3probe"
        await until(
            lambda: (found := peer.gateway.engine_io.find(sid)) and found.polling.probe is None
        )


async def test_no_token_in_the_address(peer: Peer) -> None:
    """A poll takes no credential from its address."""
    response = await peer.http.get(peer.url(token=peer.gateway.token("ann")))
    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"]
    assert (await peer.http.get(peer.url())).status_code == 401


@pytest.mark.p1
async def test_another_address(peer: Peer) -> None:
    """From another address the id is refused; the session goes on."""
    ann = bearer(peer, "ann")
    sid = await peer.open(**ann)
    elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(transport=elsewhere) as client:
        response = await client.get(peer.url(sid=sid), headers=ann)
    assert (response.status_code, response.json()["code"]) == (403, 4)
    with pytest.raises(InvalidStatus) as refused:
        async with peer.socket(sid, additional_headers=ann, local_addr=("127.0.0.2", 0)):
            pass
    assert status_of(refused) == 403
    await untouched(peer, sid, **ann)


@pytest.mark.parametrize("listener", sorted(LISTENERS))
async def test_an_address_that_may_change(listener: str) -> None:
    """Where the setting says so a client may move."""
    async with LISTENERS[listener](guarded(bind_address=False)) as peer:
        ann = bearer(peer, "ann")
        sid = await peer.open(**ann)
        elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(transport=elsewhere) as client:
            response = await client.post(peer.url(sid=sid), content="4x", headers=ann)
        assert response.text == "ok"


# -- other pages


@pytest.mark.p0
@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:3000.evil.example"])
async def test_another_page(peer: Peer, origin: str) -> None:
    """A page that is not listed may neither begin nor go on, by any way."""
    ann = bearer(peer, "ann") | {"origin": ORIGIN}
    sid = await peer.open(**ann)
    evil = bearer(peer, "ann") | {"origin": origin}
    began = await peer.http.get(peer.url(), headers=evil)
    assert (began.status_code, began.content) == (403, b"")
    for response in (await peer.poll(sid, **evil), await peer.post(sid, "4x", **evil)):
        assert (response.status_code, response.json()["code"]) == (403, 4)
        assert "access-control-allow-origin" not in response.headers
    with pytest.raises(InvalidStatus) as refused:
        async with peer.socket(sid, additional_headers=evil):
            pass
    assert status_of(refused) == 403
    assert peer.events(Event.ORIGIN_REJECT) == 4
    await untouched(peer, sid, **ann)


async def test_another_page_that_is_listed(peer: Peer) -> None:
    """A session belongs to the page that began it."""
    ann = bearer(peer, "ann")
    sid = await peer.open(**ann, origin=ORIGIN)
    for other in ({"origin": "http://localhost:4000"}, {}):
        response = await peer.poll(sid, **ann, **other)
        assert (response.status_code, response.json()["code"]) == (403, 4)
    await untouched(peer, sid, **ann, origin=ORIGIN)


async def test_a_page_of_the_same_server(peer: Peer) -> None:
    """Browsers tell no origin when they read from a page's own server, and do when they write."""
    ann = bearer(peer, "ann")
    sid = await peer.open(**ann)
    assert (await peer.post(sid, "4x", **ann, origin=ORIGIN)).text == "ok"
    assert (await peer.poll(sid, **ann)).text == "4x"
    other = await peer.post(sid, "4x", **ann, origin="http://localhost:4000")
    assert other.status_code == 403
    assert (await peer.post(sid, "4y", **ann, origin=ORIGIN)).text == "ok"


@pytest.mark.p0
@pytest.mark.parametrize("listener", sorted(LISTENERS))
@pytest.mark.parametrize("origin", [EVIL, "null", None])
async def test_cross_site_with_cookies(
    listener: str, origin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cookies open nothing to another page: 403 on each way, and the provider is not even asked."""
    people = FakeProvider()
    monkeypatch.setattr(build, "make_provider", lambda *_: people)
    given = guarded(allowed_origins=(ORIGIN,))
    cookies = replace(given.endpoints["engine"], credentials=(CredentialSource.COOKIE,))
    provider = IdentityProviderSettings(url="http://127.0.0.1:1", cookies=("session",))
    given = replace(given, endpoints={"engine": cookies}, identity_provider=provider)
    async with LISTENERS[listener](given) as peer:
        hostile = {"cookie": "session=ann"} | ({"origin": origin} if origin else {})
        response = await peer.http.get(peer.url(), headers=hostile)
        assert (response.status_code, response.content) == (403, b"")
        with pytest.raises(InvalidStatus) as refused:
            async with peer.socket(additional_headers=hostile):
                pass
        assert status_of(refused) == 403
        assert people.asked == []
        assert peer.events(Event.ORIGIN_REJECT) == 2

        own = {"cookie": "session=ann", "origin": ORIGIN}
        sid = await peer.open(**own)
        asked = len(people.asked)
        for headers in (hostile, own | {"cookie": "other=x"}):
            response = await peer.poll(sid, **headers)
            assert (response.status_code, response.json()["code"]) == (403, 4)
        assert len(people.asked) == asked
        response = await peer.poll(sid, **(own | {"cookie": "session=bob"}))
        assert (response.status_code, response.json()["code"]) == (403, 4)
        await untouched(peer, sid, **own)


# -- other hosts, and TLS


async def test_behind_tls(tmp_path: Path) -> None:
    """Over TLS it is the same."""
    server_tls, client_tls = certificate(tmp_path)
    async with own_listener(engine(), tls=server_tls) as peer:
        peer.base = peer.base.replace("127.0.0.1", "localhost")
        peer.scheme = "s"
        async with httpx.AsyncClient(verify=client_tls) as peer.http:
            sid = await peer.open()
            pending = peer.polling(sid)
            await until(lambda: peer.is_polling(sid))
            await peer.say(sid, "4" + "x" * 8000)
            assert (await pending).text == "4" + "x" * 8000
            async with peer.socket(sid, ssl=client_tls) as socket:
                await socket.send("2probe")
                await socket.send("5")
                await socket.send("4hello")
                assert [await heard(socket), await heard(socket)] == ["3probe", "4hello"]
            await peer.until_inside((0, 0))


@pytest.mark.parametrize("listener", sorted(LISTENERS))
async def test_another_host(listener: str) -> None:
    """The list of hosts holds for every request of a session."""
    given = engine()
    server = replace(given.server, allowed_hosts=("127.0.0.1",))
    async with LISTENERS[listener](replace(given, server=server)) as peer:
        sid = await peer.open()
        response = await peer.poll(sid, host="evil.example")
        assert (response.status_code, response.content) == (403, b"")
        assert (
            await peer.http.get(peer.url(), headers={"host": "evil.example"})
        ).status_code == 403
        await untouched(peer, sid)
