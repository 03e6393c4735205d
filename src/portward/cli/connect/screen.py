"""The output of the terminal client: one line per event, without any control codes of a peer."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from portward.cli.output import console, shown
from portward.client import events
from portward.client.errors import RequestRefused
from portward.client.events import Event
from portward.client.room_values import Presence

_SECRET: Final = "wsToken"  # noqa: S105 - the name of a key
_NOTE: Final = "dim"
_BAD: Final = "red"
_GOOD: Final = "green"
_NAME: Final = "bold cyan"
_MISSED: Final = "yellow"


class Screen:
    """Prints to standard output; errors go to standard error.

    With `as_json` every message of the gateway is printed as a line of JSON, without the session token, and
    all other text goes to standard error.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._out = console()
        self._err = console(stderr=True)
        self._shows: dict[type[Event], Callable[[Any], None]] = {
            events.Raw: self._raw,
            events.Connected: self._connected,
            events.Disconnected: self._disconnected,
            events.Joined: self._joined,
            events.Left: self._left,
            events.JoinFailed: self._join_failed,
            events.Message: self.message,
            events.UserJoined: self._user_joined,
            events.UserLeft: self._user_left,
            events.Typing: self._typing,
            events.TokenExpiring: self._expiring,
            events.TokenRefreshed: self._refreshed,
            events.ShuttingDown: self._shutting_down,
            events.Other: self._other,
        }

    def show(self, event: Event) -> None:
        """Show one event."""
        self._shows[type(event)](event)

    # -- lines

    def note(self, text: str, style: str = _NOTE) -> None:
        """Print a note of the client itself."""
        where = self._err if self._as_json else self._out
        where.print(Text(f"* {shown(text)}", style), soft_wrap=True)

    def bad(self, text: str) -> None:
        """Print an error."""
        self._err.print(Text(f"! {shown(text)}", _BAD), soft_wrap=True)

    def refused(self, what: str, refused: RequestRefused) -> None:
        """Print that a request was refused."""
        self.bad(f"{what}: {refused.text} ({refused.code})")

    def plain(self, text: str) -> None:
        """Print a received text as it is, except for control characters."""
        self._out.print(Text(shown(text)), soft_wrap=True)

    # -- output of commands

    def message(self, message: events.Message) -> None:
        """Print a message of a room."""
        if self._as_json:
            return
        content = message.content
        said = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        mark = Text("missed ", _MISSED) if message.missed else Text()
        self._out.print(
            Text.assemble(
                (f"{_clock(message.time)} ", _NOTE),
                (f"{shown(message.room)} ", _NOTE),
                mark,
                (f"{shown(message.user or 'the backend')}: ", _NAME),
                shown(said),
            ),
            soft_wrap=True,
        )

    def people(self, room: str, people: tuple[Presence, ...]) -> None:
        """Print the users in a room."""
        names = (f"{each.user}{_times(each.connections)}" for each in people)
        self.note(f"in {room}: {', '.join(names)}")

    # -- events

    def _raw(self, event: events.Raw) -> None:
        self._out.print(Text(_fit_to_show(event.text)), soft_wrap=True)

    def _connected(self, event: events.Connected) -> None:
        if not event.user:
            self.note(
                "connected, not authenticated: nothing but /raw works, and the gateway closes soon,"
                " unless the endpoint lets everybody in; give --token, or --sub to make one",
                _MISSED,
            )
            return
        resumed = ", session resumed" if event.resumed else ""
        self.note(f"connected as {event.user}{resumed}", _GOOD)

    def _disconnected(self, event: events.Disconnected) -> None:
        why = event.reason or "the connection broke"
        code = f" ({event.code})" if event.code is not None else ""
        self.note(f"not connected: {why}{code}; trying again in {event.retry_in:.1f} s", _MISSED)

    def _joined(self, event: events.Joined) -> None:
        people = f": {', '.join(event.participants)}" if event.participants else ""
        if event.recovered is None:
            self.note(f"joined {event.room}{people}")
        elif event.recovered:
            self.note(f"recovered {event.room}, {event.missed} missed{people}", _GOOD)
        else:
            self.note(
                f"back in {event.room}, but some messages are gone: they are kept no longer,"
                f" or are too many{people}",
                _MISSED,
            )

    def _left(self, event: events.Left) -> None:
        why = f": {event.reason}" if event.reason else ""
        self.note(f"left {event.room}{why}")

    def _join_failed(self, event: events.JoinFailed) -> None:
        self.bad(f"not back in {event.room}: {event.text} ({event.code})")

    def _user_joined(self, event: events.UserJoined) -> None:
        self.note(f"{event.user} joined {event.room}")

    def _user_left(self, event: events.UserLeft) -> None:
        how = "lost the connection to" if event.disconnected else "left"
        self.note(f"{event.user} {how} {event.room}")

    def _typing(self, event: events.Typing) -> None:
        if event.active:
            self.note(f"{event.user} is typing in {event.room}")

    def _expiring(self, _: events.TokenExpiring) -> None:
        self.note("the token runs out soon", _MISSED)

    def _refreshed(self, _: events.TokenRefreshed) -> None:
        self.note("the token was renewed")

    def _shutting_down(self, event: events.ShuttingDown) -> None:
        self.note(f"the gateway is leaving; back in {event.retry_in:.1f} s")

    def _other(self, event: events.Other) -> None:
        if event.type == "error":
            self.bad(f"{event.data.get('message')} ({event.data.get('code')})")
        elif not self._as_json and event.type != "handshake":
            self.note(f"{event.type} {json.dumps(event.data, ensure_ascii=False)}")


def _clock(milliseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def _times(count: int) -> str:
    return f" (x{count})" if count > 1 else ""


def _fit_to_show(text: str) -> str:
    """Return a message in ASCII, without cursor movements and without the session token."""
    message = json.loads(text)
    if _SECRET in message["data"]:
        message["data"][_SECRET] = "***"
    return json.dumps(message, separators=(",", ":"))
