"""The tables for operators: the admin API, the log, the metrics, the audit file."""

from enum import StrEnum
from typing import Annotated

from msgspec import Struct

from portward.settings.formats import KEYS
from portward.settings.keys import ApiKey
from portward.settings.meta import RELOAD, UNSET, FieldMeta


class AdminSettings(Struct, frozen=True, kw_only=True):
    """The admin API, on a separate listener."""

    enabled: bool = True
    """Whether the admin listener is opened."""
    allowed_hosts: tuple[str, ...] = ()
    """Names in `Host` that the admin listener answers to, beside addresses, `localhost` and
    `server.admin_host`: those that scrapers and callers use.
    """
    api_keys: Annotated[tuple[ApiKey, ...], KEYS, RELOAD] = ()
    """Keys: plain, `"sha256:…"`, or `{ key = "…", scopes = ["publish"] }`."""
    api_keys_file: Annotated[str, RELOAD] = ""
    """File with `api_keys`, one per line."""
    allow_plain: bool = False
    """Whether the admin listener may be reached from other machines without TLS, because the
    network between is yours alone.
    """


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

    level: LogLevel = LogLevel.INFO
    """Least level of the events that are logged; audit file, security events and metrics have all
    of them.
    """

    format: Annotated[
        LogFormat, FieldMeta(development=LogFormat.CONSOLE, production=LogFormat.JSON)
    ] = UNSET
    """`console` for eyes, `json` for machines."""
    hash_users: Annotated[bool, FieldMeta(development=False, production=True)] = UNSET
    """Whether user ids are logged as keyed hashes."""

    older_names: bool = False
    """Whether events of an older relay are logged under its names too, such as `WS_AUTH_SUCCESS`;
    on by itself while a name that an older server read is set in the environment.
    """


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """The metrics."""

    older_names: bool = False
    """Whether those of an older live server are shown too, such as `processor_live_connections`;
    on by itself while a name that an older server read is set in the environment.
    """


class AuditSettings(Struct, frozen=True, kw_only=True):
    """The audit: security events in a chained file."""

    file: str = ""
    """File it is appended to; empty for none."""
