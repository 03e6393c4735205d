"""Commands, replies and pushes of Socket.IO alone, and the channels of its namespaces."""

from typing import Any

from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.replies import Push, Reply
from portward.protocols.socketio.packets import ROOT


class ConnectId(str):
    """The id of a CONNECT: the namespace that its answer is for."""

    __slots__ = ()


class OpenSocket(Command, frozen=True):
    """Open a Socket.IO namespace. `auth` is what the client sent with the CONNECT, including a token."""

    before_authentication = first_credential = True

    nsp: str
    auth: dict[str, Any]

    def __repr__(self) -> str:
        return f"OpenSocket(nsp={self.nsp!r})"


class CloseSocket(Command, frozen=True):
    """Close a Socket.IO namespace."""

    before_authentication = unlimited = True

    nsp: str


class Call(Command, frozen=True):
    """Send an event to the application. Arguments are JSON values, with bytes anywhere in them."""

    nsp: str
    event: str
    arguments: tuple[Any, ...] = ()


class Opened(Reply, frozen=True):
    """The client is in a Socket.IO namespace, with the socket id `sid`."""

    nsp: str
    sid: str


class Called(Reply, frozen=True):
    """The result of a handler of the application: JSON values, with bytes anywhere in them."""

    result: tuple[Any, ...] = ()


class Emitted(Push, frozen=True):
    """An event of the application in a Socket.IO namespace. With `ack`, an acknowledgement is expected."""

    nsp: str
    event: str
    arguments: tuple[Any, ...]
    ack: int | None = None


def nsp_of(channel: Channel) -> str:
    """The Socket.IO namespace of a channel: `/x` for `/x` and for the room `/x,room`."""
    name = channel.name
    return name.partition(",")[0] if name.startswith("/") else ROOT


def channel_of(namespace: str, nsp: str, room: str | None = None) -> Channel:
    """Return the channel of a Socket.IO namespace other than the root, or of a room in it.

    Raises:
        ValueError: the root has no channel, or the names do not form a channel name.
    """
    if nsp == ROOT:
        raise ValueError("the root namespace has the rooms of workspaces alone")
    return Channel.parse(f"{namespace}:{nsp}" if room is None else f"{namespace}:{nsp},{room}")
