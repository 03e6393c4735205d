"""The applications of the page on embedding, served as the page says, with its own files and commands."""

import asyncio
import json
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from portward.settings import load
from portward.settings.environment import CONFIG
from tests.docs.pages import DOCS, ROOT, blocks

PAGE: Final = DOCS / "how-to" / "embed.md"
WAIT: Final = 60.0
pytestmark = pytest.mark.timeout(300)


def python_block(word: str) -> str:
    """The Python block that has this in it."""
    (found,) = [each.text for each in blocks("python", PAGE) if word in each.text]
    return found


def command(word: str) -> list[str]:
    """The words of the printed command line that has this in it."""
    lines = [line for each in blocks("console", PAGE) for line in each.text.splitlines()]
    (found,) = [line.removeprefix("$ ") for line in lines if word in line]
    return shlex.split(found)


def environment() -> dict[str, str]:
    """What the page exports, with secrets of this test's own."""
    exported: dict[str, str] = {}
    for each in blocks("console", PAGE):
        for name, value in re.findall(r'([A-Z_]+)=("[^"]*"|\S+)', each.text):
            made = secrets.token_urlsafe(36) if "openssl" in value else value.strip('"')
            exported[name] = made
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTWARD_")}
    return kept | exported | {CONFIG: os.devnull}


@contextmanager
def served(folder: Path, line: list[str], environ: dict[str, str]) -> Iterator[str]:
    """Run a printed uvicorn command on a free port; the address it serves at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *line, "--port", str(port)],
            cwd=folder,
            env=environ | {"PYTHONPATH": f"{ROOT / 'src'}:{folder}"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + WAIT
        while "Uvicorn running on" not in (folder / "out").read_text():
            assert process.poll() is None, (folder / "out").read_text()
            assert time.monotonic() < deadline, (folder / "out").read_text()
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WAIT)


async def heard(socket_: ClientConnection, kind: str) -> Any:
    """The data of the next message of a type."""
    while True:
        message = json.loads(await asyncio.wait_for(socket_.recv(), WAIT))
        if message["type"] == kind:
            return message["data"]
        assert message["type"] != "error", message


async def member(socket_: ClientConnection, token: str) -> None:
    """Authenticate, and join the room that the page publishes to."""
    for kind, data in (("auth", {"token": token}), ("join", {"roomId": "orders"})):
        await socket_.send(json.dumps({"type": kind, "data": data, "timestamp": 0}))
    await heard(socket_, "room_joined")


async def test_the_fastapi_application(tmp_path: Path) -> None:
    """Its login lets a browser in, its order reaches the room, and so does the script's message."""
    environ = environment()
    (tmp_path / "app.py").write_text(python_block("async def login"))
    (tmp_path / "publish.py").write_text(python_block("with Publisher("))
    with served(tmp_path, command("uvicorn app:app"), environ) as host:
        async with httpx.AsyncClient(base_url=f"http://{host}", trust_env=False) as http:
            wrong = await http.post("/login", json={"user": "ann", "password": "guess"})
            assert wrong.status_code == 401
            login = await http.post("/login", json={"user": "ann", "password": "ann's password"})
            assert login.status_code == 200
            async with connect(f"ws://{host}/ws/rooms", proxy=None) as socket_:
                await member(socket_, login.json()["token"])
                assert (await http.post("/orders", json={"text": "one"})).json() == {"offset": 1}
                assert (await heard(socket_, "message"))["content"] == "one"
                line = command("publish.py")
                done = await asyncio.to_thread(
                    subprocess.run,
                    [sys.executable, *line[1:]],
                    cwd=tmp_path,
                    env=environ | {"PUBLISH_URL": f"http://{host}/internal"},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
                assert (await heard(socket_, "message"))["content"] == line[-1]
            refused = await http.post(
                "/internal/api/publish",
                json={"channel": "rooms:orders", "data": "x", "idempotency_key": "k"},
                headers={"Authorization": "apikey another"},
            )
            assert refused.status_code == 401


def test_the_token_of_the_page_is_one(tmp_path: Path) -> None:
    """The settings that the page exports are read as it says."""
    environ = environment()
    settings = load(environ).settings
    assert settings.tokens.audience == "portward"
    assert settings.tokens.issuer == "https://login.example.com"


async def test_the_application_of_the_readme(tmp_path: Path) -> None:
    """It serves as it is printed, and its order reaches the room."""
    (block,) = blocks("python", ROOT / "README.md")
    (tmp_path / "app.py").write_text(block.text)
    with served(tmp_path, command("uvicorn app:app"), environment()) as host:
        async with httpx.AsyncClient(base_url=f"http://{host}", trust_env=False) as http:
            assert (await http.post("/orders", params={"text": "one"})).status_code == 200
        async with connect(f"ws://{host}/ws/rooms", proxy=None) as socket_:
            await heard(socket_, "handshake")


async def test_the_starlette_application(tmp_path: Path) -> None:
    """Served like the others, it lets in who has a token of the gateway's secret."""
    (tmp_path / "app.py").write_text(python_block("app = Starlette("))
    environ = environment()
    with served(tmp_path, command("uvicorn app:app"), environ) as host:
        async with connect(f"ws://{host}/ws/rooms", proxy=None) as socket_:
            await heard(socket_, "handshake")


@pytest.mark.slow
async def test_the_django_project(tmp_path: Path) -> None:
    """A new project with the two files of the page serves both Django's views and the rooms."""
    environ = environment()
    project = [sys.executable, "-m", "django", "startproject", "mysite", "."]
    await asyncio.to_thread(subprocess.run, project, cwd=tmp_path, env=environ, check=True)
    (tmp_path / "mysite" / "asgi.py").write_text(python_block("get_asgi_application()"))
    (tmp_path / "mysite" / "urls.py").write_text(python_block("urlpatterns"))
    with served(tmp_path, command("uvicorn mysite.asgi"), environ) as host:
        token = await asyncio.to_thread(minted, tmp_path, environ)
        async with connect(f"ws://{host}/ws/rooms", proxy=None) as socket_:
            await member(socket_, token)
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.get(f"http://{host}/order")
            assert answer.json() == {"offset": 1}
            assert (await heard(socket_, "message"))["content"] == "an order came in"


def minted(folder: Path, environ: dict[str, str]) -> str:
    """A token of the command line, which reads the same settings as the application."""
    done = subprocess.run(
        [sys.executable, "-m", "portward", "token", "--sub", "ann"],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(ROOT / "src"), "XDG_STATE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
