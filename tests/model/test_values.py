"""The values of the model: what they refuse, what they show, how they compare."""

from typing import get_args

import msgspec
import pytest

from portward.model.channel import Channel
from portward.model.commands import Subscribe
from portward.model.events import AnyEvent, BusEvent, Revoked, UserJoined
from portward.model.grants import Grant, mint
from portward.model.identity import ANONYMOUS, ChannelRight, Identity
from portward.model.position import Position
from portward.model.publication import Draft, Publication
from portward.model.replies import Authenticated, Refreshed
from portward.model.request import RequestHead, by_name
from portward.model.revocation import Revocation, RevocationKind, identity_keys
from portward.model.rights import Right
from portward.model.room import Room, RoomPermissions

ROOM = Channel.parse("rooms:a")
ANN = Identity(
    subject="ann", token_id="j", session_id="s", digest="d", issued_at=50.0
)  # fmt: skip


# -- grants


def test_grant_is_minted() -> None:
    """A grant from the mint carries its command and its rights."""
    command = Subscribe(channel=ROOM)
    grant = mint(command, Right.READ)
    assert (grant.command, grant.rights) == (command, Right.READ)


def test_grant_is_not_made_elsewhere() -> None:
    """Calling the class makes no grant, with whatever arguments."""
    for given in ((), (Subscribe(channel=ROOM),), (Subscribe(channel=ROOM), Right.ALL)):
        with pytest.raises(TypeError, match=r"security\.policy"):
            Grant(*given)


def test_rights() -> None:
    """Reading is three rights, and all is all of them."""
    assert Right.READ == Right.SUBSCRIBE | Right.HISTORY | Right.PRESENCE
    assert Right.READ | Right.PUBLISH | Right.MANAGE == Right.ALL
    assert Right.PUBLISH not in Right.READ
    assert Right.NONE in Right.NONE


# -- identities


@pytest.mark.parametrize(
    ("pattern", "channel", "covers"),
    [
        ("rooms:a", "rooms:a", True),
        ("rooms:a", "rooms:ab", False),
        ("rooms:a*", "rooms:ab", True),
        ("rooms:a*", "rooms:a", True),
        ("rooms:*", "rooms2:a", False),
        ("*", "anything:x", True),
        ("rooms:*a", "rooms:ba", False),
    ],
)
def test_channel_patterns(pattern: str, channel: str, covers: bool) -> None:
    """A pattern covers what it names, or what begins as it does before its star."""
    assert ChannelRight(pattern, ("subscribe",)).covers(channel) is covers


def test_anonymous_has_nothing() -> None:
    """Nobody in particular has no role, no permission, no workspace and says nothing of channels."""
    who = ANONYMOUS
    assert (who.roles, who.permissions) == (frozenset(), frozenset())
    assert (who.workspace, who.channels) == (None, None)


# -- revocations


@pytest.mark.parametrize(
    ("kind", "value", "session", "named"),
    [
        (RevocationKind.TOKEN_ID, "j", None, True),
        (RevocationKind.TOKEN_ID, "x", None, False),
        (RevocationKind.SESSION, "s", None, True),
        (RevocationKind.SESSION, "r", "r", True),
        (RevocationKind.SESSION, "r", None, False),
        (RevocationKind.TOKEN, "d", None, True),
        (RevocationKind.TOKEN, "j", None, False),
        (RevocationKind.SUBJECT, "ann", None, True),
        (RevocationKind.SUBJECT, "bob", None, False),
    ],
)
def test_whom_a_revocation_names(
    kind: RevocationKind, value: str, session: str | None, named: bool
) -> None:
    """A revocation names one thing of one kind, and a session by either of its ids."""
    assert Revocation(kind, value, at=60.0, until=100.0).names(ANN, session) is named


@pytest.mark.parametrize(("at", "named"), [(49.9, False), (50.0, True), (60.0, True)])
def test_what_is_issued_later_is_spared(at: float, named: bool) -> None:
    """A user's revocation takes back what was issued up to its moment."""
    assert Revocation(RevocationKind.SUBJECT, "ann", at=at, until=1e9).names(ANN, None) is named


def test_token_without_a_date_is_not_spared() -> None:
    """A token that does not say when it was issued is taken back with its user."""
    undated = Identity(subject="ann")
    assert Revocation(RevocationKind.SUBJECT, "ann", at=0.0, until=1e9).names(undated, None)


