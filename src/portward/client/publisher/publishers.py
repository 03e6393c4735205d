"""The two publishers: the methods of `calls`, with one form of input and output for each."""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_args
from urllib.parse import urlsplit

import httpx

import portward.client.publisher.calls as calls
from portward.client.publisher.calls import AdminCall
from portward.client.publisher.errors import PublisherError
from portward.client.publisher.exchange import (
    TIMEOUT,
    address,
    failure,
    headers,
    read,
)
from portward.client.publisher.retries import Attempts, Retries
from portward.client.transport import is_loopback

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(make: Callable[P, AdminCall[T]]) -> Callable[Concatenate["Publisher", P], T]:
    """Make a method of Publisher of a function that makes a call."""

    @wraps(make)
    def method(self: "Publisher", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._do(make(*args, **kwargs))

    _describe(method, make)
    return method


def _awaited(
    make: Callable[P, AdminCall[T]],
) -> Callable[Concatenate["AsyncPublisher", P], Coroutine[Any, Any, T]]:
    """Make a method of AsyncPublisher of a function that makes a call."""

    @wraps(make)
    async def method(self: "AsyncPublisher", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._do(make(*args, **kwargs))

    _describe(method, make)
    return method


def _describe(method: object, make: Callable[..., AdminCall[Any]]) -> None:
    """Give a method the signature that documentation and editors show."""
    made = inspect.signature(make)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    (result,) = get_args(made.return_annotation)
    shown = made.replace(parameters=[own, *made.parameters.values()], return_annotation=result)
    method.__signature__ = shown  # type: ignore[attr-defined] # see PEP 362


class Publisher:
    """The admin API of a gateway at `url`, the address of its admin listener.

    One object serves all threads; a process that is forked from this one opens connections of its own.
    Every method may raise `PublisherError`. Temporary failures are repeated, see `Retries`; what
    publishes carries an idempotency key, so that repetitions publish once.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`transport` is httpx's, for a certificate authority of your own or for tests.

        Raises:
            ValueError: the address or the key is invalid.
        """
        self._url = address(url)
        self._retries = retries or Retries()
        self._sleep = sleep
        self._options = _options(self._url, api_key, timeout)
        self._transport = transport
        self._process = os.getpid()
        self._http = httpx.Client(transport=transport, **self._options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _do(self, call: AdminCall[T]) -> T:
        attempts = Attempts(self._retries)
        while True:
            try:
                return self._once(call)
            except PublisherError as error:
                wait = attempts.wait(error)
            self._sleep(wait)

    def _once(self, call: AdminCall[T]) -> T:
        if self._process != os.getpid():  # the connections are those of the parent
            self._process = os.getpid()
            self._http = httpx.Client(transport=self._transport, **self._options)
        try:
            answer = self._http.post(f"{self._url}/api/{call.method}", content=call.body)
        except httpx.HTTPError as error:
            raise failure(error) from None
        return read(call, answer)

    call = _blocking(calls.call)
    publish = _blocking(calls.publish)
    broadcast = _blocking(calls.broadcast)
    alert = _blocking(calls.alert)
    analysis = _blocking(calls.analysis)
    request_approval = _blocking(calls.request_approval)
    approval = _blocking(calls.approval)
    batch = _blocking(calls.batch)
    history = _blocking(calls.history)
    presence = _blocking(calls.presence)
    presence_stats = _blocking(calls.presence_stats)
    channels = _blocking(calls.channels)
    info = _blocking(calls.info)
    connections = _blocking(calls.connections)
    security_events = _blocking(calls.security_events)
    disconnect = _blocking(calls.disconnect)
    unsubscribe = _blocking(calls.unsubscribe)
    revoke = _blocking(calls.revoke)
    ticket = _blocking(calls.ticket)
    roles = _blocking(calls.roles)
    set_roles = _blocking(calls.set_roles)
    permissions = _blocking(calls.permissions)
    set_permissions = _blocking(calls.set_permissions)
    set_workspaces = _blocking(calls.set_workspaces)
    set_room = _blocking(calls.set_room)
    room = _blocking(calls.room)
    rooms = _blocking(calls.rooms)
    remove_room = _blocking(calls.remove_room)


class AsyncPublisher:
    """The admin API of a gateway at `url`, for asyncio: the methods of `Publisher`, as coroutines."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport` is httpx's, for a certificate authority of your own or for tests.

        Raises:
            ValueError: the address or the key is invalid.
        """
        self._url = address(url)
        self._retries = retries or Retries()
        self._sleep = sleep
        options = _options(self._url, api_key, timeout)
        self._http = httpx.AsyncClient(transport=transport, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _do(self, call: AdminCall[T]) -> T:
        attempts = Attempts(self._retries)
        while True:
            try:
                return await self._once(call)
            except PublisherError as error:
                wait = attempts.wait(error)
            await self._sleep(wait)

    async def _once(self, call: AdminCall[T]) -> T:
        try:
            answer = await self._http.post(f"{self._url}/api/{call.method}", content=call.body)
        except httpx.HTTPError as error:
            raise failure(error) from None
        return read(call, answer)

    call = _awaited(calls.call)
    publish = _awaited(calls.publish)
    broadcast = _awaited(calls.broadcast)
    alert = _awaited(calls.alert)
    analysis = _awaited(calls.analysis)
    request_approval = _awaited(calls.request_approval)
    approval = _awaited(calls.approval)
    batch = _awaited(calls.batch)
    history = _awaited(calls.history)
    presence = _awaited(calls.presence)
    presence_stats = _awaited(calls.presence_stats)
    channels = _awaited(calls.channels)
    info = _awaited(calls.info)
    connections = _awaited(calls.connections)
    security_events = _awaited(calls.security_events)
    disconnect = _awaited(calls.disconnect)
    unsubscribe = _awaited(calls.unsubscribe)
    revoke = _awaited(calls.revoke)
    ticket = _awaited(calls.ticket)
    roles = _awaited(calls.roles)
    set_roles = _awaited(calls.set_roles)
    permissions = _awaited(calls.permissions)
    set_permissions = _awaited(calls.set_permissions)
    set_workspaces = _awaited(calls.set_workspaces)
    set_room = _awaited(calls.set_room)
    room = _awaited(calls.room)
    rooms = _awaited(calls.rooms)
    remove_room = _awaited(calls.remove_room)


def _options(url: str, api_key: str, timeout: float) -> dict[str, Any]:
    # A proxy of the environment is for other machines.
    outside = not is_loopback(urlsplit(url).hostname or "")
    return {"headers": headers(api_key), "timeout": timeout, "trust_env": outside}
