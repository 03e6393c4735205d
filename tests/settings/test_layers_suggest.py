import pytest

from portward.settings.layers import unknown_key, unknown_variable


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("server.prot", "server.port"),
        ("servr", "server"),
        ("port", "server.port"),
        ("server.tls.crt", "server.tls.cert"),
        ("endpoints.chat.pth", "endpoints.chat.path"),
        ("namespaces.docs.history_siz", "namespaces.docs.history_size"),
        ("limits.message", "limits.messages"),
        ("identity_provider.topic", "identity_provider.topics"),
        ("admin.port", "server.admin_port"),
        ("admin.host", "server.admin_host"),
        ("admin.api_key", "admin.api_keys"),
        ("token.secret", "tokens.secrets"),
        ("endpoints.live.reconect_url", "endpoints.live.reconnect_url"),
    ],
)
def test_the_nearest_key_is_named(key: str, nearest: str) -> None:
    """A slip is answered with what was probably meant, below chosen names as well."""
    error = unknown_key(tuple(key.split(".")), "file f")
    assert str(error) == f"unknown key {key}; nearest is {nearest} (file f)"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PORTWARD_SERVER_PORT", "PORTWARD_SERVER__PORT"),
        ("PORTWARD_ENVIROMENT", "PORTWARD_ENVIRONMENT"),
        ("PORTWARD_ENDPOINTS__CHAT__PTH", "PORTWARD_ENDPOINTS__CHAT__PATH"),
        ("PORTWARD_ENDPOINTS__ROOMS_PATH", "PORTWARD_ENDPOINTS__ROOMS__PATH"),
        ("PORTWARD_TOKEN__SECRETS", "PORTWARD_TOKENS__SECRETS"),
        ("PORTWARD_IDENTITY_PROVIDER_URL", "PORTWARD_IDENTITY_PROVIDER__URL"),
    ],
)
def test_the_nearest_variable_is_named(name: str, nearest: str) -> None:
    """So is the nearest variable."""
    assert str(unknown_variable(name)) == f"unknown variable {name}; nearest is {nearest}"
