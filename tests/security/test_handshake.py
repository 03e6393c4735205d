import base64

import pytest

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead, by_name
from portward.security.handshake import accept_key, check_upgrade

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEADERS = {
    "host": "gate.example",
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}


def request(
    *more: tuple[str, str], method: str = "GET", http_version: str = "1.1", **changed: str | None
) -> RequestHead:
    """A handshake; keywords change headers (underscores for hyphens), None leaves one out."""
    changes = {name.replace("_", "-"): value for name, value in changed.items()}
    headers = [(name, value) for name, value in {**HEADERS, **changes}.items() if value is not None]
    return RequestHead(
        method=method, path="/rooms", headers=by_name((*headers, *more)), http_version=http_version
    )


def refusal_of(head: RequestHead) -> HandshakeRejection:
    """The refusal a handshake is answered with."""
    with pytest.raises(HandshakeRejected) as caught:
        check_upgrade(head)
    return caught.value.refusal


@pytest.mark.parametrize(
    "head",
    [
        request(),
        request(upgrade="WebSocket", connection="keep-alive, UPGRADE"),
        request(("connection", "upgrade"), connection="keep-alive"),
        request(content_length="0"),
        request(("sec-websocket-protocol", "a"), ("sec-websocket-protocol", "b")),
        request(("x-anything", "1"), ("x-anything", "1")),
    ],
)
def test_sound_handshake_gives_its_key(head: RequestHead) -> None:
    """What RFC 6455 asks for is enough."""
    assert check_upgrade(head) == KEY


@pytest.mark.p0
@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "get", ""])
def test_other_methods_are_told_so(method: str) -> None:
    """Only GET opens a socket."""
    assert refusal_of(request(method=method)) is HandshakeRejection.METHOD


@pytest.mark.p0
@pytest.mark.parametrize("version", ["12", "14", "8", "13, 8", "013", "thirteen", ""])
def test_other_versions_are_told_so(version: str) -> None:
    """The answer names the one version spoken here."""
    assert refusal_of(request(sec_websocket_version=version)) is HandshakeRejection.WRONG_VERSION


@pytest.mark.p0
@pytest.mark.parametrize(
    "head",
    [
        request(http_version="1.0"),
        request(http_version="2"),
        request(host=None),
        request(upgrade=None),
        request(upgrade="h2c"),
        request(upgrade="websockets"),
        request(connection=None),
        request(connection="close"),
        request(connection="upgrades"),
        request(sec_websocket_version=None),
        request(sec_websocket_key=None),
        request(sec_websocket_key=""),
        request(sec_websocket_key=KEY[:-1]),
        request(sec_websocket_key=KEY + "="),
        request(sec_websocket_key=KEY + "\n"),
        request(sec_websocket_key=" " + KEY),
        request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZR=="),
        request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZ_=="),
        request(sec_websocket_key=base64.b64encode(b"x" * 15).decode()),
        request(sec_websocket_key=base64.b64encode(b"x" * 17).decode()),
        request(content_length="1"),
        request(content_length="00"),
        request(content_length="-0"),
        request(content_length=""),
        request(transfer_encoding="chunked"),
        request(transfer_encoding="identity"),
    ],
)
def test_anything_less_is_a_bad_request(head: RequestHead) -> None:
    """A request that is no handshake, or carries a body, is refused."""
    assert refusal_of(head) is HandshakeRejection.BAD_REQUEST


@pytest.mark.p0
@pytest.mark.parametrize(
    "name",
    [
        "host",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "origin",
        "authorization",
        "cookie",
        "content-length",
    ],
)
def test_doubled_header_is_a_bad_request(name: str) -> None:
    """Two of what may stand once are refused, even when they are equal."""
    value = {**HEADERS, "content-length": "0"}.get(name, "x")
    doubled = RequestHead(
        method="GET",
        path="/",
        headers={**{key: [text] for key, text in HEADERS.items()}, name: [value, value]},
    )
    assert refusal_of(doubled) is HandshakeRejection.BAD_REQUEST


def test_accept_is_the_answer_of_the_rfc() -> None:
    """The worked example of RFC 6455 §1.3."""
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
