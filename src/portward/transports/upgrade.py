"""Upgrade of an admitted request to a WebSocket connection."""

import asyncio
from collections.abc import Callable

from portward.model.handshake_errors import HandshakeRejected
from portward.model.request import RequestHead
from portward.node.handshake import ClosedRefusal
from portward.node.sessions import Admission
from portward.security.handshake import accept_key
from portward.transports.listener_state import ListenerState
from portward.transports.picows_reader import feed, reader_for
from portward.transports.websocket import WebSocketTransport
from portward.wire import deflate, http_response
from portward.wire import message as frames


def upgrade(
    transport: asyncio.Transport,
    listener_state: ListenerState,
    admission: Admission,
    head: RequestHead,
    early: bytes,
) -> None:
    """Answer 101 and make the connection a WebSocket. `early` came after the request head.

    The new protocol takes the transport over, and with it the duty to decrement `listener_state.sockets`.
    """
    offers = head.headers.get("sec-websocket-extensions")
    extension = deflate.negotiate(offers) if offers and admission.compression else None
    plain = transport.get_extra_info("ssl_object") is None
    link = WebSocketTransport(
        transport,
        listener_state,
        admission,
        descriptor=transport.get_extra_info("socket").fileno() if plain else -1,
        compression=extension is not None,
    )
    reader = reader_for(link, admission.max_message)
    transport.set_protocol(reader)
    accept = accept_key("".join(head.headers["sec-websocket-key"]))
    # The 101 and the first messages are one write: one system call instead of two or three.
    link.cork()
    link.begin(admission.open(link))
    link.uncork(
        http_response.switching(accept, extension=extension, subprotocol=admission.subprotocol)
    )
    if early:
        feed(reader, early)


def refusal_answer(
    refused: HandshakeRejected, head: RequestHead | None, random: Callable[[], float]
) -> bytes:
    """Build the answer to a rejected request: a status, or for `ClosedRefusal` a 101 and a close frame."""
    if head is None or not isinstance(refused, ClosedRefusal):
        return http_response.refusal(refused, random)
    accept = accept_key("".join(head.all("sec-websocket-key")))
    messages = (message.frame for message in refused.messages)
    close = frames.close(refused.code, refused.reason)
    switched = http_response.switching(accept, subprotocol=refused.subprotocol)
    return b"".join((switched, *messages, close))
