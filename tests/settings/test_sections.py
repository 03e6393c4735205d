import pytest

from portward.settings.errors import SettingsError
from portward.settings.sections import IdentityProviderSettings
from tests.settings.reading import settings


@pytest.mark.parametrize(
    "text",
    [
        "server.port = -1",
        "server.port = 65536",
        "server.workers = 0",
        'server.forwarded_header = "x-client-ip"',
        "gate.max_connections = 0",
        "gate.max_per_user = -1",
        'gate.head_timeout = "0s"',
        'tokens.leeway = "61s"',
        'endpoints.rooms.auth_timeout = "0s"',
        'endpoints.rooms.pong_timeout = "0s"',
        'endpoints.rooms.max_message = "0B"',
        "endpoints.rooms.max_connections = -1",
        "limits.messages.burst = 0",
        "limits.connections.max = -1",
        'endpoints.rooms.backpressure_threshold = "1023B"',
        "endpoints.rooms.farewell = -1",
        "namespaces.rooms.history_size = -1",
        "namespaces.rooms.history_ttl = -1",
        'namespaces.rooms.combined = "yes"',
        'identity_provider.timeout = "0s"',
        'identity_provider.timeout = "61s"',
        'identity_provider.revalidate = "999ms"',
        f'server.instance_id = "{"x" * 129}"',
    ],
)
def test_figures_have_bounds(text: str) -> None:
    """A figure that makes no sense is refused with its key."""
    with pytest.raises(SettingsError, match=text.partition(" ")[0].replace(".", r"\.")):
        settings(text)


def test_figures_at_their_bounds_are_taken() -> None:
    """The least and the most that make sense."""
    provider = settings("""
        [identity_provider]
        timeout = "60s"
        revalidate = "1s"
    """).identity_provider
    assert (provider.timeout, provider.revalidate) == (60.0, 1.0)
    rooms = settings('endpoints.rooms.backpressure_threshold = "1KiB"').endpoints["rooms"]
    assert rooms.backpressure_threshold == 1024


def test_the_identity_provider_is_nobody_by_itself() -> None:
    """It is told by its address; the rest fits a Directus."""
    provider = settings().identity_provider
    assert provider == IdentityProviderSettings()
    assert (provider.url, provider.timeout, provider.revalidate) == ("", 5.0, 60.0)
    assert provider.cookies == ("directus_session_token", "directus_refresh_token")
    assert settings().server.instance_id == ""


CLAIMS: list[tuple[str, object]] = [
    ('"groups"', "groups"),
    ('"realm_access.roles"', "realm_access.roles"),
    ('["my.client", "roles"]', ("my.client", "roles")),
    ('\'["my.client", "roles"]\'', ("my.client", "roles")),
    ('["roles"]', ("roles",)),
    ('""', ""),
]


@pytest.mark.parametrize(("written", "read"), CLAIMS)
def test_claims_are_names_paths_or_keys(written: str, read: object) -> None:
    """Only what is written changes; a list of keys may also be a text of JSON, as in a variable."""
    claims = settings(f"[tokens.claims]\nroles = {written}").tokens.claims
    assert (claims.roles, claims.workspace) == (read, "workspaceId")


@pytest.mark.parametrize("written", ["5", "true", "[5]", '["a", ""]', '"[5]"', '"["', "{ a = 1 }"])
def test_places_of_claims_that_cannot_be_read(written: str) -> None:
    """What is no place of a claim is refused with its key."""
    with pytest.raises(SettingsError, match=r"tokens\.claims\.roles: expected"):
        settings(f"[tokens.claims]\nroles = {written}")


def test_claims_in_the_environment() -> None:
    """A variable holds a name, a path, or keys in JSON; required claims are a table or one each."""
    given = settings(
        "",
        {
            "PORTWARD_TOKENS__CLAIMS__ROLES": "realm_access.roles",
            "PORTWARD_TOKENS__CLAIMS__WORKSPACE": '["a.b", "c"]',
            "PORTWARD_TOKENS__CLAIMS__SPLIT": "roles,permissions",
            "PORTWARD_TOKENS__REQUIRE": '{"is_anonymous": false, "a.b": ["x", 1], "n": 5}',
            "PORTWARD_TOKENS__REQUIRE__TOKEN_USE": "access",
            "PORTWARD_TOKENS__REQUIRE__CLIENT_ID": "one,two",
        },
    ).tokens
    assert (given.claims.roles, given.claims.workspace) == ("realm_access.roles", ("a.b", "c"))
    assert given.claims.split == ("roles", "permissions")
    assert given.require == {
        "is_anonymous": (False,),
        "a.b": ("x", 1),
        "n": (5,),
        "token_use": ("access",),
        "client_id": ("one", "two"),
    }
    assert [type(each) for each in given.require["is_anonymous"]] == [bool]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"access"', ("access",)),
        ('["a", "b"]', ("a", "b")),
        ("false", (False,)),
        ("5", (5,)),
        ('[1.5, true, "x"]', (1.5, True, "x")),
    ],
)
def test_required_claims_are_plain_values(written: str, read: tuple[object, ...]) -> None:
    """A required claim is a text, a number, a truth, or one of several."""
    required = settings(f'[tokens.require]\n"a.b" = {written}').tokens.require
    assert required == {"a.b": read}
    assert [type(each) is bool for each in required["a.b"]] == [
        each is True or each is False for each in read
    ]


@pytest.mark.parametrize("written", ["[]", "{ a = 1 }", "[[1]]", "[{ a = 1 }]", "nan", "1e99"])
def test_required_claims_that_cannot_be_met(written: str) -> None:
    """Lists inside lists, tables and numbers without end are refused with their key."""
    with pytest.raises(SettingsError, match=r"tokens\.require\.a: expected"):
        settings(f"[tokens.require]\na = {written}")
