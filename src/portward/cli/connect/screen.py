"""The output of the terminal client: one line per event, without any control codes of a peer."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from portward.cli.terminal import console, shown
from portward.client import events
from portward.client.events import Event
from portward.client.room_values import Presence

_SECRET: Final = "wsToken"  # noqa: S105 - the name of a key
_NOTE: Final = "dim"
_BAD: Final = "red"
_GOOD: Final = "green"
_NAME: Final = "bold cyan"
_WARNING: Final = "yellow"


class Screen:
    """Prints to standard output; errors go to standard error.

    With `as_json` every message of the gateway is printed as a line of JSON, without the session token, and
    all other text goes to standard error.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._out = console()
        self._err = console(stderr=True)

    def note(self, text: str, style: str = _NOTE) -> None:
        """Print a note of the client itself."""
        where = self._err if self._as_json else self._out
        where.print(Text(f"* {shown(text)}", style), soft_wrap=True)

    def bad(self, text: str) -> None:
        """Print an error."""
        self._err.print(Text(f"! {shown(text)}", _BAD), soft_wrap=True)

    def payload(self, payload: str | bytes) -> None:
        """Print a received text as it is, except for control characters; for bytes, their number."""
        text = payload if isinstance(payload, str) else f"<{len(payload)} bytes>"
        self._out.print(Text(shown(text)), soft_wrap=True)

    def show(self, event: Event) -> None:
        """Print an event of the rooms client."""
        note = _NOTES.get(type(event))
        if note is not None:
            self.note(*note(event))
        elif isinstance(event, events.Message):
            self.message(event)
        elif isinstance(event, events.Raw):
            self._out.print(Text(_printable(event.text)), soft_wrap=True)
        elif isinstance(event, events.JoinFailed):
            self.bad(f"not back in {event.room}: {event.text} ({event.code})")
        elif isinstance(event, events.Typing) and event.active:
            self.note(f"{event.user} is typing in {event.room}")
        elif isinstance(event, events.Other):
            self._other(event)

    def message(self, message: events.Message) -> None:
        """Print a message of a room."""
        if self._as_json:
            return
        content = message.content
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        self._out.print(
            Text.assemble(
                (f"{_clock(message.time)} {shown(message.room)} ", _NOTE),
                ("missed " if message.missed else "", _WARNING),
                (f"{shown(message.user or 'the backend')}: ", _NAME),
                shown(text),
            ),
            soft_wrap=True,
        )

    def people(self, room: str, people: tuple[Presence, ...]) -> None:
        """Print the users in a room."""
        names = (f"{each.user}{_times(each.connections)}" for each in people)
        self.note(f"in {room}: {', '.join(names)}")

    def _other(self, event: events.Other) -> None:
        if event.type == "error":
            self.bad(f"{event.data.get('message')} ({event.data.get('code')})")
        elif not self._as_json and event.type != "handshake":
            self.note(f"{event.type} {json.dumps(event.data, ensure_ascii=False)}")


# -- the notes: a text and its style


def _connected(event: events.Connected) -> tuple[str, str]:
    if not event.user:
        return (
            "connected, not authenticated: only /raw works, and the gateway closes soon, unless the"
            " endpoint admits every client; give --token, or --sub to make one"
        ), _WARNING
    return f"connected as {event.user}{', session resumed' if event.resumed else ''}", _GOOD


def _disconnected(event: events.Disconnected) -> tuple[str, str]:
    code = f" ({event.code})" if event.code is not None else ""
    why = event.reason or "the connection broke"
    return f"not connected: {why}{code}; trying again in {event.retry_in:.1f} s", _WARNING


def _joined(event: events.Joined) -> tuple[str, str]:
    people = f": {', '.join(event.participants)}" if event.participants else ""
    if event.recovered is None:
        return f"joined {event.room}{people}", _NOTE
    if event.recovered:
        return f"recovered {event.room}, {event.missed} missed{people}", _GOOD
    return (
        f"back in {event.room}, but some messages are gone: they are kept no longer,"
        f" or are too many{people}"
    ), _WARNING


def _left(event: events.Left) -> tuple[str, str]:
    return f"left {event.room}{f': {event.reason}' if event.reason else ''}", _NOTE


def _user_left(event: events.UserLeft) -> tuple[str, str]:
    how = "lost the connection to" if event.disconnected else "left"
    return f"{event.user} {how} {event.room}", _NOTE


_NOTES: Final[dict[type[Event], Callable[[Any], tuple[str, str]]]] = {
    events.Connected: _connected,
    events.Disconnected: _disconnected,
    events.Joined: _joined,
    events.Left: _left,
    events.UserJoined: lambda event: (f"{event.user} joined {event.room}", _NOTE),
    events.UserLeft: _user_left,
    events.TokenExpiring: lambda _: ("the token expires soon", _WARNING),
    events.TokenRefreshed: lambda _: ("the token was renewed", _NOTE),
    events.ShuttingDown: lambda event: (
        f"the gateway is shutting down; connecting again in {event.retry_in:.1f} s",
        _NOTE,
    ),
}


def _clock(milliseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def _times(count: int) -> str:
    return f" (x{count})" if count > 1 else ""


def _printable(text: str) -> str:
    """Return a message in ASCII, without cursor movements and without the session token."""
    message = json.loads(text)
    if _SECRET in message["data"]:
        message["data"][_SECRET] = "***"
    return json.dumps(message, separators=(",", ":"))