def test_keys_of_an_identity() -> None:
    """What an identity does not have is no key it could be revoked by."""
    assert identity_keys(Identity(subject="ann"), None) == [(RevocationKind.SUBJECT, "ann")]
    assert len(identity_keys(ANN, "r")) == 5


# -- publications


def test_draft_becomes_a_publication() -> None:
    """A publication is its draft with an offset; whom it leaves out is not told on."""
    draft = Draft(
        id="i", time=1, data=[1], key="k", type="t", user="u", email="e", signature="s", exclude="x"
    )
    publication = Publication.at(7, draft)
    assert msgspec.structs.asdict(publication) == {
        "id": "i", "offset": 7, "time": 1, "data": [1], "key": "k", "type": "t", "user": "u",
        "email": "e", "signature": "s", "origin": None, "attachments": (),
    }  # fmt: skip


def test_positions_compare() -> None:
    """Two positions are the same when offset and epoch are."""
    assert Position(1, "a") == Position(1, "a") != Position(1, "b")


# -- rooms


@pytest.mark.parametrize(
    ("record", "strips"),
    [
        ({}, True),
        ({"type": "document"}, False),
        ({"type": "chat", "sanitize": "none"}, False),
        ({"type": "notification", "sanitize": "strip"}, True),
    ],
)
def test_what_is_stripped(record: dict[str, str], strips: bool) -> None:
    """A chat is stripped by default, other rooms when they say so."""
    assert msgspec.convert({"id": "a", **record}, Room).strips is strips


def test_room_with_plain_words() -> None:
    """A library user that writes the words instead of the members is understood."""
    assert Room(id="a", type="chat").strips  # type: ignore[arg-type]  # the mistake of the test
    assert Room(id="a", type="document", sanitize="strip").strips  # type: ignore[arg-type]  # likewise


@pytest.mark.parametrize(
    "record", [{"owner": "x"}, {"type": "x"}, {"maxParticipants": "5"}, {"max_participants": 5}]
)
def test_unknown_fields_of_a_room(record: dict[str, object]) -> None:
    """A record with a field or word nobody knows is refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "a", **record}, Room)


def test_room_in_json() -> None:
    """A record is written in the words of the documentation."""
    written = msgspec.json.decode(msgspec.json.encode(Room(id="a", max_participants=5)))
    assert written == {
        "id": "a", "name": "", "type": "chat", "sanitize": None, "maxParticipants": 5,
        "permissions": {"read": ["user"], "write": ["user"], "admin": ["admin"]},
    }  # fmt: skip
    assert RoomPermissions() == Room(id="a").permissions


# -- heads and events


def test_headers_of_a_head() -> None:
    """The values of a header are found by its name, in order."""
    head = RequestHead(
        method="GET",
        path="/x",
        headers=by_name([("a", "1"), ("b", "2"), ("a", "3")]),
        query="token=secret",
    )
    assert (head.all("a"), head.all("b"), head.all("c")) == (["1", "3"], ["2"], [])
    assert "secret" not in repr(head)


def test_events_are_told_apart() -> None:
    """What nodes tell each other comes back as it was sent."""
    events: list[BusEvent] = [
        UserJoined(channel=ROOM, user="ann", client="c"),
        Revoked(revocation=Revocation(RevocationKind.SUBJECT, "ann", 1.0, 2.0)),
    ]
    for event in events:
        written = msgspec.json.encode(event, enc_hook=str)
        assert msgspec.json.decode(written)["type"] == type(event).__name__
        assert msgspec.json.decode(written, type=type(event), dec_hook=_channel) == event


def _channel(kind: type, text: str) -> object:
    return kind.parse(text)  # type: ignore[attr-defined]  # only channels come here


def test_answers_do_not_show_tokens() -> None:
    """What gives out a session token does not show it."""
    given = Authenticated(identity=ANN, session_token="secret", expires_at=None)
    assert repr(given) == "Authenticated(subject='ann')"
    assert repr(Refreshed(session_token="secret", expires_at=None)) == "Refreshed()"


def test_every_event_can_be_read_from_a_wire() -> None:
    """No event is missing among those that are read."""
    assert set(get_args(AnyEvent)) == set(BusEvent.__subclasses__())
