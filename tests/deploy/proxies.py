"""nginx and HAProxy as processes, with the files of `deploy/` as they are shipped.

Put in are what a user puts in: addresses, ports, the certificate and paths. Everything else is read from the
file, and a value that is not found there as often as expected fails the test.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from tests.certificates import Certificates
from tests.e2e.process import ROOT
from tests.engines.redis_servers import until

NODES = ("10.0.0.11:8080", "10.0.0.12:8080")
"""Addresses of the nodes in the files as shipped."""
PATIENCE = 60.0


class Proxy:
    """A proxy in front of two nodes. `limit` is the hard limit on its descriptors, if it is to have one."""

    program: ClassVar[str]
    file: ClassVar[str]

    def __init__(
        self,
        folder: Path,
        certificates: Certificates,
        nodes: Sequence[str],
        *,
        limit: int | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.port = unused_port()
        self.folder = folder
        self._log = folder / "log"
        self._limit = limit
        self._process: subprocess.Popen[bytes] | None = None
        text = (ROOT / "deploy" / self.file).read_text()
        for old, new in (*self.values(certificates).items(), *zip(NODES, nodes, strict=True)):
            assert text.count(old) == 1, f"{old} in {self.file}"
            text = text.replace(old, new)
        self.config = folder / self.file
        self.config.write_text(text)

    def values(self, certificates: Certificates) -> Mapping[str, str]:
        """Return what is put in, by what it takes the place of."""
        raise NotImplementedError

    def check(self) -> Sequence[str]:
        """Return the arguments that check the file."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """Return the arguments to serve in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._limited(self.command()), stdout=log, stderr=subprocess.STDOUT
            )
        until(self._listens, PATIENCE)

    def checked(self) -> subprocess.CompletedProcess[str]:
        """Run the check of the file as the first line of the file says."""
        return subprocess.run(
            self._limited(self.check()), check=False, capture_output=True, text=True
        )

    def _limited(self, command: Sequence[str]) -> Sequence[str]:
        command = (installed(self.program) or self.program, *command)
        if self._limit is None:
            return command
        return ("sh", "-c", f'ulimit -n {self._limit} && exec "$@"', "sh", *command)

    def _listens(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(self.said)
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def said(self) -> str:
        """Everything it has printed."""
        return self._log.read_text() if self._log.exists() else ""


class Nginx(Proxy):
    """nginx with `deploy/nginx.conf`."""

    program = "nginx"
    file = "nginx.conf"

    def values(self, certificates: Certificates) -> Mapping[str, str]:
        """Return what is put in; folders for bodies, which only root can make where they are built in."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {self.folder / kind};\n" for kind in kinds)
        return {
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "/etc/ssl/gateway.example.com.pem": str(certificates.server),
            "/etc/ssl/gateway.example.com.key": str(certificates.key),
            "/run/nginx.pid": str(self.folder / "pid"),
            "/var/log/nginx/portward.log": str(self.folder / "access.log"),
            "http {\n": f"http {{\n{folders}",
        }

    def check(self) -> Sequence[str]:
        """Return the arguments that check the file."""
        return (*self._base(), "-t")

    def command(self) -> Sequence[str]:
        """Return the arguments to serve in the foreground."""
        return (*self._base(), "-g", "daemon off;")

    def _base(self) -> Sequence[str]:
        errors = self.folder / "error.log"
        return ("-p", str(self.folder), "-e", str(errors), "-c", str(self.config))


class HAProxy(Proxy):
    """HAProxy with `deploy/haproxy.cfg`."""

    program = "haproxy"
    file = "haproxy.cfg"

    def values(self, certificates: Certificates) -> Mapping[str, str]:
        """Return what is put in."""
        return {
            "bind :443 ssl": f"bind 127.0.0.1:{self.port} ssl",
            "/etc/haproxy/gateway.example.com.pem": str(certificates.both),
        }

    def check(self) -> Sequence[str]:
        """Return the arguments that check the file."""
        return ("-c", "-f", str(self.config))

    def command(self) -> Sequence[str]:
        """Return the arguments to serve in the foreground."""
        return ("-db", "-f", str(self.config))


PROXIES: Mapping[str, type[Proxy]] = {"nginx": Nginx, "haproxy": HAProxy}


def installed(program: str) -> str | None:
    """Return where a program is, also in the folders that only root has on its PATH."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    return shutil.which(program, path=path)


def need(kind: type[Proxy]) -> None:
    """Skip where the proxy is not installed."""
    if installed(kind.program) is None:
        pytest.skip(f"{kind.program} is not on PATH")


@contextmanager
def proxy_of(
    name: str, folder: Path, certificates: Certificates, nodes: Sequence[str]
) -> Iterator[Proxy]:
    """Run a proxy in front of two nodes."""
    kind = PROXIES[name]
    need(kind)
    made = kind(folder, certificates, nodes)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def unused_port() -> int:
    """Return a port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
