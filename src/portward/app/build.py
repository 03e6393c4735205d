"""Construction of a node from settings; only this package names the concrete classes."""

import secrets as random
import socket
from collections.abc import Callable

from portward.admin.methods import all_questions
from portward.app.build_endpoints import make_endpoints
from portward.app.engines import make_engine
from portward.engines.port import Engine
from portward.identity.http_authorizer import HttpAuthorizer
from portward.identity.jwks import JwksSource
from portward.identity.provider import CookieProvider
from portward.identity.verifier import TokenVerifier
from portward.model.claim_path import ClaimPath
from portward.model.clock import Clock
from portward.model.provider import ProviderResult
from portward.node.node import Node
from portward.node.ports import Hooks
from portward.node.rules import NodePorts
from portward.protocols.registry import PROTOCOLS
from portward.security.jwk import DroppedKey
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
