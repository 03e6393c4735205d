import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from portward.cli.connect import command
from portward.cli.state import state_folder
from tests.cli.console import Console
from tests.cli.processes import Address, Process, gateway, running

pytestmark = pytest.mark.timeout(180)

URL = "ws://127.0.0.1:1/rooms"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input: a pipe, and where to write into it."""
    reading, writing = os.pipe()
    monkeypatch.setattr(command, "_STDIN", reading)
    with os.fdopen(reading), os.fdopen(writing, "w") as file:
        yield file.fileno()


def token(portward: Console, user: str) -> str:
    """A token as the command line makes it."""
    return portward("token", "--sub", user, "--role", "user").lines[0]


@pytest.mark.slow
def test_killed_client_misses_nothing(portward: Console, rooms: Address) -> None:
    """Two users talk; one is killed and started again: it resumes, and shows what it missed."""
    talk = {user: ("connect", rooms, "--token", token(portward, user)) for user in ("alice", "bob")}
    with running(*talk["bob"], "--subscribe", "lobby") as bob:
        bob.expect("^. connected as bob$")
        bob.expect("joined lobby: bob$")
        with running(*talk["alice"], "--subscribe", "lobby") as alice:
            alice.expect("joined lobby: bob, alice$")
            bob.expect("alice joined lobby")
            alice.type("hello bob")
            bob.expect("lobby alice: hello bob$")
            bob.type("one")
            alice.expect("lobby bob: one$")
            _kept(alice)
            alice.signal(signal.SIGKILL)
            alice.wait()
        bob.expect("alice lost the connection to lobby")
        bob.type("two")
        bob.type("three")
        bob.expect("lobby bob: three$")
        with running(*talk["alice"], "--subscribe", "lobby") as alice:
            alice.expect("connected as alice, session resumed$")
            alice.expect("recovered lobby, 2 missed")
            alice.expect("lobby missed bob: two$")
            alice.expect("lobby missed bob: three$")
            bob.type("four")
            alice.expect("lobby bob: four$")
            assert not any("bob: one" in each for each in alice.lines)
            alice.type("/leave")
            alice.expect("left lobby")
            bob.expect("alice left lobby")
            alice.type("/quit")
            assert alice.wait() == 0
            assert sum("bob: two" in each for each in alice.lines) == 1
        bob.signal(signal.SIGINT)
        bob.expect("left lobby")
        assert bob.wait() == 0


def _kept(client: Process) -> None:
    """Make sure that what was shown is also kept: one more round trip comes after it."""
    client.type("/who")
    client.expect("in lobby: ")


@pytest.mark.slow
def test_restart_of_the_gateway(home: Path) -> None:
    """A gateway that leaves is come back to; what it had in memory is told to be gone."""
    with gateway(PORTWARD_SERVER__DRAIN_TIMEOUT="0s") as (first, address):
        port = address.rpartition(":")[2].partition("/")[0]
        with running("connect", address, "--sub", "ann", "--subscribe", "lobby") as ann:
            ann.expect("joined lobby")
            first.signal(signal.SIGTERM)
            ann.expect("the gateway is shutting down; connecting again in ")
            ann.expect(r"not connected: shutdown \(3001\); trying again in ")
            assert first.wait() == 0
            with running("serve", "--port", port, "--admin-port", "0") as second:
                second.expect("^ready$")
                ann.expect("^. connected as ann$")
                ann.expect("back in lobby, but some messages are gone")
                ann.close_input()
                assert ann.wait() == 0


def test_piped_input(portward: Console, rooms: Address, typed: int) -> None:
    """Lines from a pipe are said one after the other; at their end the client leaves."""
    os.write(typed, b"one\ntwo\n/quit\n")
    outcome = portward("connect", rooms, "--sub", "ann", "--subscribe", "lobby")
    assert (outcome.code, outcome.err) == (0, "")
    said = [each.split(" ", 1)[1] for each in outcome.lines if " ann: " in each]
    assert said == ["lobby ann: one", "lobby ann: two"]
    assert outcome.lines[-1] == "* left lobby"
    assert not list((state_folder() / "connect").glob("*.json"))


def test_refused_line_in_a_script(portward: Console, rooms: Address, typed: int) -> None:
    """Without a terminal a refusal among the lines is the exit code in the end."""
    os.write(typed, b"hello\n/quit\n")
    outcome = portward("connect", rooms, "--sub", "ann", "--role", "guest", "--subscribe", "lobby")
    assert outcome.code == 1
    assert "Insufficient permissions" in outcome.err


def test_json(portward: Console, rooms: Address, typed: int) -> None:
    """With JSON there is one message a line, and nothing else, on standard output."""
    os.write(typed, b"hello\n/quit\n")
    outcome = portward("connect", rooms, "--sub", "ann", "--subscribe", "lobby", "--json")
    assert outcome.code == 0
    assert all(each.startswith('{"type":"') for each in outcome.lines)
    assert '"content":"hello"' in outcome.out


def test_token_of_the_environment(
    portward: Console, rooms: Address, typed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token in the environment is taken, unless a user is named."""
    monkeypatch.setenv("PORTWARD_TOKEN", token(portward, "ann"))
    os.write(typed, b"/quit\n/quit\n")
    assert "connected as ann" in portward("connect", rooms).out
    assert portward("connect", rooms, "--sub", "bob", "--token", "x").code == 2


