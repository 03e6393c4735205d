import pytest

from portward.model.namespace import AccessRule, Namespace
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
    assert list(endpoints) == [
        "alerts",
        "live",
        "rooms",
        "realtime",
        "workspaces",
        "echo",
        "support",
    ]
    assert endpoints["support"].path == "/support"
    assert endpoints["support"].auth is AuthMode.NONE
    assert endpoints["rooms"] == ENDPOINTS["rooms"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[endpoints.calls]\ndialect = "calls"',
            "endpoints.calls.dialect: 'calls' is no dialect of this version; "
            "known: alerts, echo, live, relay, rooms, socketio (file portward.toml)",
        ),
        (
            "[endpoints.calls]",
            "endpoints.calls.dialect: not set; known: alerts, echo, live, relay, rooms, socketio",
        ),
        ("endpoints.calls.dialect = 3", "endpoints.calls.dialect: expected a text"),
    ],
)
def test_an_unknown_dialect_is_refused(text: str, message: str) -> None:
    """The error lists the dialects there are."""
    with pytest.raises(SettingsError) as caught:
        settings(text)
    assert message in str(caught.value)


def test_an_unknown_dialect_may_stay_switched_off() -> None:
    """A file shared with another version is no obstacle."""
    text = '[endpoints.calls]\ndialect = "calls"\nenabled = false'
    calls = settings(text).endpoints["calls"]
    assert (calls.enabled, calls.dialect) == (False, "calls")


def test_a_namespace_keeps_what_is_not_written() -> None:
    """The preset holds below what the file says; another name starts from the defaults."""
    text = '[namespaces.rooms]\nhistory_ttl = "1h"\n[namespaces.docs]\nauthorize = "claims"'
    spaces = settings(text).namespaces
    assert (spaces["rooms"].history_size, spaces["rooms"].history_ttl) == (1000, 3600.0)
    assert spaces["docs"] == Namespace(name="docs", authorize=AccessRule.CLAIMS)


def test_an_empty_namespace_exists() -> None:
    """Its table alone makes it."""
    assert settings("[namespaces.docs]").namespaces["docs"] == Namespace(name="docs")


def test_roles_are_as_written() -> None:
    """There are none but those of the file and the environment."""
    tree = settings('[roles]\nagent = ["a.*"]', {"PORTWARD_ROLES__LEAD": "b,c"})
    assert tree.roles == {"agent": ("a.*",), "lead": ("b", "c")}


TOPICS = """
    [identity_provider]
    url = "https://directus.example"
    [identity_provider.topics]
    "event:{id}" = "/items/events/{id}?fields=id"
    "file:{id}_file" = "/files/{id}"
"""


def test_topics_are_as_written() -> None:
    """Patterns are free texts, whatever they end in; there are none by themselves."""
    assert settings().identity_provider.topics == {}
    assert settings(TOPICS).identity_provider.topics == {
        "event:{id}": "/items/events/{id}?fields=id",
        "file:{id}_file": "/files/{id}",
    }


def test_topics_are_laid_over_the_file() -> None:
    """One by one in variables where those can be spelt, or all in one as JSON."""
    environ = {
        "PORTWARD_IDENTITY_PROVIDER__TOPICS__EVENT:{ID}": "/other/{id}",
        "PORTWARD_IDENTITY_PROVIDER__TOPICS": '{"Post:{postId}": "/items/posts/{postId}"}',
    }
    assert settings(TOPICS, environ).identity_provider.topics == {
        "event:{id}": "/other/{id}",
        "file:{id}_file": "/files/{id}",
        "Post:{postId}": "/items/posts/{postId}",
    }


def test_roles_may_come_as_json() -> None:
    """Names with capitals and blanks have no other way into the environment."""
    environ = {"PORTWARD_ROLES": '{"Site Admin": ["*"], "agent": "a,b"}'}
    assert settings("", environ).roles == {"Site Admin": ("*",), "agent": ("a", "b")}
    assert settings("", {"PORTWARD_ROLES": ""}).roles == {}


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        (
            '[identity_provider.topics]\n"a" = 1',
            {},
            "identity_provider.topics.a: expected a text, got a whole number (file portward.toml)",
        ),
        (
            "[identity_provider.topics]\na.b = '/x'",
            {},
            "identity_provider.topics.a: expected a text, got a table (file portward.toml)",
        ),
        (
            "identity_provider.topics = []",
            {},
            "identity_provider.topics: expected a table (file portward.toml)",
        ),
        (
            "",
            {"PORTWARD_IDENTITY_PROVIDER__TOPICS": '["hunter2"]'},
            "identity_provider.topics: expected a table in JSON"
            " (env PORTWARD_IDENTITY_PROVIDER__TOPICS)",
        ),
        (
            "",
            {"PORTWARD_IDENTITY_PROVIDER__TOPICS": "\udcff"},
            "identity_provider.topics: expected a table in JSON"
            " (env PORTWARD_IDENTITY_PROVIDER__TOPICS)",
        ),
        (
            "",
            {"PORTWARD_ROLES": '{"agent": 1}'},
            "roles.agent: expected a list, got a whole number (env PORTWARD_ROLES)",
        ),
    ],
)
def test_a_wrong_table_is_told(text: str, environ: dict[str, str], message: str) -> None:
    """With its key and its source, without what stands in it."""
    with pytest.raises(SettingsError) as caught:
        settings(text, environ)
    assert str(caught.value) == message


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
