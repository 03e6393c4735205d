import json

import pytest

from portward.cli.connect.screen import Screen
from portward.client import events
from portward.client.events import Event
from portward.client.room_values import Presence
from portward.model.position import Position

PLACE = Position(1, "e")


def message(**more: object) -> events.Message:
    """A message of a room."""
    fields = {"room": "lobby", "id": "m1", "content": "hello", "user": "bob", "position": PLACE}
    return events.Message(**{**fields, "time": 0, **more})  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (events.Connected(user="ann"), "* connected as ann"),
        (events.Connected(user="ann", resumed=True), "* connected as ann, session resumed"),
        (
            events.Connected(),
            "* connected, not authenticated: only /raw works, and the gateway closes soon, unless"
            " the endpoint admits every client; give --token, or --sub to make one",
        ),
        (
            events.Disconnected(code=3008, reason="slow", retry_in=1.25),
            "* not connected: slow (3008); trying again in 1.2 s",
        ),
        (
            events.Disconnected(code=None, reason="", retry_in=0.0),
            "* not connected: the connection broke; trying again in 0.0 s",
        ),
        (
            events.Joined(room="lobby", participants=("ann", "bob"), position=PLACE),
            "* joined lobby: ann, bob",
        ),
        (
            events.Joined(room="lobby", participants=(), position=PLACE, recovered=True, missed=2),
            "* recovered lobby, 2 missed",
        ),
        (
            events.Joined(room="lobby", participants=(), position=PLACE, recovered=False),
            "* back in lobby, but some messages are gone: they are kept no longer, or are too many",
        ),
        (events.Left(room="lobby"), "* left lobby"),
        (events.Left(room="lobby", reason="permission_denied"), "* left lobby: permission_denied"),
        (events.UserJoined(room="lobby", user="bob"), "* bob joined lobby"),
        (events.UserLeft(room="lobby", user="bob"), "* bob left lobby"),
        (
            events.UserLeft(room="lobby", user="bob", disconnected=True),
            "* bob lost the connection to lobby",
        ),
        (events.Typing(room="lobby", user="bob", active=True), "* bob is typing in lobby"),
        (events.TokenExpiring(expires_at=1.0), "* the token expires soon"),
        (events.TokenRefreshed(), "* the token was renewed"),
        (
            events.ShuttingDown(retry_in=2.0),
            "* the gateway is shutting down; connecting again in 2.0 s",
        ),
        (events.Other(type="pong", data={"a": 1}), '* pong {"a": 1}'),
    ],
)
def test_lines(event: Event, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each event is one line of plain words."""
    Screen().show(event)
    assert capsys.readouterr() == (f"{line}\n", "")


@pytest.mark.parametrize(
    "event",
    [
        events.Typing(room="lobby", user="bob", active=False),
        events.Other(type="handshake", data={}),
    ],
)
def test_silence(event: Event, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody needs to see is not shown."""
    Screen().show(event)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            events.JoinFailed(room="lobby", code="permission_denied", text="No"),
            "! not back in lobby: No (permission_denied)",
        ),
        (
            events.Other(
                type="error", data={"message": "Rate limit exceeded", "code": "rate_limited"}
            ),
            "! Rate limit exceeded (rate_limited)",
        ),
    ],
)
def test_bad_news(event: Event, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong goes to standard error."""
    Screen().show(event)
    assert capsys.readouterr() == ("", f"{line}\n")


@pytest.mark.parametrize(
    ("given", "end"),
    [
        (message(), " lobby bob: hello"),
        (message(missed=True), " lobby missed bob: hello"),
        (message(user=None, content={"a": [1]}), ' lobby the backend: {"a": [1]}'),
        (message(content="[red]x[/red] :smile:"), " lobby bob: [red]x[/red] :smile:"),
        (message(content="a\x1b[2Jb\nc\u202ed"), r" lobby bob: a\x1b[2Jb\nc\u202ed"),
        (message(user="\x1b]0;x\x07"), r" lobby \x1b]0;x\x07: hello"),
        (message(time=10**18), "--:--:-- lobby bob: hello"),
        (message(content="x" * 4000), "x" * 4000),
    ],
)
def test_messages(given: events.Message, end: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A message is one line, with nothing in it taken for markup or control codes."""
    Screen().show(given)
    shown = capsys.readouterr().out
    assert shown.endswith(f"{end}\n")
    assert shown.count("\n") == 1


def test_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Who is there is shown with the number of connections, where it is not one."""
    Screen().people("lobby", (Presence("ann", 1), Presence("bob", 2)))
    assert capsys.readouterr().out == "* in lobby: ann, bob (x2)\n"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With JSON, messages go to standard output as they came, everything else to standard error."""
    screen = Screen(as_json=True)
    said = {"type": "message", "data": {"content": "\u202e\x9b", "n": 1}}
    screen.show(events.Raw(text=json.dumps(said, ensure_ascii=False)))
    screen.show(message())
    screen.show(events.Other(type="pong", data={}))
    screen.show(events.Connected(user="ann"))
    out, err = capsys.readouterr()
    assert json.loads(out) == said
    assert out.isascii()
    assert err == "* connected as ann\n"


def test_session_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The token of the session is masked, where it is one."""
    screen = Screen(as_json=True)
    screen.show(events.Raw(text='{"type":"auth_success","data":{"wsToken":"s3cret","x":1}}'))
    assert json.loads(capsys.readouterr().out)["data"] == {"wsToken": "***", "x": 1}
