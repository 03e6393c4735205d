"""Reasons why a rule has nothing to check: each function returns its reason, or an empty text."""

from collections.abc import Callable

from portward.settings.checks.rule import Context
from portward.settings.endpoint import TransportKind


def any_of(*reasons: Callable[[Context], str]) -> Callable[[Context], str]:
    """Combine reasons: the first that applies is returned."""
    return lambda context: next(filter(None, (reason(context) for reason in reasons)), "")


def in_development(context: Context) -> str:
    """The rule is only about production."""
    return "" if context.settings.production else "judged for production alone: --production"


def no_tokens(context: Context) -> str:
    """No shared secret verifies tokens."""
    return "" if context.settings.tokens.secrets else "tokens.secrets is not set"


def no_session_secret(context: Context) -> str:
    """No secret for session tokens is configured."""
    return "" if context.settings.tokens.session_secret else "tokens.session_secret is not set"


def no_hmac_secret(context: Context) -> str:
    """Neither kind of token has a shared secret."""
    tokens = context.settings.tokens
    return "" if tokens.secrets or tokens.session_secret else "no shared secret is set"


def no_jwks(context: Context) -> str:
    """No key set is fetched."""
    return "" if context.settings.tokens.jwks_url else "tokens.jwks_url is not set"


def no_public_keys(context: Context) -> str:
    """No public key is configured."""
    return "" if context.settings.tokens.public_keys else "tokens.public_keys is not set"


def no_token_keys(context: Context) -> str:
    """No token of any issuer can be verified."""
    tokens = context.settings.tokens
    held = tokens.secrets or tokens.jwks_url or tokens.public_keys
    return "" if held else "no key verifies tokens"


def no_signing(context: Context) -> str:
    """No endpoint signs messages."""
    signs = any(endpoint.sign_messages for endpoint in context.served.values())
    return "" if signs else "no endpoint signs messages"


def no_tls(context: Context) -> str:
    """The public listener has no certificate of its own."""
    tls = context.settings.server.tls
    return "" if tls.cert or tls.key else "server.tls is not set"


def no_tls_proxy(context: Context) -> str:
    """No proxy terminates TLS."""
    return "" if context.settings.server.behind_tls_proxy else "server.behind_tls_proxy is off"


def no_proxies(context: Context) -> str:
    """No proxy is trusted."""
    return "" if context.settings.server.trusted_proxies else "server.trusted_proxies is empty"


def no_admin(context: Context) -> str:
    """The admin listener is off."""
    return "" if context.settings.admin.enabled else "admin.enabled is off"


def no_admin_keys(context: Context) -> str:
    """No admin key is configured."""
    if not context.settings.admin.enabled:
        return "admin.enabled is off"
    return "" if context.settings.admin.api_keys else "admin.api_keys is not set"


def one_worker(context: Context) -> str:
    """There is only one worker process."""
    return "" if context.settings.server.workers > 1 else "server.workers is 1"


def no_redis(context: Context) -> str:
    """The store is in this process or in a file."""
    redis = context.settings.engine_url.partition("://")[0].startswith("redis")
    return "" if redis else "the store is not Redis"


def no_audit(context: Context) -> str:
    """No audit file is written."""
    return "" if context.settings.audit.file else "audit.file is not set"


def no_cookies(context: Context) -> str:
    """No endpoint reads cookies."""
    taken = any(endpoint.takes_cookies for endpoint in context.served.values())
    return "" if taken else "no endpoint takes cookies"


def no_provider(context: Context) -> str:
    """No identity provider is configured."""
    return "" if context.settings.identity_provider.url else "identity_provider.url is not set"


def no_relay(context: Context) -> str:
    """No endpoint has an upstream."""
    return _unspoken(context, "relay")


def no_rooms(context: Context) -> str:
    """No endpoint serves rooms."""
    return _unspoken(context, "rooms")


def no_live(context: Context) -> str:
    """No endpoint serves topics."""
    return _unspoken(context, "live")


def _unspoken(context: Context, dialect: str) -> str:
    spoken = any(endpoint.dialect == dialect for endpoint in context.served.values())
    return "" if spoken else f"no endpoint speaks {dialect}"


def no_polling(context: Context) -> str:
    """No endpoint uses Engine.IO."""
    polled = any(door.transport is TransportKind.ENGINE_IO for door in context.served.values())
    return "" if polled else "no endpoint is carried by engine.io"


def no_webhook(context: Context) -> str:
    """No decision is posted to a webhook."""
    posted = any(endpoint.approval_webhook for endpoint in context.served.values())
    return "" if posted else "no endpoint has an approval_webhook"


def no_reconnect_url(context: Context) -> str:
    """Clients reconnect to the address that they used before."""
    set_ = any(endpoint.reconnect_url for endpoint in context.served.values())
    return "" if set_ else "no endpoint has a reconnect_url"


def no_origins(context: Context) -> str:
    """No origin is configured."""
    served = context.served.values()
    listed = context.settings.gate.allowed_origins or any(door.allowed_origins for door in served)
    return "" if listed else "no origin is listed"


def no_http_rule(context: Context) -> str:
    """No namespace asks the application for rights."""
    asked = any(space.authorize == "http" for space in context.used)
    return "" if asked else "no namespace has authorize = http"
