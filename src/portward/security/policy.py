"""The authorizer: which user may do what in which channel. The default is to deny; only this module grants.

The rules do no I/O: they take an identity, a namespace and facts, and return rights. The node fetches the
facts that need I/O before and passes them as values.
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
"""The permission to create a room by joining it."""

DECIDE: Final = "approvals.decide"
"""The permission to decide on requests for approval."""

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
"""The rights that each command needs. A command that is not in this table is never granted."""


class ChannelFacts(msgspec.Struct, frozen=True):
    """The facts about one channel that need a look-up before the rules run.

    `workspaces` are the user's memberships in the directory, None when it has no entry for the user.
    `answers` are the rights that the application's URL allowed, for the rule `http`.
    """

    room: Room | None = None
    workspaces: frozenset[str] | None = None
    answers: Right = Right.NONE


NO_FACTS: Final = ChannelFacts()


def _authenticated(who: Identity, channel: Channel, facts: ChannelFacts) -> Right:
    """Allow every user; a credential that lists channels is limited to these channels."""
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
    """Return all rights of `who` in `channel`. A rule without a function here denies."""
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
    """Return the rights in the combined channel of a namespace, which need their own entry under every rule.

    The entry is a permission, or a channel in the credential's list, written exactly as `<namespace>:*`
    or `*`; another pattern that happens to cover the channel's name is not enough.
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
    """Return whether `who` belongs to a workspace: by the directory when it has an entry, else by the token.

    An operator's change of a user's memberships is newer than any token, and can also remove one.
    """
    return workspace == who.workspace if memberships is None else workspace in memberships


def may_create(who: Identity, *, auto_create: bool) -> bool:
    """Return whether `who` may create a room by joining a name that does not exist yet."""
    return auto_create or permits(who.permissions, CREATE_ROOM)


def may_act(who: Identity, action: str) -> bool:
    """Return whether a role of `who` allows an action in the workspace."""
    return permits(who.permissions, f"dashboard.{action}")


def may_decide(who: Identity) -> bool:
    """Return whether `who` may decide on requests for approval."""
    return permits(who.permissions, DECIDE)


def permits(permissions: Iterable[str], wanted: str) -> bool:
    """Return whether one of `permissions` covers `wanted`; a `*` at the end covers any rest."""
    return any(
        wanted.startswith(each[:-1]) if each.endswith("*") else wanted == each
        for each in permissions
    )


def grant(command: C, allowed: Right) -> Grant[C]:
    """Turn rights into a grant for one command.

    Raises:
        CommandError: `PERMISSION_DENIED`, with the same text whether the channel exists or not.
    """
    needed = NEEDS.get(type(command))
    if needed is None or needed not in allowed:
        raise CommandError(ErrorKind.PERMISSION_DENIED)
    return mint(command, allowed)


def trusted(command: C) -> Grant[C]:
    """Grant a command of the backend itself, from the library or the admin API."""
    return mint(command, Right.ALL)
