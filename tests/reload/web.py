"""A small HTTP server in a thread: the issuer's key set, the identity provider, whatever is asked."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from tests.reload.upstream_server import UpstreamServer, upstream_server

Answer = Callable[[str], tuple[int, Any]]
"""Given the `Cookie` header; the status and what goes out as JSON."""
Post = tuple[Mapping[str, str], bytes]
"""Headers, by lower-case name, and body of a request."""


class Web:
    """Answers each path with what was set for it, and with 404 else.

    `asked` lists the paths in the order of the requests, `posts` what was posted to each path. Beside it,
    `upstream` is the upstream of the relays.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.upstream = UpstreamServer()
        self.asked: list[str] = []
        self.posts: dict[str, list[Post]] = defaultdict(list)
        self._answers: dict[str, Answer] = {}

    def put(self, path: str, value: Any, status: int = 200) -> str:
        """Answer a path with this; its address."""
        return self.answer(path, lambda _: (status, value))

    def answer(self, path: str, answer: Answer) -> str:
        """Answer a path with what a function makes of the cookies; its address."""
        self._answers[path] = answer
        return f"{self.url}{path}"

    def reply(self, path: str, cookies: str) -> tuple[int, Any]:
        """Answer one request."""
        self.asked.append(path)
        answer = self._answers.get(path.partition("?")[0])
        return answer(cookies) if answer is not None else (404, {})


def _chunked(file: BufferedIOBase) -> bytes:
    """Read a body in chunks (RFC 9112 section 7.1)."""
    body = b""
    while size := int(file.readline(), 16):
        body += file.read(size)
        file.readline()
    file.readline()
    return body


@contextmanager
def web_server() -> Iterator[Web]:
    """Serve on a free port of this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, value = web.reply(self.path, self.headers.get("Cookie", ""))
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length") or -1)
            body = self.rfile.read(size) if size >= 0 else _chunked(self.rfile)
            headers = {name.lower(): value for name, value in self.headers.items()}
            web.posts[self.path].append((headers, body))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with upstream_server() as upstream:
            web.upstream = upstream
            yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
