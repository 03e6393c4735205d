"""Channels that users were in when a connection was lost, in a map: for engines of one process."""

from collections.abc import Iterable
from typing import Final

from portward.model.channel import Channel
from portward.model.clock import Clock

MAX_RETURNS: Final = 200_000
"""Most channels of all users; of more, those of the user stored longest ago are removed first."""


class Returns:
    """By user the channels, and until when (Unix time) each is stored."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._users: dict[str, dict[Channel, float]] = {}
        self._count = 0

    def put(self, user: str, channels: Iterable[Channel], ttl: float) -> None:
        """Store channels for `ttl` seconds."""
        until = self._clock.time() + ttl
        noted = self._users.pop(user, {})
        before = len(noted)
        noted.update(dict.fromkeys(channels, until))
        if noted:
            self._users[user] = noted
        self._count += len(noted) - before
        while self._count > MAX_RETURNS:
            self._count -= len(self._users.pop(next(iter(self._users))))

    def take(self, user: str, channels: Iterable[Channel]) -> frozenset[Channel]:
        """Remove channels; returns those of them that were stored and have not expired."""
        noted = self._users.get(user)
        if noted is None:
            return frozenset()
        now = self._clock.time()
        found = {channel: noted.pop(channel) for channel in set(channels) & noted.keys()}
        self._count -= len(found)
        if not noted:
            del self._users[user]
        return frozenset(channel for channel, until in found.items() if until > now)

    def sweep(self) -> None:
        """Remove what has expired."""
        self.load(self.dump())

    def dump(self) -> dict[str, dict[Channel, float]]:
        """All that has not expired."""
        now = self._clock.time()
        kept = (
            (user, {channel: until for channel, until in noted.items() if until > now})
            for user, noted in self._users.items()
        )
        return {user: noted for user, noted in kept if noted}

    def load(self, users: dict[str, dict[Channel, float]]) -> None:
        """Replace the content by a dump."""
        self._users = users
        self._count = sum(map(len, users.values()))
