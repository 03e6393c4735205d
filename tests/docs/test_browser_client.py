"""The npm package in empty folders: the quick starts of the pages run there as they are printed."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.npm import CLIENT, npm, packed, settings
from tests.docs.pages import DOCS, ROOT, blocks, files
from tests.docs.shell import Shell
from tests.e2e.socketio_chromium import CHROMIUM, need_chromium

START: Final = DOCS / "start.md"
PAGE: Final = DOCS / "how-to" / "browser-client.md"
TUTORIAL: Final = DOCS / "tutorial.md"
OPTIONS: Final = {
    "strict": True,
    "noEmit": True,
    "jsx": "react-jsx",
    "target": "es2022",
    "lib": ["es2022", "dom", "dom.iterable"],
    "types": [],
}
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def opened(folder: Path, page: Path) -> Shell:
    """An empty folder beside that of the sources, with the files that the page prints."""
    packed(folder / "portward" / "dist")
    (folder / "app").mkdir()
    shell = Shell(folder / "app", page, **settings(folder / "home"))
    for name, text in files(page).items():
        (shell.folder / name).write_text(shell.here(text), encoding="utf-8")
    return shell


@contextmanager
def serving(shell: Shell) -> Iterator[None]:
    """A gateway, by the command of the start page."""
    start = Shell(shell.folder, START)
    start.ports, start.environ = shell.ports, shell.environ
    with start.running("portward serve") as gateway:
        gateway.expect("^ready$")
        yield


def shown(shell: Shell, page: str, *words: str) -> Any:
    """What a page of the folder shows in a real browser, for a token of frank."""
    made = ["portward", "token", "--sub", "frank"]
    token = subprocess.run(
        made, cwd=shell.folder, env=shell.environ, capture_output=True, text=True, check=True
    ).stdout.strip()
    url = f"http://localhost:{shell.ports[9001]}/{page}#token={token}"
    with shell.running("http.server 9001"):
        done = subprocess.run(
            ["node", "show.cjs", CHROMIUM, url, *words],
            cwd=ROOT / "tests" / "js",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_es_module_in_node(tmp_path: Path) -> None:
    """`hello.mjs` of the start page joins, sends and hears itself."""
    shell = opened(tmp_path, START)
    shell.run("portward-0.1.0.tgz ws")
    with serving(shell):
        assert shell.run("node hello.mjs").splitlines() == ["erin: hello from TypeScript", "stored"]


@pytest.mark.parametrize("version", ["19", "18"])
def test_react(tmp_path: Path, version: str) -> None:
    """The page of the start page shows the room, and what its button sends, under its policy."""
    need_chromium()
    shell = opened(tmp_path, START)
    shell.run("portward-0.1.0.tgz ws")
    shell.run("react@19")
    if version != "19":
        npm(
            "install",
            f"react@{version}",
            f"react-dom@{version}",
            folder=shell.folder,
            environ=shell.environ,
        )
    shell.run("npx esbuild")
    with serving(shell):
        found = shown(shell, "hello.html", "frank", "Say hello", "hello from React")
    assert found["complaints"] == []
    assert found["shown"].split("\n\n")[:2] == ["frank", "hello from React"]


def test_common_js_in_node(tmp_path: Path) -> None:
    """`hello.cjs` of the page on the client prints what the page says."""
    shell = opened(tmp_path, PAGE)
    shell.run("portward-0.1.0.tgz")
    (shell.folder / "node_modules" / "ws").symlink_to(CLIENT / "node_modules" / "ws")
    with serving(shell):
        assert shell.run("node hello.cjs") == "stored [ 'erin' ]\n"


def test_a_plain_script(tmp_path: Path) -> None:
    """The page with one script file connects and sends, under its policy."""
    need_chromium()
    shell = opened(tmp_path, PAGE)
    shell.run("portward-0.1.0.tgz")
    shell.run("cp node_modules")
    assert "script-src 'self'" in (shell.folder / "plain.html").read_text()
    with serving(shell):
        found = shown(shell, "plain.html", "frank: hello from a plain script")
    assert found["complaints"] == []
    assert "ready" in found["shown"]


def test_an_installation_brings_nothing_else(tmp_path: Path) -> None:
    """The package has no dependencies, and holds its licence and nothing of its tests."""
    shell = opened(tmp_path, PAGE)
    shell.run("portward-0.1.0.tgz")
    installed = shell.folder / "node_modules"
    assert {each.name for each in installed.iterdir() if each.name[0] != "."} == {"portward"}
    names = {each.name for each in (installed / "portward").iterdir()}
    assert names == {"LICENSE", "README.md", "dist", "package.json"}


@pytest.mark.parametrize("resolution", ["node16", "bundler"])
def test_types_resolve(tmp_path: Path, resolution: str) -> None:
    """Every TypeScript example of the pages is correct, with the types of the package."""
    shell = opened(tmp_path, PAGE)
    shell.run("portward-0.1.0.tgz")
    for name in ("react", "react-dom", "@types", "csstype"):
        (shell.folder / "node_modules" / name).symlink_to(CLIENT / "node_modules" / name)
    (shell.folder / "package.json").write_text('{"type": "module"}')
    pages = (START, PAGE, TUTORIAL)
    found = [
        (each, kind) for kind in ("ts", "tsx") for page in pages for each in blocks(kind, page)
    ]
    for index, (block, kind) in enumerate(found):
        (shell.folder / f"example{index}.{kind}").write_text(block.text, encoding="utf-8")
    module = {"node16": "node16", "bundler": "esnext"}[resolution]
    options = OPTIONS | {"module": module, "moduleResolution": resolution}
    (shell.folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    done = subprocess.run(
        ["node", str(CLIENT / "node_modules" / "typescript" / "bin" / "tsc")],
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert len(found) > 6
    assert (done.returncode, done.stdout) == (0, "")
