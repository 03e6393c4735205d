"""Opens and closes connections, with redis-py and hiredis."""

import asyncio
import ssl
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from portward.engines.port import EngineUnavailable
from portward.engines.redis.options import Address, RedisOptions, Timing

TROUBLE: Final = (RedisError, OSError, TimeoutError, ssl.SSLError, EngineUnavailable)
"""Errors with which a connection may end."""

T = TypeVar("T")


class Connector:
    """Connects to servers with the same credentials. `name` is shown by `CLIENT LIST`."""

    def __init__(self, options: RedisOptions, timing: Timing, name: str) -> None:
        self._options = options
        self._timing = timing
        self._name = name

    async def server(self, address: Address) -> Connection:
        """Open a connection for commands of the store.

        Raises:
            redis.RedisError, OSError, TimeoutError: no server there, or the credentials are rejected.
        """
        options = self._options
        return await self._connect(
            address,
            self._timing.connect,
            db=options.db,
            username=options.username,
            password=options.password,
            client_name=self._name,
        )

    async def sentinel(self, address: Address) -> Connection:
        """Open a connection to a Sentinel. Its time limit is short, as there are other Sentinels."""
        options = self._options
        return await self._connect(
            address,
            self._timing.connect / 4,
            username=options.sentinel_username,
            password=options.sentinel_password,
        )

    async def soon(self, question: Awaitable[T]) -> T:
        """Wait for an answer with the time limit of a connection to a Sentinel.

        Raises:
            TimeoutError: there was no answer in time.
        """
        async with asyncio.timeout(self._timing.connect / 4):
            return await question

    async def _connect(self, address: Address, limit: float, **more: Any) -> Connection:
        kind = Connection if self._options.tls is None else SSLConnection
        connection = kind(
            host=address.host,
            port=address.port,
            # The users of a connection keep the times; a lost command is not repeated here.
            socket_timeout=None,
            socket_connect_timeout=limit,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **self._tls(),
            **more,
        )
        try:
            async with asyncio.timeout(limit):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        except BaseException:
            await close_connection(connection)
            raise
        return connection

    def _tls(self) -> Mapping[str, Any]:
        tls = self._options.tls
        if tls is None:
            return {}
        return {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": tls.ca,
            "ssl_certfile": tls.certificate,
            "ssl_keyfile": tls.key,
        }


async def close_connection(connection: Connection) -> None:
    """Close a connection without waiting for the other end. Call it from a Task."""
    await connection.disconnect(nowait=True)


async def ask(connection: Connection, *command: str) -> Any:
    """Send one command on a connection with no other user, and read the answer.

    Raises:
        redis.RedisError, OSError: there was no answer, or it is an error.
    """
    await connection.send_command(*command)
    return await connection.read_response()
