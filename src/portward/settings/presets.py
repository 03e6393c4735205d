"""What exists without being written down: the endpoints and namespaces, and what their keys mean.

A dialect becomes known to the settings by an endpoint in :data:`ENDPOINTS` that speaks it.
"""

from typing import Any, Final

from msgspec import Meta
from msgspec.structs import replace

from portward.model.limits import MIB, Rate
from portward.model.namespace import Namespace, PublishRight, Rule, Snapshot
from portward.settings.about import About
from portward.settings.endpoint import Credential, Endpoint, Refuse, Transport
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.values import DURATION, UNLIMITED

ENDPOINTS: Final = {
    "alerts": Endpoint(
        path="/alerts",
        dialect="alerts",
        namespace="alerts",
        credentials=(Credential.HEADER, Credential.QUERY, Credential.TICKET),
        max_connections=100,
        farewell=5.0,
        # Each call counts, and a dashboard asks for many at once.
        limits=Limits(join=RateLimit(rate=Rate(200, 60.0, 200), burst=100)),
    ),
    "live": Endpoint(
        path="/live",
        dialect="live",
        namespace="live",
        credentials=(Credential.COOKIE,),
        limits=Limits(messages=RateLimit(rate=Rate(600, 60.0, 600))),
    ),
    "rooms": Endpoint(path="/rooms", dialect="rooms", namespace="rooms", idle_timeout=60.0),
    "realtime": Endpoint(
        path="/realtime",
        dialect="relay",
        credentials=(Credential.MESSAGE, Credential.HEADER, Credential.SUBPROTOCOL),
        auth_timeout=10.0,
        auth_attempts=3,
        max_message=MIB,
        # A message of the upstream may have 16 MiB, and has to fit.
        backpressure_threshold=17 * MIB,
        # Audio comes in many small messages; what it costs is bounded by the table `upstream`.
        limits=Limits(
            connections=ConnectionLimit(max=3),
            attempts=RateLimit(rate=Rate(10, 60.0, 10)),
            messages=RateLimit(rate=UNLIMITED),
        ),
    ),
    "workspaces": Endpoint(
        path="/socket.io/",
        dialect="socketio",
        transport=Transport.ENGINE_IO,
        namespace="workspaces",
        credentials=(Credential.MESSAGE, Credential.HEADER),
        refuse=Refuse.EVENT,
        auth_timeout=45.0,
        pong_timeout=20.0,
        max_message=100_000,
        limits=Limits(connections=ConnectionLimit(max=10)),
    ),
    "echo": Endpoint(
        enabled=False,
        path="/echo",
        dialect="echo",
        credentials=(Credential.HEADER, Credential.TICKET),
    ),
}
UNKNOWN_WHEN_OFF: Final = frozenset({"echo"})
"""Of these, the ones that answer 404 while they are switched off, as a path without an endpoint does."""
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
        authorize=Rule.AUTHENTICATED,
    ),
    "live": Namespace(
        name="live", snapshot=Snapshot.LATEST_BY_KEY, authorize=Rule.IDENTITY_PROVIDER
    ),
    "rooms": Namespace(
        name="rooms",
        history_size=1000,
        history_ttl=_DAY,
        presence=True,
        publish=PublishRight.RIGHT,
        max_subscribers=100,
        authorize=Rule.ROLES,
        idle_ttl=_DAY,
    ),
    "workspaces": Namespace(
        name="workspaces",
        history_size=100,
        history_ttl=_HOUR,
        presence=True,
        publish=PublishRight.RIGHT,
        authorize=Rule.MEMBERSHIP,
    ),
}

_COUNT: Final = Meta(ge=0)
NAMESPACE_KEYS: Final[dict[str, tuple[Any, ...]]] = {
    "history_size": (_COUNT, About("publications kept per channel; 0 for none")),
    "history_ttl": (DURATION, About("how long they are kept")),
    "snapshot": (
        About("`latest_by_key`: a new subscriber is first sent the last publication of every key"),
    ),
    "presence": (About("whether who is there is known, and told when it changes"),),
    "leave_grace": (
        DURATION,
        About("how long a user may be gone before the others are told"),
    ),
    "cooldown": (
        DURATION,
        About(
            "time in which one session is not sent the same channel and type again; of alerts, what is"
            " more severe passes, and the last one left out is sent when it ends"
        ),
    ),
    "publish": (
        About("who may publish: `server` alone, or clients with the right `publish`", reload=True),
    ),
    "combined": (About("whether all channels can be heard as one, under `<namespace>:*`"),),
    "max_subscribers": (_COUNT, About("users in one channel; 0 for no limit")),
    "max_subscriptions": (_COUNT, About("channels of this namespace on one connection")),
    "authorize": (About("the rule by which rights are judged", reload=True),),
    "authorize_url": (About("address the rule `http` asks", reload=True),),
    "idle_ttl": (DURATION, About("when the bookkeeping of an empty channel is dropped")),
    "slow": (
        About("what happens to a reader over its bounds: `close`, or `latest_only` of each key"),
    ),
}
"""What belongs beside the fields of `Namespace`, a word of the model that knows no files."""


def base_endpoint(name: str, dialect: str | None) -> Endpoint:
    """Return the endpoint that the keys written for `name` are laid over.

    Another name, or another dialect under a known name, starts from the endpoint that speaks the
    dialect, switched on, at `/name`. An unknown dialect is kept as it is, for the caller to refuse.
    """
    default = ENDPOINTS.get(name)
    if default is not None and dialect in {None, default.dialect}:
        return default
    for endpoint in ENDPOINTS.values():
        if endpoint.dialect == dialect:
            return replace(endpoint, enabled=True, path=f"/{name}")
    return Endpoint(path=f"/{name}", dialect=dialect or "")


def unknown_when_off(name: str, endpoint: Endpoint) -> bool:
    """Return whether a switched-off endpoint answers 404, as a path that never had one, and not 503.

    503 means "not now", which clients of the servers that the presets take the place of expect. An
    endpoint that was added in the settings has no such clients, and neither has echo.
    """
    preset = ENDPOINTS.get(name)
    added = preset is None or preset.dialect != endpoint.dialect
    return added or name in UNKNOWN_WHEN_OFF


def base_namespace(name: str) -> Namespace:
    """Return the namespace that the keys written for `name` are laid over."""
    return NAMESPACES.get(name) or Namespace(name=name)
