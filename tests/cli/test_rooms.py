"""`portward rooms` against a running gateway."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.console import Console
from tests.cli.processes import gateway


@pytest.fixture
def at(home: Path) -> Iterator[tuple[str, str]]:
    """Where the admin API of a running gateway is, as options."""
    with gateway() as (_, address):
        yield "--admin", address.admin


def record(portward: Console, at: tuple[str, str], room: str) -> Any:
    """The record of a room, as `get` prints it."""
    outcome = portward("rooms", "get", room, *at)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_a_room_is_made_changed_listed_and_removed(portward: Console, at: tuple[str, str]) -> None:
    """What is not named stays as it was: a room that is closed is not opened by giving it a name."""
    made = portward("rooms", "set", "board", "--read", "staff", "--write", "", *at)
    assert made.out == "room board: read staff; write nobody; admin admin\n"
    changed = portward("rooms", "set", "board", "--name", "The board", "--type", "document", *at)
    assert changed.out == made.out
    more = ("--max-participants", "7", "--sanitize", "strip", "--admin-role", "boss")
    assert portward("rooms", "set", "board", *more, *at).code == 0
    assert record(portward, at, "board") == {
        "id": "board",
        "name": "The board",
        "type": "document",
        "permissions": {"read": ["staff"], "write": [], "admin": ["boss"]},
        "maxParticipants": 7,
        "sanitize": "strip",
    }
    portward("rooms", "set", "event", "--ttl", "1h", "--read", "a", "--read", "b", *at)
    listed = portward("rooms", "list", *at).lines
    assert [line.split()[0] for line in listed[1:3]] == ["board", "event"]
    assert "read a, b; write user; admin admin" in listed[2]
    assert listed[1].split()[-1] == "-"
    assert listed[2].split()[-1] != "-"
    assert listed[-1] == "2 rooms"
    rows = [json.loads(line) for line in portward("rooms", "list", "--json", *at).lines]
    assert [(row["id"], row["origin"]) for row in rows] == [
        ("board", "backend"),
        ("event", "backend"),
    ]
    removed = portward("rooms", "remove", "board", *at)
    assert removed.out == "room board removed, with its messages\n"
    again = portward("rooms", "remove", "board", *at)
    assert (again.code, again.err) == (
        1,
        "portward: there is no room board, nor any messages of it\n",
    )
    missing = portward("rooms", "get", "board", *at)
    assert (missing.code, missing.out) == (1, "")
    assert portward("rooms", "list", "--orphans", *at).lines[-1].startswith("0 without a record")


def test_a_room_of_another_namespace(portward: Console, at: tuple[str, str]) -> None:
    """A namespace is named, and shown where it is not the usual one."""
    more = ("--namespace", "workspaces")
    assert portward("rooms", "set", "w1:board", *more, *at).code == 0
    assert portward("rooms", "get", "w1:board", *at).code == 1
    assert portward("rooms", "get", "w1:board", *more, *at).code == 0
    assert portward("rooms", "list", *more, *at).lines[1].split()[0] == "workspaces:w1:board"
    assert portward("rooms", "list", "--namespace", "rooms", *at).lines[-1] == "0 rooms"


MISTAKES = (
    (("set", "a", "--ttl", "soon"), 2, "--ttl: expected a duration"),
    (("set", "a", "--type", "party"), 2, "party"),
    (("set", "a", "--max-participants", "many"), 2, "--max-participants"),
    (("set", "a b"), 1, "code 107"),
    (("set", "a", "--max-participants", "-1"), 1, "code 107"),
    (("set", "a", "--ttl", "0s"), 1, "code 107"),
    (("set", "a", "--namespace", "nowhere"), 1, "code 102"),
    (("get", "nothing"), 1, "code 102"),
)


def test_what_is_refused(portward: Console, at: tuple[str, str]) -> None:
    """A mistake is one line, and makes no room."""
    for words, code, text in MISTAKES:
        outcome = portward("rooms", *words, *at)
        assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (code, "", 1), words
        assert text in outcome.err
    assert portward("rooms", "list", *at).lines[-1] == "0 rooms"
