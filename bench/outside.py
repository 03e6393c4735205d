"""Peers that are used when they happen to be installed: nginx with nchan, and nats-server."""

import getpass
import http.client
import os
import shutil
import socket
from pathlib import Path
from typing import Final

from bench.load import Script, head, payload
from bench.servers import (
    Installed,
    NotInstalledError,
    Program,
    Workshop,
    free_port,
    paced,
)

NCHAN_MODULES: Final = (
    "/usr/lib/nginx/modules/ngx_nchan_module.so",
    "/usr/share/nginx/modules/ngx_nchan_module.so",
    "/etc/nginx/modules/ngx_nchan_module.so",
)

_NGINX: Final = """
load_module {module};
daemon off;
user {user};
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /publish {{ nchan_publisher http; nchan_channel_id bench; }}
        location = /subscribe {{
            nchan_subscriber websocket;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }}
    }}
}}
"""

_NATS: Final = """
listen: "127.0.0.1:{port}"
max_connections: 20000
websocket {{ listen: "127.0.0.1:{websocket}", no_tls: true, compression: false }}
"""


class Nchan(Installed):
    """nginx with the nchan module: one worker, published to by HTTP on one kept connection."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        nginx, module = shutil.which("nginx"), self._module()
        if nginx is None or module is None:
            raise NotInstalledError("nginx with its nchan module was not found")
        port = free_port()
        folder = workshop.folder
        settings = folder / "nginx.conf"
        user = getpass.getuser()
        settings.write_text(_NGINX.format(module=module, user=user, folder=folder, port=port))
        self.start([nginx, "-p", str(folder), "-c", str(settings)], workshop.log("nchan"), port)

    @staticmethod
    def _module() -> Path | None:
        places = [os.environ.get("BENCH_NCHAN_MODULE", ""), *NCHAN_MODULES]
        return next((Path(place) for place in places if place and Path(place).is_file()), None)

    def subscriber(self, index: int) -> Script:  # noqa: ARG002 - all are alike here
        """The address is the subscription."""
        return Script(head("/subscribe"))

    def publish(self, count: int, rate: float, size: int) -> None:
        """Posts the messages."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        text = payload(size)

        def post() -> None:
            connection.request("POST", "/publish", text, {"Content-Type": "text/plain"})
            connection.getresponse().read()

        paced(count, rate, post)
        connection.close()


class Nats(Installed):
    """nats-server with its WebSocket listener, published to by its own protocol over TCP."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        program = shutil.which("nats-server")
        if program is None:
            raise NotInstalledError("nats-server was not found on PATH")
        self._tcp, port = free_port(), free_port()
        settings = workshop.folder / "nats.conf"
        settings.write_text(_NATS.format(port=self._tcp, websocket=port))
        self.start([program, "-c", str(settings)], workshop.log("nats"), port, self._tcp)

    def subscriber(self, index: int) -> Script:  # noqa: ARG002 - all are alike here
        """Subscribes when greeted, and waits until that is known to have been taken."""
        subscribe = 'CONNECT {"verbose":false,"pedantic":false}\r\nSUB bench 1\r\nPING\r\n'
        return Script(head(), ("INFO", subscribe, "PONG"))

    def publish(self, count: int, rate: float, size: int) -> None:
        """Publishes on one connection; returns when the server has taken all."""
        message = f"PUB bench {size}\r\n{payload(size)}\r\n".encode()
        with socket.create_connection(("127.0.0.1", self._tcp)) as connection:
            connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
            paced(count, rate, lambda: connection.sendall(message))
            connection.sendall(b"PING\r\n")
            seen = b""
            while b"PONG" not in seen:
                seen += connection.recv(4096)


class Redis(Program):
    """A store of its own for the nodes of one run, on which nothing is kept."""

    def __init__(self, workshop: Workshop) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise NotInstalledError("redis-server was not found on PATH")
        port = free_port()
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.start([program, *arguments], workshop.log("redis"), port)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"
