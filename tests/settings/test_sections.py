import pytest

from portward.settings.errors import SettingsError
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
        "namespaces.rooms.history_size = -1",
        "namespaces.rooms.history_ttl = -1",
    ],
)
def test_figures_have_bounds(text: str) -> None:
    """A figure that makes no sense is refused with its key."""
    with pytest.raises(SettingsError, match=text.partition(" ")[0].replace(".", r"\.")):
        settings(text)


def test_claims_can_be_renamed() -> None:
    """Only the names that are written change."""
    claims = settings('[tokens.claims]\nroles = "groups"').tokens.claims
    assert (claims.roles, claims.workspace) == ("groups", "workspaceId")
