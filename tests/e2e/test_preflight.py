"""What browsers ask before a page may poll, or may read the relay's status: real HTTP at both listeners."""

import httpx
import pytest

from tests.e2e.gateways import LISTENERS, ORIGIN, UNLIMITED, GatewayRunner

MORE = """
[endpoints.workspaces]
allowed_headers = ["X-Tenant"]
"""
ASKED = "content-type, traceparent, tracestate, baggage, sentry-trace"


def asking(origin: str = ORIGIN) -> dict[str, str]:
    """The headers of a preflight."""
    method = "Access-Control-Request-Method"
    return {"Origin": origin, method: "POST", "Access-Control-Request-Headers": ASKED}


@pytest.mark.parametrize("runner", LISTENERS.values(), ids=LISTENERS)
@pytest.mark.parametrize(
    ("path", "methods", "own"),
    [
        ("/socket.io/?EIO=4&transport=polling", "GET, POST", ["x-tenant"]),
        ("/socket.io?EIO=4&transport=polling", "GET, POST", ["x-tenant"]),
        ("/test", "GET, HEAD", []),
        ("/test/", "GET, HEAD", []),
    ],
)
async def test_a_page_may_send_what_tracing_adds(
    runner: GatewayRunner, path: str, methods: str, own: list[str]
) -> None:
    """A listed page is told every header it may send; another page is told nothing."""
    async with runner(UNLIMITED + MORE) as place, httpx.AsyncClient(trust_env=False) as client:
        url = place.base.replace("ws:", "http:") + path
        good = await client.options(url, headers=asking())
        bad = await client.options(url, headers=asking("https://evil.example"))
    assert (good.status_code, good.content) == (204, b"")
    assert good.headers["access-control-allow-origin"] == ORIGIN
    assert good.headers["access-control-allow-methods"] == methods
    allowed = good.headers["access-control-allow-headers"].split(", ")
    assert set(ASKED.split(", ")) <= set(allowed)
    assert allowed[6:] == own
    assert not [name for name in bad.headers if name.startswith("access-control")]
