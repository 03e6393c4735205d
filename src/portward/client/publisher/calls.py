"""The methods of the admin API as values: what is sent, and how the answer is read."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import uuid4

import msgspec

from portward.client.publisher import results

T = TypeVar("T")
U = TypeVar("U")

_PUBLISHING: Final = frozenset({"publish", "broadcast", "alert", "analysis"})
Since = results.Published | int | None
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AdminCall(Generic[T]):
    """One call: a method, the encoded body, and what makes the result of the answer."""

    method: str
    body: bytes
    read: Callable[[Any], T]

    def __repr__(self) -> str:
        return f"Call({self.method})"


def encode(value: Any) -> bytes:
    """A body in JSON.

    Raises:
        ValueError: a part of it is no JSON: NaN, an infinity, a lone surrogate.
        TypeError: a part of it is of a type that JSON does not have.
    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value; the others get the defaults of the API."""
    return {name: value for name, value in fields.items() if value is not None}


def _into(kind: type[T]) -> Callable[[Any], T]:
    return lambda result: msgspec.convert(result, kind)


def _field(name: str, kind: type[T]) -> Callable[[Any], T]:
    return lambda result: msgspec.convert(result[name], kind)


def _nothing(_: Any) -> None:
    return None


def _since(since: Since) -> dict[str, Any] | None:
    if isinstance(since, results.Published):
        return {"offset": since.offset, "epoch": since.epoch}
    return None if since is None else {"offset": since}


def any_method(method: str, body: Json) -> AdminCall[Any]:
    """Any method. What publishes gets an idempotency key, so that it can be repeated."""
    fields = dict(body)
    if method in _PUBLISHING:
        fields.setdefault("idempotency_key", uuid4().hex)
    return AdminCall(method, encode(fields), lambda result: result)


def publish(
    channel: str, data: Any, key: str | None, kind: str | None, once: str | None
) -> AdminCall[results.Published]:
    """Publish to a channel."""
    fields = _given(channel=channel, key=key, type=kind, idempotency_key=once or uuid4().hex)
    return AdminCall("publish", encode({**fields, "data": data}), _into(results.Published))


def broadcast(
    channels: Sequence[str], data: Any, key: str | None, kind: str | None, once: str | None
) -> AdminCall[list[results.BroadcastOutcome]]:
    """Publish the same to several channels."""
    fields = _given(key=key, type=kind, idempotency_key=once or uuid4().hex)
    body = {"channels": list(channels), **fields, "data": data}
    return AdminCall("broadcast", encode(body), _field("responses", list[results.BroadcastOutcome]))


def alert(
    call_id: str, kind: str, severity: str, data: Json, once: str | None, namespace: str | None
) -> AdminCall[str]:
    """Publish an alert about a call."""
    fields = _given(idempotency_key=once or uuid4().hex, namespace=namespace)
    body = {"callId": call_id, "type": kind, "severity": severity, "data": dict(data), **fields}
    return AdminCall("alert", encode(body), _field("id", str))


def analysis(
    event: str, payload: Json, once: str | None, namespace: str | None
) -> AdminCall[list[str]]:
    """Publish the alerts of a call-analysis report."""
    fields = _given(idempotency_key=once or uuid4().hex, namespace=namespace)
    body = {"event": event, "payload": dict(payload), **fields}
    return AdminCall("analysis", encode(body), _field("ids", list[str]))


def request_approval(
    workspace: str, title: str, data: Any, expires_in: float | None, once: str | None,
    namespace: str | None,
) -> AdminCall[results.AskedApproval]:  # fmt: skip
    """Ask the members of a workspace for a decision."""
    fields = _given(expires_in=expires_in, id=once or uuid4().hex, namespace=namespace)
    body = {"workspace": workspace, "title": title, "data": data, **fields}
    return AdminCall("approval_request", encode(body), _into(results.AskedApproval))


def approval(identifier: str) -> AdminCall[results.ApprovalState]:
    """Read a request for approval."""
    return AdminCall("approval_get", encode({"id": identifier}), _into(results.ApprovalState))


def history(
    channel: str, limit: int | None, since: Since, *, reverse: bool
) -> AdminCall[results.History]:
    """Read a channel back."""
    body = _given(channel=channel, limit=limit, since=_since(since), reverse=reverse or None)
    return AdminCall("history", encode(body), _into(results.History))


def presence(channel: str) -> AdminCall[dict[str, results.PresentClient]]:
    """List the connections in a channel."""
    read = _field("presence", dict[str, results.PresentClient])
    return AdminCall("presence", encode({"channel": channel}), read)


def presence_stats(channel: str) -> AdminCall[results.PresenceCount]:
    """Count the connections and users in a channel."""
    return AdminCall("presence_stats", encode({"channel": channel}), _into(results.PresenceCount))


def channels(pattern: str | None) -> AdminCall[dict[str, int]]:
    """List channels that have subscribers."""

    def read(result: Any) -> dict[str, int]:
        return {name: each["num_clients"] for name, each in result["channels"].items()}

    return AdminCall("channels", encode(_given(pattern=pattern)), read)


def info() -> AdminCall[list[results.NodeInfo]]:
    """Describe the nodes."""
    return AdminCall("info", b"{}", _field("nodes", list[results.NodeInfo]))


def connections(
    user: str | None, endpoint: str | None, limit: int | None, offset: int | None
) -> AdminCall[results.Connections]:
    """List open connections."""
    body = _given(user=user, endpoint=endpoint, limit=limit, offset=offset)
    return AdminCall("connections", encode(body), _into(results.Connections))


def security_events(limit: int | None, since: int | None) -> AdminCall[list[results.SecurityEvent]]:
    """Read audited events."""
    body = _given(limit=limit, since=since)
    return AdminCall("security_events", encode(body), _field("events", list[results.SecurityEvent]))


def disconnect(user: str, client: str | None) -> AdminCall[None]:
    """End connections of a user."""
    return AdminCall("disconnect", encode(_given(user=user, client=client)), _nothing)


def unsubscribe(user: str, channel: str, client: str | None) -> AdminCall[None]:
    """Take a user out of a channel."""
    body = _given(user=user, channel=channel, client=client)
    return AdminCall("unsubscribe", encode(body), _nothing)


def revoke(
    user: str | None, jti: str | None, session: str | None, token: str | None
) -> AdminCall[int]:
    """Take a credential back.

    Raises:
        ValueError: not exactly one is named.
    """
    body = _given(user=user, jti=jti, session=session, token=token)
    if len(body) != 1:
        raise ValueError("name exactly one of user, jti, session and token")
    return AdminCall("revoke", encode(body), _field("ended", int))


def ticket(token: str) -> AdminCall[results.Ticket]:
    """Exchange a token for a ticket."""
    return AdminCall("ticket", encode({"token": token}), _into(results.Ticket))


def names(method: str, user: str, field: str) -> AdminCall[list[str]]:
    """Read the roles or permissions of a user."""
    return AdminCall(method, encode({"user": user}), _field(field, list[str]))


def set_names(method: str, user: str, field: str, values: Sequence[str] | None) -> AdminCall[None]:
    """Replace the roles, permissions or workspaces of a user."""
    given = None if values is None else list(values)
    return AdminCall(method, encode({"user": user, field: given}), _nothing)


def set_room(identifier: str, record: Json) -> AdminCall[results.RoomRecord]:
    """Make or replace the record of a room."""
    body = {"id": identifier, **_given(**record)}
    return AdminCall("rooms_set", encode(body), _into(results.RoomRecord))


def room(identifier: str, namespace: str | None) -> AdminCall[results.RoomRecord]:
    """Read the record of a room."""
    body = _given(id=identifier, namespace=namespace)
    return AdminCall("rooms_get", encode(body), _into(results.RoomRecord))


def rooms(
    namespace: str | None, limit: int | None, offset: int | None, *, orphans: bool
) -> AdminCall[results.Rooms]:
    """List rooms."""
    body = _given(namespace=namespace, orphans=orphans or None, limit=limit, offset=offset)
    return AdminCall("rooms_list", encode(body), _into(results.Rooms))


def remove_room(identifier: str, namespace: str | None) -> AdminCall[bool]:
    """Delete a room."""
    return AdminCall(
        "rooms_remove", encode(_given(id=identifier, namespace=namespace)), _field("removed", bool)
    )


def batch(commands: Sequence[Json]) -> AdminCall[list[Any]]:
    """Several calls in order, each as `{method: body}`; those that publish get idempotency keys."""
    keyed = []
    for command in commands:
        ((method, body),) = command.items()
        more = {"idempotency_key": uuid4().hex} if method in _PUBLISHING else {}
        keyed.append({method: {**more, **body}})
    return AdminCall("batch", encode({"commands": keyed}), _field("replies", list[Any]))
