"""What stands behind the gateway of these tests: an identity provider, and a stand-in of a realtime API."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final

from tests.e2e.live_client import TOPICS
from tests.e2e.provider_server import COOKIE as NAME
from tests.e2e.provider_server import Directory, directory
from tests.realtime_api import FaultyUpstream

PATIENCE: Final = 60.0
KEY: Final = "a key of the upstream"
VISITOR: Final = "visitor-1"
COOKIE: Final = f"{NAME}={VISITOR}"
"""The Cookie header of a user who is logged in, and may see every event."""


class Everything(set[str]):
    """A set that holds every text."""

    def __contains__(self, value: object) -> bool:
        return True


@dataclass
class Services:
    """Both, running."""

    provider: Directory
    upstream: FaultyUpstream

    @property
    def settings(self) -> str:
        """Tables of the settings of a gateway that uses them."""
        return f"""
[identity_provider]
url = "{self.provider.url}"
{TOPICS}
[upstream]
url = "{self.upstream.url}"
api_key = "{KEY}"
allow_private = true
[endpoints.realtime.limits.connections]
max = 0
[endpoints.realtime.limits.attempts]
rate = "none"
"""


@contextmanager
def services() -> Iterator[Services]:
    """Run both in a thread until the block ends."""
    started, stopping = Event(), Event()
    running: list[Services] = []

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            provider = await stack.enter_async_context(directory())
            upstream = FaultyUpstream(KEY)
            await stack.enter_async_context(upstream)
            provider.login(VISITOR, "visitor")
            provider.events[VISITOR] = Everything()
            running.append(Services(provider, upstream))
            started.set()
            await asyncio.to_thread(stopping.wait)

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield running[0]
    finally:
        stopping.set()
        thread.join()
