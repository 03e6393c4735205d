"""What a handler is given beside its request, and the patience of those that go through a lot."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from msgspec import Struct

from portward.admin.keys import ApiCaller
from portward.node.node import Node
from portward.node.server_api import ServerApi

T = TypeVar("T")

_TURN: Final = 64


@dataclass(frozen=True, slots=True)
class MethodContext:
    """One request: the node it is put to, who puts it, and a way to run another in its name."""

    node: Node
    caller: ApiCaller
    address: str | None
    again: Callable[["MethodContext", str, Any], Awaitable[Struct]]

    @property
    def operations(self) -> ServerApi:
        """Everything the node does for a backend."""
        return self.node.operations


async def politely(items: Iterable[T]) -> AsyncIterator[T]:
    """Go through `items`, and let the event loop turn now and then."""
    for count, item in enumerate(items, start=1):
        yield item
        if count % _TURN == 0:
            await asyncio.sleep(0)
