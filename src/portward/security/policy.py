"""Who may do what in which channel. Deny is the default, and only this module mints grants.

The rules are pure: identity, namespace and facts in, rights out. Facts that need I/O are fetched by the
node beforehand and arrive as values.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.model.grants import Grant, mint
from portward.model.identity import Identity
from portward.model.namespace import AccessRule, Namespace, PublishRight
from portward.model.rights import Right
from portward.model.room import Room

C = TypeVar("C", bound=Command)

CREATE_ROOM: Final = "room.create"
"""The permission that lets a user make a room by joining it."""

DECIDE: Final = "approvals.decide"
"""The permission that lets a user decide."""

_WORDS: Final = {
    "subscribe": Right.SUBSCRIBE,
    "history": Right.HISTORY,
    "publish": Right.PUBLISH,
    "presence": Right.PRESENCE,
    "manage": Right.MANAGE,
}

NEEDS: Final[dict[type[Command], Right]] = {
    ask.Subscribe: Right.SUBSCRIBE,
    ask.Unsubscribe: Right.NONE,
    ask.Publish: Right.PUBLISH,
    ask.ReadHistory: Right.SUBSCRIBE | Right.HISTORY,
    ask.ReadPresence: Right.SUBSCRIBE | Right.PRESENCE,
    ask.Signal: Right.PUBLISH,
    ask.Kick: Right.MANAGE,
    ask.SetPermissions: Right.MANAGE,
}
"""What each command takes. A command that is not here is never granted."""


class ChannelFacts(msgspec.Struct, frozen=True):
    """What had to be looked up to judge one channel.

    `workspaces` are the memberships the directory has for the user, None when it says nothing of them.
    `answers` are the rights the application's own URL allowed, for the rule `http`.
    """

    room: Room | None = None
    workspaces: frozenset[str] | None = None
    answers: Right = Right.NONE


NO_FACTS: Final = ChannelFacts()


def _authenticated(who: Identity, channel: Channel, facts: ChannelFacts) -> Right:
    """Everyone, but a credential that lists channels is good for those alone."""
    return Right.READ | Right.PUBLISH if who.channels is None else _claims(who, channel, facts)


def _claims(who: Identity, channel: Channel, _: ChannelFacts) -> Right:
    rights = Right.NONE
    for entry in who.channels or ():
        if entry.covers(channel):
            for word in entry.allow:
                rights |= _WORDS.get(word, Right.NONE)
    return rights


def _roles(who: Identity, _: Channel, facts: ChannelFacts) -> Right:
    if facts.room is None:
        return Right.NONE
    permissions = facts.room.permissions
    if not who.roles.isdisjoint(permissions.admin):
        return Right.ALL
    rights = Right.NONE
    if not who.roles.isdisjoint(permissions.read):
        rights |= Right.READ
    if not who.roles.isdisjoint(permissions.write):
        rights |= Right.READ | Right.PUBLISH
    return rights


def _membership(who: Identity, channel: Channel, facts: ChannelFacts) -> Right:
    workspace = channel.name.partition(":")[0]
    return Right.READ | Right.PUBLISH if belongs(who, workspace, facts.workspaces) else Right.NONE


def _answered(_: Identity, __: Channel, facts: ChannelFacts) -> Right:
    return facts.answers


_RULES: Final[dict[AccessRule, Callable[[Identity, Channel, ChannelFacts], Right]]] = {
    AccessRule.AUTHENTICATED: _authenticated,
    AccessRule.CLAIMS: _claims,
    AccessRule.ROLES: _roles,
    AccessRule.MEMBERSHIP: _membership,
    AccessRule.HTTP: _answered,
    AccessRule.IDENTITY_PROVIDER: _answered,
}


def rights(who: Identity, channel: Channel, namespace: Namespace, facts: ChannelFacts) -> Right:
    """Everything `who` may do in `channel`. A rule without a function here denies."""
    if channel.is_combined:
        return _combined(who, channel, namespace)
    rule = _RULES.get(namespace.authorize)
    allowed = rule(who, channel, facts) if rule is not None else Right.NONE
    if namespace.publish is PublishRight.SERVER:
        allowed &= ~Right.PUBLISH
    if not namespace.presence:
        allowed &= ~Right.PRESENCE
    return allowed


def _combined(who: Identity, channel: Channel, namespace: Namespace) -> Right:
    """What is said anywhere in a namespace takes a right of its own, whatever its rule.

    It is the permission, or the entry among the credential's channels, written `<namespace>:*`, or `*`;
    a pattern that covers the channel's name by chance is neither.
    """
    if not namespace.combined or namespace.authorize is AccessRule.DENY:
        return Right.NONE
    written = {f"{namespace.name}:*", "*"}
    chosen = tuple(entry for entry in who.channels or () if entry.channel in written)
    allowed = _claims(msgspec.structs.replace(who, channels=chosen), channel, NO_FACTS)
    if not written.isdisjoint(who.permissions):
        allowed |= Right.SUBSCRIBE | Right.HISTORY
    return allowed & (Right.SUBSCRIBE | Right.HISTORY)


def belongs(who: Identity, workspace: str, memberships: frozenset[str] | None) -> bool:
    """Whether `who` belongs to a workspace: by the directory when it says anything, else by the token.

    What an operator says of a user's memberships is newer than any token: it can also take one away.
    """
    return workspace == who.workspace if memberships is None else workspace in memberships


def may_create(who: Identity, *, auto_create: bool) -> bool:
    """Whether `who` may make a room by joining a name nobody has taken."""
    return auto_create or permits(who.permissions, CREATE_ROOM)


def may_act(who: Identity, action: str) -> bool:
    """Whether one of the roles of `who` allows an action in the workspace."""
    return permits(who.permissions, f"dashboard.{action}")


def may_decide(who: Identity) -> bool:
    """Whether `who` may give verdicts on requests for approval."""
    return permits(who.permissions, DECIDE)


def permits(permissions: Iterable[str], wanted: str) -> bool:
    """Whether one of `permissions` covers `wanted`; `*` stands for the rest at the end of one."""
    return any(
        wanted.startswith(each[:-1]) if each.endswith("*") else wanted == each
        for each in permissions
    )


def grant(command: C, allowed: Right) -> Grant[C]:
    """Turn judged rights into a grant for one command.

    Raises:
        Fault: `PERMISSION_DENIED`, in the same words whether the channel exists or not.
    """
    needed = NEEDS.get(type(command))
    if needed is None or needed not in allowed:
        raise CommandError(ErrorKind.PERMISSION_DENIED)
    return mint(command, allowed)


def trusted(command: C) -> Grant[C]:
    """Grant what the backend itself asks for, through the library or the admin API."""
    return mint(command, Right.ALL)
