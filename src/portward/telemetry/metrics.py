"""The metrics of a gateway: one row of the class `Metrics` for each, under the name of its attribute.

Everything is counted on the event loop, in one thread; `render` may be called from another thread. Only
the Prometheus text format is offered: in OpenMetrics a gauge `connections` and a counter
`connections_total` would be one family.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

import portward.telemetry.labels as labels
from portward.model.disconnects import Disconnect
from portward.telemetry.labels import ENDPOINT, NAMESPACE
from portward.telemetry.older_live import older_families
from portward.telemetry.series import (
    PREFIX,
    SLOW,
    Family,
    Gauge,
    MetricRow,
    counter,
    gauge,
    histogram,
    sample,
)
from portward.telemetry.workspaces_gauge import WorkspacesGauge

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The metrics of one gateway, in a separate registry, so two gateways in a process do not share them.

    `endpoints` and `namespaces` are the configured names; any other name is counted as `other`. `older_live`
    are the endpoints for which the metrics of an older live server are shown, under the name of `instance`.
    An event that changes several metrics has a method; other code changes the one metric itself.
    """

    content_type: Final = CONTENT_TYPE

    # Connections
    connections = gauge("Connections open now.", ENDPOINT)
    connections_total = counter("Connections opened.", ENDPOINT)
    handshakes_refused_total = counter("Handshakes not let in.", ENDPOINT, labels.REASONS)
    auth_total = counter("Attempts to authenticate.", ENDPOINT, labels.RESULTS)
    closes_total = counter("Connections closed.", ENDPOINT, labels.ENDINGS)
    slow_disconnects_total = counter("Connections closed because they read too slowly.")

    # Traffic
    messages_received_total = counter("Messages from clients.", ENDPOINT, labels.RECEIVED)
    messages_unhandled_total = counter(
        "Messages given up because they were not handled in time after the client closed.", ENDPOINT
    )
    messages_sent_total = counter("Messages to clients.", ENDPOINT, labels.SENT)
    bytes_received_total = counter("Payload bytes from clients.", ENDPOINT)
    bytes_sent_total = counter("Payload bytes to clients.", ENDPOINT)
    publications_total = counter("Publications delivered by this node.", NAMESPACE)
    deliveries_total = counter(
        "Publications times the subscribers they were written to.", NAMESPACE
    )
    fanout_seconds = histogram("Time to hand a publication to every subscriber.", NAMESPACE)
    faults_total = counter("Commands refused.", ENDPOINT, labels.CODES)
    limit_refusals_total = counter("Times a limit was exceeded.", labels.LIMITS, labels.MODES)
    recoveries_total = counter(
        "Subscribers that asked for what they missed.", NAMESPACE, labels.RECOVERIES
    )
    gaps_total = counter(
        "Times publications did not arrive from the engine.", NAMESPACE, labels.GAPS
    )
    repeats_total = counter(
        "Publications that came again from the engine, and were left out.", NAMESPACE
    )
    channels = gauge("Channels this process keeps books of.", NAMESPACE)

    # The process, and the services it depends on
    revocations_total = counter("Revocations taken into account.")
    revocation_seconds = histogram(
        "Time from a revocation to the end of its sessions.", bounds=SLOW
    )
    engine_seconds = histogram("Time the engine took to answer.", labels.OPERATIONS, bounds=SLOW)
    engine_up = gauge("1 while the engine answers.")
    engine_may_evict = gauge("1 while the store may drop keys when its memory is full.")
    identity_provider_seconds = histogram(
        "Time the identity provider took to answer.", labels.PROVIDER_RESULTS, bounds=SLOW
    )
    loop_lag_seconds = gauge("How late the event loop ran its last check.")
    upstream_connections = gauge("Connections to the upstream open now.")
    upstream_tokens_total = counter("Tokens used, as the upstream counts them.")
    upstream_audio_seconds_total = counter("Seconds of audio that the upstream reports as used.")
    insecure_mode = gauge("1 when a protection is switched off.")
    events_total = counter("Events, whether a line was written or left out.", labels.EVENTS)
    log_dropped_total = sample("Log lines that were lost.")
    audit_failures_total = sample("Failed writes of the audit file, and events it lost.")

    def __init__(
        self,
        endpoints: Iterable[str] = (),
        namespaces: Iterable[str] = (),
        *,
        version: str = "",
        older_live: Collection[str] = (),
        instance: str = "",
    ) -> None:
        chosen = {
            ENDPOINT: labels.label(ENDPOINT.name, endpoints),
            NAMESPACE: labels.label(NAMESPACE.name, namespaces),
            labels.RECEIVED: labels.received(),
            labels.SENT: labels.sent(),
        }
        rows = {name: row for name, row in vars(Metrics).items() if isinstance(row, MetricRow)}
        series = {name: row.make(name, chosen) for name, row in rows.items()}
        vars(self).update(series)
        self.workspaces = WorkspacesGauge()
        build = Gauge("build_info", "1, with what is running.", labels.build(version))
        build.set(1, tuple(label.values[0] for label in build.labels))
        self._families: list[Family] = [*series.values(), self.workspaces]
        if older_live:
            shown = self.connections, self.messages_received_total, self.messages_sent_total
            self._families += older_families(*shown, older_live, instance)
        self._families.append(build)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the current samples of every metric, for prometheus-client."""
        return (family.collect() for family in self._families)

    def render(self) -> bytes:
        """Return all series in Prometheus' text format, to be sent with `content_type`."""
        return generate_latest(self.registry)

    def connection_opened(self, endpoint: str) -> None:
        """Count a connection that was admitted."""
        self.connections.add((endpoint,))
        self.connections_total.add((endpoint,))

    def closed(self, endpoint: str, ending: Disconnect) -> None:
        """Count a connection that was closed."""
        self.connections.add((endpoint,), -1)
        self.closes_total.add((endpoint, ending.name.lower()))
        if ending is Disconnect.SLOW:
            self.slow_disconnects_total.add()

    def received(self, endpoint: str, kind: str, size: int) -> None:
        """Count a received message of `size` bytes; `kind` is a name from `labels.type_name`."""
        messages = self.messages_received_total
        if (endpoint, kind) in messages.values:  # hot: without further calls
            messages.values[endpoint, kind] += 1
            self.bytes_received_total.values[endpoint,] += size
        else:
            messages.add((endpoint, kind))
            self.bytes_received_total.add((endpoint,), size)

    def sent(self, endpoint: str, kind: str, size: int, n: int = 1) -> None:
        """Count a message of `size` bytes that was sent to `n` connections."""
        messages = self.messages_sent_total
        if (endpoint, kind) in messages.values:  # hot: without further calls
            messages.values[endpoint, kind] += n
            self.bytes_sent_total.values[endpoint,] += size * n
        else:
            messages.add((endpoint, kind), n)
            self.bytes_sent_total.add((endpoint,), size * n)

    def delivered(self, namespace: str, publications: int, deliveries: int, seconds: float) -> None:
        """Count publications that were delivered to their subscribers in one turn of `seconds`."""
        published = self.publications_total
        if (namespace,) in published.values:  # hot: without further calls
            published.values[namespace,] += publications
            self.deliveries_total.values[namespace,] += deliveries
        else:
            published.add((namespace,), publications)
            self.deliveries_total.add((namespace,), deliveries)
        self.fanout_seconds.observe(seconds, (namespace,))

    def count_channels(self, books: Mapping[str, int]) -> None:
        """Set the number of channels in memory by namespace; a namespace that is not given has none."""
        for labelled in self.channels.values:
            self.channels.set(0, labelled)
        for namespace, count in books.items():
            self.channels.add((namespace,), count)

    def revoked(self, seconds: float) -> None:
        """Observe that a revocation was carried out, `seconds` after it was made."""
        self.revocations_total.add()
        self.revocation_seconds.observe(seconds)

    def upstream_usage(self, tokens: int, seconds: float) -> None:
        """Add the usage that the upstream reported for a response or a transcription."""
        self.upstream_tokens_total.add(amount=tokens)
        self.upstream_audio_seconds_total.add(amount=seconds)
