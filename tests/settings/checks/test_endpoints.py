import pytest

from portward.settings.checks.rule import CheckLevel
from portward.settings.endpoint import EndpointSettings
from portward.settings.tree import Settings
from tests.settings.checks.judging import ROOMS_ALONE, findings, levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
WARNED = (WARN, WARN, False)
Levels = tuple[CheckLevel, CheckLevel, bool]


@pytest.mark.parametrize(
    "key",
    [
        "gate.allowed_origins",
        "endpoints.rooms.allowed_origins",
        "endpoints.realtime.allowed_origins",
    ],
)
@pytest.mark.parametrize(
    ("origin", "every", "null", "form"),
    [
        ("https://a.example", FINE, FINE, FINE),
        ("*", GRAVE, FINE, FINE),
        ("null", FINE, ALWAYS, FINE),
        ("NULL", FINE, ALWAYS, FINE),
        ("nonsense", FINE, FINE, ALWAYS),
    ],
)
def test_origins_are_judged(
    key: str, origin: str, every: Levels, null: Levels, form: Levels
) -> None:
    """Each kind of mistake has one rule, whichever list it stands in."""
    text = f'{key} = ["{origin}"]'
    assert levels(text, "origin-any") == every
    assert levels(text, "origin-null") == null
    assert levels(text, "origin-form") == form
    assert all(key in found.what for found in findings(text, "origin-form") if found.change)


def test_origins_of_closed_doors_are_not_judged() -> None:
    """An endpoint that is off lets nobody in."""
    text = '[endpoints.rooms]\nenabled = false\nallowed_origins = ["null", "nonsense"]'
    assert levels(text, "origin-null") == FINE
    assert levels(text, "origin-form") == FINE


def test_pages_are_listed_in_production() -> None:
    """An empty list refuses every page, which is rarely meant."""
    assert levels(ROOMS_ALONE, "origin-none") == (OK, WARN, False)
    for key in ("gate", "endpoints.rooms"):
        text = f'{ROOMS_ALONE}{key}.allowed_origins = ["https://a.example"]'
        assert levels(text, "origin-none") == FINE
    assert levels(f"{ROOMS_ALONE}endpoints.rooms.enabled = false", "origin-none") == FINE


def test_tokens_in_addresses_are_warned_about() -> None:
    """The way out is a ticket."""
    text = f'{ROOMS_ALONE}endpoints.rooms.credentials = ["query", "message"]'
    assert levels(text, "credential-query") == WARNED
    assert levels(ROOMS_ALONE, "credential-query") == FINE
    (found,) = findings(text, "credential-query")
    assert found.change.startswith('endpoints.rooms.credentials = ["message", "ticket"]')


def test_alerts_takes_tokens_in_addresses_until_told_otherwise() -> None:
    """Its clients do so; the line to change leaves them the other two ways."""
    assert levels("", "credential-query") == WARNED
    (found,) = findings("", "credential-query")
    line, _, _ = found.change.partition("  #")
    assert line == 'endpoints.alerts.credentials = ["header", "ticket"]'
    assert levels(line, "credential-query") == FINE


def test_a_door_takes_a_credential() -> None:
    """One that wants a token and takes none can be passed by nobody."""
    text = "endpoints.rooms.credentials = []"
    assert levels(text, "credential-none") == ALWAYS
    assert levels(f'{text}\nendpoints.rooms.auth = "none"', "credential-none") == FINE


def test_compression_and_echo_are_warned_about() -> None:
    """Both are of use, and neither by default."""
    assert levels("endpoints.rooms.compression = true", "compression") == WARNED
    assert levels("endpoints.echo.enabled = true", "echo") == WARNED
    assert levels("", "compression") == levels("", "echo") == FINE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        ('idle_timeout = "20s"', WARNED),
        ('idle_timeout = "0s"', FINE),
        ('idle_timeout = "20s"\nping_interval = "0s"', FINE),
    ],
)
def test_quiet_clients_are_pinged_first(text: str, expected: Levels) -> None:
    """An idle time below the ping interval closes healthy clients."""
    assert levels(f"[endpoints.rooms]\n{text}", "idle-before-ping") == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://gate.example/alerts", FINE),
        ("wss://gate.example:8443/alerts?from=restart", FINE),
        ("ws://127.0.0.1:8080", (OK, WARN, False)),
        ("https://gate.example", ALWAYS),
        ("gate.example", ALWAYS),
        ("wss://", ALWAYS),
        ("wss://gate.example/#x", ALWAYS),
        ("wss://user:hunter2@gate.example", ALWAYS),
        ("wss://gate.example/\\n", ALWAYS),
    ],
)
def test_clients_are_sent_back_to_an_address(url: str, expected: Levels) -> None:
    """Something a WebSocket can be opened to, or nothing; what is wrong is not repeated."""
    text = f'endpoints.rooms.reconnect_url = "{url}"'
    assert levels(text, "reconnect-url") == expected
    (found,) = findings(text, "reconnect-url", production=True)
    assert "hunter2" not in found.what
    if expected != FINE:
        assert found.what.startswith("endpoints.rooms.reconnect_url ")
        assert found.change == 'endpoints.rooms.reconnect_url = "wss://…"'


