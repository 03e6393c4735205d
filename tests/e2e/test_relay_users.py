"""What users of the relay bring: Azure's header, transcriptions, short tokens, binary frames."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.e2e.gateways import until
from tests.e2e.relay import KEY, Relayed, relayed
from tests.e2e.test_relay import PATIENCE, closed, conversing, hear, say

pytestmark = pytest.mark.p1

OTHER = {"type": "session.update", "session": {"type": "realtime", "model": "gpt-realtime-mini"}}


@pytest.fixture
async def relay() -> AsyncIterator[Relayed]:
    """A relay without bounds."""
    async with relayed() as both:
        yield both


def bearer(relay: Relayed) -> dict[str, str]:
    """The header of a client that is connected at once."""
    return {"Authorization": f"Bearer {relay.token()}"}


# Binary frames


SMUGGLED: dict[str, bytes] = {
    "JSON": json.dumps(OTHER).encode(),
    "JSON with escapes": json.dumps(OTHER).replace('"model"', '"\\u006dodel"').encode(),
    "JSON with two equal keys": b'{"type":"session.update","session":{"model":"a","model":"b"}}',
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(OTHER).encode(),
    "UTF-16": json.dumps(OTHER).encode("utf-16"),
    "UTF-32": json.dumps(OTHER).encode("utf-32-be"),
    "no JSON at all": bytes(range(256)),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflated"])
async def test_binary_frames_name_no_other_model(compressed: bool) -> None:
    """However they are encoded, cut into fragments or compressed: each is refused, none goes upstream."""
    more = "[endpoints.realtime]\ncompression = true"
    async with relayed(more, models=["gpt-realtime"]) as relay:
        wanted = "deflate" if compressed else None
        async with connect(
            relay.url, additional_headers=bearer(relay), compression=wanted
        ) as socket:
            await hear(socket, "session.created")
            for payload in SMUGGLED.values():
                for pieces in (payload, [payload[:9], payload[9:20], payload[20:]]):
                    await socket.send(pieces)
                    assert (await hear(socket, "error"))["code"] == "event_refused"
            await socket.send(json.dumps({"type": "input_audio_buffer.clear"}).encode())
            await hear(socket, "error")  # the stand-in's own: it takes events in text alone
        assert [message for message in relay.upstream.received if b"clear" not in message] == []


async def test_allowed_binary_frames_go_upstream() -> None:
    """Where they may be anything, what is no JSON is passed on as it came."""
    sound = bytes(range(256)) * 100
    async with relayed(allow_binary=True) as relay, conversing(relay) as socket:
        await socket.send(sound)
        await until(lambda: sound in relay.upstream.received)
        assert "error" in await hear(socket, "error")  # the stand-in's own
        await socket.send(SMUGGLED["UTF-16"])
        assert (await hear(socket, "error"))["code"] == "event_refused"
        assert SMUGGLED["UTF-16"] not in relay.upstream.received


# Parameters, and several upstreams


async def test_a_transcription_is_one(relay: Relayed) -> None:
    """The intent goes upstream without a model, and its usage counts."""
    async with connect(
        f"{relay.url}?intent=transcription", additional_headers=bearer(relay)
    ) as socket:
        created = await hear(socket, "session.created")
        assert created["session"]["type"] == "transcription"
        await transcribe(socket, "transcription")
        await hear(socket, "conversation.item.input_audio_transcription.completed")
    (handshake,) = relay.upstream.handshakes
    assert handshake.target == "/v1/realtime?intent=transcription"
    assert relay.place.metric("portward_upstream_tokens_total") > 0


async def transcribe(socket: ClientConnection, kind: str, model: str = "gpt-4o-transcribe") -> None:
    """Send two seconds of sound to be transcribed."""
    sound = {"input": {"transcription": {"model": model}}}
    await say(socket, type="session.update", session={"type": kind, "audio": sound})
    audio = base64.b64encode(bytes(96_000)).decode()
    await say(socket, type="input_audio_buffer.append", audio=audio)
    await say(socket, type="input_audio_buffer.commit")


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "whisper-1"])
async def test_transcriptions_are_within_the_budget(model: str) -> None:
    """A user who only ever transcribes reaches the end of the day's tokens, however they are billed."""
    async with relayed(max_tokens=15) as relay, conversing(relay) as socket:
        await transcribe(socket, "realtime", model)
        await hear(socket, "conversation.item.input_audio_transcription.completed")
        assert (await hear(socket, "error"))["code"] == "quota_exceeded"
        assert await closed(socket) == (3504, "quota exceeded")


