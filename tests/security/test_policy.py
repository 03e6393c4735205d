"""Who may do what: every rule, every verb, and denial wherever nothing says otherwise."""

from collections.abc import Iterable

import pytest

from portward.model import commands
from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.model.identity import ANONYMOUS, ChannelRight, Identity
from portward.model.namespace import AccessRule, Namespace, PublishRight
from portward.model.rights import Right
from portward.model.room import Room, RoomPermissions
from portward.protocols.echo import Echo
from portward.security import policy
from portward.security.policy import NO_FACTS, ChannelFacts

ROOM = Channel.parse("rooms:w1:a")
WRITE = Right.READ | Right.PUBLISH


def family(rule: AccessRule, **options: object) -> Namespace:
    """A family where clients may publish and presence is kept."""
    defaults = {"presence": True, "publish": PublishRight.RIGHT}
    return Namespace(name="rooms", authorize=rule, **{**defaults, **options})  # type: ignore[arg-type]  # options are any


def someone(
    *roles: str,
    workspace: str | None = None,
    channels: Iterable[ChannelRight] | None = None,
    permissions: Iterable[str] = (),
) -> Identity:
    """A user."""
    return Identity(
        subject="ann",
        roles=frozenset(roles),
        workspace=workspace,
        permissions=frozenset(permissions),
        channels=None if channels is None else tuple(channels),
    )


@pytest.mark.parametrize("rule", list(AccessRule))
@pytest.mark.parametrize("who", [someone("user"), ANONYMOUS], ids=["user", "anonymous"])
def test_without_facts(rule: AccessRule, who: Identity) -> None:
    """With no facts every rule denies everything, but the one that asks for none."""
    rights = policy.rights(who, ROOM, family(rule), NO_FACTS)
    assert rights == (WRITE if rule is AccessRule.AUTHENTICATED else Right.NONE)


ROLES = [
    ((), Right.NONE),
    (("guest",), Right.NONE),
    (("user",), Right.READ),
    (("author",), WRITE),
    (("admin",), Right.ALL),
    (("user", "guest"), Right.READ),
    (("user", "author"), WRITE),
    (("guest", "admin"), Right.ALL),
    (("User",), Right.NONE),
]


@pytest.mark.parametrize(("roles", "rights"), ROLES)
def test_roles(roles: tuple[str, ...], rights: Right) -> None:
    """A role that may more may also less; one that is on no list may nothing."""
    permissions = RoomPermissions(read=("user",), write=("author",), admin=("admin",))
    facts = ChannelFacts(room=Room(id="a", permissions=permissions))
    assert policy.rights(someone(*roles), ROOM, family(AccessRule.ROLES), facts) == rights


def test_room_without_roles() -> None:
    """A room with empty lists is nobody's, not everybody's."""
    permissions = RoomPermissions(read=(), write=(), admin=())
    facts = ChannelFacts(room=Room(id="a", permissions=permissions))
    for who in (someone(), someone("user", "admin"), someone("")):
        assert policy.rights(who, ROOM, family(AccessRule.ROLES), facts) == Right.NONE


@pytest.mark.parametrize(
    ("workspace", "workspaces", "rights"),
    [
        ("w1", None, WRITE),
        ("w1", (), Right.NONE),
        ("w1", ("w2",), Right.NONE),
        (None, ("w1",), WRITE),
        ("w2", ("w3", "w1"), WRITE),
        ("w", None, Right.NONE),
        ("w11", None, Right.NONE),
        ("W1", None, Right.NONE),
        (None, None, Right.NONE),
        ("", ("",), Right.NONE),
    ],
)
def test_membership(
    workspace: str | None, workspaces: tuple[str, ...] | None, rights: Right
) -> None:
    """The first part of the channel's name is the workspace, compared as a whole.

    What the directory says of a user's workspaces counts instead of what the token says.
    """
    facts = ChannelFacts(workspaces=None if workspaces is None else frozenset(workspaces))
    who = someone(workspace=workspace)
    assert policy.rights(who, ROOM, family(AccessRule.MEMBERSHIP), facts) == rights


