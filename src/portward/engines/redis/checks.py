"""What is asked of servers before anything is entrusted to them."""

from typing import Final

from portward.engines.redis.commands import Commands

OLDEST: Final = 7


async def check_servers(commands: Commands, *, allow_eviction: bool) -> None:
    """Look at version and memory policy of every server.

    Raises:
        ValueError: one is too old, or throws keys away when it runs full.
        EngineUnavailable: one does not answer.
    """
    for text in await commands.everywhere("INFO", "server"):
        version = _fields(text).get("redis_version", "")
        major = version.partition(".")[0]
        if major.isdigit() and int(major) < OLDEST:
            raise ValueError(f"redis {version} is too old; Portward needs {OLDEST}.0 or newer")
    if not allow_eviction:
        await _check_eviction(commands)


async def _check_eviction(commands: Commands) -> None:
    for text in await commands.everywhere("INFO", "memory"):
        fields = _fields(text)
        policy = fields.get("maxmemory_policy", "noeviction")
        if policy != "noeviction" and int(fields.get("maxmemory", "0")) > 0:
            raise ValueError(
                f"redis has maxmemory-policy {policy}: it would throw away revocations and positions "
                "when it runs full; set maxmemory-policy to noeviction"
            )


def _fields(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
