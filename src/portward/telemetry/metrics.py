"""What is counted: one typed method for each thing that can happen.

    Metrics
    |- connections   came, went, were refused, proved who they are
    |- traffic       messages, bytes, publications, faults, limits
    `- node          engine, identity provider, revocations, loop, log, audit, build

Everything is counted on the event loop, by one thread; `render` may be called from another. The
text format is the only one offered: in OpenMetrics a gauge `connections` and a counter
`connections_total` would be one family.
"""

import platform
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import LimitMode, LimitName
from portward.model.provider import ProviderResult
from portward.telemetry import labels
from portward.telemetry import older_live as older_names
from portward.telemetry.events import Event
from portward.telemetry.families import ConnectionsFamilies, NodeFamilies, TrafficFamilies
from portward.telemetry.labels import AuthResult, GapResult, Label, RecoveryResult
from portward.telemetry.series import PREFIX, Collector, Sample
from portward.telemetry.workspaces_gauge import WorkspacesGauge

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The numbers of one gateway, in a registry of its own: two gateways in a process do not meet.

    `endpoints` and `namespaces` are the configured names; any other is counted as `other`. `older_live`
    are the endpoints that an older live server's metrics are shown for, under the name of `instance`.
    """

    content_type: Final = CONTENT_TYPE

    def __init__(
        self,
        endpoints: Iterable[str] = (),
        namespaces: Iterable[str] = (),
        *,
        version: str = "",
        older_live: Collection[str] = (),
        instance: str = "",
    ) -> None:
        sheet = Collector()
        endpoint = labels.label("endpoint", endpoints)
        self._connections = ConnectionsFamilies(sheet, endpoint)
        self._traffic = TrafficFamilies(sheet, endpoint, labels.label("namespace", namespaces))
        self._node = NodeFamilies(sheet)
        self._workplaces = sheet.add(WorkspacesGauge())
        if older_live:
            older_names.add(sheet, self._connections, self._traffic, older_live, instance)
        build = (Label("version", (version,)), Label("python", (platform.python_version(),)))
        sheet.gauge("build_info", "1, with what is running.", *build).set(
            1, (version, platform.python_version())
        )
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(sheet)
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self.registry)

    def render(self) -> bytes:
        """Every series in Prometheus' text format, to be sent with `content_type`."""
        return generate_latest(self.registry)

    # Connections

    def connection_opened(self, endpoint: str) -> None:
        """A connection was let in."""
        self._connections.open.add((endpoint,))
        self._connections.opened.add((endpoint,))

    def closed(self, endpoint: str, ending: Disconnect) -> None:
        """An open connection is gone."""
        self._connections.open.add((endpoint,), -1)
        self._connections.closed.add((endpoint, labels.ENDING[ending]))
        if ending is Disconnect.SLOW:
            self._connections.slow.add()

    def refused(self, endpoint: str | None, refusal: HandshakeRejection) -> None:
        """A handshake was not let in; no endpoint when its path names none."""
        self._connections.refused.add((endpoint or labels.OTHER, labels.REASON[refusal]))

    def authenticated(self, endpoint: str, result: AuthResult) -> None:
        """Somebody tried to prove who they are."""
        self._connections.auth.add((endpoint, result))

    def entered(self, client: str, workspace: str | None) -> None:
        """A connection of a workspace has proven who it is."""
        self._workplaces.enter(client, workspace)

    def left(self, client: str) -> None:
        """A connection has ended, of a workspace or not."""
        self._workplaces.leave(client)

    # Traffic

    def received(self, endpoint: str, kind: str, size: int) -> None:
        """A message of `size` bytes came in; `kind` as `labels.type_name` makes it."""
        self._traffic.received.add((endpoint, kind))
        self._traffic.bytes_received.add((endpoint,), size)

    def unhandled(self, endpoint: str, count: int) -> None:
        """The client closed, and so many of its messages were not handled in time."""
        self._traffic.unhandled.add((endpoint,), count)

    def sent(self, endpoint: str, kind: str, size: int, n: int = 1) -> None:
        """A message of `size` bytes went out to `n` connections."""
        self._traffic.sent.add((endpoint, kind), n)
        self._traffic.bytes_sent.add((endpoint,), size * n)

    def delivered(self, namespace: str, publications: int, deliveries: int, seconds: float) -> None:
        """Publications were handed to their subscribers, together in one turn of `seconds`."""
        traffic = self._traffic
        traffic.publications.add((namespace,), publications)
        traffic.deliveries.add((namespace,), deliveries)
        traffic.fanout.observe(seconds, (namespace,))

    def fault(self, endpoint: str, kind: ErrorKind) -> None:
        """A command was refused."""
        self._traffic.faults.add((endpoint, labels.CODE[kind]))

    def limit(self, name: LimitName, mode: LimitMode) -> None:
        """A limit was exceeded, whether that was enforced or only observed."""
        self._traffic.limits.add((name, mode))

    def recovered(self, namespace: str, result: RecoveryResult) -> None:
        """A subscriber asked for what it had missed."""
        self._traffic.recoveries.add((namespace, result))

    def gap(self, namespace: str, result: GapResult) -> None:
        """Publications of a channel did not arrive."""
        self._traffic.gaps.add((namespace, result))

    def repeated(self, namespace: str) -> None:
        """A publication came again."""
        self._traffic.repeats.add((namespace,))

    def channels(self, books: Mapping[str, int]) -> None:
        """So many channels are kept, by namespace; of one that is not named there are none."""
        gauge = self._traffic.channels
        for labelled in gauge.values:
            gauge.set(0, labelled)
        for namespace, count in books.items():
            gauge.add((namespace,), count)

    # Node

    def revoked(self, seconds: float) -> None:
        """A revocation was acted upon, `seconds` after it was made."""
        self._node.revocations.add()
        self._node.revocation.observe(seconds)

    def engine(self, operation: str, seconds: float) -> None:
        """The engine answered; `operation` is the name of the port's method."""
        self._node.engine.observe(seconds, (operation,))

    def engine_up(self, *, up: bool) -> None:
        """The engine answers, or does not."""
        self._node.engine_up.set(up)

    def engine_may_evict(self, *, possible: bool) -> None:
        """The store may drop keys when its memory is full, or may not."""
        self._node.engine_may_evict.set(possible)

    def identity_provider(self, result: ProviderResult, seconds: float) -> None:
        """A question to the identity provider came to its end."""
        self._node.provider.observe(seconds, (result,))

    def upstream_connections(self, change: int) -> None:
        """Connections to the upstream were opened, or closed."""
        self._node.upstream.add(amount=change)

    def upstream_usage(self, tokens: int, seconds: float) -> None:
        """The upstream reported what an answer or a transcription took."""
        self._node.tokens.add(amount=tokens)
        self._node.audio.add(amount=seconds)

    def loop_lag(self, seconds: float) -> None:
        """How late the event loop was."""
        self._node.lag.set(seconds)

    def insecure(self, *, on: bool) -> None:
        """A protection is switched off."""
        self._node.insecure.set(on)

    def event(self, event: Event) -> None:
        """An event happened; counted even when its line is left out."""
        self._node.events.add((event,))

    @property
    def log_dropped(self) -> Sample:
        """Where to hang the log's count of lost lines."""
        return self._node.log_dropped

    @property
    def audit_failures(self) -> Sample:
        """Where to hang the audit's count of failures."""
        return self._node.audit_failures
