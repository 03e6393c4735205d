from pathlib import Path

import pytest

from portward.cli.connect.options import (
    ConnectOptions,
    credential_of,
    headers_of,
    protocol_of,
    source_of,
    subject_of,
    tls_of,
)
from portward.cli.signing import TokenClaims
from portward.cli.terminal import CommandRefused, UsageError
from tests.cli.console import Console


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("ws://h/rooms", "rooms"),
        ("ws://h/alerts", "alerts"),
        ("ws://h/x/live/", "live"),
        ("ws://h/realtime", "relay"),
        ("ws://h/relay", "relay"),
        ("ws://h/socket.io/", "socketio"),
        ("ws://h/echo", "echo"),
        ("ws+unix:/run/gateway.sock:/rooms", "rooms"),
        ("ws+unix:/run/rooms:/alerts", "alerts"),
    ],
)
def test_the_protocol_follows_from_the_path(url: str, protocol: str) -> None:
    """By the names that the endpoints have by default, unless one is chosen."""
    assert protocol_of(url, None) == protocol
    assert protocol_of(url, "alerts") == "alerts"


@pytest.mark.parametrize(
    "url", ["ws://h/chat", "ws://h", "ws+unix:/run/x.sock", "ws+unix:/run/x:/"]
)
def test_a_path_without_a_protocol(url: str) -> None:
    """The error names every protocol there is."""
    with pytest.raises(UsageError, match=r"rooms.alerts.live.relay.socketio.echo"):
        protocol_of(url, None)


def test_headers_are_read() -> None:
    """A name, a colon, a value; blanks around the value do not count."""
    assert headers_of([]) == {}
    assert headers_of(["X-Tenant: one", "traceparent:00-ab-cd-01", "X-Empty:"]) == {
        "X-Tenant": "one",
        "traceparent": "00-ab-cd-01",
        "X-Empty": "",
    }


@pytest.mark.parametrize(
    "text",
    [
        *("", "X-Tenant", ": one", "X Tenant: one", "X-A: b\r\nX-C: d", "X-A: \x00", "Höst: x"),
        *("Host: other", "origin: https://a", "Sec-WebSocket-Protocol: x", "Cookie: a=b"),
    ],
)
def test_what_is_no_header_is_refused(text: str) -> None:
    """A second line, a control character, and what the handshake sends by itself."""
    with pytest.raises(UsageError):
        headers_of([text])


def test_certificates_are_chosen(tmp_path: Path) -> None:
    """The system's, those of a file, or any; a file without one, or a plain address, is refused."""
    assert tls_of("wss://h/rooms", None, insecure=False) is None
    trusting = tls_of("wss://h/rooms", None, insecure=True)
    assert trusting is not None
    assert not trusting.check_hostname
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for url, cacert, insecure in [
        ("wss://h", empty, False),
        ("wss://h", tmp_path / "absent.pem", False),
        ("wss://h", empty, True),
        ("ws://h", None, True),
        ("ws://h", empty, False),
    ]:
        with pytest.raises(UsageError):
            tls_of(url, cacert, insecure=insecure)


def test_subject_of_a_token(portward: Console) -> None:
    """Whom a token is for is read without verifying it; any other text stands for itself."""
    token = portward("token", "--sub", "ann", "--role", "user").lines[0]
    assert subject_of(token) == "ann"
    assert subject_of(None) == ""
    assert len(subject_of("opaque")) == 64


def test_credentials_differ() -> None:
    """Another user, another role, another workspace and another token are other credentials."""
    found = {
        *(credential_of(None, token) for token in ("t", None)),
        *(
            credential_of(TokenClaims(sub=sub, roles=roles, workspace=workspace), None)
            for sub, roles, workspace in (
                ("ann", (), None),
                ("bob", (), None),
                ("ann", ("w1",), None),
                ("ann", (), "w1"),
                ("ann", ("w1",), "w1"),
            )
        ),
    }
    assert len(found) == 7
    assert not any("ann" in each or each == "t" for each in found)


async def test_tokens_are_made_anew(portward: Console) -> None:
    """Each is another one, for the same user."""
    source = source_of(None, TokenClaims(sub="ann", workspace="w1"))
    first, second = await source(), await source()
    assert first != second
    assert subject_of(first) == subject_of(second) == "ann"


def test_where_no_token_can_be_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is tried."""
    monkeypatch.setenv("PORTWARD_TOKENS__JWKS_URL", "https://issuer.example.org/keys")
    with pytest.raises(CommandRefused):
        source_of(None, TokenClaims(sub="ann"))


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("alerts", {"X-A": "1", "Origin": "https://a.example", "Cookie": "a=b"}),
        ("live", {"X-A": "1", "Origin": "https://a.example"}),
    ],
)
def test_the_headers_of_the_handshake(protocol: str, expected: dict[str, str]) -> None:
    """Those that were asked for; at a live endpoint the client itself sends the cookie."""
    options = ConnectOptions(
        url="ws://h/rooms",
        protocol=protocol,
        token="secret",
        origin="https://a.example",
        cookie="a=b",
        headers={"X-A": "1"},
    )
    assert options.handshake == expected
    assert repr(options) == "ConnectOptions('ws://h/rooms')"
    assert ConnectOptions(url="ws://h/rooms", protocol=protocol).handshake == {}
