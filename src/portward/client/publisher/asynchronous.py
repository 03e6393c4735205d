"""The publisher for asyncio."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import httpx

from portward.client.publisher import calls, results
from portward.client.publisher.calls import AdminCall, Since
from portward.client.publisher.errors import PublisherError
from portward.client.publisher.exchange import (
    TIMEOUT,
    address,
    failure,
    headers,
    read,
    through_proxy,
)
from portward.client.publisher.retries import Attempts, Retries

T = TypeVar("T")


class AsyncPublisher:
    """The admin API of a gateway at `url`, for asyncio. See `Publisher`, whose methods these are."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport` is httpx's, for a certificate authority of your own or for tests.

        Raises:
            ValueError: the address or the key cannot be one.
        """
        self._url = address(url)
        self._retries = retries or Retries()
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            headers=headers(api_key),
            timeout=timeout,
            transport=transport,
            trust_env=through_proxy(self._url),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    async def __aenter__(self) -> "AsyncPublisher":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _do(self, call: AdminCall[T]) -> T:
        attempts = Attempts(self._retries)
        while True:
            try:
                return await self._once(call)
            except PublisherError as error:
                wait = attempts.wait(error)
            await self._sleep(wait)

    async def _once(self, call: AdminCall[T]) -> T:
        try:
            answer = await self._http.post(f"{self._url}/api/{call.method}", content=call.body)
        except httpx.HTTPError as error:
            raise failure(error) from None
        return read(call, answer)

    async def call(self, method: str, body: Mapping[str, Any]) -> Any:
        """Any method of the admin API by its name; returns its result as it came."""
        return await self._do(calls.any_method(method, body))

    # -- publishing

    async def publish(
        self,
        channel: str,
        data: Any,
        *,
        key: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the API
        idempotency_key: str | None = None,
    ) -> results.Published:
        """Publish `data`, any JSON value, to a channel; returns its position.

        Without an `idempotency_key` one is made, so that repetitions publish once.
        """
        return await self._do(calls.publish(channel, data, key, type, idempotency_key))

    async def broadcast(
        self,
        channels: Sequence[str],
        data: Any,
        *,
        key: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the API
        idempotency_key: str | None = None,
    ) -> list[results.BroadcastOutcome]:
        """Publish the same to several channels; returns one outcome for each, in their order."""
        return await self._do(calls.broadcast(channels, data, key, type, idempotency_key))

    async def alert(
        self,
        call_id: str,
        type: str,  # noqa: A002 - the word of the API
        severity: str,
        data: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        namespace: str | None = None,
    ) -> str:
        """Publish an alert about a call: `severity` is low, medium, high or critical. Returns its id."""
        made = calls.alert(call_id, type, severity, data, idempotency_key, namespace)
        return await self._do(made)

    async def analysis(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        namespace: str | None = None,
    ) -> list[str]:
        """Publish the alerts of a call-analysis report; returns their ids."""
        return await self._do(calls.analysis(event, payload, idempotency_key, namespace))

    async def request_approval(
        self,
        workspace: str,
        title: str,
        data: Any = None,
        *,
        expires_in: float | None = None,
        id: str | None = None,  # noqa: A002 - the word of the API
        namespace: str | None = None,
    ) -> results.AskedApproval:
        """Ask the members of a workspace for a decision. Without an `id` one is made."""
        made = calls.request_approval(workspace, title, data, expires_in, id, namespace)
        return await self._do(made)

    async def approval(self, id: str) -> results.ApprovalState:  # noqa: A002 - the word of the API
        """Read a request for approval and its verdict."""
        return await self._do(calls.approval(id))

    async def batch(self, commands: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Several calls in order, each `{method: body}`; returns a reply for each."""
        return await self._do(calls.batch(commands))

    # -- reading

    async def history(
        self,
        channel: str,
        *,
        limit: int | None = None,
        since: Since = None,
        reverse: bool = False,
    ) -> results.History:
        """Read a channel back, oldest first; with the limit 0 its position alone."""
        return await self._do(calls.history(channel, limit, since, reverse=reverse))

    async def presence(self, channel: str) -> dict[str, results.PresentClient]:
        """The connections in a channel, by their ids."""
        return await self._do(calls.presence(channel))

    async def presence_stats(self, channel: str) -> results.PresenceCount:
        """The numbers of connections and users in a channel."""
        return await self._do(calls.presence_stats(channel))

    async def channels(self, pattern: str | None = None) -> dict[str, int]:
        """Channels that have subscribers, with their numbers of connections."""
        return await self._do(calls.channels(pattern))

    async def info(self) -> list[results.NodeInfo]:
        """The nodes of the gateway."""
        return await self._do(calls.info())

    async def connections(
        self,
        *,
        user: str | None = None,
        endpoint: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> results.Connections:
        """Open connections, oldest first."""
        return await self._do(calls.connections(user, endpoint, limit, offset))

    async def security_events(
        self, *, limit: int | None = None, since: int | None = None
    ) -> list[results.SecurityEvent]:
        """Audited events, oldest first: the newest, or those after number `since`."""
        return await self._do(calls.security_events(limit, since))

    # -- users

    async def disconnect(self, user: str, *, client: str | None = None) -> None:
        """End the connections of a user, or one of them."""
        await self._do(calls.disconnect(user, client))

    async def unsubscribe(self, user: str, channel: str, *, client: str | None = None) -> None:
        """Take a user out of a channel."""
        await self._do(calls.unsubscribe(user, channel, client))

    async def revoke(
        self,
        *,
        user: str | None = None,
        jti: str | None = None,
        session: str | None = None,
        token: str | None = None,
    ) -> int:
        """Take back a token, a session, or all that a user holds; returns how many connections ended."""
        return await self._do(calls.revoke(user, jti, session, token))

    async def ticket(self, token: str) -> results.Ticket:
        """Exchange the token of a user for a ticket, which opens one connection as `?ticket=`."""
        return await self._do(calls.ticket(token))

    async def roles(self, user: str) -> list[str]:
        """The roles that the directory has for a user."""
        return await self._do(calls.names("roles_get", user, "roles"))

    async def set_roles(self, user: str, roles: Sequence[str]) -> None:
        """Replace the roles of a user; open connections are judged again at once."""
        await self._do(calls.set_names("roles_set", user, "roles", roles))

    async def permissions(self, user: str) -> list[str]:
        """The permissions that the directory has for a user."""
        return await self._do(calls.names("permissions_get", user, "permissions"))

    async def set_permissions(self, user: str, permissions: Sequence[str]) -> None:
        """Replace the permissions of a user."""
        await self._do(calls.set_names("permissions_set", user, "permissions", permissions))

    async def set_workspaces(self, user: str, workspaces: Sequence[str] | None) -> None:
        """Replace the workspaces of a user; with None the workspace of the token counts again."""
        await self._do(calls.set_names("membership_set", user, "workspaces", workspaces))

    # -- rooms

    async def set_room(
        self,
        id: str,  # noqa: A002 - the word of the API
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the API
        permissions: Mapping[str, Sequence[str]] | None = None,
        max_participants: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> results.RoomRecord:
        """Make or replace the record of a room; what is left out gets its default.

        `more` are the other fields of `rooms_set`: `sanitize`, `ttl`, `namespace`.
        """
        given = {"name": name, "type": type, "permissions": permissions}
        record = {**given, "maxParticipants": max_participants, **(more or {})}
        return await self._do(calls.set_room(id, record))

    async def room(
        self,
        id: str,  # noqa: A002 - the word of the API
        *,
        namespace: str | None = None,
    ) -> results.RoomRecord:
        """Read the record of a room."""
        return await self._do(calls.room(id, namespace))

    async def rooms(
        self,
        *,
        namespace: str | None = None,
        orphans: bool = False,
        limit: int | None = None,
        offset: int | None = None,
    ) -> results.Rooms:
        """The rooms; with `orphans` the channels where messages are kept without a record."""
        return await self._do(calls.rooms(namespace, limit, offset, orphans=orphans))

    async def remove_room(
        self,
        id: str,  # noqa: A002 - the word of the API
        *,
        namespace: str | None = None,
    ) -> bool:
        """Delete a room with its messages; returns whether there was anything (False after a repetition)."""
        return await self._do(calls.remove_room(id, namespace))
