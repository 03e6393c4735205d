"""The context of a method call, and a loop that lets other tasks run in between."""

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
    """One request: the node, the caller, and a function that runs another method for the same caller."""

    node: Node
    caller: ApiCaller
    address: str | None
    again: Callable[["MethodContext", str, Any], Awaitable[Struct]]

    @property
    def operations(self) -> ServerApi:
        """The operations that the node offers to a backend."""
        return self.node.operations


async def politely(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the `items`, and give control to the event loop after every `_TURN` of them."""
    for count, item in enumerate(items, start=1):
        yield item
        if count % _TURN == 0:
            await asyncio.sleep(0)
