import asyncio
import os
import signal

import pytest

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.session import converse
from portward.cli.errors import CommandRefused
from tests.cli.connect.peers import Typist


class Scene:
    """A conversation that is told how to go."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.typed = asyncio.Event()
        self.began = asyncio.Event()
        self.error: Exception | None = None
        self.left = False

    async def listen(self) -> None:
        """Listen until it is over."""
        await self.over.wait()
        if self.error is not None:
            raise self.error

    async def type(self, keyboard: Keyboard) -> None:
        """Type until there is no more."""
        self.began.set()
        while await keyboard.line() is not None:
            pass
        await self.typed.wait()

    async def leave(self) -> None:
        """Leave."""
        self.left = True
        self.over.set()


async def test_end_of_the_input() -> None:
    """When nothing more is typed one leaves."""
    scene = Scene()
    scene.typed.set()
    await converse(scene, Typist("one").keyboard)
    assert scene.left


async def test_interrupt() -> None:
    """Ctrl-C leaves, as politely as the end of the input."""
    scene = Scene()
    talking = asyncio.create_task(converse(scene, Typist().keyboard))
    await scene.began.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await talking
    assert scene.left
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_other_side_ends_it() -> None:
    """When the other side ends it there is nothing to leave."""
    scene = Scene()
    scene.error = CommandRefused("over")
    scene.over.set()
    with pytest.raises(CommandRefused, match="over"):
        await converse(scene, Typist().keyboard)
    assert not scene.left


async def test_other_side_ends_quietly() -> None:
    """An end without a reason is one as well."""
    scene = Scene()
    scene.over.set()
    await converse(scene, Typist().keyboard)
    assert not scene.left


async def test_failure_of_our_own() -> None:
    """A fault while typing is not hidden."""
    scene = Scene()

    class Broken(Typist):
        async def line(self) -> str | None:
            raise RuntimeError("broken keyboard")

    with pytest.raises(RuntimeError, match="broken keyboard"):
        await converse(scene, Broken().keyboard)
