"""Registration of admin methods, and the loop that lets others run."""

import asyncio

from portward.node.admin_method import (
    ApiRequest,
    ApiResult,
    DoneResult,
    MethodContext,
    method,
    yielding,
)
from portward.settings.keys import Scope


class _Request(ApiRequest, frozen=True):
    """A request."""


class _Result(ApiResult, frozen=True):
    """A result."""


def test_a_function_becomes_a_method() -> None:
    """Name and types of a method are those of the decorated function; what manages is audited."""

    @method(scope=Scope.MANAGE, summary="Do it")
    async def act(_: MethodContext, __: _Request) -> _Result:
        return _Result()

    assert (act.name, act.scope, act.summary) == ("act", Scope.MANAGE, "Do it")
    assert (act.request, act.result, act.act) == (_Request, _Result, True)


def test_what_reads_or_says_so_is_no_act() -> None:
    """A method with another scope is not audited, and neither is one that is marked."""

    @method(scope=Scope.READ, summary="Look")
    async def look(_: MethodContext, __: _Request) -> DoneResult:
        return DoneResult()

    @method(scope=Scope.MANAGE, summary="Make", act=False)
    async def make(_: MethodContext, __: _Request) -> DoneResult:
        return DoneResult()

    assert not look.act
    assert not make.act


async def test_going_through_many_lets_others_run() -> None:
    """Between the items of a long list the event loop turns, so that nobody waits for its end."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    seen = [item async for item in yielding(range(1000))]
    task.cancel()
    assert seen == list(range(1000))
    assert turns >= 15


async def test_going_through_few_takes_one_turn() -> None:
    """A short list is done at once."""
    ran = []
    asyncio.get_running_loop().call_soon(lambda: ran.append(1))
    assert [item async for item in yielding("abc")] == ["a", "b", "c"]
    assert not ran
