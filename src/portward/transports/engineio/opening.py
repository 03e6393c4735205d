"""Start of an Engine.IO session: its id, its open packet, and a session that starts on a WebSocket."""

import secrets
from typing import Final

from portward.node.sessions import ActiveEndpoint, Admission, Transport, TransportCallbacks
from portward.transports.engineio.link import EngineLink, PayloadListener
from portward.wire import engineio
from portward.wire import message as wire

_ID: Final = 18
"""Random bytes of a session's id."""


def session_id() -> str:
    """Make a new id, which cannot be guessed."""
    return secrets.token_urlsafe(_ID)


def opening(endpoint: ActiveEndpoint, sid: str, upgrades: tuple[str, ...]) -> bytes:
    """The open packet of a session."""
    rules = endpoint.rules
    return engineio.Opening(
        sid=sid,
        upgrades=upgrades,
        ping_interval=round(rules.ping_interval * 1000),
        ping_timeout=round(rules.pong_timeout * 1000),
        max_payload=rules.max_message,
    ).packet()


class SocketAdmission:
    """Implements `node.sessions.Admission`: a session that begins with a WebSocket."""

    def __init__(self, endpoint: ActiveEndpoint, admission: Admission, *, base64: bool) -> None:
        self._base64 = base64
        self._endpoint = endpoint
        self._admission = admission
        self.max_message = admission.max_message
        self.max_early = admission.max_early
        self.max_unsent = admission.max_unsent
        self.compression = admission.compression
        self.subprotocol = admission.subprotocol

    def open(self, link: Transport) -> TransportCallbacks:
        """Send the open packet, then make the session."""
        link.write(wire.text(opening(self._endpoint, session_id(), ())))
        carried = EngineLink(link, base64=self._base64)
        carried.begin(self._admission)
        return PayloadListener(carried, link)

    def cancel(self) -> None:
        """Give back what was counted."""
        self._admission.cancel()
