"""The metric families of `Metrics`, each with its name, its description and its labels."""

from portward.telemetry import labels
from portward.telemetry.events import Event
from portward.telemetry.labels import Label
from portward.telemetry.series import SLOW, Collector


class ConnectionsFamilies:
    """Metric families about connections."""

    def __init__(self, sheet: Collector, endpoint: Label) -> None:
        self.open = sheet.gauge("connections", "Connections open now.", endpoint)
        self.opened = sheet.counter("connections_total", "Connections opened.", endpoint)
        self.refused = sheet.counter(
            "handshakes_refused_total", "Handshakes not let in.", endpoint, labels.REASONS
        )
        self.auth = sheet.counter(
            "auth_total", "Attempts to authenticate.", endpoint, labels.RESULTS
        )
        self.closed = sheet.counter("closes_total", "Connections closed.", endpoint, labels.ENDINGS)
        self.slow = sheet.counter(
            "slow_disconnects_total", "Connections closed because they read too slowly."
        )


class TrafficFamilies:
    """Metric families about messages and their results."""

    def __init__(self, sheet: Collector, endpoint: Label, namespace: Label) -> None:
        received = labels.label("type", labels.RECEIVED_TYPES)
        sent = labels.label("type", labels.SENT_TYPES)
        self.received = sheet.counter(
            "messages_received_total", "Messages from clients.", endpoint, received
        )
        self.unhandled = sheet.counter(
            "messages_unhandled_total",
            "Messages given up because they were not handled in time after the client closed.",
            endpoint,
        )
        self.sent = sheet.counter("messages_sent_total", "Messages to clients.", endpoint, sent)
        self.bytes_received = sheet.counter(
            "bytes_received_total", "Payload bytes from clients.", endpoint
        )
        self.bytes_sent = sheet.counter("bytes_sent_total", "Payload bytes to clients.", endpoint)
        self.publications = sheet.counter(
            "publications_total", "Publications delivered by this node.", namespace
        )
        self.deliveries = sheet.counter(
            "deliveries_total",
            "Publications times the subscribers they were written to.",
            namespace,
        )
        self.fanout = sheet.histogram(
            "fanout_seconds", "Time to hand a publication to every subscriber.", namespace
        )
        self.faults = sheet.counter("faults_total", "Commands refused.", endpoint, labels.CODES)
        self.limits = sheet.counter(
            "limit_refusals_total", "Times a limit was exceeded.", labels.LIMITS, labels.MODES
        )
        self.recoveries = sheet.counter(
            "recoveries_total", "Subscribers that asked for what they missed.",
            namespace, labels.RECOVERIES,
        )  # fmt: skip
        self.gaps = sheet.counter(
            "gaps_total", "Times publications did not arrive from the engine.",
            namespace, labels.GAPS,
        )  # fmt: skip
        self.repeats = sheet.counter(
            "repeats_total", "Publications that came again from the engine, and were left out.",
            namespace,
        )  # fmt: skip
        self.channels = sheet.gauge("channels", "Channels this process keeps books of.", namespace)


class NodeFamilies:
    """Metric families about the process and the services it depends on."""

    def __init__(self, sheet: Collector) -> None:
        operation = labels.label("operation", labels.ENGINE_OPERATIONS)
        self.revocations = sheet.counter("revocations_total", "Revocations taken into account.")
        self.revocation = sheet.histogram(
            "revocation_seconds", "Time from a revocation to the end of its sessions.", bounds=SLOW
        )
        self.engine = sheet.histogram(
            "engine_seconds", "Time the engine took to answer.", operation, bounds=SLOW
        )
        self.engine_up = sheet.gauge("engine_up", "1 while the engine answers.")
        self.engine_may_evict = sheet.gauge(
            "engine_may_evict", "1 while the store may drop keys when its memory is full."
        )
        self.provider = sheet.histogram(
            "identity_provider_seconds", "Time the identity provider took to answer.",
            labels.PROVIDER_RESULTS, bounds=SLOW,
        )  # fmt: skip
        self.lag = sheet.gauge("loop_lag_seconds", "How late the event loop ran its last check.")
        self.upstream = sheet.gauge("upstream_connections", "Connections to the upstream open now.")
        self.tokens = sheet.counter(
            "upstream_tokens_total", "Tokens used, as the upstream counts them."
        )
        self.audio = sheet.counter(
            "upstream_audio_seconds_total", "Seconds of audio that the upstream reports as used."
        )
        self.insecure = sheet.gauge("insecure_mode", "1 when a protection is switched off.")
        self.events = sheet.counter(
            "events_total", "Events, whether a line was written or left out.",
            labels.label("event", [event.value for event in Event]),
        )  # fmt: skip
        self.log_dropped = sheet.reading("log_dropped_total", "Log lines that were lost.")
        self.audit_failures = sheet.reading(
            "audit_failures_total", "Failed writes of the audit file, and events it lost."
        )
