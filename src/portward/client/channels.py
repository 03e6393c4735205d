"""The common part of the rooms and live clients: channels that are entered again after every break."""

from abc import abstractmethod
from contextlib import suppress
from typing import Any, Generic, TypeVar

from portward.client.channel import ChannelFeed
from portward.client.codec import Codec
from portward.client.endpoint import EndpointClient, EndpointOptions
from portward.client.errors import ClientError, ConnectionLost, RequestRefused
from portward.client.requests import RequestConnection

F = TypeVar("F", bound=ChannelFeed[Any])


class ChannelsClient(EndpointClient, Generic[F]):
    """Channels of one gateway, by their names."""

    def __init__(self, options: EndpointOptions, codec: Codec) -> None:
        super().__init__(options, codec)
        self._channels: dict[str, F] = {}
        self._wanted: dict[str, F] = {}

    async def close(self) -> None:
        """Close; every channel is left, and every iteration ends."""
        await super().close()
        self._wanted.clear()
        for channel in self._channels.values():
            channel.out(None)
            await channel.settle()

    # -- for channels

    def want(self, channel: F) -> None:
        """Enter a channel, now and after every reconnect."""
        self._reconnecting.start()
        self._wanted[channel.channel] = channel
        connection = self._reconnecting.connection
        if connection is not None:
            self._background(self._enter(connection, channel))

    async def unwant(self, channel: F) -> None:
        """Leave a channel."""
        self._wanted.pop(channel.channel, None)
        connection = self._reconnecting.connection
        if connection is not None:
            with suppress(ConnectionLost, RequestRefused):  # then it is not in the channel either
                await connection.request(*self._leaving(channel))

    @abstractmethod
    async def _enter(self, connection: RequestConnection, channel: F) -> None:
        """Enter a channel on a connection; nothing is raised."""

    @abstractmethod
    def _leaving(self, channel: F) -> tuple[str, dict[str, Any]]:
        """Return the request that leaves a channel."""

    # -- for the connection

    def lost(self) -> None:
        """The connection is lost: every channel is entered again on the next."""
        super().lost()
        for channel in self._wanted.values():
            channel.interrupted()

    def stopped(self, error: ClientError) -> None:
        """Every channel is left."""
        wanted, self._wanted = self._wanted, {}
        for channel in wanted.values():
            channel.out(error)

    @property
    def blocked(self) -> bool:
        """Whether an iteration falls behind."""
        return any(channel.crowded for channel in self._wanted.values())
