import pytest

from portward.settings.environment import (
    ALIASES,
    WINDOW,
    Alias,
    chosen,
    disabled,
    entry,
    milliseconds,
    parts,
    switch,
    variable,
    variables,
)
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


def test_older_names_are_read_once() -> None:
    """No name stands for two keys."""
    names = [*(alias.name for alias in ALIASES), WINDOW.amount, WINDOW.period]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("1", 0.001), ("25000", 25.0), ("1500", 1.5)]
)
def test_milliseconds_are_seconds(text: str, seconds: float) -> None:
    """Older servers counted in thousandths."""
    assert milliseconds(text) == seconds


@pytest.mark.parametrize("text", ["25s", "-1", "1e3", "", " 1", "1.5", "nan", "٣", "9" * 16])
def test_what_is_no_number_of_milliseconds_is_refused(text: str) -> None:
    """Neither a duration nor anything a float could be made of."""
    with pytest.raises(ValueError, match='expected a number of milliseconds such as "25000"'):
        milliseconds(text)


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", " True "])
def test_authentication_can_be_switched_off(text: str) -> None:
    """However the older server was told."""
    assert disabled(text) == "none"


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "", " "])
def test_a_switch_that_is_off_says_nothing(text: str) -> None:
    """What the file says stays as it is."""
    assert disabled(text) is None


@pytest.mark.parametrize("text", ["on", "off", "2", "none", "truee"])
def test_an_unclear_switch_is_refused(text: str) -> None:
    """Whether clients need a credential is no matter of guessing."""
    with pytest.raises(ValueError, match='expected "true" or "false"'):
        disabled(text)


@pytest.mark.parametrize(
    ("text", "on"), [("true", True), (" Yes", True), ("1", True), ("false", False), ("", False)]
)
def test_a_switch_is_on_or_off(text: str, on: bool) -> None:
    """However the older server was told."""
    assert switch(text) is on


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"RATE_LIMIT_MAX_REQUESTS": "", "RATE_LIMIT_WINDOW_MS": ""}, None),
        ({"RATE_LIMIT_MAX_REQUESTS": "5"}, ("5/60000ms", "RATE_LIMIT_MAX_REQUESTS")),
        ({"RATE_LIMIT_WINDOW_MS": "1500"}, ("10/1500ms", "RATE_LIMIT_WINDOW_MS")),
        (
            {"RATE_LIMIT_MAX_REQUESTS": "5", "RATE_LIMIT_WINDOW_MS": "1"},
            ("5/1ms", "RATE_LIMIT_MAX_REQUESTS and RATE_LIMIT_WINDOW_MS"),
        ),
    ],
)
def test_two_names_are_one_rate(environ: dict[str, str], expected: tuple[str, str] | None) -> None:
    """What one of them leaves out is what the older server took."""
    assert WINDOW.read(environ) == expected


@pytest.mark.parametrize("name", ["RATE_LIMIT_MAX_REQUESTS", "RATE_LIMIT_WINDOW_MS"])
@pytest.mark.parametrize("text", ["0", "00", "-1", "1.5", "10/s", "60s", " 1", "٣", "9" * 16])
def test_a_rate_is_made_of_positive_numbers(name: str, text: str) -> None:
    """Nothing at all would here mean no limit, and there meant nobody."""
    with pytest.raises(ValueError, match=f"expected a positive whole number .* .alias {name}."):
        WINDOW.read({name: text})


def test_a_secret_with_a_comma_is_one_secret() -> None:
    """Older servers had one alone."""
    assert entry("a,b") == ["a,b"]


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
