"""The five minutes of the start page, with its own commands, against a real gateway."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.pages import DOCS, blocks
from tests.docs.shell import WAIT, Shell

PAGE: Final = DOCS / "start.md"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A newcomer's folder."""
    return Shell(tmp_path, PAGE)


def test_the_five_minutes(shell: Shell) -> None:
    """Serve, two tokens, two people, a script, a backend, and somebody is sent away."""
    with shell.running("portward serve") as gateway:
        key = gateway.expect(r"^admin key +(\S+)")[1]
        gateway.expect("^ready$")
        assert shell.run("token --sub alice").count(".") == 2
        assert "accepted: bob" in shell.run("portward inspect")
        with shell.running("--sub alice --subscribe") as alice:
            alice.expect("joined lobby")
            with shell.running("--sub bob --subscribe") as bob:
                bob.expect("joined lobby: .*bob")
                alice.type("hello bob")
                bob.expect("alice: hello bob")
                answer = json.loads(shell.run("curl http", KEY=key))
                assert answer["result"]["offset"] == 2
                bob.expect("hello from the backend")
                assert "2 of 2 connections" in shell.run("portward connections")
                assert "1 open connection ended" in shell.run("revoke --sub bob")
                bob.expect(r"force disconnect \(3503\)")
                bob.process.wait(WAIT)
            alice.expect("bob (left|lost)")


async def test_the_script(shell: Shell) -> None:
    """`hello.py` of the page joins, speaks, and prints what comes."""
    (block,) = [each for each in blocks("python", PAGE) if "asyncio.run(main" in each.text]
    (shell.folder / "hello.py").write_text(shell.here(block.text))

    def talk() -> Any:
        with shell.running("portward serve") as gateway:
            gateway.expect("^ready$")
            with shell.running("python hello.py") as script:
                script.expect("^room_joined .*dave")
                return script.expect("^message .*hello from Python")

    assert await asyncio.to_thread(talk)


def test_the_page_names_the_endpoints_that_serve_prints(shell: Shell) -> None:
    """What the page shows of `serve` is what `serve` prints, line by line but for key and ports."""
    (block,) = [each for each in blocks("console", PAGE) if "portward serve" in each.text]
    shown = [line.split()[0] for line in block.text.splitlines()[2:]]
    with shell.running("portward serve") as gateway:
        gateway.expect("^ready$")
        names = [
            line.split()[0] for line in gateway.lines if not line.startswith(("20", "admin k"))
        ]
    assert shown == names
