"""The files of `deploy/` are taken by the programs they are for, with as few descriptors as there are."""

import re
from pathlib import Path

import pytest

from tests.certificates import make_certificates
from tests.deploy.proxies import PROXIES, Proxy, need, unused_port
from tests.e2e.process import ROOT

LIMITS = [None, 256, 512, 1024, 4096]
"""Hard limits that every system lets a process lower its own to; None is what there is."""


def made(name: str, folder: Path, limit: int | None) -> Proxy:
    """Return a proxy in front of two ports where nobody listens."""
    need(PROXIES[name])
    nodes = [f"127.0.0.1:{unused_port()}" for _ in range(2)]
    certificates = make_certificates(folder, "127.0.0.1")
    return PROXIES[name](folder / "proxy", certificates, nodes, limit=limit)


@pytest.mark.parametrize("name", PROXIES)
def test_the_file_is_understood(name: str, tmp_path: Path) -> None:
    """The check that the first line of the file names finds nothing wrong."""
    checked = made(name, tmp_path, None).checked()
    assert checked.returncode == 0, checked.stderr
    assert "[emerg]" not in checked.stderr
    assert "[ALERT]" not in checked.stderr


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", PROXIES)
def test_it_starts_with_few_descriptors(name: str, limit: int | None, tmp_path: Path) -> None:
    """Whatever the hard limit on descriptors is, the proxy starts and listens."""
    proxy = made(name, tmp_path, limit)
    try:
        proxy.start()
    finally:
        proxy.stop()


def test_nginx_takes_no_node_away() -> None:
    """No answer of a node counts as its failure, and a node that is gone costs a second at most."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    servers = re.findall(r"^\s+server \S+:\d+(.*);$", text, re.MULTILINE)
    assert servers == [" max_fails=0"] * 2
    assert "proxy_connect_timeout 1s;" in text


def test_haproxy_fixes_no_number_of_connections() -> None:
    """The number of connections follows from the descriptors there are."""
    text = (ROOT / "deploy" / "haproxy.cfg").read_text()
    assert not re.search(r"^\s*(maxconn|ulimit-n)\b", text, re.MULTILINE)


def test_haproxy_asks_the_node_that_it_chooses() -> None:
    """What asks for /health has the nodes of the backend in their order, so that it chooses the same one."""
    text = (ROOT / "deploy" / "haproxy.cfg").read_text()
    _, backend, asking = re.split(r"^(?:backend|listen) \S+$", text, flags=re.MULTILINE)
    servers = re.findall(r"^ +server (\S+)", backend, re.MULTILINE)
    assert servers == ["one", "two", "health"]
    tracked = re.findall(r"^ +server (\S+) \S+ track portward/(\S+)$", asking, re.MULTILINE)
    assert tracked == [("one", "one"), ("two", "two")]
