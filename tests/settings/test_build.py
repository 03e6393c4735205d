import pytest

from portward.model.namespace import Namespace, Rule
from portward.settings.endpoint import AuthMode
from portward.settings.errors import SettingsError
from portward.settings.presets import ENDPOINTS
from portward.settings.tree import Settings
from tests.settings.reading import settings


def test_nothing_written_is_the_bare_tree() -> None:
    """Loading nothing gives what `Settings()` gives."""
    assert settings() == Settings()


def test_an_endpoint_keeps_what_is_not_written() -> None:
    """One key of a known endpoint changes that key alone."""
    rooms = settings('[endpoints.rooms]\npath = "/chat"').endpoints["rooms"]
    assert (rooms.path, rooms.idle_timeout, rooms.namespace) == ("/chat", 60.0, "rooms")


def test_endpoints_are_added_under_any_name() -> None:
    """A new one starts from its dialect; those that exist stay."""
    endpoints = settings('[endpoints.support]\ndialect = "rooms"\nauth = "none"').endpoints
    assert list(endpoints) == ["rooms", "echo", "support"]
    assert endpoints["support"].path == "/support"
    assert endpoints["support"].auth is AuthMode.NONE
    assert endpoints["rooms"] == ENDPOINTS["rooms"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[endpoints.live]\ndialect = "live"',
            "endpoints.live.dialect: 'live' is no dialect of this version; "
            "known: echo, rooms (file portward.toml)",
        ),
        ("[endpoints.live]", "endpoints.live.dialect: not set; known: echo, rooms"),
        ("endpoints.live.dialect = 3", "endpoints.live.dialect: expected a text"),
    ],
)
def test_an_unknown_dialect_is_refused(text: str, message: str) -> None:
    """The error lists the dialects there are."""
    with pytest.raises(SettingsError) as caught:
        settings(text)
    assert message in str(caught.value)


def test_an_unknown_dialect_may_stay_switched_off() -> None:
    """A file shared with another version is no obstacle."""
    live = settings('[endpoints.live]\ndialect = "live"\nenabled = false').endpoints["live"]
    assert (live.enabled, live.dialect) == (False, "live")


def test_a_namespace_keeps_what_is_not_written() -> None:
    """The preset holds below what the file says; another name starts from the defaults."""
    text = '[namespaces.rooms]\nhistory_ttl = "1h"\n[namespaces.docs]\nauthorize = "claims"'
    spaces = settings(text).namespaces
    assert (spaces["rooms"].history_size, spaces["rooms"].history_ttl) == (1000, 3600.0)
    assert spaces["docs"] == Namespace(name="docs", authorize=Rule.CLAIMS)


def test_an_empty_namespace_exists() -> None:
    """Its table alone makes it."""
    assert settings("[namespaces.docs]").namespaces["docs"] == Namespace(name="docs")


def test_roles_are_as_written() -> None:
    """There are none but those of the file and the environment."""
    tree = settings('[roles]\nagent = ["a.*"]', {"PORTWARD_ROLES__LEAD": "b,c"})
    assert tree.roles == {"agent": ("a.*",), "lead": ("b", "c")}


def test_a_wrong_value_is_told_with_key_and_source() -> None:
    """One line says where to look."""
    with pytest.raises(SettingsError) as caught:
        settings("", {"PORTWARD_LIMITS__AUTH__RATE": "often"})
    assert str(caught.value) == (
        'limits.auth.rate: expected a rate such as "60/min", "500/s", "10/60s" or "none"'
        " (env PORTWARD_LIMITS__AUTH__RATE)"
    )


def test_limits_are_laid_over_the_defaults() -> None:
    """A table in the file changes what it names; the endpoint's own table stays apart."""
    text = '[limits.auth]\nmode = "observe"\n[endpoints.rooms.limits.auth]\nrate = "1/s"'
    tree = settings(text)
    assert tree.limits.auth.rate == Settings().limits.auth.rate
    assert tree.limits.auth.mode == "observe"
    assert tree.endpoints["rooms"].limits.auth.mode is None
