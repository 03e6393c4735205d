from msgspec.structs import replace

from portward.model.namespace import Rule
from portward.settings.reload import changes, reloaded
from portward.settings.secret import Secret
from portward.settings.tree import Settings
from tests.settings.reading import settings


def test_equal_trees_have_no_changes() -> None:
    """Nothing is told when nothing differs."""
    assert changes(Settings(), Settings()) == ((), ())


def test_secrets_keys_origins_limits_and_rights_are_reloadable() -> None:
    """A change of any of them is put in force without a restart."""
    new = settings("""
        [tokens]
        secrets = ["a"]
        session_secret = "b"
        jwks_url = "https://issuer.example/keys"
        public_keys = ["c"]
        [gate]
        allowed_origins = ["https://a.example"]
        [limits.auth]
        rate = "1/s"
        [roles]
        agent = ["x"]
        [admin]
        api_keys = ["d"]
        [endpoints.rooms]
        allowed_origins = ["https://b.example"]
        sign_secret = "e"
        [endpoints.rooms.limits.auth]
        mode = "observe"
        [namespaces.rooms]
        authorize = "claims"
        publish = "server"
    """)
    found = changes(Settings(), new)
    assert set(found.reloadable) == {
        "tokens.secrets",
        "tokens.session_secret",
        "tokens.jwks_url",
        "tokens.public_keys",
        "gate.allowed_origins",
        "limits.auth.rate",
        "roles.agent",
        "admin.api_keys",
        "endpoints.rooms.allowed_origins",
        "endpoints.rooms.sign_secret",
        "endpoints.rooms.limits.auth.mode",
        "namespaces.rooms.authorize",
        "namespaces.rooms.publish",
    }
    assert found.restart == ()
    assert reloaded(Settings(), new) == new


def test_the_rest_waits_for_a_restart() -> None:
    """Listeners, paths and sizes stay as they are; new and gone tables are one key each."""
    old = settings('[endpoints.old]\ndialect = "rooms"\n[namespaces.gone]')
    new = settings("""
        server.port = 1
        endpoints.rooms.path = "/x"
        namespaces.rooms.history_size = 1
        [endpoints.chat]
        dialect = "rooms"
        [namespaces.docs]
    """)
    found = changes(old, new)
    assert found.reloadable == ()
    assert sorted(found.restart) == [
        "endpoints.chat",
        "endpoints.old",
        "endpoints.rooms.path",
        "namespaces.docs",
        "namespaces.gone",
        "namespaces.rooms.history_size",
        "server.port",
    ]
    assert reloaded(old, new) == old


def test_what_is_reloaded_is_taken_and_the_rest_is_kept() -> None:
    """Both kinds of change in one reading are told apart."""
    new = settings('server.port = 1\ntokens.secrets = ["a"]\nnamespaces.rooms.authorize = "deny"')
    taken = reloaded(Settings(), new)
    assert taken.server.port == 8080
    assert taken.tokens.secrets == (Secret("a"),)
    assert taken.namespaces["rooms"].authorize is Rule.DENY
    assert taken == replace(new, server=Settings().server)


def test_a_role_that_went_is_a_change() -> None:
    """Rights that were taken back are taken back at once."""
    old = settings('[roles]\nagent = ["x"]')
    assert changes(old, Settings()).reloadable == ("roles.agent",)
    assert reloaded(old, Settings()).roles == {}
