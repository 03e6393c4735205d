import pytest

from portward.admin.requests import (
    RevokeRequest,
    RoomRequest,
    RoomsSetRequest,
    TicketRequest,
    room_channel,
)
from portward.model.faults import Fault, FaultKind


def test_tokens_are_not_shown() -> None:
    """The repr of a request that holds a token does not."""
    assert "secret" not in repr(RevokeRequest(token="secret"))
    assert "secret" not in repr(TicketRequest(token="secret"))


def test_a_room_is_a_channel() -> None:
    """A room's id and namespace make the name of its channel."""
    assert RoomRequest(id="a").channel == "rooms:a"
    assert RoomsSetRequest(id="a:b", namespace="workspaces").channel == "workspaces:a:b"


@pytest.mark.parametrize(("namespace", "room"), [("rooms", "a b"), ("ro*ms", "a"), ("", "a")])
def test_a_room_that_is_no_channel_is_a_fault(namespace: str, room: str) -> None:
    """An id that cannot be part of a channel's name is refused as such."""
    with pytest.raises(Fault) as caught:
        room_channel(namespace, room)
    assert caught.value.kind is FaultKind.INVALID_CHANNEL
