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
    SERVER_STOP = "server.stop", LogSeverity.INFO, _ALWAYS
    DRAIN_START = "drain.start"
    DRAIN_END = "drain.end"
    SETTINGS_RELOAD = "settings.reload", LogSeverity.INFO, _ALWAYS
    SETTINGS_REJECT = "settings.reject", _ERROR, _ALWAYS
    WORKER_START = "worker.start"
    WORKER_END = "worker.end", _WARNING
    """A worker ended without an order to stop, or with an error; another worker is started."""

    CONN_OPEN = "conn.open"
    CONN_CLOSE = "conn.close"
    CONN_LIMIT = "conn.limit", _WARNING, _SAMPLED
    HANDSHAKE_REJECT = "handshake.reject", _WARNING, _SAMPLED
    ORIGIN_REJECT = "origin.reject", _WARNING, _SAMPLED
    SESSION_FOREIGN = "session.foreign", _WARNING, _SAMPLED
    PROXYHDR_IGNORED = "proxyhdr.ignored", _WARNING, _SAMPLED
    PROTO_ERROR = "proto.error", _WARNING
    SLOW_DROP = "slow.drop", _WARNING
    INBOX_DROP = "inbox.drop", _WARNING
    """A client closed its connection, and messages it had sent before could not be handled in time."""
    HB_TIMEOUT = "hb.timeout"

    AUTH_OK = "auth.ok", LogSeverity.INFO, _SAMPLED
    AUTH_FAIL = "auth.fail", _WARNING, _SAMPLED
    AUTH_UNAVAILABLE = "auth.unavailable", _ERROR, _SAMPLED
    AUTH_EXPIRE = "auth.expire", LogSeverity.INFO, _SAMPLED
    AUTH_REFRESH = "auth.refresh", LogSeverity.INFO, _SAMPLED
    AUTH_REVOKE = "auth.revoke", _WARNING, _ALWAYS
    AUTH_REVOKE_FULL = "auth.revoke_full", _ERROR, _ALWAYS
    """A revocation was refused, because the engine stores no more of them."""
    AUTH_SCHEME_IGNORED = "auth.scheme_ignored"
    """An `Authorization` header has a scheme that the gateway ignores, such as one for a proxy."""
    TOKEN_HEADER_IGNORED = "token.header_ignored", _WARNING, _SAMPLED
    JWKS_KEY_DROPPED = "jwks.key_dropped"
    """An entry of the issuer's key set cannot be used; `reason` is the cause."""
    TOKEN_CLAIM_ABSENT = "token.claim_absent", _WARNING
    """A claim that the settings name is in none of the first tokens."""
    AUTHZ_DENY = "authz.deny", _WARNING, _SAMPLED
    RIGHTS_CHANGE = "rights.change", LogSeverity.INFO, _ALWAYS
    ADMIN_ACT = "admin.act", LogSeverity.INFO, _ALWAYS
    RATELIMIT_HIT = "ratelimit.hit", _WARNING, _SAMPLED

    ROOM_CREATE = "room.create", LogSeverity.INFO, _ALWAYS
    ROOM_KICK = "room.kick", LogSeverity.INFO, _ALWAYS
    ROOM_PERMISSIONS = "room.permissions", LogSeverity.INFO, _ALWAYS
    ROOM_REMOVE = "room.remove", LogSeverity.INFO, _ALWAYS

    APPROVAL_DECIDED = "approval.decided", LogSeverity.INFO, _ALWAYS

    ENGINE_UP = "engine.up"
    ENGINE_DOWN = "engine.down", _ERROR
    ENGINE_GAP = "engine.gap", _WARNING
    ENGINE_EVICTION = "engine.eviction", _ERROR, _ALWAYS
    """The store may drop keys when its memory is full: revocations would be forgotten."""
    ENGINE_EVICTION_END = "engine.eviction_end", LogSeverity.INFO, _ALWAYS
    PROVIDER_UP = "provider.up"
    PROVIDER_DOWN = "provider.down", _ERROR
    """The identity provider failed too often in a row and is not asked for a while."""
    ANALYSIS_MALFORMED = "analysis.malformed", _WARNING
    """A report of a call-analysis engine could not be parsed."""
    ANALYSIS_LOST = "analysis.lost", _ERROR
    """Alerts of a call-analysis engine were not published."""
    UPSTREAM_FAIL = "upstream.fail", _ERROR
    WEBHOOK_FAIL = "webhook.fail", _ERROR
    """A decision could not be posted to the backend."""

    # Names of an older relay, in addition to the events above with the same meaning.
    CONNECTION_ESTABLISHED = "connection_established", LogSeverity.INFO, _SAMPLED
    CONNECTION_BLOCKED = "connection_blocked", _WARNING, _SAMPLED
    AUTH_SUCCESS = "auth_success", LogSeverity.INFO, _SAMPLED
    AUTH_FAILED = "auth_failed", _WARNING, _SAMPLED
    HTTP_RATE_LIMIT_EXCEEDED = "http_rate_limit_exceeded", _WARNING, _SAMPLED

    # The same events with the exact names of that relay, when `log.older_names` is on.
    WS_CONNECTION_ESTABLISHED = "WS_CONNECTION_ESTABLISHED"
    WS_CONNECTION_BLOCKED_RATE_LIMIT = "WS_CONNECTION_BLOCKED_RATE_LIMIT", _WARNING
    WS_AUTH_SUCCESS = "WS_AUTH_SUCCESS"
    WS_AUTH_FAILED_INVALID_TOKEN = "WS_AUTH_FAILED_INVALID_TOKEN", _WARNING
    EXACT_HTTP_RATE_LIMIT_EXCEEDED = "HTTP_RATE_LIMIT_EXCEEDED", _WARNING

    # Names of an older workspace gateway.
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded", _WARNING, _SAMPLED
    UNAUTHORIZED_ROOM_ACCESS = "unauthorized_room_access", _WARNING, _SAMPLED

    RES_LOOP_LAG = "res.loop_lag", _WARNING
    CLOCK_JUMP = "clock.jump", _WARNING, _ALWAYS
    INTERNAL_ERROR = "internal.error", _ERROR
    LIBRARY = "library", _WARNING
    """A library logged a warning or an error."""

    LOG_SUPPRESSED = "log.suppressed", _WARNING
    AUDIT_OPEN = "audit.open", LogSeverity.INFO, _ALWAYS
    """The first line of an audit file."""
    AUDIT_MEND = "audit.mend", _ERROR, _ALWAYS
    """The audit file was found torn, cut or changed."""
    AUDIT_CUT = "audit.cut", _ERROR, _ALWAYS
    """The audit file is not the one that the engine's checkpoint was made from."""
    AUDIT_FAIL = "audit.fail", _ERROR, _ALWAYS
    """The audit file could not be written, or events were lost."""
