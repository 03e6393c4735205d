"""A real Chromium, and the pages it is shown."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.e2e.socketio_client import JS, need_node

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
PATIENCE: Final = 45.0
CLOSING: Final = 5.0
_FILES: Final = {
    "/desk.html": (JS / "pages" / "desk.html", "text/html; charset=utf-8"),
    "/socket.html": (JS / "pages" / "socket.html", "text/html; charset=utf-8"),
    "/socket.io.min.js": (
        JS / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js",
        "text/javascript; charset=utf-8",
    ),
}


class _Pages(BaseHTTPRequestHandler):
    """Serves a few files, whatever host is asked for."""

    def do_GET(self) -> None:
        """Send a file."""
        found = _FILES.get(self.path.partition("?")[0])
        if found is None:
            self.send_error(404)
            return
        body = found[0].read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", found[1])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def pages() -> Iterator[int]:
    """A site with the page; its port on 127.0.0.1."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def address(host: str, port: int, page: str = "desk", **asked: Any) -> str:
    """The address of a page with what it is asked to do."""
    return f"http://{host}:{port}/{page}.html?asked={quote(json.dumps(asked))}"


def need_chromium() -> None:
    """Skip where there is no browser."""
    if not Path(CHROMIUM).exists():
        pytest.skip("chromium is not installed")
    if not (JS / "node_modules" / "playwright-core").is_dir():
        pytest.skip("tests/js/node_modules is not installed")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Have it close the browser. One that does not is killed, and the browser ends with its pipe."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), CLOSING)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def browse(urls: list[str]) -> list[dict[str, Any]]:
    """What each of these pages came to. Everything has ended and is gone afterwards."""
    # A short path: the browser has a socket in it.
    with TemporaryDirectory(prefix="pw", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *(need_node(), str(JS / "chromium.cjs"), folder, CHROMIUM, json.dumps(urls)),
            cwd=JS,
            env={"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        finally:
            await _end(process)
    assert process.returncode == 0, errors.decode()
    return [json.loads(line) for line in output.splitlines()]
