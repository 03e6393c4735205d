import pytest

from portward.settings.environment import ALIASES, Alias, chosen, parts, variable, variables
from portward.settings.schema import leaf_at


def test_a_key_and_its_variable_lead_to_each_other() -> None:
    """Sections are parted by two underscores; one belongs to the key."""
    path = ("server", "trusted_proxies")
    assert variable(path) == "PORTWARD_SERVER__TRUSTED_PROXIES"
    assert parts("PORTWARD_SERVER__TRUSTED_PROXIES") == path


def test_a_chosen_name_is_recognised() -> None:
    """Variables have no small letters and no hyphens; the name as chosen is found all the same."""
    assert variable(("endpoints", "My-chat", "path")) == "PORTWARD_ENDPOINTS__MY_CHAT__PATH"
    assert chosen("my_chat", ["rooms", "My-chat"]) == "My-chat"
    assert chosen("new", ["rooms"]) == "new"


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.name)
def test_every_older_name_stands_for_a_key(alias: Alias) -> None:
    """The table points at nothing that does not exist."""
    assert leaf_at(alias.path) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTWARD_SERVICE_HOST", "10.0.0.1"),
        ("PORTWARD_SERVICE_PORT", "8080"),
        ("PORTWARD_SERVICE_PORT_HTTP", "8080"),
        ("PORTWARD_PORT", "tcp://10.0.0.1:8080"),
        ("PORTWARD_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PORTWARD_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("PORTWARD_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ("PORTWARD_ADMIN_PORT", "tcp://10.0.0.1:8081"),
        ("PORTWARD_CONFIG", "/etc/portward.toml"),
        ("PORTWARD_TOKEN", "eyJ"),
        ("PORTWARD_API_KEY", "key"),
        ("PATH", "/bin"),
        ("PORTWARDEN_X", "y"),
    ],
)
def test_what_is_not_meant_as_a_key_is_passed_over(name: str, value: str) -> None:
    """Service links of Kubernetes, what commands read, and everything without the prefix."""
    assert list(variables({name: value})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTWARD_SERVER__PORT", "80"),
        ("PORTWARD_PORT", "80"),
        ("PORTWARD_SERVICE", "x"),
        ("PORTWARD_ENDPOINTS__A_SERVICE_HOST", "x"),
    ],
)
def test_what_may_be_meant_as_a_key_is_kept(name: str, value: str) -> None:
    """A slip is told to the operator instead of being ignored."""
    assert list(variables({name: value})) == [(name, value)]
