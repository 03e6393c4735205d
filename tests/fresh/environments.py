"""Environments made from nothing, with three pips, beside an index that has newer versions."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.fresh.index import Index, asked_with_extras, without_extra
from tests.fresh.machine import Clock, FreshError, must, run

PYTHONS: Final = (
    "/usr/bin/python3.11",
    "python3.11",
    "/usr/bin/python3",
    "python3.12",
    "python3.13",
    "python3",
)
NEWEST: Final = ""


class Pip(NamedTuple):
    """A pip to try: where it comes from, its version, and the newest Python it runs on.

    A `strict` one refuses a lock in which an extra is missing, once there is a newer release. Later ones take
    the version that is pinned without it.
    """

    where: str
    version: str
    newest: tuple[int, int]
    strict: bool = False


PIPS: Final = (
    Pip("Debian 12", "23.0.1", (3, 11), strict=True),
    Pip("pyenv", "23.2.1", (3, 12), strict=True),
    Pip("the newest", NEWEST, (3, 99)),
)


class Python(NamedTuple):
    """An interpreter, its version, and that of the pip it puts into environments."""

    path: str
    version: tuple[int, int]
    pip: str


def pythons(candidates: Sequence[str] = PYTHONS) -> Iterator[Python]:
    """Yield the interpreters of this machine that can serve."""
    asked = (
        "import ensurepip, json, sys;"
        "print(json.dumps([sys.executable, sys.version_info[:2], ensurepip.version()]))"
    )
    seen: set[str] = set()
    for name in candidates:
        path = shutil.which(name)
        if path is None:
            continue
        ran = subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False)
        if ran.returncode:
            continue  # a name that stands for no Python here, or one that cannot make environments
        real, (major, minor), pip = json.loads(ran.stdout)
        if real not in seen and (major, minor) >= (3, 11):
            seen.add(real)
            yield Python(real, (major, minor), pip)


def chosen(pip: Pip, found: Sequence[Python]) -> Python | None:
    """Return the Python for a pip: one that brings it, else one that it runs on."""
    fit = [each for each in found if each.version <= pip.newest]
    return next((each for each in fit if each.pip == pip.version), fit[0] if fit else None)


class Environment:
    """An empty environment with one pip."""

    def __init__(self, clock: Clock, folder: Path, variables: Mapping[str, str]) -> None:
        self._clock = clock
        self._folder = folder
        self._variables = variables

    def make(self, python: Python, pip: Pip) -> str:
        """Make it; returns the version of its pip."""
        must(self._run(python.path, "-m", "venv", self._folder), f"an environment of {python.path}")
        if pip.version == NEWEST:
            must(self._pip("install", "--quiet", "--upgrade", "pip"), "the newest pip")
        elif python.pip != pip.version:
            must(self._pip("install", "--quiet", f"pip=={pip.version}"), f"pip {pip.version}")
        version = self._pip("--version").stdout.split()[1]
        if pip.version not in {NEWEST, version}:
            raise FreshError(f"pip is {version}, and should be {pip.version}")
        return version

    def install(self, lock: Path, index: Index) -> None:
        """Install the lock beside an index that has newer versions."""
        must(
            self._locked("--quiet", "--no-compile", lock=lock, index=index),
            "the lock cannot be installed",
        )

    def install_package(self, root: Path) -> None:
        """Install the package itself and run it."""
        command = ("install", "--quiet", "--no-deps", "--no-build-isolation", str(root))
        must(self._pip(*command), "the package cannot be installed")
        must(self._run(self._folder / "bin" / "portward", "version"), "the command does not run")

    def refuses(self, lock: Path, index: Index, name: str) -> None:
        """See that a lock is refused for one package, and for no other reason."""
        ran = self._locked("--quiet", "--dry-run", "--ignore-installed", lock=lock, index=index)
        if not ran.returncode:
            raise FreshError(
                f"a lock without the extras of {name} is installed beside a newer release"
            )
        if f"{name}[" not in ran.stdout:
            raise FreshError(
                f"a lock without the extras of {name} fails otherwise:\n{ran.stdout[-2000:]}"
            )

    def _locked(
        self, *options: str, lock: Path, index: Index
    ) -> "subprocess.CompletedProcess[str]":
        further = ("--extra-index-url", index.address, "--trusted-host", "127.0.0.1")
        return self._pip("install", *options, *further, "--require-hashes", "-r", str(lock))

    def _pip(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self._run(self._folder / "bin" / "python", "-m", "pip", *words)

    def _run(self, *command: str | Path) -> "subprocess.CompletedProcess[str]":
        return run(self._clock, command, self._variables)


def broken(lock: str, name: str) -> str:
    """Return the lock without the extras of one package.

    Raises:
        FreshError: it pins the package with none.
    """
    if name not in asked_with_extras(lock):
        raise FreshError(f"the lock pins {name} with no extra")
    return without_extra(lock, name)
