"""Names in the environment: the variables of the keys, and other names that are read."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from portward.settings.schema import Path

PREFIX: Final = "PORTWARD_"
CONFIG: Final = "PORTWARD_CONFIG"
"""The variable with the path of the settings file; not a key of the tree."""
TOKEN: Final = "PORTWARD_TOKEN"  # noqa: S105 - the name of a variable
API_KEY: Final = "PORTWARD_API_KEY"
COOKIE: Final = "PORTWARD_COOKIE"
_NO_KEYS: Final = frozenset({CONFIG, TOKEN, API_KEY, COOKIE})
"""Other variables of the gateway: all but the first are for commands that call a gateway."""
_WHOLE: Final = re.compile(r"\d{1,15}", re.ASCII)
_IN_MS: Final = "in milliseconds"


def milliseconds(text: str) -> float:
    """Parse a number of milliseconds; returns seconds.

    Raises:
        ValueError: it is no number.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError('expected a number of milliseconds such as "25000"')
    return int(text) / 1000


def switch(text: str) -> bool:
    """Parse a boolean; an empty text is false.

    Raises:
        ValueError: it is no boolean.
    """
    word = text.strip().lower()
    if word in {"true", "1", "yes"}:
        return True
    if word in {"false", "0", "no", ""}:
        return False
    raise ValueError('expected "true" or "false"')


def disabled(text: str) -> str | None:
    """Parse a boolean that disables authentication; None when it does not.

    Raises:
        ValueError: it is no boolean.
    """
    return "none" if switch(text) else None


def entry(text: str) -> list[str]:
    """Return a list with the text as its only entry, whatever characters it contains."""
    return [text]


class Alias(NamedTuple):
    """A variable name that older servers used.

    `read` converts its text to the written value of the key, None for no value; it may raise ValueError with
    a text for the operator. `note` describes its effect on the reference page.
    """

    name: str
    path: Path
    read: Callable[[str], object] = str
    note: str = ""


ALIASES: Final = (
    Alias("JWT_SECRET", ("tokens", "secrets"), entry),
    Alias("ALLOWED_ORIGINS", ("gate", "allowed_origins")),
    Alias("PORT", ("server", "port")),
    Alias("ALERT_SERVER_HOST", ("server", "host")),
    Alias("ALERT_SERVER_PORT", ("server", "port")),
    Alias(
        "ALERT_AUTH_DISABLED", ("endpoints", "alerts", "auth"), disabled, "`true` stands for `none`"
    ),
    Alias("LIVE_WS_HOST", ("server", "host")),
    Alias("LIVE_WS_PORT", ("server", "port")),
    Alias("LIVE_WS_PING_INTERVAL_MS", ("endpoints", "live", "ping_interval"), milliseconds, _IN_MS),
    Alias("LIVE_WS_DRAIN_TIMEOUT_MS", ("server", "drain_timeout"), milliseconds, _IN_MS),
    Alias("LIVE_WS_BACKPRESSURE_THRESHOLD_BYTES", ("endpoints", "live", "backpressure_threshold")),
    Alias("INSTANCE_ID", ("server", "instance_id")),
    Alias("DIRECTUS_BASE_URL", ("identity_provider", "url")),
    Alias(
        "ENABLE_WS_PROXY",
        ("endpoints", "realtime", "enabled"),
        switch,
        "without `JWT_SECRET`, or any key to verify tokens with, it also stands for"
        " `endpoints.realtime.auth = none`",
    ),
    Alias("OPENAI_API_KEY", ("upstream", "api_key")),
    Alias("MAX_CONNECTIONS_PER_IP", ("endpoints", "realtime", "limits", "connections", "max")),
)


class OlderWindow(NamedTuple):
    """Two variables that form one rate: a number of events, and a period in milliseconds."""

    amount: str
    period: str
    path: Path

    def read(self, environ: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the rate and the names that were set; None when neither was.

        Raises:
            ValueError: one of them is no positive number; the text contains its name.
        """
        told = [name for name in (self.amount, self.period) if environ.get(name)]
        for name in told:
            if not _WHOLE.fullmatch(environ[name]) or not int(environ[name]):
                raise ValueError(f'expected a positive whole number such as "10" (alias {name})')
        count = environ.get(self.amount) or "10"
        period = environ.get(self.period) or "60000"
        return (f"{count}/{period}ms", " and ".join(told)) if told else None


WINDOW: Final = OlderWindow(
    "RATE_LIMIT_MAX_REQUESTS",
    "RATE_LIMIT_WINDOW_MS",
    ("endpoints", "realtime", "limits", "attempts"),
)

_SERVICE_LINK: Final = re.compile(
    r"PORTWARD(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_VALUE: Final = re.compile(r"(tcp|udp|sctp)://")


def variable(path: Iterable[str]) -> str:
    """Return the variable of a key: `PORTWARD_SECTION__KEY`."""
    return PREFIX + "__".join(part.upper().replace("-", "_") for part in path)


def parts(name: str) -> Path:
    """Split the name of a variable; the parts are in lower case."""
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def chosen(part: str, names: Iterable[str]) -> str:
    """Return the operator's chosen name that `part` of a variable stands for; else `part` itself."""
    spelt = (name for name in names if name.lower().replace("-", "_") == part)
    return next(spelt, part)


def variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """List the variables of the gateway.

    Kubernetes sets variables for every service in every container; a service called `portward` gives names
    with the gateway's prefix (`PORTWARD_SERVICE_HOST`, `PORTWARD_PORT=tcp://…`), which are ignored.
    """
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in _NO_KEYS:
            continue
        link = _SERVICE_LINK.fullmatch(name) or (
            name.endswith("_PORT") and _LINK_VALUE.match(value)
        )
        if "__" in name or not link:
            yield name, value
