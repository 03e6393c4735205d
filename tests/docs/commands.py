"""How the pages' blocks of commands are run: as they are printed, with the ports of this run, one by one."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.docs.pages import DOCS, Block, blocks

WAIT: Final = 60.0
INTERRUPTED: Final = 28
"""What curl ends with after `--max-time`: the connection was upgraded and stays."""
_PORTS: Final = {":8080": "public", ":8090": "public", ":8081": "admin", ":8091": "admin"}


class Case(NamedTuple):
    """A block of commands by its page and a text in it, and the codes its commands may end with."""

    page: str
    within: str
    codes: tuple[int, ...] = (0,)

    @property
    def block(self) -> Block:
        """The one block it is about."""
        (found,) = [
            each for each in blocks("console", DOCS / self.page) if self.within in each.text
        ]
        return found


CASES: Final = (
    Case("endpoints/alerts.md", "/api/analysis"),
    Case("endpoints/live.md", "portward publish live:event:42"),
    Case("endpoints/relay.md", "8080/test"),
    Case("endpoints/workspaces.md", "/api/approvals"),
    Case("endpoints/workspaces.md", "/api/publish"),
    Case("gate.md", "/api/ticket"),
    Case("how-to/migrate-alerts.md", "portward config", (0, 1)),
    Case("how-to/migrate-alerts.md", "portward inspect", (0, INTERRUPTED)),
    Case("how-to/migrate-live.md", "portward config", (0, 1)),
    Case("how-to/migrate-live.md", "8090/live", (0, INTERRUPTED)),
    Case("how-to/migrate-live.md", "8091/api/publish"),
    Case("how-to/migrate-relay.md", "portward config", (0, 1)),
    Case("how-to/migrate-relay.md", "8090/test"),
    Case("how-to/production.md", "portward rooms set"),
    Case("how-to/production.md", "portward check", (0, 1)),
    Case("how-to/revoke.md", "portward revoke"),
    Case("reference/cli.md", "portward call presence_stats"),
    Case("reference/cli.md", "portward rooms list"),
    Case("../README.md", "portward revoke"),
)
"""Blocks that a gateway of development answers. Checks may end with 1: production would refuse it."""


class Place(NamedTuple):
    """Where a gateway of this run is, with what the pages call `$KEY` and `$TOKEN`."""

    folder: Path
    environ: dict[str, str]
    public: int
    admin: int

    def put_in(self, command: str) -> str:
        """A printed command with what a reader puts in: ports, and a token where one is shown as `eyJ…`."""
        for port, name in _PORTS.items():
            command = command.replace(port, f":{getattr(self, name)}")
        return command.replace("eyJ…", self.environ["TOKEN"]).replace(".venv/bin/", "")


def conversation(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that are shown as its output."""
    found: list[tuple[str, list[str]]] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def run(place: Place, command: str, codes: tuple[int, ...] = (0,), **given: str) -> str:
    """What a command prints; it must end with one of the codes."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", place.put_in(command)],
        cwd=place.folder,
        env=place.environ | given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=WAIT,
        check=False,
    )
    assert done.returncode in codes, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout


def is_as_shown(shown: list[str], output: str) -> bool:
    """Whether an output has the form of the one shown: JSON of the same keys and types, or the same words.

    Where nothing is shown, anything will do.
    """
    if not shown:
        return True
    try:
        return bool(shape(json.loads("".join(shown))) == shape(json.loads(output)))
    except ValueError:
        return words("\n".join(shown)) == words(output)


def words(text: str) -> list[str]:
    """The first word of each line; numbers are all the same."""
    return [re.sub(r"\d+", "0", line.split()[0]) for line in text.splitlines() if line.strip()]


def shape(value: Any) -> Any:
    """The keys of a value with the types of what they hold."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


def clean_environment() -> dict[str, str]:
    """The environment without settings of a gateway."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PORTWARD_")}
