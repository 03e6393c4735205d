"""The metrics of a gateway, with one typed method for each kind of event that is counted.

    Metrics
    |- connections   opened, closed, rejected, authenticated
    |- traffic       messages, bytes, publications, command errors, limits
    `- node          engine, identity provider, revocations, loop, log, audit, build

Everything is counted on the event loop, in one thread; `render` may be called from another thread. Only
the Prometheus text format is offered: in OpenMetrics a gauge `connections` and a counter
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
    """The metrics of one gateway, in a separate registry, so two gateways in a process do not share them.

    `endpoints` and `namespaces` are the configured names; any other name is counted as `other`. `older_live`
    are the endpoints for which the metrics of an older live server are shown, under the name of `instance`.
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
        """Return all series in Prometheus' text format, to be sent with `content_type`."""
        return generate_latest(self.registry)

    # Connections

    def connection_opened(self, endpoint: str) -> None:
        """Count a connection that was admitted."""
        self._connections.open.add((endpoint,))
        self._connections.opened.add((endpoint,))

    def closed(self, endpoint: str, ending: Disconnect) -> None:
        """Count a connection that was closed."""
        self._connections.open.add((endpoint,), -1)
        self._connections.closed.add((endpoint, labels.ENDING[ending]))
        if ending is Disconnect.SLOW:
            self._connections.slow.add()

    def refused(self, endpoint: str | None, refusal: HandshakeRejection) -> None:
        """Count a rejected handshake; `endpoint` is None when the path belongs to none."""
        self._connections.refused.add((endpoint or labels.OTHER, labels.REASON[refusal]))

    def authenticated(self, endpoint: str, result: AuthResult) -> None:
        """Count an authentication and its result."""
        self._connections.auth.add((endpoint, result))

    def entered(self, client: str, workspace: str | None) -> None:
        """Count an authenticated connection for its workspace."""
        self._workplaces.enter(client, workspace)

    def left(self, client: str) -> None:
        """Remove a closed connection from the count of its workspace, if it has one."""
        self._workplaces.leave(client)

    # Traffic

    def received(self, endpoint: str, kind: str, size: int) -> None:
        """Count a received message of `size` bytes; `kind` is a name from `labels.type_name`."""
        self._traffic.received.add((endpoint, kind))
        self._traffic.bytes_received.add((endpoint,), size)

    def unhandled(self, endpoint: str, count: int) -> None:
        """Count the messages of a client that closed before they could be handled."""
        self._traffic.unhandled.add((endpoint,), count)

    def sent(self, endpoint: str, kind: str, size: int, n: int = 1) -> None:
        """Count a message of `size` bytes that was sent to `n` connections."""
        self._traffic.sent.add((endpoint, kind), n)
        self._traffic.bytes_sent.add((endpoint,), size * n)

    def delivered(self, namespace: str, publications: int, deliveries: int, seconds: float) -> None:
        """Count publications that were delivered to their subscribers in one turn of `seconds`."""
        traffic = self._traffic
        traffic.publications.add((namespace,), publications)
        traffic.deliveries.add((namespace,), deliveries)
        traffic.fanout.observe(seconds, (namespace,))

    def fault(self, endpoint: str, kind: ErrorKind) -> None:
        """Count a command error."""
        self._traffic.faults.add((endpoint, labels.CODE[kind]))

    def limit(self, name: LimitName, mode: LimitMode) -> None:
        """Count an exceeded limit, whether enforced or only observed."""
        self._traffic.limits.add((name, mode))

    def recovered(self, namespace: str, result: RecoveryResult) -> None:
        """Count a recovery and its result."""
        self._traffic.recoveries.add((namespace, result))

    def gap(self, namespace: str, result: GapResult) -> None:
        """Count a gap in a channel and its result."""
        self._traffic.gaps.add((namespace, result))

    def repeated(self, namespace: str) -> None:
        """Count a publication that arrived twice."""
        self._traffic.repeats.add((namespace,))

    def channels(self, books: Mapping[str, int]) -> None:
        """Set the number of channels in memory by namespace; a namespace that is not given has none."""
        gauge = self._traffic.channels
        for labelled in gauge.values:
            gauge.set(0, labelled)
        for namespace, count in books.items():
            gauge.add((namespace,), count)

    # Node

    def revoked(self, seconds: float) -> None:
        """Observe that a revocation was carried out, `seconds` after it was made."""
        self._node.revocations.add()
        self._node.revocation.observe(seconds)

    def engine(self, operation: str, seconds: float) -> None:
        """Observe an answer of the engine; `operation` is the name of the port's method."""
        self._node.engine.observe(seconds, (operation,))

    def engine_up(self, *, up: bool) -> None:
        """Set whether the engine answers."""
        self._node.engine_up.set(up)

    def engine_may_evict(self, *, possible: bool) -> None:
        """Set whether the store may drop keys when its memory is full."""
        self._node.engine_may_evict.set(possible)

    def identity_provider(self, result: ProviderResult, seconds: float) -> None:
        """Observe a finished question to the identity provider."""
        self._node.provider.observe(seconds, (result,))

    def upstream_connections(self, change: int) -> None:
        """Change the number of connections to the upstream."""
        self._node.upstream.add(amount=change)

    def upstream_usage(self, tokens: int, seconds: float) -> None:
        """Add the usage that the upstream reported for a response or a transcription."""
        self._node.tokens.add(amount=tokens)
        self._node.audio.add(amount=seconds)

    def loop_lag(self, seconds: float) -> None:
        """Set the lag of the event loop."""
        self._node.lag.set(seconds)

    def insecure(self, *, on: bool) -> None:
        """Set whether a protection is switched off."""
        self._node.insecure.set(on)

    def event(self, event: Event) -> None:
        """Count an event, also when its log line is dropped."""
        self._node.events.add((event,))

    @property
    def log_dropped(self) -> Sample:
        """The sample that reads the log's number of lost lines."""
        return self._node.log_dropped

    @property
    def audit_failures(self) -> Sample:
        """The sample that reads the audit's number of failures."""
        return self._node.audit_failures
