import pytest

from portward.settings.errors import SettingsError
from portward.settings.layers import (
    Rank,
    Written,
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


def test_an_older_name_of_no_key_is_passed_over() -> None:
    """It was right in some other version."""
    written = Written()
    written.put_alias(("server", "prot"), "80", "PROT")
    assert written.values == {}
