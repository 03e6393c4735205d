"""Commands to the store over any topology; errors become `EngineUnavailable`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from portward.engines.port import EngineUnavailable
from portward.engines.redis.connection import Backpressure
from portward.engines.redis.scripts import Script
from portward.engines.redis.topology import Topology

_TOGETHER = 256
"""How many commands one caller runs at once."""
_SCAN = 1000
"""Keys per step of a scan."""

T = TypeVar("T")


class RedisCommands:
    """Sends commands. `failed` is called when the store does not answer.

    While the store is known to be `away`, and there is only one server, commands fail at once; so they do
    when the engine is `closed`.
    """

    def __init__(self, topology: Topology, failed: Callable[[], None]) -> None:
        self.away = False
        self.closed = False
        self._topology = topology
        self._failed = failed

    async def send(self, key: str, *command: Any, bulk: bool = False) -> Any:
        """Send a command to the server of `key`.

        Raises:
            EngineUnavailable: no answer, or the server answers with an error.
        """
        try:
            return await self._send(key, command, bulk=bulk)
        except ResponseError as error:
            raise _refused(command[0], error) from None

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Iterable[Any], *, bulk: bool = False
    ) -> Any:
        """Run a script on `keys`, which are all on one server.

        Raises:
            EngineUnavailable: no answer, or the server answers with an error.
        """
        rest = (len(keys), *keys, *arguments)
        try:
            try:
                return await self._send(keys[0], ("EVALSHA", script.digest, *rest), bulk=bulk)
            except NoScriptError:
                return await self._send(keys[0], ("EVAL", script.text, *rest), bulk=bulk)
        except ResponseError as error:
            raise _refused(script.name, error) from None

    async def _send(self, key: str, command: Sequence[Any], *, bulk: bool) -> Any:
        if self.closed:
            raise EngineUnavailable("the engine is stopped")
        if self.away and self._topology.whole:
            raise EngineUnavailable("redis is away")
        try:
            return await self._topology.send(key, command, bulk=bulk)
        except Backpressure:
            raise
        except EngineUnavailable:
            self._failed()
            raise

    async def scan(self, pattern: str) -> set[str]:
        """The keys of hashes that match a pattern, on every server.

        Raises:
            EngineUnavailable: no answer, or a server answers with an error.
        """
        words = ("MATCH", pattern, "TYPE", "hash", "COUNT", _SCAN)
        found: set[bytes] = set()
        try:
            for server in await self._topology.servers():
                cursor = b"0"
                while True:
                    cursor, keys = await server.request(("SCAN", cursor, *words))
                    found.update(keys)
                    if cursor == b"0":
                        break
        except ResponseError as error:
            raise _refused("SCAN", error) from None
        return {key.decode("utf-8", "replace") for key in found}

    async def everywhere(self, *command: Any) -> list[Any]:
        """Send a command to every server that has a part of the store.

        Raises:
            EngineUnavailable: no answer, or a server answers with an error.
        """
        try:
            return [await server.request(command) for server in await self._topology.servers()]
        except ResponseError as error:
            raise _refused(command[0], error) from None


async def together(work: Sequence[Awaitable[T]]) -> list[T]:
    """Wait for many commands, a bounded number at a time.

    Raises:
        EngineUnavailable: one of them failed; the others were sent all the same.
    """
    done: list[T | BaseException] = []
    for start in range(0, len(work), _TOGETHER):
        done += await asyncio.gather(*work[start : start + _TOGETHER], return_exceptions=True)
    answers = [each for each in done if not isinstance(each, BaseException)]
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return answers


def _refused(name: str, error: ResponseError) -> EngineUnavailable:
    """Name the command and the error, in one word: the rest of the answer may contain what was sent."""
    word = type(error).__name__.removesuffix("Error")
    if "executing the script can't" in str(error):
        word = "NoPermission"
    elif type(error) is ResponseError:
        word = (str(error).split(maxsplit=1) or ["no reason"])[0][:32]
    return EngineUnavailable(f"redis refused {name}: {word}")
