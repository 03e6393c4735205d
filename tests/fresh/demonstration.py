"""`make demo` in a clone that was just made, as a user who may change nothing else on the machine."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.fresh.machine import Clock, FreshError, must, run

PAGE = re.compile(r"http://127\.0\.0\.1:\d+/")
GATEWAY = re.compile(r"ws://(127\.0\.0\.1:\d+)/")


def clone(clock: Clock, root: Path, folder: Path, variables: Mapping[str, str]) -> None:
    """Copy what a clone has, uncommitted changes included: nothing that is ignored."""
    listed = run(
        clock,
        ("git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"),
        variables,
        folder=root,
    )
    must(listed, "git does not list the files")
    for name in filter(None, listed.stdout.split("\0")):
        source, target = root / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


class Demo:
    """`make demo`, and everything it prints."""

    def __init__(
        self,
        clock: Clock,
        folder: Path,
        variables: Mapping[str, str],
        python: str,
        user: str | None,
    ) -> None:
        self._clock = clock
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            ["make", "demo", f"PYTHON={python}"],
            cwd=folder,
            env=dict(variables),
            user=user,
            group=None if user is None else 65534,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(iter(self._process.stdout.readline, ""))

    @property
    def said(self) -> str:
        """Everything it has printed."""
        return "".join(self._lines)

    def page(self) -> str:
        """Wait for the address to open."""
        while self._clock.left:
            found = PAGE.search(self.said)
            if found is not None:
                return found[0]
            if self._process.poll() is not None:
                raise FreshError(
                    f"make demo ended with {self._process.returncode}:\n{self.said[-4000:]}"
                )
            time.sleep(0.1)
        raise AssertionError

    def interrupt(self) -> int:
        """Interrupt the gateway, as Ctrl-C does; returns the exit code of make."""
        for pid in _descendants(self._process.pid):
            if "portward" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGINT)
        return self._process.wait(self._clock.left)

    def end(self) -> None:
        """Leave no process behind."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(10)


def _descendants(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(each) for each in text.split()]
    return [*found, *(each for child in found for each in _descendants(child))]


def look(address: str, wanted: str) -> str:
    """Fetch a page.

    Raises:
        FreshError: it is not what is wanted.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=30) as answer:
        text = str(answer.read().decode())
    if answer.status != 200 or wanted not in text:
        raise FreshError(f"{address} answers {answer.status}: {text[:200]}")
    return text


def try_demo(
    clock: Clock, folder: Path, variables: Mapping[str, str], python: str, user: str | None
) -> None:
    """Install and serve the demo in a clone; it answers, shows its pages, and ends when it is told to."""
    demo = Demo(clock, folder, variables, python, user)
    try:
        page = demo.page()
        clock.say(f"make demo serves {page}")
        look(page, "<h1>Portward demo</h1>")
        chat = look(f"{page}settings/chat.json", "ws://")
        gateway = GATEWAY.search(chat)
        assert gateway is not None
        look(f"http://{gateway[1]}/health", '{"status":"ok"}')
        code = demo.interrupt()
        if code or "Traceback" in demo.said:
            raise FreshError(f"make demo ended with {code} on SIGINT:\n{demo.said[-4000:]}")
    finally:
        demo.end()
