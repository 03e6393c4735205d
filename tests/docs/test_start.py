"""The five minutes of the start page, with its own commands, against a real gateway."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.pages import DOCS, ROOT, blocks

PAGE: Final = DOCS / "start.md"
pytestmark = pytest.mark.timeout(300)
WAIT: Final = 60.0


def printed(word: str) -> str:
    """The command of the page that has this in it, with the lines that go on after a backslash."""
    commands = []
    for each in blocks("console", PAGE):
        text = each.text.replace("\\\n", " ")
        commands += [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    (found,) = [line for line in commands if word in line]
    return found


class Shell:
    """Runs the page's commands in one folder, on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [free_port(), free_port()]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PORTWARD_")}
        self.environ = kept | {
            "PATH": path,
            "PYTHONPATH": str(ROOT / "src"),
            "XDG_STATE_HOME": str(folder / "state"),
            "NO_COLOR": "1",
            "PORTWARD_SERVER__PORT": str(self.ports[0]),
            "PORTWARD_SERVER__ADMIN_PORT": str(self.ports[1]),
        }

    def line(self, word: str) -> str:
        """A printed command, with the ports of this run."""
        text = printed(word)
        return text.replace(":8080", f":{self.ports[0]}").replace(":8081", f":{self.ports[1]}")

    def run(self, word: str, **variables: str) -> str:
        """What a printed command prints; it must end with 0."""
        done = subprocess.run(
            ["bash", "-euc", self.line(word)],
            cwd=self.folder,
            env=self.environ | variables,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert done.returncode == 0, (word, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def running(self, word: str) -> Iterator["Terminal"]:
        """A printed command that stays, in a terminal of its own."""
        terminal = Terminal(
            subprocess.Popen(
                ["bash", "-euc", f"exec {self.line(word)}"],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        try:
            yield terminal
        finally:
            terminal.end()


class Terminal:
    """A process that is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._came:
                self.lines.append(line.rstrip("\n"))
                self._came.notify_all()

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait for a line with this pattern."""

        def found() -> re.Match[str] | None:
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self._came:
            assert self._came.wait_for(lambda: found() is not None, WAIT), self.lines
        match = found()
        assert match is not None
        return match

    def type(self, text: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """End it, and let go of its pipes."""
        if self.process.poll() is None:
            # Not SIGINT: a process that was started in the background of a shell ignores it.
            self.process.terminate()
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(WAIT)
        self._reader.join(WAIT)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A newcomer's folder."""
    return Shell(tmp_path)


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
    text = block.text.replace(":8080", f":{shell.ports[0]}")
    (shell.folder / "hello.py").write_text(text)

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
