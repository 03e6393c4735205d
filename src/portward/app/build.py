"""Construction of a node from settings; only this package names the concrete classes."""

import secrets as random
import socket
from collections.abc import Callable, Mapping

from portward.app.build_endpoints import make_endpoints
from portward.app.engines import make_engine
from portward.engines.port import Engine
from portward.identity.http_authorizer import HttpAuthorizer
from portward.identity.jwks import JwksSource
from portward.identity.provider import CookieProvider, CookieValues, ProviderRules
from portward.identity.verifier import TokenVerifier
from portward.model.claim_path import ClaimPath
from portward.model.clock import Clock
from portward.model.namespace import Namespace
from portward.model.provider import ProviderResult
from portward.node.node import Node
from portward.node.ports import Hooks
from portward.node.rules import NodePorts, NodeRules
from portward.node.sessions import GateRules
from portward.node.tunnel import RelayRules
from portward.security.client_address import AddressRules
from portward.security.hosts import HostPolicy
from portward.security.jwk import DroppedKey
from portward.security.relay import RelayPolicy
from portward.security.session_tokens import SessionTokens
from portward.security.tokens import (
    ClaimNames,
    KeySet,
    Requirement,
    TokenRules,
    public_key,
    secret_key,
)
from portward.settings import Settings
from portward.settings.sections import CookieForm, IdentityProviderSettings
from portward.settings.tokens import Claims, Tokens
from portward.settings.upstream import UpstreamSettings
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.transports.upstream import UpstreamClient


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


def token_rules(tokens: Tokens) -> TokenRules:
    """Make the rules for tokens.

    Raises:
        ValueError: the path of a claim cannot be parsed.
    """
    claims = tokens.claims
    at = ClaimPath.parse
    usual, names = Claims(), [name for name in claims.__struct_fields__ if name != "split"]
    changed = [name for name in names if getattr(claims, name) != getattr(usual, name)]
    return TokenRules(
        issuer=tokens.issuer,
        audience=tokens.audience,
        leeway=tokens.leeway,
        max_lifetime=tokens.max_lifetime,
        max_size=tokens.max_size,
        claims=ClaimNames(
            subject=at(claims.sub),
            email=at(claims.email),
            roles=at(claims.roles),
            permissions=at(claims.permissions),
            workspace=at(claims.workspace),
            token_id=at(claims.jti),
            session_id=at(claims.sid),
            channels=at(claims.channels),
            split=frozenset(claims.split),
        ),
        require=tuple(Requirement(at(path), values) for path, values in tokens.require.items()),
        watched=tuple(at(getattr(claims, name)) for name in changed if getattr(claims, name)),
    )


def make_verifier(settings: Settings, clock: Clock, telemetry: Telemetry) -> TokenVerifier:
    """Make the verifier of access tokens."""

    def ignored(headers: tuple[str, ...]) -> None:
        telemetry.record(Event.TOKEN_HEADER_IGNORED, header=",".join(headers))

    def absent(paths: tuple[ClaimPath, ...], tokens: int) -> None:
        claims = ", ".join(map(str, paths))
        telemetry.record(Event.TOKEN_CLAIM_ABSENT, claim=claims, count=tokens)

    def dropped(key: DroppedKey) -> None:
        telemetry.record(Event.JWKS_KEY_DROPPED, key_id=key.kid or None, reason=key.reason)

    keys = make_keys(settings.tokens, clock, dropped)
    return TokenVerifier(keys, token_rules(settings.tokens), clock, ignored, absent)


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
    rules = ProviderRules(
        url=given.url,
        timeout=given.timeout,
        topics=given.topics,
        values=_cookie_values(given),
    )

    def observe(result: ProviderResult, seconds: float) -> None:
        telemetry.metrics.identity_provider_seconds.observe(seconds, (result,))

    def changed(up: bool) -> None:
        telemetry.record(Event.PROVIDER_UP if up else Event.PROVIDER_DOWN)

    return CookieProvider(rules, clock, observe, changed)


def _cookie_values(given: IdentityProviderSettings) -> CookieValues:
    if given.cookie_values is not CookieForm.PLAIN:
        return CookieValues.ANY
    return CookieValues.SENDABLE if "*" in given.cookies else CookieValues.PLAIN


def upstreams(settings: Settings) -> dict[str, UpstreamSettings]:
    """Return the settings of all upstreams by name; the name of the default upstream is empty."""
    return {"": settings.upstream, **settings.upstreams}


def relay_rules(given: UpstreamSettings) -> RelayRules:
    """Make the rules for messages to an upstream, with their limits."""
    return RelayRules(
        policy=RelayPolicy(
            strict=given.policy == "strict",
            allow=frozenset(given.allow_events),
            pin=given.pin,
            models=given.models,
            allow_binary=given.allow_binary,
        ),
        max_duration=given.max_duration,
        max_messages=given.max_messages,
        max_bytes=given.max_bytes,
        max_tokens=given.max_tokens,
        tokens_per_second=given.tokens_per_second,
    )


def make_upstream(given: UpstreamSettings) -> UpstreamClient | None:
    """Make the client of an upstream; None when it has no key."""
    if not given.api_key:
        return None
    return UpstreamClient(
        given.url,
        given.api_key.reveal,
        allow_private=given.allow_private,
        auth_header=given.auth_header,
        auth_scheme=given.scheme,
        timeout=given.connect_timeout,
    )


def gate_rules(settings: Settings) -> GateRules:
    """Make the rules for admission, with all defaults filled in."""
    server, gate = settings.server, settings.gate
    return GateRules(
        addresses=AddressRules(server.trusted_proxies, server.forwarded_header),
        hosts=HostPolicy(server.allowed_hosts),
        max_connections=gate.max_connections,
        max_unauthenticated=gate.max_unauthenticated,
        accept_rate=gate.accept_rate,
        require_https=settings.production and server.behind_tls_proxy,
    )


def node_rules(settings: Settings) -> NodeRules:
    """Make the rules of the node, with all defaults filled in."""
    return NodeRules(
        gate=gate_rules(settings),
        relays={name: relay_rules(given) for name, given in upstreams(settings).items()},
        leeway=settings.tokens.leeway,
        max_per_user=settings.gate.max_per_user,
        revalidate=settings.identity_provider.revalidate,
        older_log_names=settings.log.older_names,
        instance=settings.server.instance_id,
        machine=socket.gethostname(),
        role_permissions={name: frozenset(each) for name, each in settings.roles.items()},
    )


def make_namespaces(settings: Settings) -> Mapping[str, Namespace]:
    """Make the namespaces by name."""
    return dict(settings.namespaces)


def make_ports(
    settings: Settings, engine: Engine | None, clock: Clock, telemetry: Telemetry
) -> NodePorts:
    """Make the ports of the node."""
    return NodePorts(
        engine=engine or make_engine(settings, clock),
        verifier=make_verifier(settings, clock, telemetry),
        question=HttpAuthorizer(),
        session_tokens=make_session_tokens(settings),
        telemetry=telemetry,
        clock=clock,
        provider=make_provider(settings, clock, telemetry),
        upstreams={name: make_upstream(given) for name, given in upstreams(settings).items()},
    )


def make_node(settings: Settings, ports: NodePorts, hooks: Hooks) -> Node:
    """Make the node without starting it. The event loop must run."""
    endpoints = make_endpoints(settings, ports.telemetry, ports.clock, hooks)
    return Node(node_rules(settings), ports, endpoints, make_namespaces(settings), hooks)