async def test_the_official_client_attaches_to_a_call(relay: Relayed) -> None:
    """By the call's id, which is passed on, without a model."""
    client = relay.client()
    async with client.realtime.connect(call_id="rtc_7") as connection:
        assert (await connection.recv()).type == "session.created"
    assert relay.upstream.handshakes[0].target == "/v1/realtime?call_id=rtc_7"


async def test_other_parameters_are_refused(relay: Relayed) -> None:
    """With 400 and a line in the log, before the upstream is asked."""
    for query in ("?intent=a&foo=1", "?deployment=x", f"?token={relay.token()}"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{relay.url}{query}", additional_headers=bearer(relay))
        assert refused.value.response.status_code == 400
    relay.place.gateway.telemetry.log.close(5)
    log = relay.place.log.getvalue()
    assert "parameter foo is not passed on" in log
    assert relay.token().split(".")[0] not in log
    assert not relay.upstream.handshakes


async def test_an_upstream_like_azures() -> None:
    """An endpoint of its own, the key in another header, models with a slash."""
    more = f"""
        [upstreams.azure]
        url = "URL?api-version=2025-08-28&model={{model}}"
        api_key = "{KEY}"
        auth_header = "api-key"
        allow_private = true
        models = ["gpt-realtime", "org/gpt-4o"]
        [endpoints.azure]
        dialect = "relay"
        upstream = "azure"
        path = "/azure"
    """
    async with relayed(more, api_key="sk-the-wrong-one") as relay:
        url = f"{relay.place.base}/azure?model=gpt-realtime"
        async with connect(url, additional_headers=bearer(relay)) as socket:
            await hear(socket, "session.created")
        async with connect(
            f"{relay.place.base}/azure?model=org%2Fgpt-4o", additional_headers=bearer(relay)
        ) as socket:
            assert (await hear(socket, "error"))["error"]["code"] == "model_not_found"
        first, second = relay.upstream.handshakes
        headers = {name.lower(): value for name, value in first.headers}
        assert headers["api-key"] == KEY
        assert "authorization" not in headers
        assert first.target.endswith("?api-version=2025-08-28&model=gpt-realtime")
        assert second.target.endswith("&model=org%2Fgpt-4o")
        async with connect(relay.url, additional_headers=bearer(relay)) as socket:
            assert (await hear(socket, "error"))["code"] == "upstream_unavailable"


# How it ends, and how it does not


async def test_why_the_upstream_closed_is_in_the_log(relay: Relayed) -> None:
    """With the code that the client got; not the key, nor what was quoted."""
    async with conversing(relay) as socket:
        await relay.upstream.close(1007, f"why: {KEY} 'said that' to me@x.example")
        assert await closed(socket) == (1007, "upstream closed")
    await until(lambda: relay.place.metric("portward_upstream_connections") == 0)
    relay.place.gateway.telemetry.log.close(5)
    (line,) = [each for each in relay.place.log.getvalue().splitlines() if "conn.close" in each]
    assert "code=1007" in line
    assert "the upstream closed with 1007: why: *** *** to ***" in line


async def test_the_official_client_reads_on_past_the_notice(relay: Relayed) -> None:
    """A token of a minute is told of after the first event; the SDK takes it, refreshes and goes on."""
    token = relay.place.gateway.token("ann", ttl=45.0)
    client = relay.client().with_options(api_key=token)
    async with client.realtime.connect(model="gpt-realtime") as connection:
        assert (await connection.recv()).type == "session.created"
        async with asyncio.timeout(PATIENCE):
            notice: Any = await connection.recv()
        assert notice.type == "token_expiring"
        await connection.send({"type": "authenticate", "token": relay.token()})  # type: ignore[arg-type]  # plain JSON
        answer: Any = await connection.recv()
        assert (answer.type, answer.userId) == ("auth_success", "ann")
        await connection.response.create()
        async with asyncio.timeout(PATIENCE):
            while (await connection.recv()).type != "response.done":
                pass
    assert [each for each in relay.upstream.received if "token" in str(each)] == []


async def test_a_page_can_ping(relay: Relayed) -> None:
    """Before the upstream is connected and after; nothing of it goes there."""
    async with connect(relay.url) as socket:
        await say(socket, type="ping", id=1)
        assert await hear(socket, "pong") == {"type": "pong", "id": 1}
    async with conversing(relay) as socket:
        await say(socket, type="ping")
        assert await hear(socket, "pong") == {"type": "pong"}
    assert not relay.upstream.received
