"""Connections that have not proved anything yet: how many there may be, and which one makes room.

Anyone can open connections and say nothing. While few are open that costs nothing; once the pool is more
than half full, each newcomer takes the place of the oldest silent connection of the address that holds
most. What an office may need at once, an eighth of the pool for one address, is never touched.
"""

from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from portward.model.clock import Clock

SILENCE: Final = 1.0
"""Seconds a connection is left alone before its silence counts."""
PROTECTED: Final = 8
"""The part of the pool that one address may hold undisturbed: one eighth."""
RETRY: Final = (1.0, 5.0)
"""Seconds after which a client that was displaced is asked to come back, at least and at most."""


class Pending(Protocol):
    """A connection that has not proved anything."""

    @property
    def silent(self) -> bool:
        """Whether no complete message came from it."""

    @property
    def judged(self) -> bool:
        """Whether a credential of it is being judged at this moment."""

    def displace(self, retry: float) -> None:
        """End it; the client may come back in `retry` seconds."""


class _Group:
    """The pending connections of one address, each since when, oldest first."""

    __slots__ = ("silent", "speaking")

    def __init__(self) -> None:
        self.silent: dict[object, tuple[Pending, float]] = {}
        self.speaking: dict[object, tuple[Pending, float]] = {}

    def __len__(self) -> int:
        return len(self.silent) + len(self.speaking)

    def discard(self, owner: object) -> None:
        """Forget a connection."""
        if self.silent.pop(owner, None) is None:
            self.speaking.pop(owner, None)

    def oldest_silent(self, before: float) -> object | None:
        """The oldest that is silent since `before`; those that have spoken are set apart on the way."""
        for owner, (pending, since) in list(self.silent.items()):
            if since > before:
                break
            if not pending.silent:
                self.speaking[owner] = self.silent.pop(owner)
            elif not pending.judged:
                return owner
        return None

    def oldest_speaking(self, before: float) -> object | None:
        """The oldest of the others that is not being judged."""
        for owner, (pending, since) in self.speaking.items():
            if since <= before and not pending.judged:
                return owner
        return None


class PendingConnections:
    """The pool: sockets whose request is not here yet, and sessions that have not authenticated.

    Connections are grouped by the widest key of their address: an IPv4 address, or an IPv6 /48.
    """

    def __init__(self, capacity: int, clock: Clock) -> None:
        self._capacity = capacity
        self._protected = capacity // PROTECTED
        self._clock = clock
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._group_of: dict[object, str] = {}
        self._groups: dict[str, _Group] = {}
        self._crowded: set[str] = set()
        """Groups that are larger than what is protected: few, because each holds much."""

    def __len__(self) -> int:
        return len(self._group_of)

    def add(self, owner: object, pending: Pending, keys: tuple[str, ...]) -> None:
        """Count a connection of the address with these limit keys, under the name of its owner."""
        key = keys[-1]
        self._group_of[owner] = key
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        group.silent[owner] = pending, self._clock.monotonic()
        if len(group) > self._protected:
            self._crowded.add(key)

    def remove(self, owner: object) -> None:
        """Count a connection no longer. Harmless when it is not counted."""
        key = self._group_of.pop(owner, None)
        if key is None:
            return
        group = self._groups[key]
        group.discard(owner)
        if len(group) <= self._protected:
            self._crowded.discard(key)
        if not len(group):
            del self._groups[key]

    def make_room(self) -> None:
        """End one connection for a newcomer's sake, when the pool is more than half full.

        When it is full, and no address that holds much has a silent one, one that has spoken goes.
        """
        if 2 * len(self._group_of) <= self._capacity or not self._crowded:
            return
        before = self._clock.monotonic() - SILENCE
        groups = [self._groups[key] for key in self._crowded]
        groups.sort(key=len, reverse=True)
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
