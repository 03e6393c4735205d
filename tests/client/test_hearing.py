from typing import Any

import pytest

from portward.client import events
from portward.client.envelope import Envelope
from portward.client.events import Event
from portward.client.hearing import Hearing
from portward.client.inbox import Inbox
from portward.model.position import Position
from tests.client.peers import message


class Ear:
    """A hearing whose events are a list."""

    def __init__(self, *, raw: bool = False, **rooms: Position | None) -> None:
        self.inbox = Inbox(1000)
        self.hearing = Hearing(self.inbox, session=None, rooms=rooms, raw=raw)

    def hear(self, kind: str, data: Any, *, answered: bool = False) -> list[Event]:
        """Hear one message; return the events it made."""
        self.hearing.hear("text", Envelope(kind, data), answered)
        events_made = list(self.inbox._events)
        self.inbox._events.clear()
        return events_made


def test_authentication_gives_user_and_session() -> None:
    """A success names the user, the session to resume by, and when the token runs out."""
    ear = Ear()
    data = {"wsToken": "s1", "user": {"userId": "ann", "roles": []}, "expiresAt": 5000}
    assert ear.hear("auth_success", data) == [events.Connected(user="ann", expires_at=5.0)]
    assert (ear.hearing.session, ear.hearing.user) == ("s1", "ann")


def test_endless_token() -> None:
    """A token without an end is told as one."""
    data = {"wsToken": "s1", "user": {"userId": "ann"}, "expiresAt": None, "resumed": True}
    assert Ear().hear("auth_success", data) == [events.Connected(user="ann", resumed=True)]


def test_refresh_gives_another_session() -> None:
    """After a refresh the session is the new one."""
    ear = Ear()
    made = ear.hear("refresh_success", {"wsToken": "s2", "expiresAt": 9000}, answered=True)
    assert (ear.hearing.session, made) == ("s2", [events.TokenRefreshed(expires_at=9.0)])


def test_joining_places_the_client() -> None:
    """Having joined, the client stands where the room does, and hears what comes after."""
    ear = Ear()
    data = {"roomId": "lobby", "participants": ["ann"], "position": {"offset": 3, "epoch": "e"}}
    place = Position(3, "e")
    assert ear.hear("room_joined", data) == [
        events.Joined(room="lobby", participants=("ann",), position=place)
    ]
    assert ear.hear("message", message(3)) == []
    [heard] = ear.hear("message", message(4))
    assert isinstance(heard, events.Message)
    assert (heard.position, heard.content, heard.user, heard.missed) == (
        Position(4, "e"),
        "hello",
        "bob",
        False,
    )
    assert ear.hear("message", message(4)) == []
    assert ear.hearing.rooms == {"lobby": Position(4, "e")}


def test_missed_messages_follow() -> None:
    """What was missed comes after the room, in order, none that was heard before."""
    ear = Ear(lobby=Position(2, "e"))
    ear.hearing.asked["lobby"] = Position(2, "e")
    data = {
        "roomId": "lobby",
        "position": {"offset": 4, "epoch": "e"},
        "recovered": True,
        "messages": [message(2), message(3), message(4)],
    }
    first, *rest = ear.hear("room_joined", data)
    assert isinstance(first, events.Joined)
    assert (first.recovered, first.missed) == (True, 2)
    assert [
        (each.position.offset, each.missed) for each in rest if isinstance(each, events.Message)
    ] == [
        (3, True),
        (4, True),
    ]
    assert ear.hearing.asked == {}


def test_message_of_another_room() -> None:
    """A message of a room the client is not in is passed over."""
    assert Ear().hear("message", message(1, room="elsewhere")) == []


@pytest.mark.parametrize("reason", [None, "permission_denied"])
def test_leaving(reason: str | None) -> None:
    """A room that was left, or taken away, is forgotten."""
    ear = Ear(lobby=Position(1, "e"))
    data = {"roomId": "lobby"} | ({"reason": reason} if reason else {})
    assert ear.hear("room_left", data) == [events.Left(room="lobby", reason=reason)]
    assert ear.hearing.rooms == {}


def test_a_room_the_gateway_lost_count_of() -> None:
    """Its place is kept, nobody is told that it was left, and it waits to be joined again."""
    ear = Ear(lobby=Position(1, "e"))
    assert ear.hear("room_left", {"roomId": "lobby", "reason": "insufficient_state"}) == []
    assert ear.hearing.rooms == {"lobby": Position(1, "e")}
    assert ear.hearing.lost == ["lobby"]


@pytest.mark.parametrize(
    ("kind", "data", "event"),
    [
        (
            "user_joined",
            {"email": "b@x.org"},
            events.UserJoined(room="r", user="bob", email="b@x.org"),
        ),
        ("user_left", {}, events.UserLeft(room="r", user="bob")),
        ("user_disconnected", {}, events.UserLeft(room="r", user="bob", disconnected=True)),
        ("typing", {"active": True}, events.Typing(room="r", user="bob", active=True)),
    ],
)
def test_people(kind: str, data: dict[str, Any], event: Event) -> None:
    """Who comes, goes and types is told."""
    assert Ear().hear(kind, {"roomId": "r", "userId": "bob", **data}) == [event]


def test_expiry_and_shutdown() -> None:
    """Times are told in seconds, and when to come back is remembered."""
    ear = Ear()
    assert ear.hear("token_expiring", {"expiresAt": 61_000}) == [
        events.TokenExpiring(expires_at=61.0)
    ]
    assert ear.hear("shutdown", {"retryMs": 1500}) == [events.ShuttingDown(retry_in=1.5)]
    assert ear.hearing.hint == 1.5


def test_other_messages() -> None:
    """What answers nothing is an event as it is; what answers a request is for who asked."""
    ear = Ear()
    assert ear.hear("handshake", {"x": 1}) == [events.Other(type="handshake", data={"x": 1})]
    assert ear.hear("ack", {"x": 1}, answered=True) == []


def test_raw() -> None:
    """On request every message is an event before what follows from it."""
    made = Ear(raw=True).hear("shutdown", {"retryMs": 0})
    assert made == [events.Raw(text="text"), events.ShuttingDown(retry_in=0.0)]


def test_wrong_types_are_an_error() -> None:
    """A message that is not what its type says is refused whole."""
    with pytest.raises(ValueError, match="retryMs"):
        Ear().hear("shutdown", {"retryMs": "soon"})
