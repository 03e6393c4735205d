"""A package index of this machine that offers a newer version of everything asked for with an extra."""

import hashlib
import http.server
import io
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

NEWER = "99.0"
"""A version above every one that is there."""
_WITH_EXTRA = re.compile(r"^([a-z0-9._-]+)\[([a-z0-9,_-]+)\]==", re.MULTILINE)


def asked_with_extras(lock: str) -> dict[str, tuple[str, ...]]:
    """Return the packages that a lock pins with extras, each with these."""
    return {name: tuple(extras.split(",")) for name, extras in _WITH_EXTRA.findall(lock)}


def without_extra(lock: str, name: str) -> str:
    """Return a lock in which one package has lost its extras."""
    return re.sub(rf"^{re.escape(name)}\[[^\]]+\]==", f"{name}==", lock, flags=re.MULTILINE)


def wheel(name: str, extras: tuple[str, ...]) -> tuple[str, bytes]:
    """Return the file name and the bytes of a package that has nothing but a version and extras."""
    module = name.replace("-", "_")
    folder = f"{module}-{NEWER}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {NEWER}",
        *(f"Provides-Extra: {extra}" for extra in extras),
    ]
    tags = ["Wheel-Version: 1.0", "Generator: tests", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    files = {
        f"{folder}/METADATA": "\n".join(metadata) + "\n",
        f"{folder}/WHEEL": "\n".join(tags) + "\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{folder}/RECORD"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in (*files.items(), (f"{folder}/RECORD", record)):
            # A date of its own: the same release has the same digest whenever it is made.
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), text)
    return f"{module}-{NEWER}-py3-none-any.whl", packed.getvalue()


def pages(packages: Mapping[str, tuple[str, ...]]) -> dict[str, bytes]:
    """Return everything the index serves, by path (PEP 503)."""
    found: dict[str, bytes] = {}
    for name, extras in packages.items():
        file, content = wheel(name, extras)
        digest = hashlib.sha256(content).hexdigest()
        page = f'<!DOCTYPE html><a href="/files/{file}#sha256={digest}">{file}</a>'
        found[f"/simple/{name}/"] = page.encode()
        found[f"/files/{file}"] = content
    return found


class _Handler(http.server.BaseHTTPRequestHandler):
    served: ClassVar[Mapping[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Serve a page or a file; of any other package this index knows nothing."""
        self.asked.append(self.path)
        body = self.served.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header(
            "Content-Type", "text/html" if self.path.endswith("/") else "application/zip"
        )
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has
        """Print nothing."""


class Index:
    """The running index: its address, and which paths were asked for."""

    def __init__(self, address: str, asked: list[str]) -> None:
        self.address = address
        self.asked = asked


@contextmanager
def serving(packages: Mapping[str, tuple[str, ...]]) -> Iterator[Index]:
    """Serve the newer versions on a free port of this machine."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"served": pages(packages), "asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Index(f"http://127.0.0.1:{server.server_address[1]}/simple/", asked)
        finally:
            server.shutdown()
            thread.join()
