"""A gateway with a stand-in of a realtime API behind it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI

from tests.e2e.gateways import UNLIMITED, GatewayRunner, Place, own_listener
from tests.realtime_api import FaultyUpstream

KEY = "sk-canary-of-the-upstream-8f2c"


@dataclass
class Relayed:
    """A gateway and the upstream behind it."""

    place: Place
    upstream: FaultyUpstream

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"{self.place.base}/realtime"

    def token(self, user: str = "ann") -> str:
        """A token of the gateway."""
        return self.place.gateway.token(user)

    def client(self) -> AsyncOpenAI:
        """The official client, with the gateway's token for a key."""
        return AsyncOpenAI(api_key=self.token(), websocket_base_url=self.place.base)


@asynccontextmanager
async def relayed(
    more: str = "", *, runner: GatewayRunner = own_listener, **keys: Any
) -> AsyncIterator[Relayed]:
    """Run both, behind one of the listeners.

    `more` goes into the settings, with `URL` for the upstream's address; `keys` go under `[upstream]`.
    """
    async with FaultyUpstream(KEY) as upstream:
        given = {"url": upstream.url, "api_key": KEY, "allow_private": True} | keys
        written = "\n".join(f"{name} = {json.dumps(value)}" for name, value in given.items())
        toml = f"""
            {UNLIMITED}
            [endpoints.realtime.limits.connections]
            max = 0
            [endpoints.realtime.limits.attempts]
            rate = "none"
            [upstream]
            {written}
            {more.replace("URL", upstream.url.partition("?")[0])}
        """
        async with runner(toml) as place:
            yield Relayed(place, upstream)
