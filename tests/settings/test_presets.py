import pytest

from portward.model.limits import LimitName, Rate
from portward.model.namespace import AccessRule, Namespace, PublishRight, Snapshot
from portward.settings.endpoint import CredentialSource
from portward.settings.presets import (
    DIALECTS,
    ENDPOINTS,
    NAMESPACES,
    RELOADED_KEYS,
    base_endpoint,
    base_namespace,
    unknown_when_off,
)
from portward.settings.reference import meaning
from portward.settings.resolve import resolve
from portward.settings.schema import keys
from portward.settings.tree import Settings

RESOLVED = resolve(Settings()).endpoints


def test_all_are_served_but_echo() -> None:
    """These endpoints exist by themselves, in this order."""
    assert [(name, endpoint.enabled) for name, endpoint in ENDPOINTS.items()] == [
        ("alerts", True),
        ("live", True),
        ("rooms", True),
        ("realtime", True),
        ("workspaces", True),
        ("echo", False),
    ]
    assert ENDPOINTS["rooms"].idle_timeout == 60.0
    assert DIALECTS == ("alerts", "echo", "live", "relay", "rooms", "socketio")


@pytest.mark.parametrize("name", ["alerts", "live", "rooms", "echo"])
def test_an_endpoint_is_called_what_it_speaks(name: str) -> None:
    """Path, dialect and the namespace behind it have its name; echo needs no channels."""
    endpoint = ENDPOINTS[name]
    assert (endpoint.path, endpoint.dialect) == (f"/{name}", name)
    assert endpoint.namespace == ("" if name == "echo" else name)


def test_alerts_is_for_a_few_who_bring_a_token() -> None:
    """In a header, or where a browser can put one; they have time to leave."""
    alerts = ENDPOINTS["alerts"]
    assert alerts.credentials == (
        CredentialSource.HEADER,
        CredentialSource.QUERY,
        CredentialSource.TICKET,
    )
    assert (alerts.max_connections, alerts.farewell) == (100, 5.0)


def test_live_is_for_browsers_with_a_session() -> None:
    """Their cookies and nothing else; they may subscribe to much."""
    live = ENDPOINTS["live"]
    assert live.credentials == (CredentialSource.COOKIE,)
    assert live.takes_cookies
    assert RESOLVED["live"].rates[LimitName.MESSAGES] == Rate(600, 60.0, 600)


def test_realtime_is_for_a_few_who_talk_much() -> None:
    """A first message, a header or a subprotocol; as much as the upstream may say fits."""
    realtime = ENDPOINTS["realtime"]
    assert (realtime.path, realtime.dialect, realtime.namespace) == ("/realtime", "relay", "")
    places = (CredentialSource.MESSAGE, CredentialSource.HEADER, CredentialSource.SUBPROTOCOL)
    assert realtime.credentials == places
    assert (realtime.auth_timeout, realtime.auth_attempts) == (10.0, 3)
    assert (realtime.max_message, realtime.backpressure_threshold) == (2**20, 17 * 2**20)
    assert RESOLVED["realtime"].connections_per_address == 3
    assert RESOLVED["realtime"].rates[LimitName.ATTEMPTS] == Rate(10, 60.0, 10)
    assert not RESOLVED["realtime"].rates[LimitName.MESSAGES].count
    assert RESOLVED["realtime"].rates[LimitName.FRAMES].count


def test_attempts_are_counted_at_realtime_alone() -> None:
    """Elsewhere the limit on authentication bounds them."""
    counted = {name for name, endpoint in ENDPOINTS.items() if endpoint.auth_attempts}
    assert counted == {"realtime"}


