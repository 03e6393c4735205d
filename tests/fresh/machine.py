"""A machine that has nothing: an empty home, no caches, no settings of pip but where the packages are."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

BUDGET: Final = 600.0
"""Seconds for everything."""
KEPT: Final = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "CI",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""Variables without which nothing can be run or fetched here."""
SOURCES: Final = {
    "index-url": "PIP_INDEX_URL",
    "proxy": "PIP_PROXY",
    "cert": "PIP_CERT",
    "client-cert": "PIP_CLIENT_CERT",
    "trusted-host": "PIP_TRUSTED_HOST",
    "timeout": "PIP_TIMEOUT",
    "default-timeout": "PIP_DEFAULT_TIMEOUT",
}
"""How this machine reaches packages. Folders of wheels, further indexes and constraints are left out: what
they bring is not there on another machine."""


class FreshError(Exception):
    """A step did not come out as it must; the text is what to look at."""


class Clock:
    """The budget, and what is printed of each step."""

    def __init__(self, out: IO[str] = sys.stdout) -> None:
        self._out = out
        self._begun = time.monotonic()
        self._stopped = False
        self.running: set[subprocess.Popen[str]] = set()
        """Commands that have not ended."""

    @property
    def left(self) -> float:
        """Seconds that are left.

        Raises:
            FreshError: none are.
        """
        left = BUDGET - (time.monotonic() - self._begun)
        if left <= 0 or self._stopped:
            raise FreshError(f"not done within {BUDGET:.0f} seconds")
        return left

    def stop(self) -> None:
        """End every command, and let no other one begin."""
        self._stopped = True
        for process in tuple(self.running):
            process.kill()

    def say(self, text: str) -> None:
        """Print a line of progress."""
        self._out.write(f"[{time.monotonic() - self._begun:5.0f} s] {text}\n")
        self._out.flush()


def environment(home: Path, source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of a fresh machine with an empty home."""
    home.mkdir(exist_ok=True)
    kept = {name: source[name] for name in KEPT if name in source}
    local = ",".join(filter(None, (kept.get("no_proxy", ""), "127.0.0.1,localhost")))
    return {
        **kept,
        **packages(source),
        "HOME": str(home),
        "no_proxy": local,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def packages(source: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say where packages come from, from those of pip and from its files."""
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True, text=True, check=False, env=dict(source),
    )  # fmt: skip
    given: dict[str, str] = {}
    for line in ran.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        # What a variable says is listed first, and wins.
        if option in SOURCES and section in {":env:", "global", "install"}:
            given.setdefault(SOURCES[option], value.strip("'\""))
    return given


def run(
    clock: Clock,
    command: Sequence[str | Path],
    variables: Mapping[str, str],
    *,
    folder: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, within what is left of the budget."""
    left = clock.left
    words = [str(word) for word in command]
    with subprocess.Popen(
        words,
        env=dict(variables),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        clock.running.add(process)
        try:
            printed, _ = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            process.kill()
            raise FreshError(f"not done in time: {' '.join(words[:4])}") from None
        finally:
            clock.running.discard(process)
    return subprocess.CompletedProcess(words, process.returncode, printed)


def must(ran: "subprocess.CompletedProcess[str]", what: str) -> None:
    """Raise when a command has failed.

    Raises:
        FreshError: with the end of what it printed.
    """
    if ran.returncode:
        raise FreshError(f"{what}: exit code {ran.returncode}\n{ran.stdout[-4000:]}")
