"""The TypeScript files of the page on the browser client, bundled as printed, in a real browser."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.docs.npm import CLIENT
from tests.docs.pages import ROOT
from tests.docs.shell import Shell
from tests.docs.test_browser_client import PAGE, opened
from tests.e2e.socketio_chromium import CHROMIUM, need_chromium

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
POLICY: Final = "default-src 'none'; script-src 'self'; connect-src 'self' ws://127.0.0.1:*"


class Site(ThreadingHTTPServer):
    """A backend with a login: it serves the bundles, tokens, tickets and the plan."""

    def __init__(self, shell: Shell, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.shell = shell
        self.key = key
        self.logged_in = True

    def token(self) -> str:
        """A token by the command line."""
        return subprocess.run(
            ["portward", "token", "--sub", "gail"],
            cwd=self.shell.folder,
            env=self.shell.environ,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def ticket(self) -> str:
        """A ticket by the admin API."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.shell.ports[8081]}/api/ticket",
            headers={"X-API-Key": self.key},
            json={"token": self.token()},
            trust_env=False,
        )
        return str(answer.json()["result"]["ticket"])


class _Answers(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        """Serve a page around one bundle, the bundle, the plan or the page of the login."""
        path, _, query = self.path.partition("?")
        bundle = self.server.shell.folder / "out" / path[1:]
        if path == "/login":
            self._say("please log in")
        elif path == "/plans/7":
            self._say(f"the plan {query}")
        elif bundle.is_file():
            self._say(bundle.read_text(encoding="utf-8"), "text/javascript")
        else:
            body = f'<!doctype html><body><script type="module" src="{path}.js"></script>'
            self._say(body, "text/html")

    def do_POST(self) -> None:
        """Give a token or a ticket to who is logged in."""
        if not self.server.logged_in:
            self._say("", status=401)
        elif self.path == "/ticket":
            self._say(self.server.ticket())
        else:
            self._say(json.dumps({"token": self.server.token()}), "application/json")

    def _say(self, body: str, kind: str = "text/plain", status: int = 200) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """A gateway, and a site with the bundles of the page's files."""
    shell = opened(folder, PAGE)
    shell.run("portward-0.1.0.tgz")
    gateway = f"ws://127.0.0.1:{shell.ports[8080]}"
    for path in shell.folder.glob("*.ts"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("wss://gateway.example.com", gateway), encoding="utf-8")
    names = [path.name for path in shell.folder.glob("*.ts") if path.name != "token.ts"]
    esbuild = CLIENT / "node_modules" / ".bin" / "esbuild"
    subprocess.run(
        [esbuild, *names, "--bundle", "--format=esm", "--target=es2022", "--outdir=out"],
        cwd=shell.folder,
        capture_output=True,
        check=True,
    )
    with shell.started("portward serve") as served:
        key = served.expect(r"^admin key +(\S+)")[1]
        served.expect("^ready$")
        with Site(shell, key) as site:
            thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield site
            finally:
                site.shutdown()
                thread.join()


def shown(site: Site, name: str, text: str) -> Any:
    """What the page of one file shows, once this text is in it."""
    done = subprocess.run(
        ["node", "show.cjs", CHROMIUM, f"http://localhost:{site.server_port}/{name}", text],
        cwd=ROOT / "tests" / "js",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (name, done.stderr)
    return json.loads(done.stdout)


def test_the_recipes(tmp_path: Path) -> None:
    """Each file does what the page says of it, under a policy that allows scripts of the site alone."""
    need_chromium()
    expected = {
        "sending": "stored at 1",
        "gaps": "joined at 1",
        "plan": "the plan at=0",
        "connection": "connecting ready",
        "others": "subscribed to call-7,call-8",
    }
    with serving(tmp_path) as site:
        for name, text in expected.items():
            found = shown(site, name, text)
            assert (name, found["complaints"]) == (name, [])
        site.logged_in = False
        assert shown(site, "login", "please log in")["shown"] == "please log in"
