"""The closed set of log events: every line is one of these events, without any free text."""

from enum import Enum, StrEnum


class LogSeverity(StrEnum):
    """The severity of an event."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Audited(Enum):
    """Whether an event is also written to the audit file."""

    NO = "no"
    SAMPLED = "sampled"
    """Written, but limited: a client can cause it at will, so in a flood a count replaces the rest."""
    ALWAYS = "always"
    """Written every time: only a user with a right can cause it."""


_WARNING, _ERROR = LogSeverity.WARNING, LogSeverity.ERROR
_SAMPLED, _ALWAYS = Audited.SAMPLED, Audited.ALWAYS


class Event(StrEnum):
    """Every event by its dotted name, with its level and whether it is a security event."""

    level: LogSeverity
    audited: Audited

    def __new__(
        cls, name: str, level: LogSeverity = LogSeverity.INFO, audited: Audited = Audited.NO
    ) -> "Event":
        """Make a member whose value is the dotted name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.level = level
        member.audited = audited
        return member

    SERVER_START = "server.start", LogSeverity.INFO, _ALWAYS
    """The gateway runs."""
    SERVER_STOP = "server.stop", LogSeverity.INFO, _ALWAYS
    """The gateway has stopped."""
    DRAIN_START = "drain.start"
    """A drain starts; `count` connections are open."""
    DRAIN_END = "drain.end"
    """The drain is over; `count` connections were aborted."""
    SETTINGS_RELOAD = "settings.reload", LogSeverity.INFO, _ALWAYS
    """New settings are in force; `changed` names the keys."""
    SETTINGS_REJECT = "settings.reject", _ERROR, _ALWAYS
    """New settings were refused, the old ones stay; `detail` says why."""
    WORKER_START = "worker.start"
    """One of several workers accepts connections; `node` is its name."""
    WORKER_END = "worker.end", _WARNING
    """A worker ended without a request to stop, or did not stop cleanly; `detail` says how."""

    CONN_OPEN = "conn.open"
    """A connection was admitted."""
    CONN_CLOSE = "conn.close"
    """A connection was closed: `ending`, close `code`, cause, duration."""
    CONN_LIMIT = "conn.limit", _WARNING, _SAMPLED
    """A connection was closed because its user has too many, or because the pool of connections that are
    not authenticated filled up.
    """
    HANDSHAKE_REJECT = "handshake.reject", _WARNING, _SAMPLED
    """A handshake was rejected: `status` and `reason` as in the table of refusals."""
    ORIGIN_REJECT = "origin.reject", _WARNING, _SAMPLED
    """A handshake was rejected because of its `Origin`."""
    SESSION_FOREIGN = "session.foreign", _WARNING, _SAMPLED
    """A request used the id of an Engine.IO session that is not its own; `detail` says what differs, the
    session goes on.
    """
    PROXYHDR_IGNORED = "proxyhdr.ignored", _WARNING, _SAMPLED
    """A forwarding header came from an address that is no trusted proxy."""
    PROTO_ERROR = "proto.error", _WARNING
    """A connection was closed because its client broke the protocol or sent too much."""
    SLOW_DROP = "slow.drop", _WARNING
    """A connection was closed because its client read too slowly."""
    INBOX_DROP = "inbox.drop", _WARNING
    """A client closed, and messages it had sent before were not handled in time."""
    HB_TIMEOUT = "hb.timeout"
    """A connection was closed because its client sent nothing, or answered no ping."""

    AUTH_OK = "auth.ok", LogSeverity.INFO, _SAMPLED
    """A connection was authenticated."""
    AUTH_FAIL = "auth.fail", _WARNING, _SAMPLED
    """A credential was refused; the `reason` is not sent to the client."""
    AUTH_UNAVAILABLE = "auth.unavailable", _ERROR, _SAMPLED
    """A credential could not be judged: keys or store cannot be reached."""
    AUTH_EXPIRE = "auth.expire", LogSeverity.INFO, _SAMPLED
    """A connection was closed because its token expired."""
    AUTH_REFRESH = "auth.refresh", LogSeverity.INFO, _SAMPLED
    """An open connection now uses a newer token."""
    AUTH_REVOKE = "auth.revoke", _WARNING, _ALWAYS
    """A `kind` of credential was revoked; `count` connections of this node were closed."""
    AUTH_REVOKE_FULL = "auth.revoke_full", _ERROR, _ALWAYS
    """A `kind` of credential could not be revoked: the memory engine has its maximum of revocations; open
    connections were closed.
    """
    AUTH_SCHEME_IGNORED = "auth.scheme_ignored"
    """An `Authorization` has a scheme (`kind`) that is not a credential here, such as `basic`."""
    TOKEN_HEADER_IGNORED = "token.header_ignored", _WARNING, _SAMPLED
    """A token tried to supply its own key (`jku`, `jwk`, `x5u`, `x5c`)."""
    JWKS_KEY_DROPPED = "jwks.key_dropped"
    """The entry `key_id` of the issuer's key set is not used; `reason` says why."""
    TOKEN_CLAIM_ABSENT = "token.claim_absent", _WARNING
    """None of the first `count` accepted tokens has the configured claims `claim`."""
    AUTHZ_DENY = "authz.deny", _WARNING, _SAMPLED
    """A command was refused because the user has no right to it."""
    RIGHTS_CHANGE = "rights.change", LogSeverity.INFO, _ALWAYS
    """The backend changed the roles, permissions or workspaces of a user."""
    ADMIN_ACT = "admin.act", LogSeverity.INFO, _ALWAYS
    """A method of the admin API was called that changes something."""
    RATELIMIT_HIT = "ratelimit.hit", _WARNING, _SAMPLED
    """A limit refused something, or would have in mode `observe`."""

    ROOM_CREATE = "room.create", LogSeverity.INFO, _ALWAYS
    """A room was created, by joining it or by the backend."""
    ROOM_KICK = "room.kick", LogSeverity.INFO, _ALWAYS
    """An administrator of a room removed a user."""
    ROOM_PERMISSIONS = "room.permissions", LogSeverity.INFO, _ALWAYS
    """An administrator of a room, or the backend, changed its record."""
    ROOM_REMOVE = "room.remove", LogSeverity.INFO, _ALWAYS
    """A room was removed."""

    APPROVAL_DECIDED = "approval.decided", LogSeverity.INFO, _ALWAYS
    """A user decided on a request for approval; `reason` is the verdict."""

    ENGINE_UP = "engine.up"
    """The engine answers again."""
    ENGINE_DOWN = "engine.down", _ERROR
    """The engine does not answer."""
    ENGINE_GAP = "engine.gap", _WARNING
    """Publications may have been missed between nodes."""
    ENGINE_EVICTION = "engine.eviction", _ERROR, _ALWAYS
    """Redis may drop keys when its memory is full, and with them revocations; `/ready` answers 503 until it
    may not.
    """
    ENGINE_EVICTION_END = "engine.eviction_end", LogSeverity.INFO, _ALWAYS
    """Redis may no longer drop keys."""
    PROVIDER_UP = "provider.up"
    """The identity provider answers again."""
    PROVIDER_DOWN = "provider.down", _ERROR
    """The identity provider failed ten times in a row, and is not asked for a while."""
    ANALYSIS_MALFORMED = "analysis.malformed", _WARNING
    """A report of a call-analysis engine cannot be read; `detail` says why."""
    ANALYSIS_LOST = "analysis.lost", _ERROR
    """`count` alerts of a call-analysis engine were not published."""
    UPSTREAM_FAIL = "upstream.fail", _ERROR
    """An upstream service failed."""
    WEBHOOK_FAIL = "webhook.fail", _ERROR
    """A verdict could not be posted to the backend; `reason` is `status`, `timeout`, `connection`,
    `internal`, and in the end `given_up`, `full` or `closed`; `count` is the attempt.
    """

    # Names of an older relay, in addition to the events above with the same meaning.
    CONNECTION_ESTABLISHED = "connection_established", LogSeverity.INFO, _SAMPLED
    """Relay only, beside `conn.open`, in the form of the older relay."""
    CONNECTION_BLOCKED = "connection_blocked", _WARNING, _SAMPLED
    """Relay only, beside `handshake.reject`; `reason` is `rate_limit`, `origin`, `ip_limit` or `disabled`.
    """
    AUTH_SUCCESS = "auth_success", LogSeverity.INFO, _SAMPLED
    """Relay only, beside `auth.ok`."""
    AUTH_FAILED = "auth_failed", _WARNING, _SAMPLED
    """Relay only, beside `auth.fail`; `error` is the code of the command error."""
    HTTP_RATE_LIMIT_EXCEEDED = "http_rate_limit_exceeded", _WARNING, _SAMPLED
    """A client requested `/test` too often."""

    # The same events with the exact names of that relay, when `log.older_names` is on.
    WS_CONNECTION_ESTABLISHED = "WS_CONNECTION_ESTABLISHED"
    """With `log.older_names`: `connection_established` once more."""
    WS_CONNECTION_BLOCKED_RATE_LIMIT = "WS_CONNECTION_BLOCKED_RATE_LIMIT", _WARNING
    """With `log.older_names`: `connection_blocked` once more, for too many attempts to connect."""
    WS_AUTH_SUCCESS = "WS_AUTH_SUCCESS"
    """With `log.older_names`: `auth_success` once more."""
    WS_AUTH_FAILED_INVALID_TOKEN = "WS_AUTH_FAILED_INVALID_TOKEN", _WARNING
    """With `log.older_names`: `auth_failed` once more."""
    EXACT_HTTP_RATE_LIMIT_EXCEEDED = "HTTP_RATE_LIMIT_EXCEEDED", _WARNING
    """With `log.older_names`: `http_rate_limit_exceeded` once more."""

    # Names of an older workspace gateway.
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded", _WARNING, _SAMPLED
    """Workspaces only, beside `ratelimit.hit`, in the form of the older gateway."""
    UNAUTHORIZED_ROOM_ACCESS = "unauthorized_room_access", _WARNING, _SAMPLED
    """Workspaces only: a user asked for a room that is not open to it."""

    RES_LOOP_LAG = "res.loop_lag", _WARNING
    """The event loop ran late by `seconds`."""
    CLOCK_JUMP = "clock.jump", _WARNING, _ALWAYS
    """The wall clock was moved by `seconds`."""
    INTERNAL_ERROR = "internal.error", _ERROR
    """An unexpected exception: its class and where it was raised."""
    LIBRARY = "library", _WARNING
    """A library reported a warning or worse."""

    LOG_SUPPRESSED = "log.suppressed", _WARNING
    """In a flood, `count` further lines of the event `of` were left out."""
    AUDIT_OPEN = "audit.open", LogSeverity.INFO, _ALWAYS
    """First line of an audit file."""
    AUDIT_MEND = "audit.mend", _ERROR, _ALWAYS
    """The audit file is not as the gateway left it: a torn line, a cut end or a change."""
    AUDIT_CUT = "audit.cut", _ERROR, _ALWAYS
    """The audit file does not match the engine's checkpoint; `reason` is `cut` (`count` events are
    missing), `changed`, or `unreadable`.
    """
    AUDIT_FAIL = "audit.fail", _ERROR, _ALWAYS
    """The audit file could not be written, or `count` events were lost; with the `reason` `shared` only to
    the list in the store.
    """
