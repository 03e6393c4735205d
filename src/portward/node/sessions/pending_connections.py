"""The pool of connections that are not authenticated, and which of them is closed when it fills up.

Anyone can open connections and send nothing. While the pool is at most half full, nothing is done. Above
that, each new connection closes the oldest silent connection of the address that has the most. An eighth
of the pool per address is protected, so that an office with one address is not affected.
"""

from collections.abc import Callable
from operator import attrgetter
from random import Random
from typing import Final, Protocol

from portward.model.clock import Clock

SILENCE: Final = 1.0
"""Seconds after which a connection without messages counts as silent."""
PROTECTED: Final = 8
"""The part of the pool that is protected for one address: one eighth."""
RETRY: Final = (1.0, 5.0)
"""The least and the greatest delay, in seconds, after which a displaced client is asked to reconnect."""


class Pending(Protocol):
    """A connection that is not authenticated."""

    @property
    def silent(self) -> bool:
        """Whether no complete message was received from it."""

    @property
    def verifying(self) -> bool:
        """Whether one of its credentials is being verified now."""

    def displace(self, retry: float) -> None:
        """Close it; the client may reconnect in `retry` seconds."""


class _Group:
    """The pending connections of one address with their start times, oldest first, and their number."""

    __slots__ = ("silent", "size", "speaking")

    def __init__(self) -> None:
        self.size = 0
        self.silent: dict[object, tuple[Pending, float]] = {}
        self.speaking: dict[object, tuple[Pending, float]] = {}

    def oldest_silent(self, before: float) -> object | None:
        """Return the oldest connection silent since `before`; those with a message move to `speaking`."""
        for owner, (pending, since) in list(self.silent.items()):
            if since > before:
                break
            if not pending.silent:
                self.speaking[owner] = self.silent.pop(owner)
            elif not pending.verifying:
                return owner
        return None

    def oldest_speaking(self, before: float) -> object | None:
        """Return the oldest connection with a message whose credential is not being verified."""
        for owner, (pending, since) in self.speaking.items():
            if since <= before and not pending.verifying:
                return owner
        return None


class PendingConnections:
    """The pool: sockets without a complete request, and sessions that are not authenticated.

    Connections are grouped by the widest key of their address: an IPv4 address, or an IPv6 /48.
    """

    def __init__(self, capacity: int, clock: Clock) -> None:
        self._capacity = capacity
        self._protected = capacity // PROTECTED
        self._clock = clock
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._group_of: dict[object, str] = {}
        self._groups: dict[str, _Group] = {}
        self.sessions = 0
        """Sessions without a user; those whose handshake had a valid credential are not in a group."""
        self._crowded: set[str] = set()
        """Groups above the protected size. There are few, because each is large."""

    def __len__(self) -> int:
        return len(self._group_of)

    def session_opened(self, owner: object, pending: Pending | None, keys: tuple[str, ...]) -> None:
        """Count a session without a user; without `pending` it is never closed to make room."""
        self.sessions += 1
        if pending is not None:
            self.add(owner, pending, keys)

    def session_left(self, owner: object) -> None:
        """Stop counting a session: it has a user, or it has ended."""
        self.sessions -= 1
        self.remove(owner)

    def free_places(self) -> int:
        """Return how many more sessions without a user fit, after closing one if the pool needs room."""
        self.make_room()
        return self._capacity - self.sessions

    def add(self, owner: object, pending: Pending, keys: tuple[str, ...]) -> None:
        """Add the connection of `owner`, for an address with these limit keys."""
        key = keys[-1]
        self._group_of[owner] = key
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        group.silent[owner] = pending, self._clock.monotonic()
        group.size += 1
        if group.size > self._protected:
            self._crowded.add(key)

    def remove(self, owner: object) -> None:
        """Remove a connection. No effect when it is not in the pool."""
        key = self._group_of.pop(owner, None)
        if key is None:
            return
        group = self._groups[key]
        if group.silent.pop(owner, None) is None:
            del group.speaking[owner]
        group.size -= 1
        if group.size <= self._protected:
            self._crowded.discard(key)
        if not group.size:
            del self._groups[key]

    def make_room(self) -> None:
        """Close one connection when the pool is more than half full, to make space for a new one.

        When it is full, and no large group has a silent connection, one with a message is closed.
        """
        if 2 * len(self._group_of) <= self._capacity or not self._crowded:
            return
        before = self._clock.monotonic() - SILENCE
        groups = [self._groups[key] for key in self._crowded]
        groups.sort(key=attrgetter("size"), reverse=True)
        if self._end_first(groups, _Group.oldest_silent, before):
            return
        if len(self._group_of) >= self._capacity:
            self._end_first(groups, _Group.oldest_speaking, before)

    def _end_first(
        self,
        groups: list[_Group],
        choose: Callable[[_Group, float], object | None],
        before: float,
    ) -> bool:
        for group in groups:
            owner = choose(group, before)
            if owner is not None:
                pending, _ = group.silent.get(owner) or group.speaking[owner]
                self.remove(owner)
                pending.displace(self._random.uniform(*RETRY))
                return True
        return False
