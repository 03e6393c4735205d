"""Rules about the store of `engine.url`, checked by its address and the related settings."""

from collections.abc import Iterator
from typing import Final

from portward.settings.checks import unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context, StoreFacts

_TLS: Final = 'engine.url = "rediss://…"'
_OWN: Final = "engine.allow_plain = true, when the network between is yours alone"


def _scheme(context: Context) -> str:
    return context.settings.engine_url.partition("://")[0]


def _store(context: Context) -> StoreFacts | None:
    """Parse the address; None when it cannot be parsed, which `store-address` reports."""
    try:
        return context.machine.parse_store(context.settings.engine_url)
    except ValueError:
        return None


def _address(context: Context) -> Iterator[CheckProblem]:
    try:
        context.machine.parse_store(context.settings.engine_url)
    except ValueError as error:
        yield CheckProblem(
            CheckLevel.FAIL, f"engine.url: {error}", 'engine.url = "redis://127.0.0.1:6379/0"'
        )


def _plain(context: Context) -> Iterator[CheckProblem]:
    store = _store(context)
    if store is None or store.encrypted or not store.remote:
        return
    what = "engine.url is not encrypted and leads to another machine: its password and all messages"
    level = CheckLevel.WARN if context.settings.engine.allow_plain else context.grave
    yield CheckProblem(level, f"{what} travel in the open", f"{_TLS}  # or {_OWN}")


def _password(context: Context) -> Iterator[CheckProblem]:
    store = _store(context)
    if store is not None and store.remote and not store.password:
        what = "engine.url has no password, and leads to another machine"
        yield CheckProblem(context.grave, what, 'engine.url = "rediss://:password@…"')


def _eviction(context: Context) -> Iterator[CheckProblem]:
    if context.settings.engine.allow_eviction:
        what = "engine.allow_eviction: Redis may drop revocations, and revoked tokens come in again"
        change = "engine.allow_eviction = false  # and maxmemory-policy noeviction in Redis"
        yield CheckProblem(context.grave, what, change)


STORE_RULES: Final = (
    CheckRule("store-address", "the address of the store can be read", _address, always=True),
    CheckRule(
        "store-plain",
        "the way to Redis is encrypted, or stays on this machine",
        _plain,
        unused=unused.no_redis,
    ),
    CheckRule(
        "store-password",
        "Redis asks for a password, or is on this machine",
        _password,
        unused=unused.no_redis,
    ),
    CheckRule(
        "store-eviction",
        "Redis that may drop revocations is refused",
        _eviction,
        unused=unused.no_redis,
    ),
)