def test_dialects_made_by_hand_are_checked() -> None:
    """A tree that was not loaded is held to the same list."""
    tree = Settings(endpoints={"x": EndpointSettings(path="/x", dialect="calls")})
    assert levels(tree, "dialect") == ALWAYS
    assert findings(tree, "dialect")[0].change.endswith(
        "one of alerts, echo, live, relay, rooms, socketio"
    )


def test_namespaces_exist() -> None:
    """An endpoint may have none, but not one that is unknown."""
    assert levels('endpoints.rooms.namespace = "docs"', "namespace") == ALWAYS
    assert levels('endpoints.rooms.namespace = "docs"\n[namespaces.docs]', "namespace") == FINE
    assert levels("endpoints.echo.enabled = true", "namespace") == FINE


@pytest.mark.parametrize("path", ["", "rooms", "/a?b", "/a#b", "/a b", "/ä", "/a%20b", "/a\\\\b"])
def test_paths_are_paths(path: str) -> None:
    """What could never be requested as it stands stops any start."""
    assert levels(f'endpoints.rooms.path = "{path}"', "path-form") == ALWAYS


def test_good_paths_pass() -> None:
    """Several parts and a closing slash are fine."""
    assert levels('endpoints.rooms.path = "/v1/rooms/"', "path-form") == FINE


def test_the_paths_of_the_presets_are_free() -> None:
    """Nothing that exists by itself is in the way of anything else."""
    assert levels("", "path-form") == levels("", "path-taken") == FINE


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("/health", "the gateway itself and endpoint rooms"),
        ("/health/", "the gateway itself and endpoint rooms"),
        ("/test", "the gateway itself and endpoint rooms"),
        ("/realtime", "endpoint rooms and endpoint realtime"),
        ("/alerts", "endpoint alerts and endpoint rooms"),
        ("/live/", "endpoint live and endpoint rooms"),
    ],
)
def test_paths_have_one_owner(path: str, owners: str) -> None:
    """Endpoints that are off answer as well, and a closing slash makes no other path."""
    text = f'endpoints.rooms.path = "{path}"'
    assert levels(text, "path-taken") == ALWAYS
    assert owners in findings(text, "path-taken")[0].what


@pytest.mark.parametrize("path", ["/app/{key}", "/app/{key}/", "/v1/{tenant}/rooms/{kind}"])
def test_good_patterns_pass(path: str) -> None:
    """Whole segments after the first one may be parameters."""
    text = f'endpoints.rooms.path = "{path}"'
    assert levels(text, "path-form") == levels(text, "path-pattern") == FINE


@pytest.mark.parametrize(
    "path", ["/{key}", "/app/{key}.json", "/app/{Key}", "/app/{key", "/app/{k}/{k}", "/app//{key}"]
)
def test_unsafe_patterns_stop_any_start(path: str) -> None:
    """A pattern that would take other paths, or that cannot be read, is refused with its reason."""
    text = f'endpoints.rooms.path = "{path}"'
    assert levels(text, "path-pattern") == ALWAYS
    assert "is no path pattern: " in findings(text, "path-pattern")[0].what


@pytest.mark.parametrize("path", ["/app/{id}", "/app/{key}", "/app/{id}/"])
def test_overlapping_patterns_stop_any_start(path: str) -> None:
    """A path belongs to one endpoint; patterns of another length or beginning are apart."""
    text = 'endpoints.rooms.path = "/app/{key}"\nendpoints.live.path = '
    taken, overlaps = (
        levels(f'{text}"{path}"', "path-taken"),
        levels(f'{text}"{path}"', "path-pattern"),
    )
    assert ALWAYS in (taken, overlaps)
    for other in ("/apps/{id}", "/app/{id}/live", "/app/live"):
        assert levels(f'{text}"{other}"', "path-pattern") == FINE


