"""The Python client: connects, reconnects after a break, and reports every lost message.

    async with Portward("ws://127.0.0.1:8080", get_token=get_token) as client:
        room = client.room("lobby")
        await room.join()
        await room.send("hello")
        async for message in room:
            ...

It is independent of the server, of which it uses only the tables of :mod:`portward.model`.
"""

from portward.client.alerts import AlertsClient
from portward.client.backoff import Backoff
from portward.client.channel import GetState
from portward.client.closes import invites_return
from portward.client.errors import (
    AuthenticationRefused,
    ClientError,
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    ConversationEnded,
    Ended,
    GapError,
    HandshakeRefused,
    NoAnswer,
    ReadOverflowError,
    RequestRefused,
    StoppedError,
    TokenFailed,
    UnauthorizedError,
)
from portward.client.events import (
    CallAlert,
    Connected,
    Denied,
    Disconnected,
    Event,
    Gap,
    Joined,
    JoinFailed,
    Left,
    Message,
    Other,
    Raw,
    ShuttingDown,
    TokenExpiring,
    TokenRefreshed,
    TopicData,
    Typing,
    UserJoined,
    UserLeft,
)
from portward.client.link import Link, LinkClosed, LinkDial, dialer
from portward.client.live import LiveClient, Topic
from portward.client.options import ConnectionOptions, ConnectionState, StateChange
from portward.client.outgoing import QueueLimits, Refused, SendResult, Stored, Unknown
from portward.client.portward import Portward
from portward.client.relay import RelayClient, RelayMessage
from portward.client.room import Room
from portward.client.room_values import History, Presence, RoomPresence
from portward.client.rooms import RoomClient
from portward.client.rooms_client import Ack, RoomsClient
from portward.client.tokens import GetToken, TokenSource
from portward.client.transport import ClientTransport, Dial
from portward.model.position import Position

__all__ = [
    "Ack",
    "AlertsClient",
    "AuthenticationRefused",
    "Backoff",
    "CallAlert",
    "ClientError",
    "ClientTransport",
    "ClosedError",
    "ConnectFailed",
    "Connected",
    "ConnectionLost",
    "ConnectionOptions",
    "ConnectionState",
    "ConversationEnded",
    "Denied",
    "Dial",
    "Disconnected",
    "Ended",
    "Event",
    "Gap",
    "GapError",
    "GetState",
    "GetToken",
    "HandshakeRefused",
    "History",
    "JoinFailed",
    "Joined",
    "Left",
    "Link",
    "LinkClosed",
    "LinkDial",
    "LiveClient",
    "Message",
    "NoAnswer",
    "Other",
    "Portward",
    "Position",
    "Presence",
    "QueueLimits",
    "Raw",
    "ReadOverflowError",
    "Refused",
    "RelayClient",
    "RelayMessage",
    "RequestRefused",
    "Room",
    "RoomClient",
    "RoomPresence",
    "RoomsClient",
    "SendResult",
    "ShuttingDown",
    "StateChange",
    "StoppedError",
    "Stored",
    "TokenExpiring",
    "TokenFailed",
    "TokenRefreshed",
    "TokenSource",
    "Topic",
    "TopicData",
    "Typing",
    "UnauthorizedError",
    "Unknown",
    "UserJoined",
    "UserLeft",
    "dialer",
    "invites_return",
]
