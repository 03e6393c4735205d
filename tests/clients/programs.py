"""Programs of clients that obey JSON lines of their standard input and report JSON lines."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

PATIENCE: Final = 45.0
LINE: Final = 1024 * 1024
Record = dict[str, Any]


class Records:
    """What a client has reported, in order; tests wait for what is still to come."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._over = False
        self._changed = asyncio.Event()

    def add(self, record: Record) -> None:
        """Add a report."""
        self.records.append(record)
        self._changed.set()

    def end(self) -> None:
        """Say that no more will come."""
        self._over = True
        self._changed.set()

    def all(self, kind: str) -> list[Record]:
        """All reports of one kind."""
        return [record for record in self.records if record["kind"] == kind]

    async def first(
        self, met: Callable[[Record], bool] | str, start: int = 0, patience: float = PATIENCE
    ) -> Record:
        """The first report, from a place in `records` on, of a kind or that meets a condition.

        Raises:
            TimeoutError: it has not come in time.
        """
        place = start
        end = asyncio.get_running_loop().time() + patience
        while True:
            self._changed.clear()
            while place < len(self.records):
                record = self.records[place]
                place += 1
                assert record["kind"] != "order failed", record
                if record["kind"] == met if isinstance(met, str) else met(record):
                    return record
            assert not self._over, f"the client has ended; it reported last {self.records[-5:]}"
            try:
                async with asyncio.timeout_at(end):
                    await self._changed.wait()
            except TimeoutError:
                raise TimeoutError(f"not among these, or before: {self.records[-9:]}") from None


class Program(Records):
    """A running program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__()
        self.process = process

    async def read(self) -> None:
        """Read until its output ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.add(json.loads(line))
        self.end()

    async def do(self, **order: Any) -> None:
        """Give an order."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()


@asynccontextmanager
async def program(*command: str, **environment: str) -> AsyncIterator[Program]:
    """Run a program until the block ends; it must end by itself, with 0 and without an error text."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment or None,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE,
    )
    running = Program(process)
    reading = asyncio.create_task(running.read())
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        yield running
    except BaseException as problem:
        # What the program leaves behind then is no fault of its own.
        with suppress(ProcessLookupError):
            process.kill()
        problem.add_note((await errors).decode(errors="replace"))
        raise
    else:
        await _end(process)
    finally:
        await process.wait()
        await asyncio.gather(reading, errors, return_exceptions=True)
    text = errors.result().decode(errors="replace")
    assert (process.returncode, text) == (0, ""), command[:2]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input and wait; one that does not end is killed."""
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
