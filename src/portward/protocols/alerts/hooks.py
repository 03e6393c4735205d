"""The application's hooks on alerts and on connections that subscribe to them."""

from asyncio import ensure_future
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Final, TypeVar

import portward.protocols.alerts.record as record
from portward.engines.port import PublishResult
from portward.model.commands import Publish
from portward.model.publication import Publication
from portward.node.sessions import ConnectionInfo, Hooks
from portward.protocols.alerts.record import Alert

Hook = TypeVar("Hook", bound=Callable[..., Any])


def adder(event: str) -> Callable[[Hooks, str, Callable[..., Any]], None]:
    """Return what adds a hook on the alerts of a namespace. A hook that raises is recorded.

    Raises:
        ValueError: the event does not exist.
    """
    add = _ADD.get(event)
    if add is None:
        raise ValueError(f"an event is one of {', '.join(_ADD)}")
    return add


def alert_of(command: Publish, stored: PublishResult, now: int) -> Alert:
    """Return the alert that was just published, at `now` in Unix milliseconds."""
    publication = Publication(
        id=stored.id,
        offset=stored.position.offset,
        time=now,
        data=command.data,
        type=command.type,
    )
    return record.read(command.channel, publication, stored.position.epoch)


def _connected(hooks: Hooks, namespace: str, hook: Callable[..., Any]) -> None:
    async def opened(connection: ConnectionInfo) -> None:
        await _call(hook, connection)

    hooks.opened.setdefault(namespace, []).append(opened)


def _disconnected(hooks: Hooks, namespace: str, hook: Callable[..., Any]) -> None:
    async def left(connection: ConnectionInfo, ending: str) -> None:
        await _call(hook, connection, ending)

    hooks.left.setdefault(namespace, []).append(left)


def _emitted(hooks: Hooks, namespace: str, hook: Callable[..., Any]) -> None:
    async def published(command: Publish, stored: PublishResult, now: int) -> None:
        await _call(hook, alert_of(command, stored, now))

    hooks.published.setdefault(namespace, []).append(published)


_ADD: Final = {
    "subscriber_connected": _connected,
    "subscriber_disconnected": _disconnected,
    "alert_emitted": _emitted,
}


async def _call(hook: Callable[..., Any], *arguments: Any) -> None:
    result = hook(*arguments)
    if isawaitable(result):
        await ensure_future(result)
