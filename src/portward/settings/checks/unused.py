"""The parts of a gateway that rules are about, each with the text of a rule that is skipped without it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from portward.settings.checks.rule import Unused
from portward.settings.endpoint import EndpointSettings, TransportKind


def _set(key: str, unset: str = "not set") -> Unused:
    """Make the part that is in use when a key has a value."""
    value = attrgetter(key)
    return Unused(f"{key} is {unset}", lambda context: value(context.settings))


def _served(reason: str, uses: Callable[[EndpointSettings], Any]) -> Unused:
    """Make the part that is in use when an enabled endpoint uses it."""
    return Unused(reason, lambda context: any(map(uses, context.served.values())))


def _spoken(dialect: str) -> Unused:
    return _served(f"no endpoint speaks {dialect}", lambda endpoint: endpoint.dialect == dialect)


PRODUCTION: Final = Unused(
    "judged for production alone: --production", lambda context: context.production
)
TOKEN_SECRETS: Final = _set("tokens.secrets")
SESSION_SECRET: Final = _set("tokens.session_secret")
HMAC_SECRET: Final = Unused(
    "no shared secret is set",
    lambda context: TOKEN_SECRETS.used(context) or SESSION_SECRET.used(context),
)
JWKS: Final = _set("tokens.jwks_url")
PUBLIC_KEYS: Final = _set("tokens.public_keys")
TOKEN_KEYS: Final = Unused(
    "no key verifies tokens",
    lambda context: any(part.used(context) for part in (TOKEN_SECRETS, JWKS, PUBLIC_KEYS)),
)
SIGNING: Final = _served("no endpoint signs messages", lambda endpoint: endpoint.sign_messages)
TLS: Final = Unused(
    "server.tls is not set",
    lambda context: context.settings.server.tls.cert or context.settings.server.tls.key,
)
TLS_PROXY: Final = _set("server.behind_tls_proxy", "off")
PROXIES: Final = _set("server.trusted_proxies", "empty")
ADMIN: Final = _set("admin.enabled", "off")
ADMIN_KEYS: Final = _set("admin.api_keys")
WORKERS: Final = Unused("server.workers is 1", lambda context: context.settings.server.workers > 1)
REDIS: Final = Unused(
    "the store is not Redis",
    lambda context: context.settings.engine_url.partition("://")[0].startswith("redis"),
)
AUDIT: Final = _set("audit.file")
COOKIES: Final = _served("no endpoint takes cookies", lambda endpoint: endpoint.takes_cookies)
PROVIDER: Final = _set("identity_provider.url")
RELAY: Final = _spoken("relay")
ROOMS: Final = _spoken("rooms")
LIVE: Final = _spoken("live")
POLLING: Final = _served(
    "no endpoint is carried by engine.io",
    lambda endpoint: endpoint.transport is TransportKind.ENGINE_IO,
)
WEBHOOK: Final = _served(
    "no endpoint has an approval_webhook", lambda endpoint: endpoint.approval_webhook
)
RECONNECT_URL: Final = _served(
    "no endpoint has a reconnect_url", lambda endpoint: endpoint.reconnect_url
)
ORIGINS: Final = Unused(
    "no origin is listed",
    lambda context: (
        context.settings.gate.allowed_origins
        or any(endpoint.allowed_origins for endpoint in context.served.values())
    ),
)
HTTP_RULE: Final = Unused(
    "no namespace has authorize = http",
    lambda context: any(space.authorize == "http" for space in context.used),
)
