"""Real HAProxy and nginx in front, with the lines of the documentation: Unix sockets and PROXY headers."""

import asyncio
import io
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.node.sessions.clock import LoopClock
from portward.settings import load
from portward.telemetry.telemetry import make_telemetry
from tests.certificates import Certificates, make_certificates
from tests.deploy.proxies import unused_port
from tests.e2e.gateways import until
from tests.e2e.process import ROOT, SECRET

CLIENT: Final = "127.7.7.7"
"""The address clients connect from, which is not the one proxies do."""
MASKED: Final = "127.7.7.xxx"
PATIENCE: Final = 30.0
PRODUCTION: Final = f"""
environment = "production"
[tokens]
secrets = ["{SECRET}-9f3b7c1d5e"]
[gate]
allowed_origins = ["https://app.example.com"]
[endpoints.live]
enabled = false
[endpoints.rooms]
credentials = ["header"]
"""
USER: Final = "user root;\n" if os.geteuid() == 0 else ""
"""Started by root, nginx serves as another user, which is not in the group of the socket."""
NGINX: Final = """
pid {folder}/nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
{block}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {server};
        ssl_certificate_key {key};
        location / {{
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""
HAPROXY: Final = """
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 5s
"""
FRONT: Final = """
frontend front
    mode http
    bind 127.0.0.1:{port} ssl crt {both}
    default_backend gateway-socket
"""
STREAM: Final = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def block(title: str, language: str, number: int = 0) -> str:
    """A block of the how-to, below a title."""
    page = (ROOT / "docs" / "how-to" / "production.md").read_text()
    section = page.partition(f"\n### {title}\n")[2]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)[number]  # type: ignore[no-any-return]  # a group


def put_in(text: str, **values: str) -> str:
    """What a user puts in: each stands there once, or the page has changed."""
    places = {
        "sock": "/run/portward/gateway.sock",
        "bind": ":443",
        "pem": "/etc/haproxy/gateway.example.com.pem",
        "plain": "10.0.0.11:8080",
        "tls": "10.0.0.11:8443",
    }
    for name, value in values.items():
        assert text.count(places[name]) == 1, (name, text)
        text = text.replace(places[name], value)
    return text


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, for sockets."""
    with TemporaryDirectory(prefix="pw", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def certificates(folder: Path) -> Certificates:
    """The proxy's certificate."""
    return make_certificates(folder, "localhost")


@asynccontextmanager
async def gateway(server: str) -> AsyncIterator[tuple[Gateway, int]]:
    """A gateway in production with these keys under `[server]`, and its port."""
    text = f"{PRODUCTION}\n[server]\n{server}"
    flags = {"server.port": 0, "admin.enabled": False}
    given = load({}, "portward.toml", flags=flags, read=lambda _: text).settings
    telemetry = make_telemetry(given, LoopClock(), io.StringIO())
    async with Gateway(given, telemetry=telemetry) as running:
        listening = Server(running)
        await listening.start()
        try:
            yield running, listening.public.addresses[0][1]
        finally:
            await listening.stop()


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[None]:
    """A proxy in the foreground, until the block ends."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    found = shutil.which(command[0], path=path)
    if found is None:
        pytest.skip(f"{command[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        found, *command[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            said, _ = await asyncio.wait_for(process.communicate(), 10)
        except TimeoutError:
            process.kill()
            said, _ = await process.communicate()
    assert b"ALERT" not in said, said.decode()


@asynccontextmanager
async def nginx(folder: Path, text: str) -> AsyncIterator[None]:
    """Nginx with this file."""
    file = folder / "nginx.conf"
    file.write_text(text)
    given = ("-p", str(folder), "-e", str(folder / "error.log"), "-c", str(file))
    async with program("nginx", *given, "-g", "daemon off;"):
        yield


@asynccontextmanager
async def haproxy(folder: Path, text: str) -> AsyncIterator[None]:
    """HAProxy with this file."""
    file = folder / "haproxy.cfg"
    file.write_text(HAPROXY + text)
    async with program("haproxy", "-db", "-f", str(file)):
        yield


async def served(running: Gateway, certificates: Certificates, port: int) -> None:
    """A client's way: it comes in by TLS, is known by its own address, and what it claims is ignored."""
    context = certificates.client_context()

    async def up() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, verify=context) as client:
                answer = await client.get(f"https://localhost:{port}/health")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    await until(up)
    url = f"wss://localhost:{port}/rooms"
    async with (
        asyncio.timeout(PATIENCE),
        connect(
            url,
            ssl=context,
            local_addr=(CLIENT, 0),
            origin="https://app.example.com",  # type: ignore[arg-type]  # a NewType
            additional_headers={
                "X-Forwarded-For": "9.9.9.9",
                "Authorization": f"Bearer {running.token('ann', roles=['user'])}",
            },
            proxy=None,
        ),
    ):
        assert [info.address for info in running.connections()] == [MASKED]


async def test_nginx_at_a_unix_socket(folder: Path, certificates: Certificates) -> None:
    """The lines of the how-to: the client's address and its TLS come through."""
    sock = folder / "gate.sock"
    trusted = 'behind_tls_proxy = true\ntrusted_proxies = ["unix:"]'
    async with gateway(f'host = "unix:{sock}"\n{trusted}') as (running, _):
        port = unused_port()
        lines = put_in(block("A Unix socket", "nginx"), sock=str(sock))
        values = {"folder": folder, "port": port, "block": lines}
        text = USER + NGINX.format(**values, server=certificates.server, key=certificates.key)
        async with nginx(folder, text):
            await served(running, certificates, port)