def test_no_workspace_is_no_key() -> None:
    """A channel without a workspace in its name lets in nobody who has none."""
    channel = Channel.parse("rooms::a")
    assert policy.rights(someone(), channel, family(AccessRule.MEMBERSHIP), NO_FACTS) == Right.NONE


def test_claims() -> None:
    """Entries that cover the channel add up; words nobody knows add nothing."""
    entries = [
        ChannelRight("rooms:*", ("subscribe", "dance")),
        ChannelRight("rooms:w1:a", ("publish",)),
        ChannelRight("rooms:w2:*", ("history",)),
    ]
    who = someone(channels=entries)
    rights = policy.rights(who, ROOM, family(AccessRule.CLAIMS), NO_FACTS)
    assert rights == Right.SUBSCRIBE | Right.PUBLISH


def test_listed_channels_narrow_what_everyone_may() -> None:
    """A credential that lists channels is good for those alone, even where everyone is welcome."""
    entries = [ChannelRight("rooms:w1:*", ("subscribe",))]
    elsewhere = Channel.parse("rooms:w2:a")
    rule = family(AccessRule.AUTHENTICATED)
    assert policy.rights(someone(channels=entries), ROOM, rule, NO_FACTS) == Right.SUBSCRIBE
    assert policy.rights(someone(channels=entries), elsewhere, rule, NO_FACTS) == Right.NONE
    assert policy.rights(someone(channels=[]), ROOM, rule, NO_FACTS) == Right.NONE


EVERYTHING = Channel.combined("rooms")
HEAR = Right.SUBSCRIBE | Right.HISTORY


@pytest.mark.parametrize(
    ("who", "rights"),
    [
        (someone(), Right.NONE),
        (someone("admin"), Right.NONE),
        (someone(permissions=["rooms:*"]), HEAR),
        (someone(permissions=["*"]), HEAR),
        (someone(permissions=["rooms:a*", "rooms", "room:*", "rooms:%2a"]), Right.NONE),
        (someone(channels=[ChannelRight("rooms:*", ("subscribe", "publish"))]), Right.SUBSCRIBE),
        (someone(channels=[ChannelRight("rooms:w1:*", ("subscribe",))]), Right.NONE),
        (someone(channels=[ChannelRight("rooms:*", ("history",))]), Right.HISTORY),
        (someone(channels=[ChannelRight("*", ("subscribe",))]), Right.SUBSCRIBE),
        (someone(permissions=["rooms:%*", "rooms:%2A", "roo*", "rooms:%2A*"]), Right.NONE),
        (
            someone(
                channels=[
                    ChannelRight(pattern, ("subscribe", "history"))
                    for pattern in ("rooms:%*", "rooms:%2A", "rooms:%2*", "roo*", "room*")
                ]
            ),
            Right.NONE,
        ),
    ],
)
@pytest.mark.parametrize("rule", [rule for rule in AccessRule if rule is not AccessRule.DENY])
def test_hearing_everything_takes_a_right_of_its_own(
    rule: AccessRule, who: Identity, rights: Right
) -> None:
    """Under every rule alike, and never to publish."""
    facts = ChannelFacts(room=Room(id="a"), workspaces=frozenset({"%2A"}), answers=Right.ALL)
    assert policy.rights(who, EVERYTHING, family(rule, combined=True), facts) == rights


def test_without_a_combined_channel_nobody_hears_it() -> None:
    """Where channels are not combined, or the rule denies, no permission helps."""
    who = someone(permissions=["*"], channels=[ChannelRight("*", ("subscribe",))])
    for namespace in (family(AccessRule.AUTHENTICATED), family(AccessRule.DENY, combined=True)):
        assert policy.rights(who, EVERYTHING, namespace, NO_FACTS) == Right.NONE


@pytest.mark.parametrize("rule", [AccessRule.HTTP, AccessRule.IDENTITY_PROVIDER])
@pytest.mark.parametrize("answers", [Right.NONE, Right.READ, Right.ALL])
def test_answers_from_outside(rule: AccessRule, answers: Right) -> None:
    """What the application or the provider allowed is allowed, by the rules that ask them alone."""
    facts = ChannelFacts(answers=answers)
    assert policy.rights(someone(), ROOM, family(rule), facts) == answers
    assert policy.rights(someone(), ROOM, family(AccessRule.DENY), facts) == Right.NONE


