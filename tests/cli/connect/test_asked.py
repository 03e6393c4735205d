from pathlib import Path

import pytest

from portward.cli.connect.asked import (
    ConnectOptions,
    credential_of,
    headers_of,
    source_of,
    subject_of,
    tls_of,
)
from portward.cli.errors import CommandRefused, UsageError
from portward.cli.signing import TokenClaims
from tests.cli.console import Console


def asked(**changed: str | None) -> ConnectOptions:
    """A command line."""
    return ConnectOptions(
        url="ws://h/rooms",
        user="ann",
        token="secret",
        credential="c",
        rooms=[],
        profile="",
        as_json=False,
        origin=changed.get("origin"),
        cookie=changed.get("cookie"),
    )


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


def test_extra_headers_give_way() -> None:
    """Origin and cookies have options of their own."""
    plain = asked(origin="https://a.example")
    assert plain.headers == {"Origin": "https://a.example"}


def test_subject_of_a_token(portward: Console) -> None:
    """Whom a token is for is read without verifying it; any other text stands for itself."""
    token = portward("token", "--sub", "ann", "--role", "user").lines[0]
    assert subject_of(token) == "ann"
    assert subject_of(None) == ""
    assert len(subject_of("opaque")) == 64


def test_credentials_differ() -> None:
    """Another user, another role, another workspace and another token are other credentials."""
    found = {
        credential_of("ann", None, None, None),
        credential_of("bob", None, None, None),
        credential_of("ann", ["w1"], None, None),
        credential_of("ann", None, None, "w1"),
        credential_of("ann", ["w1"], None, "w1"),
        credential_of(None, None, "t", None),
        credential_of(None, None, None, None),
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


def test_headers() -> None:
    """Those that were asked for, and no others; nothing of them is shown."""
    assert asked().headers == {}
    both = asked(origin="https://a.example", cookie="a=b")
    assert both.headers == {"Origin": "https://a.example", "Cookie": "a=b"}
    assert repr(both) == "Asked('ws://h/rooms')"
