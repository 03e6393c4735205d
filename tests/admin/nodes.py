"""What the tests of methods about all nodes share: several nodes, each with its admin application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from portward.admin.app import AdminApp
from portward.node.cluster.maintenance import TOUCH_INTERVAL
from portward.node.cluster.survey import SURVEY_TIME
from portward.telemetry.events import Event
from tests.admin.service import ADMIN, KEYS
from tests.node.simulated_cluster import SimulatedCluster, open_settings, simulated_cluster
from tests.running_gateway import RunningGateway


class Machines:
    """Several nodes on one store, in the order of their ids, and HTTP to each."""

    def __init__(self, net: SimulatedCluster) -> None:
        self.net = net
        self.gateways: list[RunningGateway] = sorted(
            net.gateways, key=lambda each: each.gateway.operations.uid
        )
        self.http: list[httpx.AsyncClient] = []

    @property
    def uids(self) -> list[str]:
        """The ids of the nodes."""
        return [each.gateway.operations.uid for each in self.gateways]

    async def post(self, number: int, method: str, **body: Any) -> httpx.Response:
        """Put one request to a node."""
        return await self.http[number].post(
            f"/api/{method}", json=body, headers={"X-API-Key": ADMIN}
        )

    async def call(self, number: int, method: str, **body: Any) -> Any:
        """Put one request that must succeed to a node; its result."""
        answer = await self.post(number, method, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def late(self, number: int, method: str, **body: Any) -> Any:
        """Put a request that some node does not answer; the result when the time is over."""
        task = asyncio.create_task(self.call(number, method, **body))
        await self.net.advance(2 * SURVEY_TIME, 0.5)
        return await asyncio.wait_for(task, 10)

    def silence(self, number: int) -> None:
        """Let a node give no answers from now on."""
        engine: Any = self.gateways[number].gateway.node.engine
        engine.away = True

    def happen(self, number: int, reason: str, after: float = 1.0) -> None:
        """Let something happen at a node, some time after what was before."""
        self.net.clock.advance(after)
        self.gateways[number].gateway.telemetry.record(Event.AUTH_FAIL, reason=reason)


@asynccontextmanager
async def machines(count: int = 2) -> AsyncIterator[Machines]:
    """Run nodes that know each other."""
    async with (
        simulated_cluster(count, open_settings(max_subscribers=0)) as net,
        AsyncExitStack() as stack,
    ):
        made = Machines(net)
        for running in made.gateways:
            app = AdminApp(running.gateway.node, KEYS, open_metrics=True)
            transport = httpx.ASGITransport(app, client=("203.0.113.7", 4711))
            client = httpx.AsyncClient(transport=transport, base_url="http://admin")
            made.http.append(await stack.enter_async_context(client))
        await net.advance(TOUCH_INTERVAL)
        yield made
