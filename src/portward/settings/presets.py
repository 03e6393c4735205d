"""The predefined endpoints and namespaces, with the defaults of their keys.

The settings know a protocol when an endpoint in :data:`ENDPOINTS` uses it.
"""

from typing import Final

from msgspec.structs import replace

from portward.model.limits import MIB, Rate
from portward.model.namespace import AccessRule, Namespace, PublishRight, Snapshot
from portward.settings.endpoint import CredentialSource, EndpointSettings, Refuse, TransportKind
from portward.settings.formats import UNLIMITED
from portward.settings.limits import ConnectionLimit, Limits, RateLimit

ENDPOINTS: Final = {
    "alerts": EndpointSettings(
        path="/alerts",
        dialect="alerts",
        namespace="alerts",
        credentials=(CredentialSource.HEADER, CredentialSource.QUERY, CredentialSource.TICKET),
        max_connections=100,
        farewell=5.0,
        # Each call counts, and a dashboard sends many at once.
        limits=Limits(join=RateLimit(rate=Rate(200, 60.0, 200), burst=100)),
    ),
    "live": EndpointSettings(
        path="/live",
        dialect="live",
        namespace="live",
        credentials=(CredentialSource.COOKIE,),
        limits=Limits(messages=RateLimit(rate=Rate(600, 60.0, 600))),
    ),
    "rooms": EndpointSettings(path="/rooms", dialect="rooms", namespace="rooms", idle_timeout=60.0),
    "realtime": EndpointSettings(
        path="/realtime",
        dialect="relay",
        credentials=(
            CredentialSource.MESSAGE,
            CredentialSource.HEADER,
            CredentialSource.SUBPROTOCOL,
        ),
        auth_timeout=10.0,
        auth_attempts=3,
        max_message=MIB,
        # A message of the upstream may have 16 MiB and must fit.
        backpressure_threshold=17 * MIB,
        # Audio comes in many small messages; the table `upstream` limits its cost.
        limits=Limits(
            connections=ConnectionLimit(max=3),
            attempts=RateLimit(rate=Rate(10, 60.0, 10)),
            messages=RateLimit(rate=UNLIMITED),
        ),
    ),
    "workspaces": EndpointSettings(
        path="/socket.io/",
        dialect="socketio",
        transport=TransportKind.ENGINE_IO,
        namespace="workspaces",
        credentials=(CredentialSource.MESSAGE, CredentialSource.HEADER),
        refuse=Refuse.EVENT,
        auth_timeout=45.0,
        pong_timeout=20.0,
        max_message=100_000,
        limits=Limits(connections=ConnectionLimit(max=10)),
    ),
    "echo": EndpointSettings(
        enabled=False,
        path="/echo",
        dialect="echo",
        credentials=(CredentialSource.HEADER, CredentialSource.TICKET),
    ),
}
UNKNOWN_WHEN_OFF: Final = frozenset({"echo"})
"""Those of them that answer 404 while they are switched off, as a path without an endpoint does."""
DIALECTS: Final = tuple(sorted({endpoint.dialect for endpoint in ENDPOINTS.values()}))

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
NAMESPACES: Final = {
    "alerts": Namespace(
        name="alerts",
        history_size=500,
        history_ttl=_HOUR,
        cooldown=2.0,
        combined=True,
        max_subscriptions=50,
        authorize=AccessRule.AUTHENTICATED,
    ),
    "live": Namespace(
        name="live", snapshot=Snapshot.LATEST_BY_KEY, authorize=AccessRule.IDENTITY_PROVIDER
    ),
    "rooms": Namespace(
        name="rooms",
        history_size=1000,
        history_ttl=_DAY,
        presence=True,
        publish=PublishRight.RIGHT,
        max_subscribers=100,
        authorize=AccessRule.ROLES,
        idle_ttl=_DAY,
    ),
    "workspaces": Namespace(
        name="workspaces",
        history_size=100,
        history_ttl=_HOUR,
        presence=True,
        publish=PublishRight.RIGHT,
        authorize=AccessRule.MEMBERSHIP,
    ),
}

RELOADED_KEYS: Final = frozenset({"publish", "authorize", "authorize_url"})
"""The keys of a namespace that a reload applies; `Namespace` is a struct of the model, without metadata."""


def base_endpoint(name: str, dialect: str | None) -> EndpointSettings:
    """Return the endpoint whose values are the defaults for the keys written for `name`.

    Another name, or another protocol under a known name, starts from the endpoint with that protocol,
    switched on, at `/name`. An unknown protocol is kept, for the caller to refuse.
    """
    default = ENDPOINTS.get(name)
    if default is not None and dialect in {None, default.dialect}:
        return default
    for endpoint in ENDPOINTS.values():
        if endpoint.dialect == dialect:
            return replace(endpoint, enabled=True, path=f"/{name}")
    return EndpointSettings(path=f"/{name}", dialect=dialect or "")


def unknown_when_off(name: str, endpoint: EndpointSettings) -> bool:
    """Return whether a switched-off endpoint answers 404, as an unknown path does, and not 503.

    503 means "not now", which clients of the servers that the presets replace expect. An endpoint that was
    added in the settings has no such clients, and neither has echo.
    """
    preset = ENDPOINTS.get(name)
    added = preset is None or preset.dialect != endpoint.dialect
    return added or name in UNKNOWN_WHEN_OFF


def base_namespace(name: str) -> Namespace:
    """Return the namespace whose values are the defaults for the keys written for `name`."""
    return NAMESPACES.get(name) or Namespace(name=name)
