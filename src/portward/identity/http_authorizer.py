"""The authorizer behind the rule `http`: asks a URL of the application whether a user may do something."""

import asyncio
from typing import Final

import httpx
import msgspec

from portward.identity.http_body import BadAnswer, read_body
from portward.model.channel import Channel
from portward.model.identity import Identity

TIMEOUT: Final = 2.0
MAX_BYTES: Final = 4096
IN_FLIGHT: Final = 50


class _Answer(msgspec.Struct):
    allow: bool = False


class HttpAuthorizer:
    """POSTs `{"user", "channel", "action", "roles", "workspace"}`; 200 with `{"allow": true}` allows.

    Any other result denies: another status, a redirect, no answer within `timeout` seconds, a body that is
    too long, compressed or no JSON. At most `IN_FLIGHT` requests run at a time.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(IN_FLIGHT)

    async def ask(self, url: str, who: Identity, channel: Channel, action: str) -> bool:
        """Ask whether `who` may do `action` ("subscribe", "publish" or "manage") in `channel`."""
        if not url:
            return False
        body = {
            "user": who.subject,
            "channel": str(channel),
            "action": action,
            "roles": sorted(who.roles),
            "workspace": who.workspace,
        }
        question = asyncio.ensure_future(self._post(url, msgspec.json.encode(body)))
        return await question

    async def _post(self, url: str, body: bytes) -> bool:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=self._timeout, follow_redirects=False, trust_env=False
            )
        try:
            async with asyncio.timeout(self._timeout), self._places:
                return await self._read(self._client, url, body)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, BadAnswer, msgspec.DecodeError):
            return False

    async def _read(self, client: httpx.AsyncClient, url: str, question: bytes) -> bool:
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        async with client.stream("POST", url, content=question, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                return False
            body = await read_body(response, MAX_BYTES)
        return msgspec.json.decode(body, type=_Answer).allow

    async def aclose(self) -> None:
        """Close the connections to the application."""
        if self._client is not None:
            await self._client.aclose()
