"""Rooms that the settings declare."""

import pytest

from portward.model.room import Room, RoomPermissions, RoomType, Sanitize
from portward.settings import CheckLevel, SettingsError
from portward.settings.reload import changes, reloaded
from tests.settings.checks.judging import ROOMS_ALONE, findings, levels
from tests.settings.reading import settings

WHOLE = """
[rooms.board]
name = "The board"
type = "document"
max_participants = 7
sanitize = "strip"
permissions = { read = ["staff"], write = ["author"], admin = [] }
"""


def test_a_table_is_a_room() -> None:
    """An empty table is the room that joining makes; every part of a record can be written."""
    declared = settings(f"[rooms.lobby]\n{WHOLE}").rooms
    assert declared["lobby"].record("lobby") == Room(id="lobby", name="lobby")
    assert declared["board"].record("board") == Room(
        id="board",
        name="The board",
        type=RoomType.DOCUMENT,
        permissions=RoomPermissions(("staff",), ("author",), ()),
        max_participants=7,
        sanitize=Sanitize.STRIP,
    )


@pytest.mark.parametrize("name", ["team:a", "a.b", "x_y__z", "A", "9", "~", "a" * 122])
def test_any_id_can_be_declared(name: str) -> None:
    """The name of the table is the id of the room, in quotes where TOML asks for them."""
    assert list(settings(f'[rooms."{name}"]').rooms) == [name]


@pytest.mark.parametrize("name", ["", "a b", "a*", "[a]", "%2A", "é", "a" * 123, "\\t", 'a\\"'])
def test_what_is_no_id_is_refused(name: str) -> None:
    """A text that no client could join is a mistake, and the message says what an id is."""
    with pytest.raises(SettingsError, match="an id is printable ASCII"):
        settings(f'[rooms."{name}"]')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rooms.a.type = "party"', "rooms.a.type: Invalid enum value"),
        ("rooms.a.max_participants = -1", "rooms.a.max_participants: "),
        ('rooms.a.permissions = "staff"', "rooms.a.permissions: expected a table"),
        ('rooms.a.permissions.read = "staff"', "rooms.a.permissions.read: expected a list"),
        ("rooms.a.permissions.delete = []", "rooms.a.permissions.delete"),
        ("rooms.a = 1", "rooms.a: expected a table"),
        ('rooms.a.namespace = "nowhere"', "rooms.a.namespace: 'nowhere' is no namespace"),
        ('rooms.a.namespace = "alerts"', "rooms.a.namespace: 'alerts' is no namespace whose rule"),
        ("rooms.a.ttl = 5", "rooms.a.ttl"),
    ],
)
def test_a_mistake_names_its_key(text: str, message: str) -> None:
    """What cannot be a room is refused with the key."""
    with pytest.raises(SettingsError) as refused:
        settings(text)
    assert str(refused.value).startswith(message) or message in str(refused.value)


def test_a_room_in_the_environment() -> None:
    """Variables declare and change rooms, too."""
    declared = settings(
        "[rooms.Lobby]", {"PORTWARD_ROOMS__LOBBY__PERMISSIONS__READ": "staff,guest"}
    ).rooms
    assert declared["Lobby"].permissions.read == ("staff", "guest")


def test_rooms_are_reloaded_whole() -> None:
    """Rooms come, change and go with a reload, and nothing of it needs a restart."""
    old, new = settings("[rooms.a]\n[rooms.b]"), settings('[rooms.b]\ntype = "document"\n[rooms.c]')
    changed = changes(old, new)
    assert changed.restart == ()
    assert {"rooms.b.type", "rooms.a.type", "rooms.c.type"} <= set(changed.reloadable)
    assert reloaded(old, new).rooms == new.rooms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (CheckLevel.OK, CheckLevel.WARN)),
        ("[rooms.lobby]", (CheckLevel.OK, CheckLevel.OK)),
        ("endpoints.rooms.auto_create = true", (CheckLevel.OK, CheckLevel.OK)),
        ("endpoints.rooms.auto_create = false", (CheckLevel.WARN, CheckLevel.WARN)),
        ('[namespaces.rooms]\nauthorize = "authenticated"', (CheckLevel.OK, CheckLevel.OK)),
        ("endpoints.rooms.enabled = false", (CheckLevel.OK, CheckLevel.OK)),
        (
            'namespaces.x.authorize = "roles"\nrooms.a.namespace = "x"',
            (CheckLevel.OK, CheckLevel.WARN),
        ),
    ],
)
def test_the_checklist_asks_for_a_room(text: str, expected: tuple[CheckLevel, CheckLevel]) -> None:
    """Where joining makes no room and none is declared, that is said, and the start goes on."""
    here, there, stops = levels(text, "rooms-declared")
    assert (here, there) == expected
    assert not stops


def test_the_checklist_says_what_to_write() -> None:
    """The line to change, put into the settings, is what was missing."""
    more = '[namespaces.halls]\nauthorize = "roles"\n[endpoints.rooms]\nnamespace = "halls"\n'
    for text in (ROOMS_ALONE, more):
        [finding] = findings(text, "rooms-declared", production=True)
        line = finding.change.partition("  #")[0]
        [after] = findings(f"{line}\n{text}", "rooms-declared", production=True)
        assert (finding.level, after.level) == (CheckLevel.WARN, CheckLevel.OK)
