import asyncio
from typing import Any

import pytest

from portward.node.sessions.path_handler import ResponseSender
from portward.transports.asgi_http import AsgiResponseSender


class Guest:
    """Answers when it has heard `!`."""

    def __init__(self, answer: bool = False, fail: bool = False) -> None:
        self.at_once = answer
        self.fail = fail
        self.body = b""
        self.lost = 0

    def begin(self, caller: ResponseSender) -> None:
        """Keep the caller."""
        self.caller = caller
        if self.at_once:
            caller.answer(200, (), b"at once")

    def arrived(self, data: bytes) -> None:
        """Gather."""
        if self.fail:
            raise ZeroDivisionError
        self.body += data
        if data.endswith(b"!"):
            self.caller.answer(200, (), self.body)
            self.caller.answer(500, (), b"too late")

    def gone(self) -> None:
        """Count."""
        self.lost += 1


def receiver(*events: dict[str, Any]) -> Any:
    """A server with these events, and then none."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for event in events:
        queue.put_nowait(event)
    return queue.get


def body(data: bytes, *, more: bool = True) -> dict[str, Any]:
    """Some of a body."""
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_body_and_an_answer() -> None:
    """The guest hears the body in pieces; its first answer counts until it is taken."""
    request_handler, caller = Guest(), AsgiResponseSender()
    answer = await caller.serve(
        request_handler, receiver(body(b"a"), body(b""), body(b"b!", more=False))
    )
    assert answer == (200, (), b"ab!")
    assert caller.unsent() == 3
    caller.taken()
    assert (caller.unsent(), request_handler.lost) == (0, 0)


async def test_an_answer_at_once() -> None:
    """A guest may answer before anything came."""
    request_handler, caller = Guest(answer=True), AsgiResponseSender()
    assert await caller.serve(request_handler, receiver(body(b"x"))) == (200, (), b"at once")
    assert (request_handler.body, request_handler.lost) == (b"", 0)


async def test_a_caller_that_leaves() -> None:
    """A guest is told once that nobody waits any more; what it answers then goes nowhere."""
    request_handler, caller = Guest(), AsgiResponseSender()
    assert (
        await caller.serve(request_handler, receiver(body(b"a"), {"type": "http.disconnect"}))
        is None
    )
    caller.answer(200, (), b"too late")
    assert (request_handler.lost, caller.unsent()) == (1, 0)


async def test_a_server_that_stops() -> None:
    """A server that cancels its request has lost the caller."""
    request_handler, caller = Guest(), AsgiResponseSender()
    serving = asyncio.ensure_future(caller.serve(request_handler, receiver()))
    await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert request_handler.lost == 1


async def test_a_guest_that_fails() -> None:
    """What a guest raises reaches the server, and is not waited for."""
    request_handler, caller = Guest(fail=True), AsgiResponseSender()
    with pytest.raises(ZeroDivisionError):
        await caller.serve(request_handler, receiver(body(b"a")))
    assert request_handler.lost == 1
