import pytest

from portward.settings.errors import SettingsError
from portward.settings.layers import (
    Rank,
    Written,
    from_aliases,
    from_file,
    from_flags,
    from_variables,
)


def test_a_file_is_taken_key_by_key() -> None:
    """Tables become paths; inner tables may be written inline."""
    written = Written()
    from_file(written, '[server]\nport = 1\ntls = { cert = "c" }', "f.toml")
    assert {path: given.raw for path, given in written.values.items()} == {
        ("server", "port"): 1,
        ("server", "tls", "cert"): "c",
    }
    assert {given.source for given in written.values.values()} == {"file f.toml"}
    assert {given.rank for given in written.values.values()} == {Rank.FILE}


@pytest.mark.parametrize("text", ["a = ", "[server", "server.port = 1\nserver.port = 2", "\x00"])
def test_what_is_no_toml_is_told_with_its_place(text: str) -> None:
    """The error names the file and is one line."""
    with pytest.raises(SettingsError, match=r"f\.toml is not valid TOML: .+\(at ") as caught:
        from_file(Written(), text, "f.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["server = 1", "endpoints = []", "endpoints.rooms = 1", "limits.auth = 2"]
)
def test_a_value_where_a_table_belongs_is_refused(text: str) -> None:
    """The key is named."""
    key = text.partition(" ")[0]
    with pytest.raises(SettingsError) as caught:
        from_file(Written(), text, "f")
    assert str(caught.value) == f"{key}: expected a table (file f)"


def test_an_unknown_key_of_the_file_is_refused() -> None:
    """Whatever it holds, with the nearest key there is."""
    with pytest.raises(SettingsError, match=r"unknown key server\.prot; nearest is server\.port"):
        from_file(Written(), "[server.prot]\nx = 1", "f")


@pytest.mark.parametrize("name", ["a b", "", "a__b", "-a", "_a", "ä", "a.b", "x" * 65])
def test_a_chosen_name_fits_into_a_label(name: str) -> None:
    """Endpoints and namespaces are called what metrics and variables can carry."""
    for table in ("endpoints", "namespaces"):
        with pytest.raises(SettingsError, match=f"{table}: a name is made of"):
            from_file(Written(), f'[{table}."{name}"]', "f")


def test_roles_are_called_as_the_issuer_likes() -> None:
    """Role names are texts of tokens, not labels."""
    written = Written()
    from_file(written, '[roles]\n"Site Admin" = ["*"]', "f")
    assert written.below(("roles",)) == ["Site Admin"]


def test_an_empty_table_is_a_choice_as_well() -> None:
    """A namespace may consist of its defaults."""
    written = Written()
    from_file(written, "[namespaces.docs]", "f")
    assert written.below(("namespaces",)) == ["docs"]
    assert written.values == {}


def test_older_names_are_read_when_not_empty() -> None:
    """One secret is one secret, whatever signs it has; an empty text counts as not set."""
    written = Written()
    from_aliases(written, {"JWT_SECRET": "a,b", "ALLOWED_ORIGINS": "x,y", "PORT": ""})
    found = {path: (given.raw, given.source) for path, given in written.values.items()}
    assert found == {
        ("tokens", "secrets"): (["a,b"], "alias JWT_SECRET"),
        ("gate", "allowed_origins"): ("x,y", "alias ALLOWED_ORIGINS"),
    }


@pytest.mark.parametrize(
    ("name", "text", "key", "raw"),
    [
        ("ALERT_SERVER_HOST", "0.0.0.0", "server.host", "0.0.0.0"),
        ("ALERT_SERVER_PORT", "3002", "server.port", "3002"),
        ("ALERT_AUTH_DISABLED", "true", "endpoints.alerts.auth", "none"),
        ("LIVE_WS_HOST", "::", "server.host", "::"),
        ("LIVE_WS_PORT", "4000", "server.port", "4000"),
        ("LIVE_WS_PING_INTERVAL_MS", "15000", "endpoints.live.ping_interval", 15.0),
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "10000", "server.drain_timeout", 10.0),
        (
            "LIVE_WS_BACKPRESSURE_THRESHOLD_BYTES",
            "2048",
            "endpoints.live.backpressure_threshold",
            "2048",
        ),
        ("INSTANCE_ID", "node-1", "server.instance_id", "node-1"),
        (
            "DIRECTUS_BASE_URL",
            "http://directus:8055",
            "identity_provider.url",
            "http://directus:8055",
        ),
    ],
)
def test_every_older_name_says_its_part(name: str, text: str, key: str, raw: object) -> None:
    """In the unit of its key, with its own name as the source."""
    written = Written()
    from_aliases(written, {name: text})
    found = {path: (given.raw, given.source) for path, given in written.values.items()}
    assert found == {tuple(key.split(".")): (raw, f"alias {name}")}


