"""An engine whose calls are delayed, as over a slow network."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from portward.engines.port import Engine

_PORTS = ("streams", "rooms", "presence", "counters", "kv")


class _Port:
    """One port, `seconds` away."""

    def __init__(self, inner: Any, seconds: Callable[[], float]) -> None:
        self._inner = inner
        self._seconds = seconds

    def stream_counts(self) -> Mapping[str, int]:
        """What the process itself keeps is at hand."""
        counts: Mapping[str, int] = self._inner.stream_counts()
        return counts

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any, **more: Any) -> Any:
            if self._seconds():
                await asyncio.sleep(self._seconds())
            return await method(*args, **more)

        return call


class DelayedEngine:
    """Implements `engines.port.Engine`. `seconds` may be set at any time; 0 is no delay."""

    exclusive = False

    def __init__(self, inner: Engine) -> None:
        self.seconds = 0.0
        self.inner = inner
        for name in _PORTS:
            setattr(self, name, _Port(getattr(inner, name), lambda: self.seconds))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
