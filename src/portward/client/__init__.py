"""The Python client of the rooms dialect: joins, talks, and comes back without missing anything.

    async with RoomsClient("ws://127.0.0.1:8080/rooms", token=token) as client:
        await client.join("lobby")
        await client.say("lobby", "hello")
        async for event in client:
            ...

Stands apart from the server: of it, only the words and tables of :mod:`portward.model` are used.
"""

from portward.client.backoff import Backoff
from portward.client.closes import invites_return
from portward.client.errors import (
    AuthenticationRefused,
    ClientError,
    ConnectFailed,
    ConnectionLost,
    Ended,
    HandshakeRefused,
    NoAnswer,
    RequestRefused,
)
from portward.client.events import (
    Connected,
    Disconnected,
    Event,
    Joined,
    JoinFailed,
    Left,
    Message,
    Other,
    Raw,
    ShuttingDown,
    TokenExpiring,
    TokenRefreshed,
    Typing,
    UserJoined,
    UserLeft,
)
from portward.client.link import Dial, Link, LinkClosed, dialer
from portward.client.proving import TokenSource
from portward.client.rooms import Ack, History, Presence, RoomsClient
from portward.model.position import Position

__all__ = [
    "Ack",
    "AuthenticationRefused",
    "Backoff",
    "ClientError",
    "ConnectFailed",
    "Connected",
    "ConnectionLost",
    "Dial",
    "Disconnected",
    "Ended",
    "Event",
    "HandshakeRefused",
    "History",
    "JoinFailed",
    "Joined",
    "Left",
    "Link",
    "LinkClosed",
    "Message",
    "NoAnswer",
    "Other",
    "Position",
    "Presence",
    "Raw",
    "RequestRefused",
    "RoomsClient",
    "ShuttingDown",
    "TokenExpiring",
    "TokenRefreshed",
    "TokenSource",
    "Typing",
    "UserJoined",
    "UserLeft",
    "dialer",
    "invites_return",
]
