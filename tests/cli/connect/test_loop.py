import asyncio
import os
import signal
from typing import Any

import pytest

from portward.cli.connect import loop as module
from portward.cli.connect.loop import TerminalProtocol, run
from portward.cli.connect.screen import Screen
from portward.cli.terminal import CommandRefused
from portward.client import ConnectionLost
from tests.cli.connect.peers import Typist


class Scene(TerminalProtocol):
    """A protocol that a test directs: `arrivals` come in, `steps` is what the loop did."""

    def __init__(self) -> None:
        super().__init__(Screen())
        self.arrivals: asyncio.Queue[Any] = asyncio.Queue()
        self.began = asyncio.Event()
        self.steps: list[str] = []
        self.missing = 0

    async def begin(self) -> None:
        """Say that it began."""
        self.began.set()

    async def receive(self) -> Any:
        """The next arrival; an exception is raised."""
        arrived = await self.arrivals.get()
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    async def show(self, message: Any) -> None:
        """One answer is no longer missing."""
        self.steps.append(f"show {message}")
        self.missing -= 1

    async def send(self, line: str) -> bool:
        """Note the line."""
        self.steps.append(f"send {line}")
        if line == "lost":
            raise ConnectionLost("gone")
        return line != "/quit"

    @property
    def waiting(self) -> bool:
        """Whether answers are missing."""
        return self.missing > 0

    async def leave(self) -> None:
        """Note it."""
        self.steps.append("leave")

    async def close(self) -> None:
        """Note it, and end."""
        self.steps.append("close")
        self.arrivals.put_nowait(None)


async def test_end_of_the_input() -> None:
    """At the end of the input the protocol leaves and closes."""
    scene = Scene()
    await run(scene, Typist("one").keyboard)
    assert scene.steps == ["send one", "leave", "close"]


async def test_a_line_that_ends_it() -> None:
    """No line is read after one that ends the conversation."""
    scene = Scene()
    await run(scene, Typist("/quit", "two").keyboard)
    assert scene.steps == ["send /quit", "leave", "close"]


async def test_the_last_answers() -> None:
    """The loop waits for the missing answers before it leaves."""
    scene = Scene()
    scene.missing = 2
    running = asyncio.create_task(run(scene, Typist().keyboard))
    for number in (1, 2):
        await scene.began.wait()
        scene.arrivals.put_nowait(number)
    await running
    assert scene.steps == ["show 1", "show 2", "leave", "close"]


@pytest.mark.parametrize("quiet", [None, 0.01])
async def test_an_answer_that_does_not_come(
    quiet: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends after a time, or where the protocol says so after some silence."""
    if quiet is None:
        monkeypatch.setattr(module, "_LAST_ANSWERS", 0.01)
    scene = Scene()
    scene.missing, scene.quiet = 1, quiet
    await run(scene, Typist().keyboard)
    assert scene.steps == ["leave", "close"]


async def test_interrupt() -> None:
    """Ctrl-C leaves as the end of the input does."""
    scene = Scene()
    talking = asyncio.create_task(run(scene, Typist(stays=True).keyboard))
    await scene.began.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await talking
    assert scene.steps == ["leave", "close"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("error", [CommandRefused("over"), ConnectionLost("over")])
async def test_other_side_ends_it(error: Exception) -> None:
    """When the other side ends the connection the loop does not leave."""
    scene = Scene()
    scene.arrivals.put_nowait(error)
    with pytest.raises(type(error), match="over"):
        await run(scene, Typist(stays=True).keyboard)
    assert scene.steps == []


async def test_other_side_ends_without_error() -> None:
    """An end without an error ends the loop as well."""
    scene = Scene()
    scene.arrivals.put_nowait(None)
    await run(scene, Typist(stays=True).keyboard)
    assert scene.steps == []


async def test_a_line_that_cannot_be_sent() -> None:
    """A send that fails ends the typing; how the connection ended is reported by the other direction."""
    scene = Scene()
    await run(scene, Typist("lost", "two").keyboard)
    assert scene.steps == ["send lost", "leave", "close"]


async def test_failure_of_our_own() -> None:
    """A fault while typing is not hidden."""
    scene = Scene()

    class Broken(Typist):
        async def line(self) -> str | None:
            raise RuntimeError("broken keyboard")

    with pytest.raises(RuntimeError, match="broken keyboard"):
        await run(scene, Broken().keyboard)
