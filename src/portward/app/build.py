"""Construction of a node from settings, and application of changed ones; here are the concrete classes."""

import secrets as random
import socket
from collections.abc import Callable

from portward.admin.methods import all_questions
from portward.app.build_endpoints import make_endpoints, make_limits
from portward.engines.memory import MemoryEngine
from portward.engines.port import Engine
from portward.identity.http_authorizer import HttpAuthorizer
from portward.identity.jwks import JwksSource
from portward.identity.provider import CookieProvider
from portward.identity.verifier import TokenVerifier
from portward.model.claim_path import ClaimPath
from portward.model.clock import Clock
from portward.model.provider import ProviderResult
from portward.node.node import Node, NodePorts
from portward.node.sessions import Hooks
from portward.protocols.registry import PROTOCOLS
from portward.protocols.rooms.declared import DeclaredRooms, declared
from portward.security.jwk import DroppedKey
from portward.security.origin import OriginPolicy
from portward.security.session_tokens import SessionTokens
from portward.security.tokens import KeySet, public_key, secret_key
from portward.settings import Settings
from portward.settings.resolve import ResolvedSettings
from portward.settings.tokens import Tokens
from portward.telemetry import Telemetry
from portward.telemetry.events import Event


def make_keys(
    tokens: Tokens,
    clock: Clock,
    dropped: Callable[[DroppedKey], None] = lambda key: None,  # noqa: ARG005 - the default ignores it
) -> KeySet | JwksSource:
    """Make the keys that tokens are verified with: secrets, public keys, or a key set to be fetched.

    `dropped` is called with each unusable entry of a fetched set.

    Raises:
        ValueError: a key is unusable, or secrets and public keys are mixed.
    """
    if tokens.jwks_url:
        return JwksSource(tokens.jwks_url, clock, issuer=tokens.issuer, dropped=dropped)
    keys = [secret_key(secret.reveal()) for secret in tokens.secrets]
    keys += [public_key(pem) for pem in tokens.public_keys]
    return KeySet(keys, issuer=tokens.issuer)


def make_verifier(settings: ResolvedSettings, clock: Clock, telemetry: Telemetry) -> TokenVerifier:
    """Make the verifier of access tokens."""

    def ignored(headers: tuple[str, ...]) -> None:
        telemetry.record(Event.TOKEN_HEADER_IGNORED, header=",".join(headers))

    def absent(paths: tuple[ClaimPath, ...], tokens: int) -> None:
        claims = ", ".join(map(str, paths))
        telemetry.record(Event.TOKEN_CLAIM_ABSENT, claim=claims, count=tokens)

    def dropped(key: DroppedKey) -> None:
        telemetry.record(Event.JWKS_KEY_DROPPED, key_id=key.kid or None, reason=key.reason)

    keys = make_keys(settings.tokens, clock, dropped)
    return TokenVerifier(keys, settings.tokens, clock, ignored, absent)


def make_session_tokens(settings: Settings) -> SessionTokens:
    """Make the signer of session tokens; without a configured secret, a new one is used for this run."""
    return SessionTokens(settings.tokens.session_secret.reveal() or random.token_hex(32))


def make_provider(settings: Settings, clock: Clock, telemetry: Telemetry) -> CookieProvider | None:
    """Make the client of the identity provider; None when none is configured.

    Raises:
        ValueError: a topic's pattern or question is malformed.
    """
    given = settings.identity_provider
    if not given.url:
        return None

    def observe(result: ProviderResult, seconds: float) -> None:
        telemetry.metrics.identity_provider_seconds.observe(seconds, (result,))

    def changed(up: bool) -> None:
        telemetry.record(Event.PROVIDER_UP if up else Event.PROVIDER_DOWN)

    return CookieProvider(given, clock, observe, changed)


def make_engine(settings: Settings, clock: Clock) -> Engine:
    """Make the engine of `engine.url`. The modules of other engines are not imported.

    Raises:
        ValueError: there is no such engine, or the address is malformed.
    """
    scheme = settings.engine_url.partition("://")[0]
    if scheme == "memory":
        return MemoryEngine(clock)
    if scheme == "sqlite":
        return _sqlite(settings, clock)
    if scheme.startswith("redis"):
        return _redis(settings, clock)
    raise ValueError(f"engine.url: there is no engine {scheme!r}")


def _sqlite(settings: Settings, clock: Clock) -> Engine:
    from portward.engines.sqlite import SqliteEngine, sqlite_path  # noqa: PLC0415 - see above

    return SqliteEngine(sqlite_path(settings.engine_url), clock)


def _redis(settings: Settings, clock: Clock) -> Engine:
    from portward.engines.redis import Prefixes, RedisEngine, parse_url  # noqa: PLC0415 - see above

    given = settings.engine
    return RedisEngine(
        parse_url(settings.engine_url),
        clock,
        prefixes=Prefixes(given.prefix, given.shared_prefix),
        allow_eviction=given.allow_eviction,
    )


def make_ports(
    settings: ResolvedSettings, engine: Engine | None, clock: Clock, telemetry: Telemetry
) -> NodePorts:
    """Make the ports of the node."""
    return NodePorts(
        engine=engine or make_engine(settings, clock),
        verifier=make_verifier(settings, clock, telemetry),
        question=HttpAuthorizer(),
        session_tokens=make_session_tokens(settings),
        telemetry=telemetry,
        clock=clock,
        machine=socket.gethostname(),
        provider=make_provider(settings, clock, telemetry),
        questions=all_questions(PROTOCOLS),
    )


def make_node(settings: ResolvedSettings, ports: NodePorts, hooks: Hooks) -> Node:
    """Make the node without starting it. The event loop must run."""
    endpoints = make_endpoints(settings, ports.telemetry, ports.clock, hooks)
    return Node(settings, ports, endpoints, PROTOCOLS, hooks)


def apply_settings(
    settings: ResolvedSettings, ports: NodePorts, node: Node, rooms: DeclaredRooms
) -> None:
    """Make all new objects first, then replace the old ones together.

    Open sessions keep their identity; their rights are checked again.

    Raises:
        ValueError: a key, an origin or the id of a room is unusable; nothing was replaced.
    """
    old = node.settings
    verifier = None
    if settings.tokens != old.tokens:
        verifier = make_verifier(settings, ports.clock, ports.telemetry)
    origins = {
        name: OriginPolicy(endpoint.allowed_origins, production=settings.production)
        for name, endpoint in settings.endpoints.items()
    }
    changes = node.protocols.prepare(settings)
    limits = make_limits(settings, ports.telemetry)
    records = declared(settings)
    if isinstance(ports.provider, CookieProvider):
        ports.provider.adopt(settings.identity_provider.topics)
    secret = settings.tokens.session_secret.reveal()
    if secret:
        ports.session_tokens.use(secret)
    if verifier is not None and isinstance(ports.verifier, TokenVerifier):
        ports.verifier.adopt(verifier)
    for change in changes:
        change()
    for endpoint in node.endpoints.values():
        endpoint.rules = settings.endpoints[endpoint.name]
        endpoint.namespace = settings.namespaces.get(endpoint.rules.namespace)
        endpoint.origins, endpoint.limits = origins[endpoint.name], limits[endpoint.name]
    node.adopt(settings)
    node.background.run(rooms.declare(records))
