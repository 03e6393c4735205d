"""Construction of the engine from `engine.url`."""

from portward.engines.memory import MemoryEngine
from portward.engines.port import Engine
from portward.model.clock import Clock
from portward.settings import Settings


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
