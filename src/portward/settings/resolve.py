"""Resolution of settings: every default is applied, and what several tables decide together is computed once.

The gateway runs with the structs that come out: each is the struct of its table, so no value is copied.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from portward.model.limits import DEFAULT_RATES, LimitMode, LimitName, Rate, early_message
from portward.settings.endpoint import (
    REALTIME,
    AuthMode,
    CredentialSource,
    EndpointSettings,
    Refuse,
    TransportKind,
)
from portward.settings.limits import resolved_connections, resolved_rate
from portward.settings.meta import UNSET
from portward.settings.presets import PROTOCOLS, unknown_when_off
from portward.settings.schema import Named, Table, keys
from portward.settings.secret import Secret
from portward.settings.tokens import TokenRules, token_rules
from portward.settings.tree import Settings
from portward.settings.upstream import UpstreamSettings

S = TypeVar("S", bound=Struct)


class Endpoint(EndpointSettings, frozen=True, kw_only=True):
    """An endpoint with all defaults applied, and with what other tables decide about it."""

    name: str
    authenticated: bool
    """False admits every connection as `anonymous`; for development only."""
    sign_key: Secret
    """The key of message signatures; empty when messages are not signed."""
    cookies: tuple[str, ...]
    """Names of the cookies that are a credential here; `*` means all."""
    max_early: int
    """Maximum size of a message before authentication, unless `max_message` is smaller."""
    steady_ping: bool
    """Whether the client is pinged at the interval, also while it sends messages (Engine.IO)."""
    parameters: frozenset[str]
    """Query parameters of the client's URL that are copied to the upstream URL."""
    refuses_by_close: bool
    """Whether a rejection is sent as 101 and a close code, which a page in a browser can read."""
    subprotocols: frozenset[str]
    """Names of supported WebSocket subprotocols; Engine.IO selects the first one offered."""
    rates: Mapping[LimitName, Rate]
    connections_per_address: int
    connections_mode: LimitMode


class ResolvedSettings(Settings, frozen=True, kw_only=True):
    """All settings with every default applied. `given` are the settings as they were written."""

    given: Settings
    tokens: TokenRules
    endpoints: Mapping[str, Endpoint]
    relays: Mapping[str, UpstreamSettings]
    """The upstreams by name; the default upstream has an empty name."""
    rates: Mapping[LimitName, Rate]
    """The limits of endpoints without limits of their own."""
    signing: Mapping[str, Secret]
    """The keys of the namespaces whose messages are signed."""


class SettingsInForce:
    """The settings of a running gateway. A reload replaces them here, and all its parts read them here."""

    __slots__ = ("now",)

    def __init__(self, settings: ResolvedSettings) -> None:
        self.now = settings

    def adopt(self, settings: ResolvedSettings) -> None:
        """Replace the settings."""
        self.now = settings


def with_defaults(settings: Settings) -> Settings:
    """Set every key that is not set and whose default depends on the environment or on other keys."""
    filled = _filled(Settings, settings, production=settings.production)
    endpoints = {
        name: replace(each, allow_missing_origin=_admits_missing_origin(settings, each))
        for name, each in filled.endpoints.items()
        if each.allow_missing_origin is UNSET
    }
    return replace(filled, endpoints={**filled.endpoints, **endpoints})


def _filled(struct: type[Struct], values: S, *, production: bool) -> S:
    changed: dict[str, Any] = {}
    for name, node in keys(struct).items():
        value = getattr(values, name)
        if isinstance(node, Table):
            changed[name] = _filled(node.struct, value, production=production)
        elif isinstance(node, Named):
            inner = node.inner
            if isinstance(inner, Table):
                changed[name] = {
                    key: _filled(inner.struct, each, production=production)
                    for key, each in value.items()
                }
        elif value is UNSET:
            changed[name] = node.about.production if production else node.about.development
    return replace(values, **changed)


def _admits_missing_origin(settings: Settings, endpoint: EndpointSettings) -> bool:
    """Return whether an endpoint admits handshakes without an `Origin` header, where its key is not set.

    It does, except where cookies are a credential, because a browser adds them by itself, and at endpoints
    with listed origins whose protocol demands it.
    """
    preset = PROTOCOLS.get(endpoint.dialect)
    strict = preset is not None and preset.listed_origins_only
    listed = strict and bool(settings.origins(endpoint))
    return not (endpoint.takes_cookies or listed)


def resolve(settings: Settings) -> ResolvedSettings:
    """Apply every default.

    Raises:
        ValueError: a value is unusable, which a rule of the checklist reports with the line to change.
        KeyError: an endpoint names an upstream that does not exist.
    """
    filled = with_defaults(settings)
    endpoints = {name: _endpoint(filled, name, each) for name, each in filled.endpoints.items()}
    values = asdict(filled) | {
        "given": settings,
        "engine": replace(settings.engine, url=settings.engine_url),
        "tokens": token_rules(settings.tokens),
        "endpoints": endpoints,
        "relays": {"": settings.upstream, **settings.upstreams},
        "rates": _rates(settings, EndpointSettings()),
        "signing": {
            each.namespace: each.sign_key
            for name, each in endpoints.items()
            if each.sign_key and (each.enabled or not unknown_when_off(name, each))
        },
    }
    return ResolvedSettings(**values)


def _endpoint(settings: Settings, name: str, endpoint: EndpointSettings) -> Endpoint:
    connections = resolved_connections(settings.limits, endpoint.limits)
    preset = PROTOCOLS.get(endpoint.dialect)
    cookies = settings.identity_provider.cookies if endpoint.takes_cookies else ()
    by_subprotocol = CredentialSource.SUBPROTOCOL in endpoint.credentials
    own = preset.subprotocols if preset is not None else frozenset()
    values = asdict(endpoint) | {
        "name": name,
        "allowed_origins": settings.origins(endpoint),
        "authenticated": endpoint.auth is not AuthMode.NONE,
        "sign_key": endpoint.sign_secret if endpoint.sign_messages else Secret(),
        "cookies": cookies,
        "max_early": early_message(settings.tokens.max_size),
        "steady_ping": endpoint.transport is TransportKind.ENGINE_IO,
        "parameters": settings.upstream_of(endpoint).passed,
        "refuses_by_close": endpoint.refuse is Refuse.CLOSE,
        "subprotocols": own | ({REALTIME} if by_subprotocol else set()),
        "rates": _rates(settings, endpoint),
        "connections_per_address": connections.max or 0,
        "connections_mode": connections.mode or LimitMode.ENFORCE,
    }
    return Endpoint(**values)


def _rates(settings: Settings, endpoint: EndpointSettings) -> dict[LimitName, Rate]:
    return {name: resolved_rate(name, settings.limits, endpoint.limits) for name in DEFAULT_RATES}
