"""Clients under test as programs that a test drives: the TypeScript client in Node, and the Python client."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients.gateway import token
from tests.clients.programs import Record, Records, program
from tests.e2e.process import ROOT
from tests.e2e.socketio_client import need_node

DRIVERS: Final = Path(__file__).parent / "drivers"
PACKAGE: Final = ROOT / "clients" / "js"
Order = Callable[..., Awaitable[None]]
Answer = Callable[[Record], Record | None]
"""Gives the order that answers a question of the client; None leaves it without an answer."""


class Driver:
    """A client in a program or a page of its own, which asks the test for its tokens and its states.

    `tokens` and `states` say how such questions are answered: with a good token for `user`, and with
    nothing in particular, unless a test sets another function.
    """

    def __init__(self, reports: Records, order: Order, user: str) -> None:
        self.reports = reports
        self.user = user
        self.tokens: Answer = lambda _: {"do": "answer", "value": token(user)}
        self.states: Answer = lambda _: {"do": "answer", "value": None}
        self._order = order

    async def do(self, **order: Any) -> None:
        """Give an order."""
        await self._order(**order)

    async def done(self, kind: str, **order: Any) -> Record:
        """Give an order and wait for the report that it is done; it must have succeeded."""
        start = len(self.reports.records)
        await self.do(**order)
        record = await self.reports.first(kind, start)
        assert record["error"] is None, record
        return record

    async def start(self, url: str, **options: Any) -> None:
        """Make the client. It asks for tokens, and its time runs as `speed` says."""
        await self.do(do="client", url=url, token="ask", **options)

    async def answer(self) -> None:
        """Answer questions until this is cancelled."""
        place = 0
        while True:
            wanted = await self.reports.first(_is_question, place, patience=86_400)
            place = self.reports.records.index(wanted, place) + 1
            answers = self.tokens if wanted["kind"] == "token wanted" else self.states
            order = answers(wanted)
            if order is not None:
                await self.do(**order | {"id": wanted["id"]})


def _is_question(record: Record) -> bool:
    return record["kind"] in {"token wanted", "state wanted"}


Client = Callable[[str], AbstractAsyncContextManager[Driver]]
"""Runs a client for a user."""


@asynccontextmanager
async def answering(driver: Driver) -> AsyncIterator[Driver]:
    """Answer what a client asks until the block ends."""
    task = asyncio.create_task(driver.answer())
    try:
        yield driver
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _driven(user: str, *command: str, **environment: str) -> AsyncIterator[Driver]:
    """Run a driver program, and answer what it asks."""
    async with (
        program(*command, PATH=os.environ["PATH"], **environment) as running,
        answering(Driver(running, running.do, user)) as driver,
    ):
        yield driver


def need_package() -> None:
    """Skip where the TypeScript client is not built."""
    if not (PACKAGE / "dist" / "esm" / "index.js").exists():
        pytest.skip("clients/js/dist is not built: run make test, or npm run build")


def typescript(user: str) -> AbstractAsyncContextManager[Driver]:
    """The TypeScript client in Node, as it is built into `clients/js/dist`."""
    need_package()
    return _driven(user, need_node(), str(DRIVERS / "driver.mjs"), str(PACKAGE))


def python(user: str) -> AbstractAsyncContextManager[Driver]:
    """The Python client."""
    command = (sys.executable, str(DRIVERS / "driver.py"))
    return _driven(user, *command, PYTHONPATH=str(ROOT / "src"), PYTHONWARNINGS="error")


CLIENTS: Final[dict[str, Client]] = {"typescript": typescript, "python": python}


async def with_each(scenario: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with every client, at the same time: most of it is waiting."""
    async with asyncio.TaskGroup() as group:
        for name in CLIENTS:
            group.create_task(scenario(name), name=name)
