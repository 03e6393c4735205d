"""Connecting to upstreams: which one, with which parameters, and what a user may spend there."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from portward.protocols.relay import service
from portward.settings import Settings
from portward.settings.operation import LogFormat, LogSettings
from portward.settings.presets import ENDPOINTS
from portward.settings.upstream import UpstreamSettings
from portward.testing import connect
from tests.protocols.relay.fake_upstream import (
    FakeUpstream,
    connected,
    proven,
    relaying,
    tell,
    transparent,
)
from tests.running_gateway import RunningGateway, run_gateway, settle

pytestmark = pytest.mark.p1

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def spending(**upstream: Any) -> Settings:
    """Settings with changes to the default upstream."""
    given = Settings()
    return replace(given, upstream=replace(given.upstream, **upstream))


async def turns() -> None:
    """Let everything happen that can."""
    for _ in range(5):
        await settle()


REPORTS: dict[str, dict[str, Any]] = {
    "an answer": {"type": "response.done", "response": {"usage": {"total_tokens": 300_000}}},
    "a transcription in tokens": {
        "type": TRANSCRIBED,
        "usage": {"type": "tokens", "total_tokens": 300_000},
    },
    "a transcription in seconds": {
        "type": TRANSCRIBED,
        "usage": {"type": "duration", "seconds": 30_000},
    },
    "an event of another provider": {
        "type": "speech.finished",
        "result": {"usage": {"input_tokens": 1, "output_tokens": 299_999}},
    },
}


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
async def test_every_report_spends(
    monkeypatch: pytest.MonkeyPatch, report: dict[str, Any], binary: bool
) -> None:
    """A user over the tokens of a day is closed, whichever event reported them."""
    async with relaying(monkeypatch, spending(max_tokens=100)) as (running, upstream):
        client = await connected(running)
        upstream.link.say(json.dumps(report).encode(), binary=binary)
        await turns()
        assert client.closed == (3504, "quota exceeded")
        again = await proven(running)
        await tell(again, {"type": "connect_realtime"})
        assert again.closed == (3504, "quota exceeded")


async def test_what_a_second_counts_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second counts for so many tokens, or for none; the metrics have both as they came."""
    report = json.dumps({"type": TRANSCRIBED, "usage": {"type": "duration", "seconds": 9.5}})
    for each, closed in ((10.0, None), (11.0, (3504, "quota exceeded")), (0.0, None)):
        async with relaying(monkeypatch, spending(max_tokens=100, tokens_per_second=each)) as (
            running,
            upstream,
        ):
            client = await connected(running)
            upstream.link.say(report.encode())
            await turns()
            assert client.closed == closed
            assert running.count("upstream_audio_seconds_total") == 9.5
            assert running.count("upstream_tokens_total") == 0


async def test_a_larger_budget_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is reloaded, a user who had used up the smaller one goes on, with what is left of it."""
    async with relaying(monkeypatch, spending(max_tokens=100)) as (running, upstream):
        report = b'{"type":"response.done","response":{"usage":{"total_tokens":100}}}'
        await connected(running)
        upstream.link.say(report)
        await turns()
        running.gateway.reload(spending(max_tokens=150))
        client = await connected(running)
        client.send_bytes(b'{"type":"response.create"}', binary=False)
        await turns()
        assert (client.closed, len(upstream.link.sent)) == (None, 1)
        upstream.link.say(report)
        await turns()
        assert client.closed == (3504, "quota exceeded")


@pytest.mark.parametrize(
    ("code", "reason", "logged"),
    [
        (1007, "why", "the upstream closed with 1007: why"),
        (4001, "", "the upstream closed with 4001"),
        (1008, "bad key sk-canary-9f31", "the upstream closed with 1008: bad key ***"),
    ],
)
async def test_why_the_upstream_closed_is_logged(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str, logged: str
) -> None:
    """The line has the code the client got; the reason went through the link's redaction."""
    given = replace(Settings(), log=LogSettings(format=LogFormat.JSON))
    async with relaying(monkeypatch, given) as (running, upstream):
        client = await connected(running)
        upstream.link.end(code, reason.replace("sk-canary-9f31", "***"))
        await turns()
        assert client.closed == (code, "upstream closed")
        running.gateway.telemetry.log.close(5)
        lines = [json.loads(line) for line in running.log.getvalue().splitlines()]
        (line,) = [each for each in lines if each["event"] == "conn.close"]
        assert (line["code"], line["ending"], line["detail"]) == (code, "upstream_closed", logged)


async def test_the_code_of_a_client_that_leaves_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the client's own."""
    given = replace(Settings(), log=LogSettings(format=LogFormat.JSON))
    async with relaying(monkeypatch, given) as (running, _):
        (await connected(running)).leave(4321)
        await turns()
        running.gateway.telemetry.log.close(5)
        lines = [json.loads(line) for line in running.log.getvalue().splitlines()]
        (line,) = [each for each in lines if each["event"] == "conn.close"]
        assert (line["code"], line["ending"]) == (4321, "normal")


# Parameters of the address


