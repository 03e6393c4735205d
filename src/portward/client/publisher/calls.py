"""The methods of the publishers, each as the call that it makes: what is sent, and how the answer is read."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import uuid4

import msgspec

import portward.client.publisher.results as results

T = TypeVar("T")

_PUBLISHING: Final = frozenset({"publish", "broadcast", "alert", "analysis"})
Since = results.Published | int | None


@dataclass(frozen=True, slots=True)
class AdminCall(Generic[T]):
    """One call: a method, the encoded body, and a function that makes the result of the answer."""

    method: str
    body: bytes
    read: Callable[[Any], T]

    def __repr__(self) -> str:
        return f"Call({self.method})"


def encode(value: Any) -> bytes:
    """Encode a body in JSON.

    Raises:
        ValueError: a part of it is no JSON: NaN, an infinity, a lone surrogate.
        TypeError: a part of it is of a type that JSON does not have.
    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _body(fields: Mapping[str, Any], optional: Mapping[str, Any]) -> bytes:
    """Encode all `fields`, and of the `optional` ones those with a value."""
    given = {name: value for name, value in optional.items() if value is not None}
    return encode({**fields, **given})


def _whole(
    method: str, kind: type[T], fields: Mapping[str, Any] | None = None, /, **optional: Any
) -> AdminCall[T]:
    """Make a call whose answer is the result."""
    body = _body(fields or {}, optional)
    return AdminCall(method, body, lambda answer: msgspec.convert(answer, kind))


def _field(
    method: str, name: str, kind: type[T], fields: Mapping[str, Any] | None = None, /,
    **optional: Any,
) -> AdminCall[T]:  # fmt: skip
    """Make a call whose result is one field of the answer."""
    body = _body(fields or {}, optional)
    return AdminCall(method, body, lambda answer: msgspec.convert(answer[name], kind))


def _done(method: str, fields: Mapping[str, Any], /, **optional: Any) -> AdminCall[None]:
    """Make a call without a result."""
    return AdminCall(method, _body(fields, optional), lambda _: None)


def call(method: str, body: Mapping[str, Any]) -> AdminCall[Any]:
    """Any method of the admin API by its name; returns its result as it came."""
    once = {"idempotency_key": uuid4().hex} if method in _PUBLISHING else {}
    return AdminCall(method, encode({**once, **body}), lambda answer: answer)


# -- publishing


def publish(
    channel: str,
    data: Any,
    *,
    key: str | None = None,
    type: str | None = None,  # noqa: A002 - the word of the API
    idempotency_key: str | None = None,
) -> AdminCall[results.Published]:
    """Publish `data`, any JSON value, to a channel; returns its position.

    Without an `idempotency_key` one is made, so that repetitions publish once.
    """
    fields = {"channel": channel, "data": data, "idempotency_key": idempotency_key or uuid4().hex}
    return _whole("publish", results.Published, fields, key=key, type=type)


def broadcast(
    channels: Sequence[str],
    data: Any,
    *,
    key: str | None = None,
    type: str | None = None,  # noqa: A002 - the word of the API
    idempotency_key: str | None = None,
) -> AdminCall[list[results.BroadcastOutcome]]:
    """Publish the same to several channels; returns one outcome for each, in their order."""
    once = idempotency_key or uuid4().hex
    fields = {"channels": list(channels), "data": data, "idempotency_key": once}
    kind = list[results.BroadcastOutcome]
    return _field("broadcast", "responses", kind, fields, key=key, type=type)


def alert(
    call_id: str,
    type: str,  # noqa: A002 - the word of the API
    severity: str,
    data: Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    namespace: str | None = None,
) -> AdminCall[str]:
    """Publish an alert about a call: `severity` is low, medium, high or critical. Returns its id."""
    fields = {"callId": call_id, "type": type, "severity": severity, "data": dict(data)}
    once = idempotency_key or uuid4().hex
    return _field("alert", "id", str, fields, idempotency_key=once, namespace=namespace)


def analysis(
    event: str,
    payload: Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    namespace: str | None = None,
) -> AdminCall[list[str]]:
    """Publish the alerts of a call-analysis report; returns their ids."""
    fields = {"event": event, "payload": dict(payload)}
    once = idempotency_key or uuid4().hex
    return _field("analysis", "ids", list[str], fields, idempotency_key=once, namespace=namespace)


def request_approval(
    workspace: str,
    title: str,
    data: Any = None,
    *,
    expires_in: float | None = None,
    id: str | None = None,  # noqa: A002 - the word of the API
    namespace: str | None = None,
) -> AdminCall[results.AskedApproval]:
    """Ask the members of a workspace for a decision. Without an `id` one is made."""
    fields = {"workspace": workspace, "title": title, "data": data, "id": id or uuid4().hex}
    optional = {"expires_in": expires_in, "namespace": namespace}
    return _whole("approval_request", results.AskedApproval, fields, **optional)


def approval(id: str) -> AdminCall[results.ApprovalState]:  # noqa: A002 - the word of the API
    """Read a request for approval and its verdict."""
    return _whole("approval_get", results.ApprovalState, id=id)


def batch(commands: Sequence[Mapping[str, Any]]) -> AdminCall[list[Any]]:
    """Several calls in order, each `{method: body}`; returns a reply for each."""
    keyed = []
    for command in commands:
        ((method, body),) = command.items()
        once = {"idempotency_key": uuid4().hex} if method in _PUBLISHING else {}
        keyed.append({method: {**once, **body}})
    return _field("batch", "replies", list[Any], {"commands": keyed})


# -- reading


