from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portward.app.workers.worker_admin import CLIENT, HELD, PARENT
from tests.app.workers.work import KEY, House, house


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[House]:
    """Two workers and their parent's admin API."""
    async with house(tmp_path) as running:
        yield running


async def test_health_and_readiness(two: House) -> None:
    """Healthy while anybody serves, ready while everybody does."""
    assert (await two.http.get("/health")).json() == {"status": "ok"}
    assert (await two.http.get("/ready")).json() == {"status": "ready"}
    await two.stop(1)
    assert (await two.http.get("/health")).status_code == 200
    answer = await two.http.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "1 of 2 workers ready"})
    two.crew.size = 0
    answer = await two.http.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "no worker is ready"})


async def test_readiness_of_one_is_that_of_all(two: House) -> None:
    """A worker that is not ready says why for all of them."""
    two.gateways[1].node.admission_control.draining = True
    answer = await two.http.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "draining"})


async def test_leaving(two: House) -> None:
    """While all leave, neither healthy nor ready."""
    two.crew.leave()
    for path in ("/health", "/ready"):
        answer = await two.http.get(path)
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})


async def test_one_scrape(two: House) -> None:
    """Metrics are those of all workers together, with a count of those who answer."""
    await two.join(0, "ann")
    await two.join(1, "bob")
    text = (await two.http.get("/metrics")).text
    assert 'portward_connections{endpoint="rooms"} 2.0' in text
    assert 'portward_workers{state="up"} 2.0' in text
    await two.stop(1)
    answer = await two.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'portward_connections{endpoint="rooms"} 1.0' in answer.text
    assert 'portward_workers{state="down"} 1.0' in answer.text
    await two.stop(0)
    assert 'portward_workers{state="down"} 2.0' in (await two.http.get("/metrics")).text


async def test_metrics_with_a_key(tmp_path: Path) -> None:
    """Off the loopback address a key is needed, which workers judge: without them nobody is told."""
    async with house(tmp_path, open_metrics=False) as two:
        assert (await two.http.get("/metrics")).status_code == 401
        answer = await two.http.get("/metrics", headers={"X-API-Key": KEY})
        assert answer.status_code == 200
        for number in range(2):
            await two.stop(number)
        assert (await two.http.get("/metrics", headers={"X-API-Key": KEY})).status_code == 503


async def test_anybody_may_answer(two: House) -> None:
    """What is the same everywhere is answered by one worker after the other, headers and all."""
    page = await two.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await two.http.get("/openapi.json")).json()["openapi"]
    uids = {(await two.call("info"))["nodes"][0]["uid"] for _ in range(4)}
    assert len(uids) == 2
    assert (await two.http.get("/nowhere")).status_code == 404
    assert (await two.http.get("/api/publish")).status_code == 405
    assert (await two.http.head("/openapi.json")).content == b""


async def test_next_worker_answers(two: House) -> None:
    """A worker that cannot be reached is passed over; when none can, the answer is 503."""
    await two.stop(0)
    for _ in range(3):
        assert await two.call("presence_stats", channel="rooms:general")
    await two.stop(1)
    answer = await two.post("presence_stats", {"channel": "rooms:general"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await two.post("revoke", {"user": "ann"})).status_code == 503


async def test_keys_are_judged_by_workers(two: House) -> None:
    """Without a key nothing is told, whether it is gathered or not, whatever the body."""
    for method in ("connections", "channels", "security_events", "revoke", "info"):
        for body in ({}, {"nonsense": 1}, {"user": "ann"}):
            answer = await two.post(method, body, key="wrong")
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "apikey"


async def test_headers_go_as_they_came(two: House) -> None:
    """Two keys are two keys, and bytes that are no ASCII trouble nobody."""
    twice = [("X-API-Key", KEY), ("X-API-Key", KEY)]
    assert (await two.http.post("/api/info", headers=twice)).status_code == 401
    odd = [(b"X-API-Key", KEY.encode()), (b"X-Odd", b"\xe9\xff")]
    assert (await two.http.post("/api/info", headers=odd)).status_code == 200
    assert (await two.http.post("/api/connections", headers=odd)).status_code == 200


async def test_caller_is_named_to_workers(two: House) -> None:
    """The audit has the address of who called, and nobody can claim another one."""
    await two.http.post("/api/info", headers={"X-API-Key": "wrong", CLIENT: "198.51.100.1"})
    found = [
        each.fields["address"]
        for gateway in two.gateways
        for each in gateway.telemetry.audit.recent()
        if each.event == "auth.fail"
    ]
    assert found == ["203.0.113.xxx"]


@pytest.mark.parametrize("method", ["info", "connections"])
async def test_body_that_is_too_large(two: House, method: str) -> None:
    """A body over the limit is refused by the parent."""
    answer = await two.http.post(
        f"/api/{method}", content=b"x" * (1024 * 1024 + 1), headers={"X-API-Key": KEY}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("path", [HELD, "/worker/%68eld", "/worker/%2568eld", "//worker/held"])
async def test_question_to_workers_is_no_part_of_the_api(two: House, path: str) -> None:
    """What only the parent asks workers is asked by nobody else, however it is spelled."""
    answer = await two.http.post(path, json={"user": "ann"}, headers={PARENT: "1"})
    assert answer.status_code == 404
