from msgspec.structs import replace

from portward.model.namespace import AccessRule
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
        [identity_provider.topics]
        "event:{id}" = "/items/events/{id}"
        [upstream]
        api_key = "f"
        models = ["m"]
        policy = "strict"
        allow_events = ["response.create"]
        max_duration = 1
        max_messages = 1
        max_bytes = 1
        max_tokens = 1
        pin = { instructions = "Be kind." }
        [admin]
        api_keys = ["d"]
        [endpoints.rooms]
        roles = ["agent"]
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
        "limits.auth.burst",
        "roles.agent",
        "identity_provider.topics.event:{id}",
        "upstream.api_key",
        "upstream.models",
        "upstream.policy",
        "upstream.allow_events",
        "upstream.max_duration",
        "upstream.max_messages",
        "upstream.max_bytes",
        "upstream.max_tokens",
        "upstream.pin.instructions",
        "admin.api_keys",
        "endpoints.rooms.roles",
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
        endpoints.rooms.allow_missing_origin = false
        endpoints.rooms.backpressure_threshold = "2MiB"
        endpoints.rooms.farewell = "1s"
        endpoints.rooms.reconnect_url = "wss://gate.example"
        namespaces.rooms.history_size = 1
        namespaces.rooms.combined = true
        server.instance_id = "node-1"
        [identity_provider]
        url = "https://directus.example"
        cookies = ["session"]
        timeout = "1s"
        revalidate = "1s"
        [upstreams.new]
        url = "wss://upstream.example"
        [endpoints.realtime]
        auth_attempts = 1
        [endpoints.chat]
        dialect = "rooms"
        [namespaces.docs]
    """)
    found = changes(old, new)
    assert found.reloadable == ()
    assert sorted(found.restart) == [
        "endpoints.chat",
        "endpoints.old",
        "endpoints.realtime.auth_attempts",
        "endpoints.rooms.allow_missing_origin",
        "endpoints.rooms.backpressure_threshold",
        "endpoints.rooms.farewell",
        "endpoints.rooms.path",
        "endpoints.rooms.reconnect_url",
        "identity_provider.cookies",
        "identity_provider.revalidate",
        "identity_provider.timeout",
        "identity_provider.url",
        "namespaces.docs",
        "namespaces.gone",
        "namespaces.rooms.combined",
        "namespaces.rooms.history_size",
        "server.instance_id",
        "server.port",
        "upstreams.new",
    ]
    assert reloaded(old, new) == old


def test_what_is_reloaded_is_taken_and_the_rest_is_kept() -> None:
    """Both kinds of change in one reading are told apart."""
    new = settings('server.port = 1\ntokens.secrets = ["a"]\nnamespaces.rooms.authorize = "deny"')
    taken = reloaded(Settings(), new)
    assert taken.server.port == 8080
    assert taken.tokens.secrets == (Secret("a"),)
    assert taken.namespaces["rooms"].authorize is AccessRule.DENY
    assert taken == replace(new, server=Settings().server)


def test_a_role_that_went_is_a_change() -> None:
    """Rights that were taken back are taken back at once."""
    old = settings('[roles]\nagent = ["x"]')
    assert changes(old, Settings()).reloadable == ("roles.agent",)
    assert reloaded(old, Settings()).roles == {}


def test_a_question_that_went_is_a_change() -> None:
    """A topic nobody is to hear any longer is closed at once; the rest of its table waits."""
    text = '[identity_provider]\nurl = "https://{}.example"\n[identity_provider.topics]\n"a:{{id}}" = "/a"'
    old = settings(text.format("old"))
    new = settings('identity_provider.url = "https://new.example"')
    assert changes(old, new) == (("identity_provider.topics.a:{id}",), ("identity_provider.url",))
    taken = reloaded(old, new).identity_provider
    assert (taken.topics, taken.url) == ({}, "https://old.example")


def test_a_field_that_is_no_longer_pinned_is_a_change() -> None:
    """It goes at once; so does a value that differs somewhere inside."""
    old = settings('[upstream.pin]\nvoice = "a"\ntools = [{ name = "f" }]')
    new = settings('[upstream.pin]\ntools = [{ name = "g" }]')
    assert changes(old, new) == (("upstream.pin.voice", "upstream.pin.tools"), ())
    assert reloaded(old, new) == new


def test_an_upstream_with_a_name_is_reloaded_like_the_default_one() -> None:
    """Its keys and its pins change at once; only a table that came or went waits."""
    old = settings('[upstreams.azure]\nurl = "wss://a.example"\n[upstreams.gone]')
    new = settings("""
        [upstreams.azure]
        url = "wss://b.example"
        api_key = "k"
        auth_header = "api-key"
        parameters = ["x"]
        pin = { voice = "marin" }
        [upstreams.came]
    """)
    found = changes(old, new)
    assert found.reloadable == (
        "upstreams.azure.url",
        "upstreams.azure.api_key",
        "upstreams.azure.auth_header",
        "upstreams.azure.parameters",
        "upstreams.azure.pin.voice",
    )
    assert found.restart == ("upstreams.gone", "upstreams.came")
    taken = reloaded(old, new)
    assert taken.upstreams == {**old.upstreams, "azure": new.upstreams["azure"]}