@pytest.mark.parametrize("text", ["", "false", "0", "no"])
def test_authentication_that_is_not_disabled_is_not_mentioned(text: str) -> None:
    """The older name switches off, and never on what the file has switched off."""
    written = Written()
    from_aliases(written, {"ALERT_AUTH_DISABLED": text})
    assert written.values == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "ALERT_AUTH_DISABLED",
            "maybe",
            'endpoints.alerts.auth: expected "true" or "false" (alias ALERT_AUTH_DISABLED)',
        ),
        (
            "LIVE_WS_PING_INTERVAL_MS",
            "25s",
            'endpoints.live.ping_interval: expected a number of milliseconds such as "25000"'
            " (alias LIVE_WS_PING_INTERVAL_MS)",
        ),
    ],
)
def test_an_older_name_that_cannot_be_read_is_told(name: str, text: str, message: str) -> None:
    """The line has the variable to correct."""
    with pytest.raises(SettingsError) as caught:
        from_aliases(Written(), {name: text})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"ALERT_SERVER_PORT": "1", "LIVE_WS_PORT": "2"},
            "server.port: ALERT_SERVER_PORT and LIVE_WS_PORT differ; set one of them",
        ),
        (
            {"LIVE_WS_PORT": "2", "PORT": "1"},
            "server.port: PORT and LIVE_WS_PORT differ; set one of them",
        ),
        (
            {"PORT": "1", "ALERT_SERVER_PORT": "1", "LIVE_WS_PORT": "2"},
            "server.port: PORT and LIVE_WS_PORT differ; set one of them",
        ),
        (
            {"ALERT_SERVER_HOST": "::", "LIVE_WS_HOST": "::1"},
            "server.host: ALERT_SERVER_HOST and LIVE_WS_HOST differ; set one of them",
        ),
    ],
)
def test_older_names_do_not_contradict_each_other(environ: dict[str, str], message: str) -> None:
    """Two servers became one, which has one address: both names are told."""
    with pytest.raises(SettingsError) as caught:
        from_aliases(Written(), environ)
    assert str(caught.value) == message


def test_older_names_may_agree() -> None:
    """The same said twice, or by one of them nothing, is no contradiction."""
    written = Written()
    environ = {"PORT": "", "ALERT_SERVER_PORT": "80", "LIVE_WS_PORT": "80"}
    from_aliases(written, environ)
    assert written.values["server", "port"].raw == "80"
    assert written.values["server", "port"].source == "alias ALERT_SERVER_PORT"


def test_variables_find_the_patterns_of_the_file() -> None:
    """As far as a variable can spell them; a new one is in small letters."""
    written = Written()
    from_file(written, '[identity_provider.topics]\n"Big-Event:{id}" = "/a/{id}"', "f")
    environ = {
        "PORTWARD_IDENTITY_PROVIDER__TOPICS__BIG_EVENT:{ID}": "/b/{id}",
        "PORTWARD_IDENTITY_PROVIDER__TOPICS__NEWS": "/c",
    }
    from_variables(written, environ)
    topics = ("identity_provider", "topics")
    assert written.below(topics) == ["Big-Event:{id}", "news"]
    assert written.values[*topics, "Big-Event:{id}"].raw == "/b/{id}"
    assert written.values[*topics, "news"].source == "env PORTWARD_IDENTITY_PROVIDER__TOPICS__NEWS"


def test_variables_find_the_names_chosen_in_the_file() -> None:
    """A name with hyphens and capitals is met by its variable; a new one is in small letters."""
    written = Written()
    from_file(written, '[endpoints.My-chat]\ndialect = "rooms"', "f")
    environ = {
        "PORTWARD_ENDPOINTS__MY_CHAT__PATH": "/a",
        "PORTWARD_ENDPOINTS__ROOMS__PATH": "/b",
        "PORTWARD_ENDPOINTS__NEW__PATH": "/c",
        "PORTWARD_ENVIRONMENT": "production",
    }
    from_variables(written, environ)
    assert written.values["endpoints", "My-chat", "path"].raw == "/a"
    assert written.values["endpoints", "rooms", "path"].raw == "/b"
    assert written.values["endpoints", "new", "path"].raw == "/c"
    assert written.values["environment",].source == "env PORTWARD_ENVIRONMENT"
    assert written.below(("endpoints",)) == ["My-chat", "rooms", "new"]


@pytest.mark.parametrize(
    "name",
    [
        "PORTWARD_SERVER",
        "PORTWARD_SERVER__PRT",
        "PORTWARD_ENDPOINTS__X",
        "PORTWARD_ENDPOINTS",
        "PORTWARD_",
    ],
)
def test_an_unknown_variable_is_refused(name: str) -> None:
    """Sections are no keys either."""
    with pytest.raises(SettingsError, match=f"unknown variable {name}; nearest is PORTWARD_"):
        from_variables(Written(), {name: "1"})


def test_flags_are_taken_by_key() -> None:
    """None is a flag that was not given; underscores show as hyphens."""
    written = Written()
    from_flags(written, {"server.admin_port": 1, "server.port": None, "endpoints.x.path": "/x"})
    assert written.values["server", "admin_port"].source == "flag --admin-port"
    assert written.values["server", "admin_port"].rank is Rank.FLAG
    assert ("server", "port") not in written.values
    assert written.below(("endpoints",)) == ["x"]


def test_an_unknown_flag_is_refused() -> None:
    """A slip in the program is told like any other."""
    with pytest.raises(SettingsError, match=r"unknown key server\.prot; .* \(flag --prot\)"):
        from_flags(Written(), {"server.prot": None})
