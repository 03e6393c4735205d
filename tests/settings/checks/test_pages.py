import json

import pytest

from portward.settings.checks.rule import Level
from tests.settings.checks.judging import levels

OK, FAIL = Level.OK, Level.FAIL
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
