"""The live endpoint of the real process, from its start to its end; no secret is seen anywhere."""

import asyncio
import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from portward.security.tokens import sign
from tests.e2e.alerts_client import watch
from tests.e2e.gateways import ORIGIN, PROCESS, TOKENS, UNLIMITED, process
from tests.e2e.listeners import PATIENCE
from tests.e2e.live_client import TOPICS, VIOLATION, Viewer, page, view
from tests.e2e.process import KEY, SECRET, Served
from tests.e2e.provider_server import COOKIE, Directory, cut, directory
from tests.identity.standin_server import response

pytestmark = pytest.mark.timeout(180)

MARK = "canary-5f0c"
"""Begins every cookie's value, and is somewhere in every other secret."""


class Session:
    """A whole session with one process: what is secret in it, and every HTTP answer that came."""

    def __init__(self, served: Served, provider: Directory) -> None:
        self.served = served
        self.provider = provider
        self.url = f"{served.url}/live"
        self.secrets = [MARK, SECRET, KEY]
        self.answers: list[str] = []

    def token(self, user: str, secret: str = SECRET) -> str:
        """A token, none of whose parts is to be seen."""
        now = int(time.time())
        claims = {"sub": user, "iat": now, "exp": now + 600, "jti": f"{user}-{now}"}
        token = sign(claims, secret)
        self.secrets += token.split(".")[1:]
        return token

    async def refused(self, url: str, status: int, **options: Any) -> None:
        """A handshake that is turned away."""
        with pytest.raises(InvalidStatus) as caught:
            await connect(url, **options).__aenter__()
        answer = caught.value.response
        assert answer.status_code == status
        self.answers.append(f"{answer.headers} {answer.body!r}")

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """One plain request."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url, headers=headers)
        self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    async def ask(self, method: str, **body: Any) -> Any:
        """One call of the admin API."""
        result = await self.served.call(method, **body)
        self.answers.append(str(result))
        return result

    def is_clean(self, *texts: str) -> None:
        """Nothing secret stands in what the process said, in an answer, or in one of these."""
        everything = "".join([*self.served.output, *self.answers, *texts])
        assert [secret for secret in self.secrets if secret in everything] == []


async def handshakes(session: Session) -> None:
    """Every outcome of a cookie, and every place where a token may stand."""
    provider, url = session.provider, session.url
    outcomes = {
        f"{MARK}-stranger": 401,
        f"{MARK}-html": 503,
        f"{MARK}-failure": 503,
        f"{MARK}-cut": 503,
    }
    provider.troubles[f"{MARK}-html"] = response(f"<html>{MARK}</html>".encode())
    failure = response(MARK.encode(), "500 Oops", f"Set-Cookie: x={MARK}")
    provider.troubles[f"{MARK}-failure"] = failure
    provider.troubles[f"{MARK}-cut"] = cut
    for cookie, status in outcomes.items():
        await session.refused(url, status, **page(cookie))
    await session.refused(url, 401, origin=ORIGIN)
    good = page(f"{MARK}-ann")
    await session.refused(url, 403, **good | {"origin": "https://evil.example"})
    await session.refused(f"{url}?token={session.token('t')}", 401, origin=ORIGIN)
    await session.refused(f"{url}x?token={session.token('u')}", 404, **good)
    alerts = f"{session.served.url}/alerts"
    foreign = session.token("v", "a secret of somebody else, long enough for it")
    for bad in (foreign, f"{MARK}.{MARK}.{MARK}", f"{MARK}%0d%0a{MARK}"):
        await session.refused(f"{alerts}?token={bad}", 401)
    header = {"Authorization": f"Bearer {foreign}"}
    await session.refused(alerts, 401, additional_headers=header)
    both = {"Authorization": f"Bearer {session.token('w')}"}
    await session.refused(f"{alerts}?token={session.token('x')}", 400, additional_headers=both)
    async with watch(f"{alerts}?token={session.token('y')}", None) as watcher:
        await watcher.socket.send(f'{{"type":"{MARK}"}}')
        await watcher.hear()


async def topics(session: Session, ann: Viewer) -> None:
    """Subscriptions with every outcome, and mistakes that hold what is secret."""
    session.provider.topic_troubles["9"] = response(MARK.encode(), "500 Oops")
    assert (await ann.subscribe("event:1"))["snapshot"] == []
    assert (await ann.ask("subscribe", "event:2"))["code"] == "forbidden"
    assert (await ann.ask("subscribe", "event:9"))["code"] == "unavailable"
    for text in (f'{{"token":"{MARK}"', f'{{"type":"auth","token":"{MARK}"}}', f'"{MARK}"'):
        await ann.socket.send(text)
        assert await ann.hear() == VIOLATION
    position = await session.ask("publish", channel="live:event:1", data={"n": 1}, key="k")
    data = await ann.data()
    assert data == {
        "type": "data",
        "topic": "event:1",
        "key": "k",
        "data": {"n": 1},
        "ts": data["ts"],
        "offset": position["offset"],
    }


async def conversation(session: Session) -> None:
    """Somebody comes, hears, and logs out; somebody else stays until the end."""
    provider, url = session.provider, session.url
    provider.login(f"{MARK}-ann", "ann", "1")
    provider.login(f"{MARK}-bob", "bob", "1")
    jar = {"Cookie": f"{COOKIE}={MARK}-bob; directus_refresh_token={MARK}-r; own={MARK}"}
    async with connect(url, origin=ORIGIN, additional_headers=jar, max_queue=None) as socket:  # type: ignore[arg-type]
        bob = Viewer(socket)
        await bob.subscribe("event:1")
        async with view(url, f"{MARK}-ann") as ann:
            await topics(session, ann)
            await bob.data()
            await handshakes(session)
            await look(session)
            provider.logout(f"{MARK}-ann")
            await asyncio.wait_for(ann.goodbye(), 3 * PATIENCE)
            assert ann.closed == (3503, "force disconnect")
        await look(session)
        session.served.process.send_signal(signal.SIGTERM)
        (leaving,) = await bob.goodbye()
        assert leaving == {"type": "shutdown", "retryMs": leaving["retryMs"]}
        assert leaving["retryMs"] > 0
        assert bob.closed == (1001, "server shutting down")
    assert await asyncio.wait_for(session.served.process.wait(), PATIENCE) == 0


async def look(session: Session) -> None:
    """Everything that can be looked at over HTTP."""
    served = session.served
    for method in ("connections", "info", "channels", "security_events"):
        await session.ask(method)
    assert (await session.ask("info"))["nodes"][0]["uid"] == "stage-left"
    for path in ("metrics", "health", "ready"):
        assert (await session.get(f"{served.admin}{path}")).status_code == 200
    public = served.url.replace("ws://", "http://")
    cookie = {"Cookie": f"{COOKIE}={MARK}-ann"}
    assert (await session.get(f"{public}/health", **cookie)).status_code == 200
    assert (await session.get(f"{public}/live", **cookie)).status_code == 400
    assert (await session.get(f"{public}/{MARK}", **cookie)).status_code == 404


@pytest.mark.parametrize("log", ["json", "console"])
async def test_session(tmp_path: Path, log: str) -> None:
    """From the variables of the older server to the last close, no output has a cookie or a token in it."""
    audit = tmp_path / "audit.log"
    told = f'[log]\nformat = "{log}"\n[audit]\nfile = "{audit}"\n'
    asked = f'[identity_provider]\nrevalidate = "1s"\n{TOPICS}'
    settings = PROCESS.replace("\nport = 0\n", "\n").replace('drain_timeout = "5s"\n', "")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    async with directory() as provider:
        environ = {
            "LIVE_WS_HOST": "127.0.0.1",
            "LIVE_WS_PORT": str(port),
            "LIVE_WS_PING_INTERVAL_MS": "20000",
            "LIVE_WS_DRAIN_TIMEOUT_MS": "4000",
            "LIVE_WS_BACKPRESSURE_THRESHOLD_BYTES": "200000",
            "INSTANCE_ID": "stage-left",
            "DIRECTUS_BASE_URL": provider.url,
        }
        whole = settings + TOKENS + UNLIMITED + told + asked
        async with process(tmp_path, whole, environ) as served:
            assert served.url == f"ws://127.0.0.1:{port}"
            session = Session(served, provider)
            await conversation(session)
        assert "auth.fail" in "".join(served.output)
        session.is_clean(audit.read_text())
        assert any(MARK in cookies for _, cookies in provider.asked)
