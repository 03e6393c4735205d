"""What the tests of alerts share: subscribers, and an engine store that can go away."""

import json
from typing import Any

from portward.engines.memory import MemoryEngine
from portward.engines.port import EngineUnavailable, PublishResult
from portward.model.channel import Channel
from portward.model.namespace import Namespace
from portward.model.publication import Draft
from portward.testing import FakeClock, MemoryClient, connect
from tests.running_gateway import RunningGateway


async def subscriber(
    running: RunningGateway, *calls: str, user: str = "ann", **claims: Any
) -> MemoryClient:
    """A connection that hears these calls."""
    token = running.gateway.token(user, **claims)
    client = await connect(running.gateway, "/alerts", authorization=f"Bearer {token}")
    if calls:
        await say(client, type="subscribe", callIds=list(calls))
    return client


async def say(client: MemoryClient, **message: Any) -> None:
    """Send one message and let the gateway answer."""
    client.send_bytes(json.dumps(message).encode(), binary=False)
    await client.settle()


def alerts(client: MemoryClient) -> list[dict[str, Any]]:
    """The alerts a client was sent."""
    return [message["payload"] for message in client.all("alert")]


class Faulty:
    """A memory engine whose streams cannot be written `failures` times, and raise `error` if it is set."""

    def __init__(self, clock: FakeClock) -> None:
        self.engine = MemoryEngine(clock)
        self.failures = 0
        self.attempts = 0
        self.error: Exception | None = None
        self._publish = self.engine.streams.publish
        self.replace(self._try)

    def replace(self, publish: Any) -> None:
        """Store publications by `publish` from now on."""
        vars(self.engine.streams)["publish"] = publish

    async def _try(
        self,
        channel: Channel,
        draft: Draft,
        namespace: Namespace,
        key: str | None,
        life: str | None = None,
    ) -> PublishResult:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        if self.failures:
            self.failures -= 1
            raise EngineUnavailable
        return await self._publish(channel, draft, namespace, key, life)
