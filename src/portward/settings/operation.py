"""The tables for operators: the admin API, the log, the metrics, the audit file."""

from enum import StrEnum
from typing import Annotated

from msgspec import Struct

from portward.settings.formats import KEYS
from portward.settings.keys import ApiKey
from portward.settings.meta import UNSET, FieldMeta


class AdminSettings(Struct, frozen=True, kw_only=True):
    """The admin API, on a separate listener."""

    enabled: Annotated[bool, FieldMeta("whether the admin listener is opened")] = True
    allowed_hosts: Annotated[
        tuple[str, ...],
        FieldMeta(
            "names in `Host` that the admin listener answers to, beside addresses, `localhost` and"
            " `server.admin_host`: those that scrapers and callers use"
        ),
    ] = ()
    api_keys: Annotated[
        tuple[ApiKey, ...],
        KEYS,
        FieldMeta(
            'keys: plain, `"sha256:…"`, or `{ key = "…", scopes = ["publish"] }`', reload=True
        ),
    ] = ()
    api_keys_file: Annotated[str, FieldMeta("file with `api_keys`, one per line", reload=True)] = ""
    allow_plain: Annotated[
        bool,
        FieldMeta(
            "whether the admin listener may be reached from other machines without TLS, because the"
            " network between is yours alone"
        ),
    ] = False


class LogFormat(StrEnum):
    """The format of log lines."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level of events that are logged."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(Struct, frozen=True, kw_only=True):
    """The log, on standard error."""

    level: Annotated[
        LogLevel,
        FieldMeta(
            "least level of the events that are logged; audit file, security events and metrics have"
            " all of them"
        ),
    ] = LogLevel.INFO

    format: Annotated[
        LogFormat,
        FieldMeta(
            "`console` for eyes, `json` for machines",
            development=LogFormat.CONSOLE,
            production=LogFormat.JSON,
        ),
    ] = UNSET
    hash_users: Annotated[
        bool,
        FieldMeta(
            "whether user ids are logged as keyed hashes", development=False, production=True
        ),
    ] = UNSET

    older_names: Annotated[
        bool,
        FieldMeta(
            "whether events of an older relay are logged under its names too, such as"
            " `WS_AUTH_SUCCESS`; on by itself while a name that an older server read is set in the"
            " environment"
        ),
    ] = False


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """The metrics."""

    older_names: Annotated[
        bool,
        FieldMeta(
            "whether those of an older live server are shown too, such as"
            " `processor_live_connections`; on by itself while a name that an older server read is"
            " set in the environment"
        ),
    ] = False


class AuditSettings(Struct, frozen=True, kw_only=True):
    """The audit: security events in a chained file."""

    file: Annotated[str, FieldMeta("file it is appended to; empty for none")] = ""