@pytest.mark.parametrize("path", ["/echo", "/echo/", "/mine"])
def test_paths_that_answer_404_are_free(path: str) -> None:
    """Echo and endpoints of one's own leave their paths when they are off, and take them when on."""
    text = f'endpoints.rooms.path = "{path}"\n[endpoints.mine]\ndialect = "rooms"\nnamespace = "rooms"\n'
    assert levels(f"{text}enabled = false", "path-taken") == FINE
    assert levels(f"{text}[endpoints.echo]\nenabled = true", "path-taken") == ALWAYS


@pytest.mark.parametrize("table", ["limits", "endpoints.rooms.limits"])
def test_limits_that_only_watch_are_warned_about(table: str) -> None:
    """General ones and those of an endpoint."""
    for name in ("messages", "connections"):
        text = f'{table}.{name}.mode = "observe"'
        assert levels(text, "limits-observed") == WARNED
        assert findings(text, "limits-observed")[0].change == f'{table}.{name}.mode = "enforce"'
    assert levels("", "limits-observed") == FINE


@pytest.mark.parametrize("table", ["limits", "endpoints.rooms.limits"])
def test_limits_that_are_off_are_warned_about(table: str) -> None:
    """A rate of none, and a maximum of 0."""
    assert levels(f'{table}.auth.rate = "none"', "limits-off") == WARNED
    assert levels(f"{table}.connections.max = 0", "limits-off") == WARNED
    assert levels(f'{table}.auth.rate = "1/s"', "limits-off") == FINE


def test_users_without_a_limit_of_connections_are_warned_about() -> None:
    """With 0 one user may take every place of an endpoint."""
    assert levels("", "user-connections") == FINE
    assert levels("gate.max_per_user = 1", "user-connections") == FINE
    assert levels("gate.max_per_user = 0", "user-connections") == WARNED
    (found,) = findings("gate.max_per_user = 0", "user-connections")
    assert found.change == "gate.max_per_user = 20"


def test_messages_through_a_relay_may_be_unlimited() -> None:
    """They are many and small, and are paid for by other counts; the rest is as elsewhere."""
    text = '[endpoints.talk]\ndialect = "relay"\n[endpoints.talk.limits.{}]\nrate = "none"'
    assert levels("", "limits-off") == FINE
    assert levels(text.format("messages"), "limits-off") == FINE
    assert levels(text.format("attempts"), "limits-off") == WARNED
    assert levels("endpoints.realtime.limits.connections.max = 0", "limits-off") == WARNED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('authorize = "authenticated"', WARNED),
        ('authorize = "authenticated"\npublish = "server"', FINE),
        ('authorize = "claims"', FINE),
    ],
)
def test_publishing_for_all_is_warned_about(text: str, expected: Levels) -> None:
    """A token alone should rarely be enough to publish anywhere."""
    assert levels(f"[namespaces.rooms]\n{text}", "publish-open") == expected


def test_namespaces_nobody_uses_are_not_judged() -> None:
    """Without an endpoint no client reaches them."""
    text = '[namespaces.docs]\nauthorize = "authenticated"\npublish = "publish"'
    assert levels(text, "publish-open") == FINE


@pytest.mark.parametrize(
    ("url", "expected"), [("", ALWAYS), ("http://x", GRAVE), ("https://x", FINE)]
)
def test_rights_are_asked_for_over_https(url: str, expected: Levels) -> None:
    """Without an address nothing can be asked at all."""
    text = f'[namespaces.rooms]\nauthorize = "http"\nauthorize_url = "{url}"'
    assert levels(text, "authorize-url") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        ("[namespaces.live]\ncombined = true", ALWAYS),
        ("endpoints.live.enabled = false\n[namespaces.live]\ncombined = true", FINE),
        ('[endpoints.more]\ndialect = "live"\nnamespace = "alerts"', ALWAYS),
        ('[endpoints.more]\ndialect = "live"\nnamespace = "nowhere"', FINE),
    ],
)
def test_live_topics_are_heard_one_by_one(text: str, expected: Levels) -> None:
    """A family whose channels are also heard as one is none for the live dialect."""
    assert levels(text, "combined-live") == expected


def test_the_line_that_parts_live_topics() -> None:
    """It is said where to change what."""
    (found,) = findings("[namespaces.live]\ncombined = true", "combined-live")
    assert found.change == "namespaces.live.combined = false"
