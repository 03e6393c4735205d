import json

import pytest

from portward.settings.checks.listeners import is_unix
from portward.settings.checks.rule import CheckLevel
from tests.settings.checks.judging import findings, levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
SOCKET = 'server.host = "unix:/run/portward/gateway.sock"\n'


def test_a_unix_socket_is_known_by_its_prefix() -> None:
    """Addresses and names are none."""
    assert is_unix("unix:/run/p")
    for host in ("127.0.0.1", "unix", "unix.example", "::1", "/run/p", ""):
        assert not is_unix(host)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "gateway.sock",
        "@abstract",
        "\0abstract",
        "/",
        "/run/",
        "/" + "x" * 107,
        "/" + "\u00e9" * 54,
    ],
)
def test_a_path_has_to_be_one(path: str) -> None:
    """Absolute, not too long, and no abstract name, which any user could take."""
    assert levels(SOCKET, "unix-path") == FINE
    assert levels(f"server.host = {json.dumps(f'unix:{path}')}", "unix-path") == ALWAYS


def test_a_path_of_the_greatest_length() -> None:
    """107 bytes are what the kernel takes."""
    assert levels(f'server.host = "unix:/{"x" * 106}"', "unix-path") == FINE


def test_the_admin_listener_has_a_port() -> None:
    """Prometheus and the commands of this program use TCP."""
    text = 'server.admin_host = "unix:/run/admin.sock"'
    assert levels(text, "unix-admin") == ALWAYS
    assert levels(f"{text}\nadmin.enabled = false", "unix-admin") == FINE


def test_workers_share_no_path() -> None:
    """Only a port can be shared."""
    text = f'{SOCKET}server.workers = 2\nengine.url = "redis://127.0.0.1"'
    assert levels(text, "unix-workers") == ALWAYS
    assert levels(SOCKET, "unix-workers") == FINE


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        ("[]", GRAVE),
        ('["127.0.0.1/32"]', GRAVE),
        ('["unix:"]', FINE),
        ('["10.0.0.0/8", "unix:"]', FINE),
    ],
)
def test_the_peer_of_a_unix_socket_is_trusted(
    trusted: str, expected: tuple[CheckLevel, CheckLevel, bool]
) -> None:
    """Otherwise all clients would be one; the finding has the line to write."""
    text = f"{SOCKET}server.trusted_proxies = {trusted}"
    assert levels(text, "unix-trust") == expected
    if expected is not FINE:
        assert findings(text, "unix-trust")[0].change == 'server.trusted_proxies = ["unix:"]'
    assert levels(text, "proxies-none") == FINE
    assert levels(text, "proxies-form") == FINE


def test_ports_do_not_collide_with_a_path() -> None:
    """The port of the public listener is not used."""
    text = f"{SOCKET}server.port = 9000\nserver.admin_port = 9000"
    assert levels(text, "ports") == FINE


def test_proxy_headers_come_from_somewhere() -> None:
    """Without a trusted proxy every connection would be closed."""
    text = 'server.proxy_protocol = "require"\n'
    assert levels(text, "proxy-protocol") == ALWAYS
    assert levels(f'{text}server.trusted_proxies = ["10.0.0.5/32"]', "proxy-protocol") == FINE
    assert levels('server.proxy_protocol = "off"', "proxy-protocol") == FINE
