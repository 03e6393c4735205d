"""The echo protocol says back what it heard."""

import pytest

from portward.model.commands import Ping
from portward.model.errors import CommandError, ErrorKind
from portward.model.replies import Pong, Welcome
from portward.protocols.echo import Echo, Echoed, EchoProtocol


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("payload", [b"", b"text", b"\x00\xff"])
def test_what_came_goes_back(payload: bytes, binary: bool) -> None:
    """Every message is taken, and answered with itself."""
    protocol = EchoProtocol()
    command = protocol.decode(payload, binary)
    assert command == Echo(payload=payload, binary=binary)
    assert protocol.reply(command, Echoed(payload=payload, binary=binary), 0) == payload
    assert protocol.binary


def test_silent_otherwise() -> None:
    """There is no greeting, no error, no other answer, and no close code of its own."""
    protocol = EchoProtocol()
    assert protocol.reply(Ping(), Pong(), 0) is None
    assert protocol.reply_error(CommandError(ErrorKind.RATE_LIMITED), 0) is None
    assert protocol.push(Welcome(connection_id="c"), 0) is None
    assert (protocol.closes, protocol.name) == ({}, "echo")
