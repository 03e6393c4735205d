import pytest

from portward.node.handshake.cors import ALLOWED_HEADERS, cors_headers, preflight
from portward.settings.presets import ENDPOINTS
from portward.testing.gateway import request
from tests.running_gateway import RunningGateway, run_gateway, settings

PAGE = "http://localhost:3000"


def allowed(running: RunningGateway, path: str = "/rooms") -> list[str]:
    """The request headers a page may send."""
    given = dict(preflight(running.gateway.node.endpoints[path], "GET, POST"))
    assert given["Access-Control-Allow-Methods"] == "GET, POST"
    assert given["Access-Control-Max-Age"] == "600"
    return given["Access-Control-Allow-Headers"].split(", ")


async def test_a_listed_page_may_read() -> None:
    """The answer names the one origin, and that it depends on it; any other page gets no word."""
    async with run_gateway() as running:
        rooms = running.gateway.node.endpoints["/rooms"]
        assert dict(cors_headers(rooms, request(origin=PAGE))) == {
            "Access-Control-Allow-Origin": PAGE,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }
        for origin in ("https://evil.example", "null", "http://localhost:3000.evil.example"):
            assert cors_headers(rooms, request(origin=origin)) == ()
        assert cors_headers(rooms, request()) == ()


async def test_tracing_headers_are_allowed_everywhere() -> None:
    """What tracing adds to every request of a page stops no poll."""
    async with run_gateway() as running:
        for endpoint in ENDPOINTS.values():
            if not endpoint.enabled:
                continue
            assert allowed(running, endpoint.path) == [
                *("content-type", "authorization"),
                *("traceparent", "tracestate", "baggage", "sentry-trace"),
            ]


@pytest.mark.parametrize(
    ("written", "added"),
    [
        ((), []),
        (("x-tenant",), ["x-tenant"]),
        (("X-Request-Id", "x-tenant"), ["x-request-id", "x-tenant"]),
        (("Content-Type", "TraceParent"), []),
        (("x-a", "X-A"), ["x-a"]),
    ],
)
async def test_an_endpoint_allows_more(written: tuple[str, ...], added: list[str]) -> None:
    """Its own headers come after those that are always allowed, each once."""
    async with run_gateway(settings(rooms={"allowed_headers": written})) as running:
        assert allowed(running) == [*ALLOWED_HEADERS, *added]
        assert allowed(running, "/alerts") == [*ALLOWED_HEADERS]


async def test_a_reload_changes_what_is_allowed() -> None:
    """The setting is put in force while the gateway runs."""
    async with run_gateway() as running:
        running.gateway.reload(settings(rooms={"allowed_headers": ("x-tenant",)}))
        assert allowed(running)[-1] == "x-tenant"
        running.gateway.reload(settings())
        assert allowed(running) == [*ALLOWED_HEADERS]
