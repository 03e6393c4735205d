import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from portward.cli.remote import AdminClient
from portward.cli.terminal import UsageError
from tests.cli.console import Console
from tests.cli.processes import gateway, running

pytestmark = pytest.mark.timeout(180)

LIMITED = """
[admin]
api_keys = [
    "sha256:{}",
    {{ key = "only-for-publishing-0123456789abcdef", scopes = ["publish"] }},
    {{ key = "for-everything-0123456789abcdef01234" }},
]
"""


@pytest.fixture
def admin(home: Path) -> Iterator[str]:
    """The admin API of a running gateway."""
    with gateway() as (_, address):
        yield address.admin


def answer(
    monkeypatch: pytest.MonkeyPatch, respond: Callable[[httpx.Request], httpx.Response]
) -> None:
    """Let a function be the admin API."""
    original = httpx.Client

    def client(**options: Any) -> httpx.Client:
        return original(transport=httpx.MockTransport(respond), **options)

    monkeypatch.setattr(httpx, "Client", client)


def test_round(portward: Console, admin: str) -> None:
    """Publishing, listing and revoking say what came of it."""
    outcome = portward("publish", "rooms:lobby", '{"a": 1}', "--admin", admin, "--type", "note")
    assert outcome.code == 0
    assert outcome.out.startswith("published at offset 1, epoch ")
    again = ("publish", "rooms:lobby", "1", "--admin", admin, "--idempotency-key", "k")
    assert portward(*again).out == portward(*again).out
    empty = portward("connections", "--admin", admin)
    assert empty.lines[-1] == "0 of 0 connections"
    revoked = portward("revoke", "--sub", "ann", "--admin", admin)
    assert revoked.out == "revoked; 0 open connections ended\n"


@pytest.mark.parametrize("missing", [["web-2"], ["a", "b"], ["\x1b[31m"]])
def test_nodes_that_are_missing(
    portward: Console, monkeypatch: pytest.MonkeyPatch, missing: list[str]
) -> None:
    """Nodes that did not answer are named in a warning; the rest of the result is printed."""

    def respond(_: httpx.Request) -> httpx.Response:
        result = {"connections": [], "total": 0, "missing": missing}
        return httpx.Response(200, json={"result": result})

    answer(monkeypatch, respond)
    outcome = portward("connections", "--api-key", "k")
    assert outcome.code == 0
    assert outcome.lines[-1] == "0 of 0 connections"
    assert outcome.err.startswith("portward: without the nodes that did not answer in time: ")
    assert "\x1b" not in outcome.err


def test_open_connection(portward: Console, home: Path) -> None:
    """An open connection is listed, hears a publication, and ends when its user is revoked."""
    with gateway() as (_, address):
        command = ("connect", address, "--sub", "ann", "--subscribe", "lobby")
        with running(*command) as ann:
            ann.expect("joined lobby")
            at = ("--admin", address.admin)
            listed = portward("connections", "--user", "ann", "--endpoint", "rooms", *at)
            assert listed.lines[1].split()[1:3] == ["ann", "rooms"]
            assert listed.lines[1].endswith("rooms:lobby")
            [as_json] = portward("connections", "--json", *at).lines
            assert json.loads(as_json)["user"] == "ann"
            portward("publish", "rooms:lobby", '"from outside"', *at)
            ann.expect("lobby the backend: from outside$")
            assert (
                portward("revoke", "--sub", "ann", *at).out == "revoked; 1 open connection ended\n"
            )
            ann.expect(r"the connection is over: force disconnect \(3503\)")
            assert ann.wait() == 1


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("publish", "rooms:lobby", "{"), "the data is not JSON"),
        (("revoke",), "name exactly one"),
        (("revoke", "--sub", "a", "--jti", "b"), "name exactly one"),
        (("connections", "--api-key", "schlüssel"), "printable ASCII"),
        (("connections", "--api-key", "k", "--admin", "http://["), "is not an address"),
        (("connections", "--api-key", "k", "--admin", "host:1"), "is not an address"),
    ],
)
def test_usage(portward: Console, command: tuple[str, ...], text: str) -> None:
    """What makes no sense is told before anybody is asked."""
    outcome = portward(*command)
    assert (outcome.code, outcome.out) == (2, "")
    assert text in outcome.err


