"""Roles, permissions and workspaces of users: sets of names, which other applications may write as well."""

import asyncio
from typing import Final

import msgspec

from portward.engines.port import Key, KeyValue

MAX_CACHED: Final = 100_000
"""Most users whose rights are kept in memory."""
MAX_UNCERTAIN: Final = 1000
"""Most users of whom it is not known when a change is carried out; with more, nothing is kept in memory."""
_KNOWN: Final = ""
"""A name in the set of workspaces: it is known, even if there is none."""


class UserRights(msgspec.Struct, frozen=True):
    """Roles, permissions and workspaces of a user, as the directory has them."""

    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    workspaces: frozenset[str] | None = None
    """None when the directory has no entry; an empty set when the user belongs to none."""

    def __bool__(self) -> bool:
        return bool(self.roles or self.permissions) or self.workspaces is not None


_NOTHING: Final = UserRights()


class Directory:
    """Rights by user. The caller that changes them also announces `RightsChanged`.

    With `cached` no other process writes them, and what was read or written last is kept in memory.
    """

    def __init__(self, kv: KeyValue, *, cached: bool) -> None:
        self._kv = kv
        self._cached = cached
        self._cache: dict[str, UserRights] = {}
        self._changes = 0
        self._uncertain: set[str] = set()
        """Users with a change whose caller was cancelled: the store carries it out at some later time."""

    async def rights(self, user: str) -> UserRights:
        """Roles, permissions and workspaces of a user, empty when unknown."""
        cached = self._cache.get(user)
        if cached is not None:
            return cached
        changes = self._changes
        roles, permissions, workspaces = await self._kv.names(
            (_roles(user), _permissions(user), _workspaces(user))
        )
        known = workspaces - {_KNOWN} if _KNOWN in workspaces else None
        rights = UserRights(roles, permissions, known) or _NOTHING
        # After a change meanwhile this may be older than the change.
        if self._cached and changes == self._changes and user not in self._uncertain:
            if len(self._cache) >= MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[user] = rights
        return rights

    async def set_roles(self, user: str, roles: frozenset[str]) -> None:
        """Replace the roles of a user."""
        await self._set(user, _roles(user), roles)

    async def set_permissions(self, user: str, permissions: frozenset[str]) -> None:
        """Replace the permissions of a user."""
        await self._set(user, _permissions(user), permissions)

    async def set_workspaces(self, user: str, workspaces: frozenset[str] | None) -> None:
        """Replace the workspaces a user belongs to; None removes the entry."""
        names = frozenset[str]() if workspaces is None else workspaces | {_KNOWN}
        await self._set(user, _workspaces(user), names)

    async def _set(self, user: str, key: Key, names: frozenset[str]) -> None:
        try:
            await self._kv.set_names(key, sorted(names))
        except asyncio.CancelledError:
            self._uncertain.add(user)
            self._cached = self._cached and len(self._uncertain) <= MAX_UNCERTAIN
            raise
        finally:
            self._changes += 1
            self._cache.pop(user, None)
        # Changes are carried out in order.
        self._uncertain.discard(user)


def _roles(user: str) -> Key:
    return Key(f"user_roles:{user}", external=True)


def _permissions(user: str) -> Key:
    return Key(f"user_permissions:{user}", external=True)


def _workspaces(user: str) -> Key:
    return Key(f"user_workspaces:{user}")