@pytest.mark.parametrize("publish", list(PublishRight))
@pytest.mark.parametrize("presence", [True, False])
def test_what_a_family_does_not_have(publish: PublishRight, presence: bool) -> None:
    """Where only the server publishes, or presence is not kept, no rule gives those rights."""
    facts = ChannelFacts(answers=Right.ALL)
    namespace = family(AccessRule.HTTP, publish=publish, presence=presence)
    rights = policy.rights(someone(), ROOM, namespace, facts)
    assert (Right.PUBLISH in rights) is (publish is PublishRight.RIGHT)
    assert (Right.PRESENCE in rights) is presence
    assert Right.SUBSCRIBE | Right.HISTORY | Right.MANAGE in rights


@pytest.mark.parametrize(
    ("permissions", "auto_create", "may"),
    [
        ((), False, False),
        ((), True, True),
        (("room.create",), False, True),
        (("room.*",), False, True),
        (("*",), False, True),
        (("room.creat",), False, False),
        (("room.created",), False, False),
        (("rooms.*",), False, False),
        (("room.create.*",), False, False),
        (("",), False, False),
    ],
)
def test_making_rooms(permissions: tuple[str, ...], auto_create: bool, may: bool) -> None:
    """Rooms are made where joining makes them, or with the permission, by pattern or in full."""
    who = Identity(subject="ann", permissions=frozenset(permissions))
    assert policy.may_create(who, auto_create=auto_create) is may


COMMANDS: list[tuple[Command, Right]] = [
    (ask.Subscribe(channel=ROOM), Right.SUBSCRIBE),
    (ask.Unsubscribe(channel=ROOM), Right.NONE),
    (ask.Publish(channel=ROOM, data=1), Right.PUBLISH),
    (ask.ReadHistory(channel=ROOM), Right.SUBSCRIBE | Right.HISTORY),
    (ask.ReadPresence(channel=ROOM), Right.SUBSCRIBE | Right.PRESENCE),
    (ask.Signal(channel=ROOM, name="typing", active=True), Right.PUBLISH),
    (ask.Kick(channel=ROOM, user="bob"), Right.MANAGE),
    (ask.SetPermissions(channel=ROOM, permissions=RoomPermissions()), Right.MANAGE),
]
EACH = [Right.SUBSCRIBE, Right.HISTORY, Right.PRESENCE, Right.PUBLISH, Right.MANAGE]


@pytest.mark.parametrize(("command", "needed"), COMMANDS, ids=lambda x: type(x).__name__)
def test_grants(command: Command, needed: Right) -> None:
    """A command is granted with the rights it takes, and with every one of them missing it is not."""
    assert policy.grant(command, needed).command is command
    assert policy.grant(command, Right.ALL).rights == Right.ALL
    for right in EACH:
        if right in needed:
            with pytest.raises(CommandError) as caught:
                policy.grant(command, Right.ALL & ~right)
            assert caught.value.kind is ErrorKind.PERMISSION_DENIED


def test_commands_without_a_row_are_never_granted() -> None:
    """What takes no channel is granted to nobody, whatever the rights."""
    ungranted = [ask.Ping(), ask.Authenticate(token="t"), Echo(payload=b"", binary=False)]
    for command in ungranted:
        with pytest.raises(CommandError) as caught:
            policy.grant(command, Right.ALL)
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED


def test_every_command_with_a_channel_has_a_row() -> None:
    """Nobody adds a command about a channel without saying what it takes."""
    derived = [kind for kind in vars(commands).values() if isinstance(kind, type)]
    split = {ask.ReadHistories}
    """Is granted as one `ReadHistory` for each channel."""
    about = {
        kind
        for kind in set(derived) - split
        if issubclass(kind, Command) and "channel" in getattr(kind, "__struct_fields__", ())
    }
    assert about == set(policy.NEEDS)


def test_trusted() -> None:
    """What the backend asks for is granted in full."""
    grant = policy.trusted(ask.Publish(channel=ROOM, data=1))
    assert grant.rights == Right.ALL
