"""Registration of the methods of the admin API: one decorated function for each, beside its two structs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar, get_type_hints

from msgspec import Meta, Struct

from portward.model.errors import ErrorKind
from portward.node.cluster import SurveyQuestion
from portward.node.commands import ServerApi, SurveyedNode
from portward.node.node import Node
from portward.settings.keys import Scope

T = TypeVar("T")
Q = TypeVar("Q", bound=Struct)
A = TypeVar("A", bound=Struct)

MAX_ITEMS = 1000
"""The most channels of a broadcast, commands of a batch, and entries of a page."""
_TURN: Final = 64

User = Annotated[str, Meta(min_length=1, max_length=128, description="User id (`sub`).")]
Word = Annotated[str, Meta(min_length=1, max_length=128)]
Offset = Annotated[int, Meta(ge=0, description="Entries to leave out at the start.")]
PageSize = Annotated[int, Meta(ge=1, le=MAX_ITEMS, description="Entries at most.")]
Once = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        description="Repeated within five minutes, it publishes nothing and returns the first"
        " position. Counts per channel.",
    ),
]
Missing = Annotated[
    tuple[str, ...],
    Meta(description="Nodes (`uid` of `info`) that did not answer in time: the result lacks them."),
]


NOT_FOUND: Final = ErrorKind.UNKNOWN_TYPE.number
"""The code of an error about something that does not exist."""


class ErrorBody(Struct, frozen=True):
    """What was wrong: a number to act on, a sentence to read."""

    code: int
    message: str


class ApiError(Exception):
    """The exception for a refused request, with an HTTP status, a code and a sentence."""

    def __init__(
        self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(code, message)
        self.headers = headers


class ApiRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The common part of all requests."""


class ApiResult(Struct, frozen=True, kw_only=True):
    """The common part of all results."""


class DoneResult(ApiResult, frozen=True):
    """It was done; there is nothing else to say."""


@dataclass(frozen=True, slots=True)
class MethodContext:
    """What a method acts on: the node. `again` runs another method for the same caller."""

    node: Node
    again: Callable[[str, Any], Awaitable[Struct]]

    @property
    def operations(self) -> ServerApi:
        """The operations that the node offers to a backend."""
        return self.node.operations


Handler = Callable[[MethodContext, Any], Awaitable[Struct]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminMethod:
    """A method. Without a scope any key is enough. With `act`, each success is audited.

    `alias` is a second address: the HTTP method and the path below `/api`, whose parameters are the request.
    """

    name: str
    scope: Scope | None
    summary: str
    request: type[Struct]
    result: type[Struct]
    handler: Handler
    act: bool
    alias: tuple[str, str] | None = None


def method(
    *,
    scope: Scope | None,
    summary: str,
    act: bool | None = None,
    alias: tuple[str, str] | None = None,
) -> Callable[[Handler], AdminMethod]:
    """Make a method of a function that takes a context and a request; its types are the annotations.

    The name is that of the function. By default what needs the scope `manage` is an `act`.
    """

    def decorate(handler: Handler) -> AdminMethod:
        hints = get_type_hints(handler, include_extras=True)
        result = hints.pop("return")
        _, request = hints.values()
        return AdminMethod(
            name=handler.__name__,
            scope=scope,
            summary=summary,
            request=request,
            result=result,
            handler=handler,
            act=scope is Scope.MANAGE if act is None else act,
            alias=alias,
        )

    return decorate


def question(handler: Callable[[SurveyedNode, Q], Awaitable[A]]) -> SurveyQuestion[Q, A]:
    """Make a question to all nodes of a function, which is called on each node that answers.

    Its name is that of the function. Nodes of the version before do not know a new name: they are missing
    in the result of the survey.
    """
    hints = get_type_hints(handler, include_extras=True)
    answer = hints.pop("return")
    _, request = hints.values()
    return SurveyQuestion(handler.__name__, request, answer, handler)


async def yielding(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the `items`, and give control to the event loop after every `_TURN` of them."""
    for count, item in enumerate(items, start=1):
        yield item
        if count % _TURN == 0:
            await asyncio.sleep(0)
