"""The layer of variable names of older servers, including the meaning of a missing one."""

from collections.abc import Mapping
from typing import Final

from portward.settings.endpoint import AuthMode
from portward.settings.environment import ALIASES, WINDOW, Alias
from portward.settings.errors import SettingsError
from portward.settings.layers import Rank, Written
from portward.settings.schema import Path
from portward.settings.tree import Settings

_SHOWN: Final = (("log", "older_names"), ("metrics", "older_names"))
_AUTH: Final = ("endpoints", "realtime", "auth")


def from_aliases(written: Written, environ: Mapping[str, str]) -> None:
    """Store the values of older variable names; an empty one counts as not set.

    Raises:
        SettingsError: a value cannot be parsed, or two names give different values for one key.
    """
    taken: dict[Path, tuple[str, object]] = {}
    for alias in ALIASES:
        text = environ.get(alias.name)
        raw = _aliased(alias, text) if text else None
        if raw is None:
            continue
        first, before = taken.setdefault(alias.path, (alias.name, raw))
        if raw != before:
            key = ".".join(alias.path)
            raise SettingsError(f"{key}: {first} and {alias.name} differ; set one of them")
        written.put_alias(alias.path, raw, first)
    _from_window(written, environ)


def _from_window(written: Written, environ: Mapping[str, str]) -> None:
    path = (*WINDOW.path, "rate")
    try:
        found = WINDOW.read(environ)
    except ValueError as error:
        raise SettingsError(f"{'.'.join(path)}: {error}") from None
    if found is not None:
        rate, names = found
        # Unset the burst: it then equals the count of this rate, even when the file has another burst.
        written.put_alias(path, rate, names)
        written.put_alias((*WINDOW.path, "burst"), None, names)


def names_in_use(written: Written) -> None:
    """Turn on the older servers' names in logs and metrics, when an older variable name is used.

    A written value of these switches has priority.
    """
    used = [given.source for given in written.values.values() if given.rank is Rank.ALIAS]
    for path in _SHOWN if used else ():
        if path not in written.values:
            written.put_alias(path, True, used[0].removeprefix("alias "))


def _aliased(alias: Alias, text: str) -> object:
    try:
        return alias.read(text)
    except ValueError as error:
        raise SettingsError(f"{'.'.join(alias.path)}: {error} (alias {alias.name})") from None


def lets_everyone_in(written: Written, settings: Settings, environ: Mapping[str, str]) -> bool:
    """Turn off authentication, as an older relay server without a secret did.

    Returns whether it did so: only when authentication is not configured, there is no key to verify tokens
    with, and the endpoint is still a relay.

    Args:
        written: receives the value.
        settings: the settings built from all written values.
        environ: the environment; `ENABLE_WS_PROXY` in it marks that server's configuration.
    """
    tokens = settings.tokens
    meant = (
        bool(environ.get("ENABLE_WS_PROXY"))
        and not environ.get("JWT_SECRET")
        and not (tokens.secrets or tokens.jwks_url or tokens.public_keys)
        and _AUTH not in written.values
        and settings.endpoints["realtime"].dialect == "relay"
    )
    if meant:
        written.put_alias(_AUTH, AuthMode.NONE.value, "ENABLE_WS_PROXY without JWT_SECRET")
    return meant
