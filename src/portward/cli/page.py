"""The page of the demo, and the smallest server that can show it: one GET, this machine alone."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Final

_HEAD: Final = 8 * 1024
_TIME: Final = 5.0
_SETTINGS: Final = "{{settings}}"
_STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Page:
    """Shows `demo.html`, made to connect to `address`, to join `room`, with the users' tokens.

    The tokens are in the page. So it is shown to who asks for this very host alone: a page of
    another site that had its name point here would be turned away.
    """

    def __init__(self, address: str, room: str, tokens: Mapping[str, str]) -> None:
        template = (files("portward.cli") / "demo.html").read_text(encoding="utf-8")
        settings = json.dumps({"address": address, "room": room, "tokens": dict(tokens)})
        # Inside a script element, the one thing that could end it early is a "<".
        self._body = template.replace(_SETTINGS, settings.replace("<", "\\u003c")).encode()
        self._policy = _policy(template, address)
        self._hosts: frozenset[str] = frozenset()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; return the address of the page.

        Raises:
            OSError: the port cannot be had.
        """
        self._server = await asyncio.start_server(self._answer, host, port, limit=_HEAD)
        port = self._server.sockets[0].getsockname()[1]
        self._hosts = frozenset({f"{host}:{port}", f"localhost:{port}"})
        return f"http://{host}:{port}/"

    def stop(self) -> None:
        """Listen no more. Who is being answered is not waited for."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIME):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.decode("latin-1")))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked so is not answered
        finally:
            writer.close()

    def _response(self, head: str) -> bytes:
        first, *lines = head.split("\r\n")
        method, target, *_ = [*first.split(" "), "", ""]
        hosts = [line[5:].strip().lower() for line in lines if line.lower().startswith("host:")]
        status = self._judge(method, target, hosts)
        body = self._body if status is HTTPStatus.OK else b""
        headers = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            "Content-Type: text/html; charset=utf-8",
            f"Content-Length: {len(body)}",
            f"Content-Security-Policy: {self._policy}",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
            "Connection: close",
        )
        sent = b"" if method == "HEAD" else body
        return "\r\n".join((*headers, "", "")).encode("latin-1") + sent

    def _judge(self, method: str, target: str, hosts: list[str]) -> HTTPStatus:
        if method not in {"GET", "HEAD"}:
            return HTTPStatus.METHOD_NOT_ALLOWED
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return HTTPStatus.FORBIDDEN
        return HTTPStatus.OK if target.partition("?")[0] == "/" else HTTPStatus.NOT_FOUND


def _policy(template: str, address: str) -> str:
    """The one style and the one script of the page, the address it connects to, nothing else."""
    origin = address.rpartition("/")[0]
    return (
        f"default-src 'none'; style-src {_digests(_STYLE, template)};"
        f" script-src {_digests(_SCRIPT, template)}; connect-src {origin};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digests(pattern: re.Pattern[str], template: str) -> str:
    found = (hashlib.sha256(text.encode()).digest() for text in pattern.findall(template))
    return " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in found)