def test_data_from_standard_input(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data too long for the command line can be piped in, and every option is passed on."""
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"result": {"offset": 7, "epoch": "e"}})

    answer(monkeypatch, respond)
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1, 2]"))
    monkeypatch.setenv("PORTWARD_API_KEY", "k1")
    outcome = portward("publish", "live:x", "-", "--key", "k", "--type", "t")
    assert outcome.out == "published at offset 7, epoch e\n"
    [request] = asked
    assert str(request.url) == "http://127.0.0.1:8081/api/publish"
    assert request.headers["X-API-Key"] == "k1"
    assert json.loads(request.content) == {
        "channel": "live:x",
        "data": [1, 2],
        "key": "k",
        "type": "t",
    }


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (
            httpx.Response(401, json={"error": {"code": 101, "message": "no"}}),
            "refused: no (code 101)",
        ),
        (httpx.Response(200, text="hello"), "no admin API: it answered with status 200"),
        (httpx.Response(500, json=[]), "no admin API: it answered with status 500"),
    ],
)
def test_refusals(
    portward: Console, monkeypatch: pytest.MonkeyPatch, response: httpx.Response, text: str
) -> None:
    """What the other side refuses, or does not understand, is one line and exit code 1."""
    answer(monkeypatch, lambda _: response)
    outcome = portward("connections", "--api-key", "k")
    assert (outcome.code, outcome.out) == (1, "")
    assert text in outcome.err


def test_nobody_there(portward: Console) -> None:
    """An address nobody answers at is one line and exit code 1."""
    outcome = portward("connections", "--admin", "http://127.0.0.1:1", "--api-key", "k")
    assert outcome.code == 1
    assert outcome.err.startswith("portward: no answer from the admin API at http://127.0.0.1:1: ")


def test_no_key(portward: Console) -> None:
    """Without any key nobody is asked."""
    outcome = portward("connections")
    assert outcome.code == 2
    assert "PORTWARD_API_KEY" in outcome.err


def test_configured_keys(home: Path) -> None:
    """Of the configured keys the first plain one with the scope of the method is used."""
    (home / "portward.toml").write_text(LIMITED.format("0" * 64))
    api = AdminClient(None, None, None)
    assert api.key("publish").startswith("only-for-publishing")
    assert api.key("revoke").startswith("for-everything")
    assert api.key("connections").startswith("for-everything")
    assert api.key("batch").startswith("only-for-publishing")


def test_address_and_key_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A given address and key take the place of configured ones; an IPv6 address stands in brackets."""
    monkeypatch.setenv("PORTWARD_SERVER__ADMIN_HOST", "::1")
    configured, given = AdminClient(None, None, "k"), AdminClient(None, "http://x:1/", "k")
    assert (configured.address, given.address) == ("http://[::1]:8081", "http://x:1")
    assert configured.key("info") == given.key("info") == "k"
    with pytest.raises(UsageError):
        AdminClient(None, None, None).key("info")


def test_any_method(portward: Console, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method of the API can be called by its name; the result is JSON."""
    at = ("--admin", admin)
    published = portward("call", "publish", '{"channel": "rooms:lobby", "data": 1}', *at)
    assert json.loads(published.out)["offset"] == 1
    assert json.loads(portward("call", "info", *at).out)["nodes"]
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"user": "ann"}'))
    assert json.loads(portward("call", "revoke", "-", *at).out)["ended"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nothing",), 2, "there is no method nothing; there are "),
        (("info", "{"), 2, "the data is not JSON"),
        (("info", "[]"), 1, "refused: "),
        (("publish", '{"channel": "rooms:lobby"}'), 1, "refused: "),
        (("publish", '{"channel": "nothing:x", "data": 1}'), 1, "refused: "),
    ],
)
def test_a_call_that_cannot_be(
    portward: Console, admin: str, arguments: tuple[str, ...], code: int, text: str
) -> None:
    """An unknown method, data that is no JSON, and what the API refuses are one line each."""
    outcome = portward("call", *arguments, "--admin", admin)
    assert (outcome.code, outcome.out) == (code, "")
    assert text in outcome.err
    assert len(outcome.err.splitlines()) == 1
