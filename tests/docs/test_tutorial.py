"""The tutorial, followed file by file and command by command, with two people in a real browser."""

import json
import os
from pathlib import Path
from typing import Final

import pytest

from tests.docs.npm import packed, settings
from tests.docs.pages import DOCS, ROOT, files
from tests.docs.shell import Shell, Terminal, terminal
from tests.e2e.socketio_chromium import CHROMIUM, need_chromium

PAGE: Final = DOCS / "tutorial.md"
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
MORNING: Final = "Good morning! Has anybody read the release notes?"
BACK: Final = "Yes. The page comes back by itself now, and shows what it missed."
AWAY: Final = "written without a gateway"


def followed(folder: Path) -> Shell:
    """The folder of the chat, with the page's files, its secrets and its packages."""
    packed(folder / "portward" / "dist")
    shell = Shell(folder / "portward", PAGE, **settings(folder / "home"))
    shell.run("mkdir")
    shell.folder = folder / "chat"
    shell.run("openssl")
    for name, text in files(PAGE).items():
        (shell.folder / name).write_text(shell.here(text), encoding="utf-8")
    shell.run("npm install")
    shell.run("npm run build")
    return shell


def browse(shell: Shell, people: Terminal) -> None:
    """Stop the gateway, start it and publish, when the people in the browser ask for it."""
    with shell.running("portward serve") as gateway:
        gateway.expect("^ready$")
        people.type("go")
        people.expect("^stop$")
    people.type("stopped")
    people.expect("^start$")
    with shell.running("portward serve") as gateway:
        gateway.expect("^ready$")
        people.type("started")
        people.expect("^publish$")
        shell.run("portward publish")
        people.type("published")
        people.process.wait(120)


def test_the_tutorial(tmp_path: Path) -> None:
    """Two people log in, talk, lose the gateway and miss nothing; a logout ends a connection at once."""
    need_chromium()
    shell = followed(tmp_path)
    with shell.running("python backend.py") as backend:
        backend.expect("Uvicorn running")
        url = f"http://localhost:{shell.ports[8000]}/"
        pictures = os.environ.get("TUTORIAL_PICTURES", "")
        line = f"read _; exec node tutorial.cjs {CHROMIUM} {url} {pictures}"
        with terminal(line, ROOT / "tests" / "js", shell.environ) as people:
            browse(shell, people)
            outcome = json.loads(people.lines[-1])
    told = [MORNING, BACK, AWAY, "The lift works again"]
    assert outcome == {"texts": [told, told, told], "complaints": []}
