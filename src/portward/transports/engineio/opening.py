"""How a session of Engine.IO begins: its id, the packet that names it, and the one on a WebSocket."""

import secrets
from typing import Final

from portward.node.endpoint import Endpoint
from portward.node.link import Admission, Link, Receiver
from portward.transports.engineio.link import Ear, EngineLink
from portward.wire import engineio
from portward.wire import message as wire

_ID: Final = 18
"""Random bytes of a session's id."""


def session_id() -> str:
    """A new id, which nobody can guess."""
    return secrets.token_urlsafe(_ID)


def opening(endpoint: Endpoint, sid: str, upgrades: tuple[str, ...]) -> bytes:
    """The packet that tells a client of its session."""
    rules = endpoint.rules
    return engineio.Opening(
        sid=sid,
        upgrades=upgrades,
        ping_interval=round(rules.ping_interval * 1000),
        ping_timeout=round(rules.pong_timeout * 1000),
        max_payload=rules.max_message,
    ).packet()


class SocketAdmission:
    """Implements `node.link.Admission`: a session that begins with a WebSocket."""

    def __init__(self, endpoint: Endpoint, admission: Admission, *, base64: bool) -> None:
        self._base64 = base64
        self._endpoint = endpoint
        self._admission = admission
        self.max_message = admission.max_message
        self.max_early = admission.max_early
        self.max_unsent = admission.max_unsent
        self.compression = admission.compression
        self.subprotocol = admission.subprotocol

    def open(self, link: Link) -> Receiver:
        """Tell the client of its session, then make it."""
        link.write(wire.text(opening(self._endpoint, session_id(), ())))
        carried = EngineLink(link, base64=self._base64)
        carried.begin(self._admission)
        return Ear(carried, link)

    def cancel(self) -> None:
        """Give back what was counted."""
        self._admission.cancel()
