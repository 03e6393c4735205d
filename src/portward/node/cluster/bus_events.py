"""Handles what the engine's bus delivers: publications and events of all nodes, for local sessions."""

from collections.abc import Callable, Mapping
from typing import Protocol

from portward.hub.hub import Hub
from portward.hub.registry import Registry
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.events import (
    BusEvent,
    UserJoined,
    UserLeft,
    UserSignalled,
)
from portward.model.publication import Publication
from portward.model.replies import Joined, Left, Signalled
from portward.node.channels import GapRepair, PresenceOrder
from portward.node.sessions import Session


class EngineStatusEvents(Protocol):
    """Handlers of the engine's own state: `node.cluster.maintenance.ClusterMaintenance`."""

    def on_interrupted(self) -> None:
        """Look for what the bus may have lost."""

    def on_health_changed(self, up: bool) -> None:
        """Report that the engine became available or unavailable."""

    def on_eviction_changed(self, possible: bool) -> None:
        """Report whether the store may evict keys."""

    def on_keys_dropped(self) -> None:
        """Write again what the store may have lost."""


class BusEventHandler:
    """Implements `engines.port.EngineEvents`."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry[Session],
        gap_repair: GapRepair,
        watchers: EngineStatusEvents,
        clock: Clock,
        handlers: Mapping[type[BusEvent], Callable[..., None]],
    ) -> None:
        """`handlers` are those of all events that are not about the users in a channel."""
        self._hub = hub
        self._registry = registry
        self._gap_repair = gap_repair
        self._watchers = watchers
        self._order = PresenceOrder(clock)
        self._handlers: dict[type[BusEvent], Callable[..., None]] = {
            UserJoined: self._joined,
            UserLeft: self._left,
            UserSignalled: self._signalled,
            **handlers,
        }

    def on_publication(
        self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
    ) -> None:
        """Deliver a publication that is next in its channel; pass any other one to the gap repair."""
        session = self._registry.get(exclude) if exclude is not None else None
        subscriber = session.transport if session is not None else None
        if not self._hub.deliver(channel, publication, epoch, subscriber):
            self._gap_repair.handle_out_of_order(channel, publication, epoch, subscriber)

    def on_control(self, event: BusEvent) -> None:
        """Call the handler of an event's type."""
        self._handlers[type(event)](event)

    def on_interrupted(self) -> None:
        """Start the search for what the bus may have lost."""
        self._watchers.on_interrupted()

    def on_health_changed(self, up: bool) -> None:
        """Forward the change."""
        self._watchers.on_health_changed(up)

    def on_eviction_changed(self, possible: bool) -> None:
        """Forward the change."""
        self._watchers.on_eviction_changed(possible)

    def on_keys_dropped(self) -> None:
        """Forward the loss."""
        self._watchers.on_keys_dropped()

    def _announce(self, channel: Channel, push: Joined | Left | Signalled, client: str) -> None:
        source = self._registry.get(client)
        self._hub.announce(channel, push, source.transport if source else None)

    def _joined(self, event: UserJoined) -> None:
        if self._order.is_news(event):
            push = Joined(channel=event.channel, user=event.user, email=event.email)
            self._announce(event.channel, push, event.client)

    def _left(self, event: UserLeft) -> None:
        if not self._order.is_news(event):
            return
        push = Left(channel=event.channel, user=event.user, email=event.email, reason=event.reason)
        self._announce(event.channel, push, event.client)

    def _signalled(self, event: UserSignalled) -> None:
        push = Signalled(
            channel=event.channel, user=event.user, name=event.name, active=event.active
        )
        self._announce(event.channel, push, event.client)