def history(
    channel: str, *, limit: int | None = None, since: Since = None, reverse: bool = False
) -> AdminCall[results.History]:
    """Read a channel back, oldest first; with the limit 0 its position alone."""
    after: Any = None if since is None else {"offset": since}
    if isinstance(since, results.Published):
        after = {"offset": since.offset, "epoch": since.epoch}
    optional = {"limit": limit, "since": after, "reverse": reverse or None}
    return _whole("history", results.History, {"channel": channel}, **optional)


def presence(channel: str) -> AdminCall[dict[str, results.PresentClient]]:
    """The connections in a channel, by their ids."""
    kind = dict[str, results.PresentClient]
    return _field("presence", "presence", kind, channel=channel)


def presence_stats(channel: str) -> AdminCall[results.PresenceCount]:
    """The numbers of connections and users in a channel."""
    return _whole("presence_stats", results.PresenceCount, channel=channel)


def channels(pattern: str | None = None) -> AdminCall[dict[str, int]]:
    """Channels that have subscribers, with their numbers of connections."""

    def read(answer: Any) -> dict[str, int]:
        return {name: each["num_clients"] for name, each in answer["channels"].items()}

    return AdminCall("channels", _body({}, {"pattern": pattern}), read)


def info() -> AdminCall[list[results.NodeInfo]]:
    """The nodes of the gateway."""
    return _field("info", "nodes", list[results.NodeInfo])


def connections(
    *,
    user: str | None = None,
    endpoint: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> AdminCall[results.Connections]:
    """Open connections, oldest first."""
    optional = {"user": user, "endpoint": endpoint, "limit": limit, "offset": offset}
    return _whole("connections", results.Connections, **optional)


def security_events(
    *, limit: int | None = None, since: int | None = None
) -> AdminCall[list[results.SecurityEvent]]:
    """Audited events, oldest first: the newest, or those after number `since`."""
    kind = list[results.SecurityEvent]
    return _field("security_events", "events", kind, limit=limit, since=since)


# -- users


def disconnect(user: str, *, client: str | None = None) -> AdminCall[None]:
    """End the connections of a user, or one of them."""
    return _done("disconnect", {"user": user}, client=client)


def unsubscribe(user: str, channel: str, *, client: str | None = None) -> AdminCall[None]:
    """Take a user out of a channel."""
    return _done("unsubscribe", {"user": user, "channel": channel}, client=client)


def revoke(
    *,
    user: str | None = None,
    jti: str | None = None,
    session: str | None = None,
    token: str | None = None,
) -> AdminCall[int]:
    """Revoke a token, a session, or all that a user holds; returns how many connections ended."""
    named = {"user": user, "jti": jti, "session": session, "token": token}
    if sum(each is not None for each in named.values()) != 1:
        raise ValueError("name exactly one of user, jti, session and token")
    return _field("revoke", "ended", int, **named)


def ticket(token: str) -> AdminCall[results.Ticket]:
    """Exchange the token of a user for a ticket, which opens one connection as `?ticket=`."""
    return _whole("ticket", results.Ticket, token=token)


def roles(user: str) -> AdminCall[list[str]]:
    """The roles that the directory has for a user."""
    return _field("roles_get", "roles", list[str], user=user)


def set_roles(user: str, roles: Sequence[str]) -> AdminCall[None]:
    """Replace the roles of a user; the rights of open connections change at once."""
    return _done("roles_set", {"user": user, "roles": list(roles)})


def permissions(user: str) -> AdminCall[list[str]]:
    """The permissions that the directory has for a user."""
    return _field("permissions_get", "permissions", list[str], user=user)


def set_permissions(user: str, permissions: Sequence[str]) -> AdminCall[None]:
    """Replace the permissions of a user."""
    return _done("permissions_set", {"user": user, "permissions": list(permissions)})


def set_workspaces(user: str, workspaces: Sequence[str] | None) -> AdminCall[None]:
    """Replace the workspaces of a user; with None the workspace of the token counts again."""
    given = None if workspaces is None else list(workspaces)
    return _done("membership_set", {"user": user, "workspaces": given})


# -- rooms


def set_room(
    id: str,  # noqa: A002 - the word of the API
    *,
    name: str | None = None,
    type: str | None = None,  # noqa: A002 - the word of the API
    permissions: Mapping[str, Sequence[str]] | None = None,
    max_participants: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> AdminCall[results.RoomRecord]:
    """Make or replace the record of a room; what is left out gets its default.

    `more` are the other fields of `rooms_set`: `sanitize`, `ttl`, `namespace`.
    """
    given: dict[str, Any] = {"name": name, "type": type, "permissions": permissions}
    optional = given | {"maxParticipants": max_participants, **(more or {})}
    return _whole("rooms_set", results.RoomRecord, {"id": id}, **optional)


def room(
    id: str,  # noqa: A002 - the word of the API
    *,
    namespace: str | None = None,
) -> AdminCall[results.RoomRecord]:
    """Read the record of a room."""
    return _whole("rooms_get", results.RoomRecord, id=id, namespace=namespace)


def rooms(
    *,
    namespace: str | None = None,
    orphans: bool = False,
    limit: int | None = None,
    offset: int | None = None,
) -> AdminCall[results.Rooms]:
    """The rooms; with `orphans` the channels with messages but without a record."""
    optional = {"namespace": namespace, "limit": limit, "offset": offset}
    return _whole("rooms_list", results.Rooms, orphans=orphans or None, **optional)


def remove_room(
    id: str,  # noqa: A002 - the word of the API
    *,
    namespace: str | None = None,
) -> AdminCall[bool]:
    """Delete a room with its messages; returns whether there was anything (False after a repetition)."""
    return _field("rooms_remove", "removed", bool, id=id, namespace=namespace)