def test_alerts_can_be_heard_as_one() -> None:
    """No other family of channels can, until it is told to."""
    assert [name for name, space in NAMESPACES.items() if space.combined] == ["alerts"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alerts", (500, 3600.0, Snapshot.NONE, False, 2.0, 0, 50, 300.0)),
        ("live", (0, 3600.0, Snapshot.LATEST_BY_KEY, False, 0.0, 0, 128, 300.0)),
        ("rooms", (1000, 86400.0, Snapshot.NONE, True, 0.0, 100, 128, 86400.0)),
        ("workspaces", (100, 3600.0, Snapshot.NONE, True, 0.0, 0, 128, 300.0)),
    ],
)
def test_the_namespaces_are_as_promised(name: str, expected: tuple[object, ...]) -> None:
    """History, snapshot, presence, cooldown, bounds and idle time of each family of channels."""
    space = NAMESPACES[name]
    assert expected == (
        space.history_size,
        space.history_ttl,
        space.snapshot,
        space.presence,
        space.cooldown,
        space.max_subscribers,
        space.max_subscriptions,
        space.idle_ttl,
    )


def test_the_rights_of_the_namespaces_are_as_promised() -> None:
    """Which rule judges, and whether clients may publish."""
    rights = {name: (space.authorize, space.publish) for name, space in NAMESPACES.items()}
    assert rights == {
        "alerts": (AccessRule.AUTHENTICATED, PublishRight.SERVER),
        "live": (AccessRule.IDENTITY_PROVIDER, PublishRight.SERVER),
        "rooms": (AccessRule.ROLES, PublishRight.RIGHT),
        "workspaces": (AccessRule.MEMBERSHIP, PublishRight.RIGHT),
    }


def test_every_preset_has_the_name_it_stands_under() -> None:
    """A namespace knows its own name."""
    assert all(name == space.name for name, space in NAMESPACES.items())


def test_every_option_of_a_namespace_is_a_key() -> None:
    """Nothing of the model is left without a meaning here, apart from the name."""
    assert {"name", *keys(Namespace)} == set(Namespace.__struct_fields__)
    for name, node in keys(Namespace).items():
        assert meaning(("namespaces", "rooms", name))
        assert node.about.reload is (name in RELOADED_KEYS)


def test_a_known_endpoint_starts_from_itself() -> None:
    """Its own dialect, written or not, changes nothing."""
    assert base_endpoint("echo", None) is ENDPOINTS["echo"]
    assert base_endpoint("echo", "echo") is ENDPOINTS["echo"]


def test_a_new_endpoint_starts_from_its_dialect() -> None:
    """It is on, lies at its own name, and takes the rest from the preset of the dialect."""
    chat, tester = base_endpoint("chat", "rooms"), base_endpoint("tester", "echo")
    assert (chat.path, chat.namespace, chat.idle_timeout) == ("/chat", "rooms", 60.0)
    assert tester.enabled
    assert tester.credentials == (CredentialSource.HEADER, CredentialSource.TICKET)


def test_a_known_endpoint_with_another_dialect_starts_from_that() -> None:
    """The name alone does not bring options of another protocol."""
    assert base_endpoint("rooms", "echo").namespace == ""


@pytest.mark.parametrize("name", ["alerts", "live", "rooms", "realtime", "workspaces"])
def test_presets_of_older_servers_are_known_when_off(name: str) -> None:
    """Clients of those servers expect 503; where the name got another dialect, there are none."""
    assert not unknown_when_off(name, ENDPOINTS[name])
    assert unknown_when_off(name, base_endpoint(name, "echo"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_added_endpoints_and_echo_are_unknown_when_off(dialect: str) -> None:
    """An endpoint with a name of its own is as unknown as any other path, and so is echo."""
    assert unknown_when_off("mine", base_endpoint("mine", dialect))
    assert unknown_when_off("echo", ENDPOINTS["echo"])


def test_an_unknown_dialect_is_kept() -> None:
    """It is refused later, where its source is known."""
    assert base_endpoint("calls", "calls").dialect == "calls"
    assert base_endpoint("calls", None).dialect == ""


def test_a_new_namespace_denies() -> None:
    """A name without preset starts from the defaults of the model."""
    assert base_namespace("docs") == Namespace(name="docs")
    assert base_namespace("rooms") is NAMESPACES["rooms"]
