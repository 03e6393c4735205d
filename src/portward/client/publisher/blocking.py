"""The publisher that blocks, for threads, scripts and task queues."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
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


class Publisher:
    """The admin API of a gateway at `url`, the address of its admin listener.

    One object serves all threads; a process that is forked from this one opens connections of its own.
    Every method may raise `PublisherError`. What failed for the moment is repeated, see `Retries`; what
    publishes carries an idempotency key, so that repetitions publish once.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`transport` is httpx's, for a certificate authority of your own or for tests.

        Raises:
            ValueError: the address or the key cannot be one.
        """
        self._url = address(url)
        self._retries = retries or Retries()
        self._sleep = sleep
        self._headers = headers(api_key)
        self._timeout = timeout
        self._transport = transport
        self._process = os.getpid()
        self._http = self._open()

    def _open(self) -> httpx.Client:
        return httpx.Client(
            headers=self._headers,
            timeout=self._timeout,
            transport=self._transport,
            trust_env=through_proxy(self._url),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _do(self, call: AdminCall[T]) -> T:
        attempts = Attempts(self._retries)
        while True:
            try:
                return self._once(call)
            except PublisherError as error:
                wait = attempts.wait(error)
            self._sleep(wait)

    def _once(self, call: AdminCall[T]) -> T:
        if self._process != os.getpid():  # the connections are those of the parent
            self._process, self._http = os.getpid(), self._open()
        try:
            answer = self._http.post(f"{self._url}/api/{call.method}", content=call.body)
        except httpx.HTTPError as error:
            raise failure(error) from None
        return read(call, answer)

    def call(self, method: str, body: Mapping[str, Any]) -> Any:
        """Any method of the admin API by its name; returns its result as it came."""
        return self._do(calls.any_method(method, body))

    # -- publishing

    def publish(
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
        return self._do(calls.publish(channel, data, key, type, idempotency_key))

    def broadcast(
        self,
        channels: Sequence[str],
        data: Any,
        *,
        key: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the API
        idempotency_key: str | None = None,
    ) -> list[results.BroadcastOutcome]:
        """Publish the same to several channels; returns one outcome for each, in their order."""
        return self._do(calls.broadcast(channels, data, key, type, idempotency_key))

    def alert(
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
        return self._do(made)

    def analysis(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        namespace: str | None = None,
    ) -> list[str]:
        """Publish the alerts of a call-analysis report; returns their ids."""
        return self._do(calls.analysis(event, payload, idempotency_key, namespace))

    def request_approval(
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
        return self._do(made)

    def approval(self, id: str) -> results.ApprovalState:  # noqa: A002 - the word of the API
        """Read a request for approval and its verdict."""
        return self._do(calls.approval(id))

    def batch(self, commands: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Several calls in order, each `{method: body}`; returns a reply for each."""
        return self._do(calls.batch(commands))

    # -- reading

    def history(
        self,
        channel: str,
        *,
        limit: int | None = None,
        since: Since = None,
        reverse: bool = False,
    ) -> results.History:
        """Read a channel back, oldest first; with the limit 0 its position alone."""
        return self._do(calls.history(channel, limit, since, reverse=reverse))

    def presence(self, channel: str) -> dict[str, results.PresentClient]:
        """The connections in a channel, by their ids."""
        return self._do(calls.presence(channel))

    def presence_stats(self, channel: str) -> results.PresenceCount:
        """The numbers of connections and users in a channel."""
        return self._do(calls.presence_stats(channel))

    def channels(self, pattern: str | None = None) -> dict[str, int]:
        """Channels that have subscribers, with their numbers of connections."""
        return self._do(calls.channels(pattern))

    def info(self) -> list[results.NodeInfo]:
        """The nodes of the gateway."""
        return self._do(calls.info())

    def connections(
        self,
        *,
        user: str | None = None,
        endpoint: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> results.Connections:
        """Open connections, oldest first."""
        return self._do(calls.connections(user, endpoint, limit, offset))

    def security_events(
        self, *, limit: int | None = None, since: int | None = None
    ) -> list[results.SecurityEvent]:
        """Audited events, oldest first: the newest, or those after number `since`."""
        return self._do(calls.security_events(limit, since))

    # -- users

    def disconnect(self, user: str, *, client: str | None = None) -> None:
        """End the connections of a user, or one of them."""
        self._do(calls.disconnect(user, client))

    def unsubscribe(self, user: str, channel: str, *, client: str | None = None) -> None:
        """Take a user out of a channel."""
        self._do(calls.unsubscribe(user, channel, client))

    def revoke(
        self,
        *,
        user: str | None = None,
        jti: str | None = None,
        session: str | None = None,
        token: str | None = None,
    ) -> int:
        """Take back a token, a session, or all that a user holds; returns how many connections ended."""
        return self._do(calls.revoke(user, jti, session, token))

    def ticket(self, token: str) -> results.Ticket:
        """Exchange the token of a user for a ticket, which opens one connection as `?ticket=`."""
        return self._do(calls.ticket(token))

    def roles(self, user: str) -> list[str]:
        """The roles that the directory has for a user."""
        return self._do(calls.names("roles_get", user, "roles"))

    def set_roles(self, user: str, roles: Sequence[str]) -> None:
        """Replace the roles of a user; open connections are judged again at once."""
        self._do(calls.set_names("roles_set", user, "roles", roles))

    def permissions(self, user: str) -> list[str]:
        """The permissions that the directory has for a user."""
        return self._do(calls.names("permissions_get", user, "permissions"))

    def set_permissions(self, user: str, permissions: Sequence[str]) -> None:
        """Replace the permissions of a user."""
        self._do(calls.set_names("permissions_set", user, "permissions", permissions))

    def set_workspaces(self, user: str, workspaces: Sequence[str] | None) -> None:
        """Replace the workspaces of a user; with None the workspace of the token counts again."""
        self._do(calls.set_names("membership_set", user, "workspaces", workspaces))

    # -- rooms

    def set_room(
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
        return self._do(calls.set_room(id, record))

    def room(
        self,
        id: str,  # noqa: A002 - the word of the API
        *,
        namespace: str | None = None,
    ) -> results.RoomRecord:
        """Read the record of a room."""
        return self._do(calls.room(id, namespace))

    def rooms(
        self,
        *,
        namespace: str | None = None,
        orphans: bool = False,
        limit: int | None = None,
        offset: int | None = None,
    ) -> results.Rooms:
        """The rooms; with `orphans` the channels where messages are kept without a record."""
        return self._do(calls.rooms(namespace, limit, offset, orphans=orphans))

    def remove_room(
        self,
        id: str,  # noqa: A002 - the word of the API
        *,
        namespace: str | None = None,
    ) -> bool:
        """Delete a room with its messages; returns whether there was anything (False after a repetition)."""
        return self._do(calls.remove_room(id, namespace))
