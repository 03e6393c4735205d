"""From what the gateway says to events, and what a client must remember of it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from portward.client import decode, events
from portward.client.envelope import Envelope
from portward.client.events import Event
from portward.client.inbox import Inbox
from portward.model.position import Position
from portward.model.replies import INSUFFICIENT_STATE

_SECOND: Final = 1000


class Hearing:
    """Where a client stands: its session, its rooms, its place in each.

    A message at or before that place was heard already, and is passed over.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        session: str | None,
        rooms: Mapping[str, Position | None],
        raw: bool,
    ) -> None:
        self.session = session
        self.user: str | None = None
        self.rooms = dict(rooms)
        self.asked: dict[str, Position | None] = {}
        """Joins under way, and since where."""
        self.lost: list[str] = []
        """Rooms the gateway could not keep us up with: to be joined again."""
        self.hint: float | None = None
        """When a leaving node asked us to come back, in seconds."""
        self._inbox = inbox
        self._raw = raw
        self._handlers: dict[str, tuple[type, Callable[[Any], None]]] = {
            "auth_success": (decode.AuthSuccess, self._proven),
            "refresh_success": (decode.RefreshSuccess, self._refreshed),
            "room_joined": (decode.RoomJoined, self._joined),
            "room_left": (decode.RoomLeft, self._left),
            "message": (decode.RoomMessage, self._message),
            "user_joined": (decode.MemberChange, self._user_joined),
            "user_left": (decode.MemberChange, self._user_left),
            "user_disconnected": (decode.MemberChange, self._user_disconnected),
            "typing": (decode.TypingSignal, self._typing),
            "token_expiring": (decode.TokenExpiry, self._expiring),
            "shutdown": (decode.ShutdownNotice, self._shutdown),
        }

    def place(self, room: str) -> Position | None:
        """Where to join a room again from; the answer is judged by it."""
        since = self.asked[room] = self.rooms.get(room)
        return since

    def hear(self, text: str, envelope: Envelope, answered: bool) -> None:
        """Take one message.

        Raises:
            ValueError: it is not what its type says.
        """
        if self._raw:
            self._inbox.put(events.Raw(text=text))
        kind, handler = self._handlers.get(envelope.type, (None, None))
        if kind is not None and handler is not None:
            handler(msgspec.convert(envelope.data, kind))
        elif not answered:
            self._tell(events.Other(type=envelope.type, data=envelope.data))

    def _tell(self, event: Event) -> None:
        self._inbox.put(event)

    def _proven(self, said: decode.AuthSuccess) -> None:
        self.session, self.user = said.ws_token, said.user.user_id
        self._tell(
            events.Connected(
                user=said.user.user_id,
                resumed=said.resumed,
                expires_at=_seconds(said.expires_at),
            )
        )

    def _refreshed(self, said: decode.RefreshSuccess) -> None:
        self.session = said.ws_token
        self._tell(events.TokenRefreshed(expires_at=_seconds(said.expires_at)))

    def _joined(self, said: decode.RoomJoined) -> None:
        room, epoch = said.room_id, said.position.epoch
        since = self.asked.pop(room, None)
        seen = since.offset if since is not None else 0
        missed = [each for each in said.messages if each.offset > seen]
        self.rooms[room] = said.position
        self._tell(
            events.Joined(
                room=room,
                participants=said.participants,
                position=said.position,
                recovered=said.recovered,
                missed=len(missed),
            )
        )
        for each in missed:
            self._tell(each.event(epoch, missed=True))

    def _left(self, said: decode.RoomLeft) -> None:
        if said.reason == INSUFFICIENT_STATE and said.room_id in self.rooms:
            # The place is kept: it is joined again from there, and told what became of it.
            self.lost.append(said.room_id)
            return
        self.rooms.pop(said.room_id, None)
        self._tell(events.Left(room=said.room_id, reason=said.reason))

    def _message(self, said: decode.RoomMessage) -> None:
        place = self.rooms.get(said.room_id)
        if place is None or said.offset <= place.offset:
            return
        message = said.event(place.epoch)
        self.rooms[said.room_id] = message.position
        self._tell(message)

    def _user_joined(self, said: decode.MemberChange) -> None:
        self._tell(events.UserJoined(room=said.room_id, user=said.user_id, email=said.email))

    def _user_left(self, said: decode.MemberChange) -> None:
        self._tell(events.UserLeft(room=said.room_id, user=said.user_id, email=said.email))

    def _user_disconnected(self, said: decode.MemberChange) -> None:
        self._tell(
            events.UserLeft(
                room=said.room_id, user=said.user_id, email=said.email, disconnected=True
            )
        )

    def _typing(self, said: decode.TypingSignal) -> None:
        self._tell(events.Typing(room=said.room_id, user=said.user_id, active=said.active))

    def _expiring(self, said: decode.TokenExpiry) -> None:
        self._tell(events.TokenExpiring(expires_at=said.expires_at / _SECOND))

    def _shutdown(self, said: decode.ShutdownNotice) -> None:
        self.hint = said.retry_ms / _SECOND
        self._tell(events.ShuttingDown(retry_in=self.hint))


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / _SECOND