def test_second_client_keeps_nothing(rooms: Address) -> None:
    """A second client of the same user says that it keeps nothing; a profile keeps them apart."""
    same = ("connect", rooms, "--sub", "ann")
    with running(*same) as first:
        first.expect("connected as ann")
        with running(*same) as second, running(*same, "--profile", "2") as third:
            second.expect("another client of this user is running: nothing is kept")
            third.expect("connected as ann")
            assert not any("another client" in each for each in third.lines)


def test_another_credential_is_another_session(
    portward: Console, rooms: Address, home: Path
) -> None:
    """A session is not resumed with other rights than it was obtained by."""
    command = ("connect", rooms, "--sub", "ann", "--subscribe", "lobby")
    with running(*command) as first:
        first.expect("joined lobby")
        _kept(first)
        first.signal(signal.SIGKILL)
        first.wait()
    with running(*command, "--role", "user", "--role", "admin") as second:
        second.expect("^. connected as ann$")
        second.expect("recovered lobby")


def test_echo(home: Path) -> None:
    """At an echo endpoint lines come back as they were typed."""
    with gateway(PORTWARD_ENDPOINTS__ECHO__ENABLED="true") as (process, address):
        assert any(each.startswith("echo ") for each in process.lines)
        url = address.replace("/rooms", "/echo")
        with running("connect", url, "--sub", "ann") as ann:
            ann.expect("connected")
            ann.type("/join me")
            ann.expect("^/join me$")
            ann.close_input()
            assert ann.wait() == 0
        with running("connect", url) as nobody:
            nobody.expect("refused with status 401: no valid credential")
            assert nobody.wait() == 1


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("connect", URL, "--token", "t"), 1, "connection refused"),
        (
            ("connect", "ws://127.0.0.1:1/other"),
            2,
            "--dialect rooms|alerts|live|relay|socketio|echo",
        ),
        (
            ("connect", URL, "--dialect", "sockets"),
            2,
            "--dialect rooms|alerts|live|relay|socketio|echo",
        ),
        (("connect", "http://127.0.0.1:1/rooms"), 2, "not a WebSocket address"),
        (("connect", "http://127.0.0.1:1/echo"), 2, "not a WebSocket address"),
        (("connect", "http://127.0.0.1:1/socket.io/"), 2, "not a WebSocket address"),
        (("connect", URL, "--sub", "a", "--token", "b"), 2, "--token or --sub, not both"),
    ],
)
def test_one_line_errors(
    portward: Console, arguments: tuple[str, ...], code: int, text: str
) -> None:
    """Whatever goes wrong before there is a connection is one line and the fitting code."""
    outcome = portward(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    [said] = outcome.err.splitlines()
    assert text in said


def test_refused_token(portward: Console, rooms: Address) -> None:
    """A token that is refused is one line and exit code 1."""
    outcome = portward("connect", rooms, "--token", "t")
    assert outcome.code == 1
    assert outcome.err == f"portward: {rooms}: Authentication failed\n"


def test_refused_origin(portward: Console, rooms: Address) -> None:
    """An origin that is not let in is told with the status."""
    outcome = portward("connect", rooms, "--origin", "https://evil.example.org")
    assert outcome.code == 1
    assert "status 403" in outcome.err


def test_public_keys_make_no_tokens(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no token can be made, that is said before anything is tried."""
    monkeypatch.setenv("PORTWARD_TOKENS__JWKS_URL", "https://issuer.example.org/keys")
    outcome = portward("connect", URL, "--sub", "ann")
    assert outcome.code == 1
    assert "public keys" in outcome.err


def test_unencrypted_token(portward: Console) -> None:
    """A token on its way to another machine without TLS is warned about."""
    outcome = portward("connect", "ws://nowhere.invalid/rooms", "--token", "t")
    assert outcome.code == 1
    assert outcome.err.startswith("! the token travels unencrypted")


def test_nothing_can_be_kept(portward: Console, home: Path) -> None:
    """A place that cannot be written to is told with the reason."""
    (home / "state").write_text("a file where a folder should be")
    outcome = portward("connect", URL, "--token", "t")
    assert outcome.code == 1
    assert "cannot keep anything in" in outcome.err


SAID = (
    ("rooms", "hello", "x ann: hello"),
    ("alerts", '{"type":"ping"}', '"pong"'),
    ("workspaces", 'state_sync {"key": "k", "value": 2}', "ack state_sync "),
    ("echo", "hello", "^hello$"),
)
"""An endpoint, a line that is typed, and a line that is shown then."""


def test_a_unix_socket(home: Path) -> None:
    """The addresses that `serve` prints for a Unix socket are accepted as they are."""
    with TemporaryDirectory(prefix="pw") as folder:
        serve = ("serve", "--host", f"unix:{folder}/gateway.sock", "--admin-port", "0")
        with running(
            *serve,
            PORTWARD_SERVER__TRUSTED_PROXIES="unix:",
            PORTWARD_ENDPOINTS__ECHO__ENABLED="true",
        ) as process:
            process.expect("^ready$")
            printed = dict(line.split()[:2] for line in process.lines if "ws+unix:" in line)
            for endpoint, typed, shown in SAID:
                names = () if endpoint in {"echo", "workspaces"} else ("--subscribe", "x")
                member = ("--sub", "ann", "--workspace", "w1")
                with running("connect", printed[endpoint], *member, *names) as ann:
                    ann.expect("connected")
                    ann.type(typed)
                    ann.expect(shown)
                    ann.close_input()
                    assert ann.wait() == 0, endpoint


def test_a_unix_socket_without_a_gateway(portward: Console) -> None:
    """The error is the reason of the operating system."""
    outcome = portward("connect", "ws+unix:/nowhere/x.sock:/rooms", "--token", "t")
    assert outcome.code == 1
    assert outcome.err.endswith(": no such file or directory\n")


def test_workspace(rooms: Address, home: Path) -> None:
    """At a workspace rooms are joined, and events are acknowledged."""
    url = rooms.replace("/rooms", "/socket.io/")
    member = ("connect", url, "--sub", "ann", "--role", "agent", "--workspace", "w1")
    with running(*member, "--subscribe", "workspace:w1:dashboard") as ann:
        ann.expect("^. connected$")
        ann.expect('ack join_room {"joined": "workspace:w1:dashboard"}')
        ann.type('["state_sync", {"key": "k", "value": 2}]')
        ann.expect('ack state_sync {"ok": true, "version": 1}')
        ann.close_input()
        assert ann.wait() == 0


@contextmanager
def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> Iterator[None]:
    """Standard input: a pipe with this in it, and its end."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    with os.fdopen(reading):
        monkeypatch.setattr(command, "_STDIN", reading)
        yield


def test_workspace_in_a_script(
    portward: Console, rooms: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal the exit code tells whether anything was refused."""
    url = rooms.replace("/rooms", "/socket.io/")
    member = ("connect", url, "--sub", "ann", "--workspace", "w1")
    for line, code in (('state_sync {"key": "k", "value": 2}', 0), ("nothing", 1)):
        with piped(monkeypatch, line):
            outcome = portward(*member)
        assert (outcome.code, outcome.err) == (code, "")
        assert outcome.lines[1].startswith(f"ack {line.partition(' ')[0]} ")


def test_alerts_in_a_script(
    portward: Console, rooms: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At alerts the token goes into the handshake, and what is typed goes out as it is."""
    url = rooms.replace("/rooms", "/alerts")
    with piped(monkeypatch, '{"type":"ping"}'):
        outcome = portward("connect", url, "--sub", "ann", "--subscribe", "c1")
    assert (outcome.code, outcome.err) == (0, "")
    assert [line[:17] for line in outcome.lines[-2:]] == ['{"type":"subscrib', '{"type":"pong","p']
    assert "connected" in outcome.lines[0]


def test_workspace_that_does_not_let_in(portward: Console, rooms: Address, typed: int) -> None:
    """Why is shown as it came, and the exit code is 1."""
    url = rooms.replace("/rooms", "/socket.io/")
    outcome = portward("connect", url, "--token", "t")
    assert outcome.code == 1
    assert 'error {"code": "INVALID_TOKEN"}' in outcome.out
    assert outcome.err == "portward: the connection is over: disconnected by the gateway\n"
