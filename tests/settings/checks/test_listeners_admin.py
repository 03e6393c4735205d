import pytest

from portward.settings.checks.rule import CheckLevel
from tests.settings.checks.judging import GOOD, levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
Levels = tuple[CheckLevel, CheckLevel, bool]


def test_the_admin_api_has_a_key() -> None:
    """In production; switched off it needs none."""
    assert levels("", "admin-key-missing") == (OK, FAIL, False)
    assert levels("admin.enabled = false", "admin-key-missing") == FINE
    assert levels(f'admin.api_keys = ["{GOOD}"]', "admin-key-missing") == FINE


@pytest.mark.parametrize(
    ("key", "weak", "form"),
    [
        (GOOD, FINE, FINE),
        ("weak", GRAVE, FINE),
        (f"sha256:{'ab' * 32}", FINE, FINE),
        ("sha256:ab", FINE, ALWAYS),
    ],
)
def test_admin_keys_are_judged(key: str, weak: Levels, form: Levels) -> None:
    """Plain keys by their strength, digests by their form."""
    assert levels(f'admin.api_keys = ["{key}"]', "admin-key-weak") == weak
    assert levels(f'admin.api_keys = ["{key}"]', "admin-key-form") == form


def test_the_admin_listener_stays_on_this_machine() -> None:
    """Elsewhere it has no TLS: grave, and a warning where the network is said to be one's own."""
    text = 'server.admin_host = "0.0.0.0"'
    assert levels("", "admin-address") == FINE
    assert levels(text, "admin-address") == GRAVE
    assert levels(f'{text}\nadmin.api_keys = ["{GOOD}"]', "admin-address") == GRAVE
    assert levels(f"{text}\nadmin.allow_plain = true", "admin-address") == (WARN, WARN, False)
    assert levels(f"{text}\nadmin.enabled = false", "admin-address") == FINE