@pytest.mark.parametrize(
    ("query", "parameters", "named"),
    [
        ("", {}, True),
        ("?model=gpt-realtime", {}, True),
        ("?intent=transcription", {"intent": "transcription"}, False),
        ("?call_id=rtc_7%26x", {"call_id": "rtc_7&x"}, False),
        ("?intent=conversation", {"intent": "conversation"}, True),
        ("?intent=Transcription", {"intent": "Transcription"}, True),
        ("?model=gpt-realtime&call_id=rtc_7", {"call_id": "rtc_7"}, True),
        ("?call_id=", {"call_id": ""}, False),
    ],
)
async def test_parameters_are_passed_on(
    monkeypatch: pytest.MonkeyPatch, query: str, parameters: dict[str, str], named: bool
) -> None:
    """In both modes; a model that nobody named is left out where the upstream has one already."""
    async with relaying(monkeypatch) as (running, upstream):
        await transparent(running, f"/realtime{query}")
        client = await connect(running.gateway, f"/realtime{query}")
        await tell(client, {"type": "authenticate", "token": running.token("ann")})
        await tell(client, {"type": "connect_realtime"})
        told = {"model": "gpt-realtime"} if named else {}
        assert client.received[-1] == {"type": "realtime_connected", **told}
        for link in upstream.links:
            assert (link.parameters, link.named) == (parameters, named)
        assert len(upstream.links) == 2


async def test_the_model_of_the_address_holds_for_the_first_message_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model in `connect_realtime` comes before that of the address, and this before the default."""
    async with relaying(monkeypatch, spending(models=("a", "b", "c"))) as (running, upstream):
        for asked, model in (({}, "b"), ({"model": "c"}, "c")):
            client = await connect(running.gateway, "/realtime?model=b")
            await tell(client, {"type": "authenticate", "token": running.token("ann")})
            await tell(client, {"type": "connect_realtime", **asked})
            assert client.received[-1] == {"type": "realtime_connected", "model": model}
            assert upstream.link.model == model


@pytest.mark.parametrize(
    "query",
    [
        "?x=1", "?token=x", "?ticket=x", "?Intent=transcription", "?intent=a&intent=b",
        "?call_id=a&call_id=a", "?intent=a%0d%0aX", "?intent=a%00", "?call_id=" + "a" * 513,
        "?api-version=1", "?deployment=x", "?", "?model=a&model=a", "?intent%20=x", "?=x",
    ],
)  # fmt: skip
async def test_other_parameters_are_refused(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """With 400, before anything is connected; only an empty query is none."""
    async with relaying(monkeypatch) as (running, upstream):
        if query == "?":
            await connect(running.gateway, "/realtime?")
            return
        assert (await running.refusal(f"/realtime{query}")).status == 400
        assert upstream.links == []


async def test_the_list_of_parameters_is_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is in the upstream's own address is not a client's, nor is a kind of a pinned session."""
    url = "wss://upstream.example/v1?api-version=7&model={model}"
    cases: list[tuple[dict[str, Any], str, bool]] = [
        ({"parameters": ("x",)}, "?x=1", True),
        ({"parameters": ("x",)}, "?intent=a", False),
        ({"parameters": ()}, "?call_id=a", False),
        ({"parameters": ("api-version",), "url": url}, "?api-version=8", False),
        ({"pin": {"voice": "marin"}}, "?intent=transcription", False),
        ({"pin": {"voice": "marin"}}, "?call_id=a", True),
        ({"pin": {"type": "transcription"}}, "?intent=transcription", True),
    ]
    for changes, query, passes in cases:
        async with relaying(monkeypatch, spending(**changes)) as (running, upstream):
            if passes:
                await transparent(running, f"/realtime{query}")
                assert len(upstream.links) == 1
            else:
                assert (await running.refusal(f"/realtime{query}")).status == 400


# Several upstreams


@asynccontextmanager
async def two(
    monkeypatch: pytest.MonkeyPatch, **azure: Any
) -> AsyncIterator[tuple[RunningGateway, Any]]:
    """A gateway whose second relay leads to an upstream of its own."""
    fakes: dict[str, FakeUpstream] = {}

    def make(given: UpstreamSettings) -> FakeUpstream:
        return fakes.setdefault(given.url, FakeUpstream())

    monkeypatch.setattr(service, "make_upstream", make)
    relay = ENDPOINTS["realtime"]
    given = Settings(
        upstreams={"azure": UpstreamSettings(url="wss://azure.example", models=("m/1",), **azure)},
        endpoints={**ENDPOINTS, "azure": replace(relay, path="/azure", upstream="azure")},
    )
    async with run_gateway(given) as running:
        yield running, fakes


async def test_an_endpoint_names_its_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own models; the other endpoints keep the default one."""
    async with two(monkeypatch) as (running, fakes):
        await transparent(running, "/azure?model=m%2F1")
        await transparent(running, "/realtime")
        assert [link.model for link in fakes["wss://azure.example"].links] == ["m/1"]
        assert [link.model for link in fakes[UpstreamSettings().url].links] == ["gpt-realtime"]
        client = await transparent(running, "/azure?model=gpt-realtime")
        assert client.received[-1]["code"] == "model_not_allowed"


async def test_budgets_of_upstreams_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user spends at one is not spent at the other."""
    async with two(monkeypatch, max_tokens=100) as (running, fakes):
        first = await transparent(running, "/azure")
        report = b'{"type":"response.done","response":{"usage":{"total_tokens":100}}}'
        fakes["wss://azure.example"].link.say(report)
        await turns()
        assert first.closed == (3504, "quota exceeded")
        other = await transparent(running, "/realtime")
        assert other.closed is None
        assert (await transparent(running, "/azure")).closed == (3504, "quota exceeded")
