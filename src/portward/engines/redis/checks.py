"""Checks of the servers, at the start and repeatedly afterwards."""

from typing import Final, NamedTuple

from portward.engines.redis.commands import RedisCommands

OLDEST: Final = 7
_KEEPS: Final = "noeviction"


class MemoryPolicy(NamedTuple):
    """What one server does when its memory is full.

    `run_id` changes with every start of the server, `evicted` counts keys it has dropped since then.
    """

    run_id: str
    policy: str
    limit: int
    evicted: int

    @property
    def may_evict(self) -> bool:
        """Whether keys may be dropped: there is a limit of memory, and a policy that drops."""
        return self.policy != _KEEPS and self.limit > 0


async def check_servers(commands: RedisCommands, *, allow_eviction: bool) -> None:
    """Check version and memory policy of every server.

    Raises:
        ValueError: a server is too old, or drops keys when its memory is full.
        EngineUnavailable: a server does not answer.
    """
    for text in await commands.everywhere("INFO", "server"):
        version = _fields(text).get("redis_version", "")
        major = version.partition(".")[0]
        if major.isdigit() and int(major) < OLDEST:
            raise ValueError(f"redis {version} is too old; Portward needs {OLDEST}.0 or newer")
    if allow_eviction:
        return
    for server in await memory_policies(commands):
        if server.may_evict:
            raise ValueError(
                f"redis has maxmemory-policy {server.policy}: it would drop revocations and positions "
                "when it runs full; set maxmemory-policy to noeviction"
            )


async def memory_policies(commands: RedisCommands) -> list[MemoryPolicy]:
    """Read the memory policy of every server, and how many keys it has dropped.

    Raises:
        EngineUnavailable: a server does not answer.
    """
    found = []
    for text in await commands.everywhere("INFO", "server", "memory", "stats"):
        fields = _fields(text)
        found.append(
            MemoryPolicy(
                run_id=fields.get("run_id", ""),
                policy=fields.get("maxmemory_policy", _KEEPS),
                limit=int(fields.get("maxmemory", "0")),
                evicted=int(fields.get("evicted_keys", "0")),
            )
        )
    return found


def _fields(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
