import pytest

from portward.settings.errors import SettingsError
from portward.settings.sections import IdentityProvider
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
    assert provider == IdentityProvider()
    assert (provider.url, provider.timeout, provider.revalidate) == ("", 5.0, 60.0)
    assert provider.cookies == ("directus_session_token", "directus_refresh_token")
    assert settings().server.instance_id == ""


def test_claims_can_be_renamed() -> None:
    """Only the names that are written change."""
    claims = settings('[tokens.claims]\nroles = "groups"').tokens.claims
    assert (claims.roles, claims.workspace) == ("groups", "workspaceId")
