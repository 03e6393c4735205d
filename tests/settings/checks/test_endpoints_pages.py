import json

import pytest

from portward.settings.checks.rule import CheckLevel
from tests.settings.checks.judging import levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
WARNED = (WARN, WARN, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)


@pytest.mark.parametrize(
    "header", ["", "*", "a b", "x:y", "x,y", "x\r\nSet-Cookie: a", "\u00e9", "x" * 101]
)
def test_allowed_headers_are_names(header: str) -> None:
    """What could not be the name of a header stops any start."""
    good = 'endpoints.rooms.allowed_headers = ["X-Request-Id", "x-tenant"]'
    assert levels(good, "allowed-headers") == FINE
    bad = f"endpoints.rooms.allowed_headers = [{json.dumps(header)}]"
    assert levels(bad, "allowed-headers") == ALWAYS


@pytest.mark.parametrize(
    ("endpoint", "word", "expected"),
    [
        ("rooms", "status", FINE),
        ("rooms", "close", FINE),
        ("realtime", "close", FINE),
        ("rooms", "event", WARNED),
        ("alerts", "connect_error", WARNED),
        ("workspaces", "event", FINE),
        ("workspaces", "connect_error", FINE),
        ("workspaces", "status", FINE),
        ("workspaces", "close", ALWAYS),
    ],
)
def test_refusals_can_be_understood(
    endpoint: str, word: str, expected: tuple[CheckLevel, CheckLevel, bool]
) -> None:
    """Socket.IO knows no close codes, and the others do not know its events."""
    assert levels(f'endpoints.{endpoint}.refuse = "{word}"', "refuse") == expected
    assert levels("", "refuse") == FINE
