import pytest

from portward.settings.checks.rule import CheckLevel
from tests.settings.checks.judging import findings, levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
ENGINE = '[endpoints.more]\nnamespace = "rooms"\ntransport = "engine.io"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        (ENGINE + 'dialect = "rooms"', FINE),
        (ENGINE + 'dialect = "echo"', FINE),
        (ENGINE + 'dialect = "socketio"', FINE),
        (ENGINE + 'dialect = "relay"', ALWAYS),
        ('endpoints.workspaces.transport = "websocket"', ALWAYS),
        (
            'endpoints.workspaces.transport = "websocket"\nendpoints.workspaces.enabled = false',
            FINE,
        ),
    ],
)
def test_what_carries_a_dialect(text: str, expected: tuple[CheckLevel, CheckLevel, bool]) -> None:
    """Socket.IO needs Engine.IO, the relay has no use for it, every other dialect takes both."""
    assert levels(text, "transport") == expected


def test_the_line_that_changes_a_transport() -> None:
    """It is said where to change what."""
    (found,) = findings('endpoints.workspaces.transport = "websocket"', "transport")
    assert found.change == 'endpoints.workspaces.transport = "engine.io"'
    (found,) = findings(ENGINE + 'dialect = "relay"', "transport")
    assert found.change == 'endpoints.more.transport = "websocket"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        ("endpoints.workspaces.ping_interval = 0", ALWAYS),
        ("endpoints.rooms.ping_interval = 0", FINE),
    ],
)
def test_engine_clients_are_pinged(
    text: str, expected: tuple[CheckLevel, CheckLevel, bool]
) -> None:
    """Their own clock ends a connection on which no ping comes."""
    assert levels(text, "engine-ping") == expected
