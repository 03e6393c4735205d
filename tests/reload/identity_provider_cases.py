"""The reloadable keys of `identity_provider`."""

import json
from typing import Final

from tests.reload.case import ClientSide, ReloadCase
from tests.reload.process import GatewayProcess

_TOPIC: Final = 'identity_provider.topics."event:{id}"'


def _provider(gateway: GatewayProcess) -> None:
    """A provider that knows one user, and lets it see what is in one of two collections."""
    gateway.web.put("/users/me", {"data": {"id": "ann"}})
    gateway.web.put("/items/open/1", {"data": {"id": 1}})
    gateway.web.put("/items/closed/1", {"errors": []}, status=403)


async def _subscribed(client: ClientSide) -> object:
    page = await client.page()
    await page.send(json.dumps({"type": "subscribe", "topic": "event:1"}))
    return json.loads(await page.recv())["type"]


IDENTITY_PROVIDER: Final = (
    ReloadCase(
        key="identity_provider.topics.<name>",
        before={_TOPIC: "/items/closed/{id}"},
        after={_TOPIC: "/items/open/{id}"},
        prepare=_provider,
        observe=_subscribed,
        seen_before="error",
        seen_after="subscribed",
    ),
)