async def test_haproxy_at_a_unix_socket(folder: Path, certificates: Certificates) -> None:
    """The lines of the how-to, with its health check."""
    sock = folder / "gate.sock"
    trusted = 'behind_tls_proxy = true\ntrusted_proxies = ["unix:"]'
    async with gateway(f'host = "unix:{sock}"\n{trusted}') as (running, _):
        port = unused_port()
        front = FRONT.format(port=port, both=certificates.both)
        lines = put_in(block("A Unix socket", "haproxy"), sock=str(sock))
        async with haproxy(folder, front + lines):
            await served(running, certificates, port)


@pytest.mark.parametrize("send", ["send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"])
async def test_haproxy_ends_tls_and_sends_headers(
    folder: Path, certificates: Certificates, send: str
) -> None:
    """The PROXY header says that TLS was used; health checks, which are the proxy's own, are answered."""
    trusted = 'behind_tls_proxy = true\ntrusted_proxies = ["127.0.0.1/32"]'
    async with gateway(f'proxy_protocol = "require"\n{trusted}') as (running, inner):
        port = unused_port()
        lines = block("The PROXY protocol", "haproxy").replace("send-proxy-v2-ssl", send)
        places = {"bind": f"127.0.0.1:{port}", "pem": str(certificates.both)}
        async with haproxy(folder, put_in(lines, plain=f"127.0.0.1:{inner}", **places)):
            await served(running, certificates, port)


@pytest.mark.parametrize("send", ["send-proxy-v2", "send-proxy"])
async def test_haproxy_passes_tls_on(folder: Path, certificates: Certificates, send: str) -> None:
    """The header stands in the clear before TLS, in either version."""
    files = f'tls = {{ cert = "{certificates.server}", key = "{certificates.key}" }}'
    trusted = 'trusted_proxies = ["127.0.0.1/32"]'
    async with gateway(f'proxy_protocol = "require"\n{trusted}\n{files}') as (running, inner):
        port = unused_port()
        lines = block("The PROXY protocol", "haproxy", 1).replace("send-proxy-v2", send)
        places = {"bind": f"127.0.0.1:{port}", "tls": f"127.0.0.1:{inner}"}
        async with haproxy(folder, put_in(lines, **places)):
            await served(running, certificates, port)


async def test_haproxy_in_http_mode_with_headers(folder: Path, certificates: Certificates) -> None:
    """Where it reads HTTP as well, what it says of the scheme there counts."""
    trusted = 'behind_tls_proxy = true\ntrusted_proxies = ["127.0.0.1/32"]'
    async with gateway(f'proxy_protocol = "require"\n{trusted}') as (running, inner):
        port = unused_port()
        front = FRONT.format(port=port, both=certificates.both)
        lines = put_in(block("A Unix socket", "haproxy"), sock="/x")
        lines = lines.replace("unix@/x check", f"127.0.0.1:{inner} check send-proxy")
        async with haproxy(folder, front + lines):
            await served(running, certificates, port)


async def test_nginx_passes_tls_on(folder: Path, certificates: Certificates) -> None:
    """With its module `stream`, which is a package of its own in some distributions."""
    if not STREAM.exists():
        pytest.skip(f"{STREAM} is not installed")
    files = f'tls = {{ cert = "{certificates.server}", key = "{certificates.key}" }}'
    trusted = 'trusted_proxies = ["127.0.0.1/32"]'
    async with gateway(f'proxy_protocol = "require"\n{trusted}\n{files}') as (running, inner):
        port = unused_port()
        lines = put_in(block("The PROXY protocol", "nginx"), tls=f"127.0.0.1:{inner}")
        lines = lines.replace("listen 443", f"listen 127.0.0.1:{port}")
        head = f"load_module {STREAM};\npid {folder}/nginx.pid;\nevents {{ }}\n"
        async with nginx(folder, head + lines):
            await served(running, certificates, port)


async def test_a_proxy_without_headers_is_not_served(
    folder: Path, certificates: Certificates
) -> None:
    """Where they are required, a connection without one is closed, and the server is down for the proxy."""
    trusted = 'behind_tls_proxy = true\ntrusted_proxies = ["127.0.0.1/32"]'
    async with gateway(f'proxy_protocol = "require"\n{trusted}') as (running, inner):
        port = unused_port()
        lines = block("The PROXY protocol", "haproxy").replace(" send-proxy-v2-ssl", "")
        places = {"bind": f"127.0.0.1:{port}", "pem": str(certificates.both)}
        async with haproxy(folder, put_in(lines, plain=f"127.0.0.1:{inner}", **places)):

            def refused() -> bool:
                text = running.telemetry.metrics.render().decode()
                return 'reason="bad_request"' in text

            await until(refused)
            with pytest.raises((OSError, EOFError, InvalidHandshake)):
                await served_once(certificates, port)
        assert running.connections() == []


async def served_once(certificates: Certificates, port: int) -> None:
    """One attempt of a client."""
    context = certificates.client_context()
    async with (
        asyncio.timeout(PATIENCE),
        connect(f"wss://localhost:{port}/rooms", ssl=context, proxy=None),
    ):
        pass
