"""Handles what the engine's bus delivers: publications and events of all nodes, for local sessions."""

from collections.abc import Callable, Mapping

from portward.model.channel import Channel
from portward.model.events import (
    BusEvent,
    UserJoined,
    UserLeft,
    UserSignalled,
)
from portward.model.publication import Publication
from portward.model.replies import Joined, Left, Signalled
from portward.node.channels import GapRepair, PresenceOrder
from portward.node.cluster.maintenance import ClusterMaintenance
from portward.node.sessions import NodeContext


class BusEventHandler:
    """Implements `engines.port.EngineEvents`."""

    def __init__(
        self,
        context: NodeContext,
        gap_repair: GapRepair,
        maintenance: ClusterMaintenance,
        handlers: Mapping[type[BusEvent], Callable[..., None]],
    ) -> None:
        """`handlers` are those of all events that are not about the users in a channel."""
        self.on_interrupted = maintenance.on_interrupted
        self.on_health_changed = maintenance.on_health_changed
        self.on_eviction_changed = maintenance.on_eviction_changed
        self.on_keys_dropped = maintenance.on_keys_dropped
        self._hub = context.hub
        self._registry = context.registry
        self._gap_repair = gap_repair
        self._order = PresenceOrder(context.clock)
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
