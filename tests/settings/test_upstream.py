import pytest

from portward.settings.errors import SettingsError
from portward.settings.secret import Secret
from portward.settings.upstream import RelayMode, UpstreamSettings
from tests.settings.reading import settings

WHOLE = """
    [upstream]
    url = "wss://upstream.example/{model}"
    api_key = "k"
    models = ["a", "b"]
    allow_private = true
    connect_timeout = "3s"
    auth_header = "api-key"
    auth_scheme = "Key"
    parameters = ["intent"]
    allow_binary = true
    tokens_per_second = 2.5
    policy = "strict"
    allow_events = ["response.create"]
    max_duration = "10m"
    max_messages = 5
    max_bytes = "1MiB"
    max_tokens = 7
    [upstream.pin]
    instructions = "Be kind."
    max_output_tokens = 500
    temperature = 0.5
    turn_detection = { type = "server_vad", create_response = true }
    tools = [{ type = "function", name = "f" }, { type = "function", name = "g" }]
"""
PIN = "PORTWARD_UPSTREAM__PIN"
EXPECTED = "expected what JSON has: texts, true, false, numbers up to 2^53, lists, tables of these"


def test_by_itself_it_is_openai_without_a_key() -> None:
    """One model, an hour a connection, nothing pinned, no event refused."""
    upstream = settings().upstream
    assert upstream == UpstreamSettings()
    assert upstream.url == "wss://api.openai.com/v1/realtime?model={model}"
    assert (upstream.api_key, upstream.models) == (Secret(), ("gpt-realtime",))
    assert (upstream.allow_private, upstream.connect_timeout) == (False, 10.0)
    assert (upstream.policy, upstream.allow_events, upstream.pin) == (RelayMode.OPEN, (), {})
    bounds = (upstream.max_duration, upstream.max_messages, upstream.max_bytes, upstream.max_tokens)
    assert bounds == (3600.0, 0, 0, 0)


def test_every_key_can_be_written() -> None:
    """What is pinned is kept as it is, whatever JSON has."""
    assert settings(WHOLE).upstream == UpstreamSettings(
        url="wss://upstream.example/{model}",
        api_key=Secret("k"),
        models=("a", "b"),
        allow_private=True,
        connect_timeout=3.0,
        auth_header="api-key",
        auth_scheme="Key",
        parameters=("intent",),
        allow_binary=True,
        tokens_per_second=2.5,
        policy=RelayMode.STRICT,
        allow_events=("response.create",),
        max_duration=600.0,
        max_messages=5,
        max_bytes=2**20,
        max_tokens=7,
        pin={
            "instructions": "Be kind.",
            "max_output_tokens": 500,
            "temperature": 0.5,
            "turn_detection": {"type": "server_vad", "create_response": True},
            "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
        },
    )


@pytest.mark.parametrize(
    "text",
    [
        'upstream.policy = "closed"',
        'upstream.connect_timeout = "0s"',
        "upstream.max_duration = -1",
        "upstream.max_messages = -1",
        "upstream.max_bytes = -1",
        "upstream.max_tokens = -1",
        "upstream.max_tokens = 1.5",
        "upstream.tokens_per_second = -1",
        'upstream.parameters = "intent"',
        "upstream.auth_header = 1",
        'upstream.allow_events = "response.create"',
        "upstream.api_key = 3",
        "endpoints.realtime.auth_attempts = -1",
    ],
)
def test_figures_have_bounds(text: str) -> None:
    """A figure that makes no sense is refused with its key."""
    with pytest.raises(SettingsError, match=text.partition(" ")[0].replace(".", r"\.")):
        settings(text)


def test_no_bound_is_zero() -> None:
    """Each of them can be taken away."""
    names = ("max_duration", "max_messages", "max_bytes", "max_tokens")
    upstream = settings("[upstream]\n" + "\n".join(f"{name} = 0" for name in names)).upstream
    assert [getattr(upstream, name) for name in names] == [0, 0, 0, 0]


def test_fields_are_pinned_by_one_variable() -> None:
    """A table in JSON, laid over that of the file; a text in it stays a text."""
    environ = {PIN: '{"max_output_tokens": 9, "voice": "5", "turn_detection": null}'}
    pin = settings(WHOLE, environ).upstream.pin
    assert pin["instructions"] == "Be kind."
    assert (pin["max_output_tokens"], pin["voice"], pin["turn_detection"]) == (9, "5", None)
    assert isinstance(pin["max_output_tokens"], int)
    assert settings("", {PIN: ""}).upstream.pin == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500", 500),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ('["a", 1]', ["a", 1]),
        ('{"type": "server_vad"}', {"type": "server_vad"}),
        ('"500"', "500"),
        ("Be kind, please.", "Be kind, please."),
        ("[Be kind", "[Be kind"),
        ("[" * 100_000, "[" * 100_000),
        ("", ""),
    ],
)
def test_a_field_is_pinned_by_a_variable_of_its_own(text: str, value: object) -> None:
    """What reads as JSON is that, and everything else a text."""
    pin = settings("", {f"{PIN}__A_FIELD": text}).upstream.pin
    assert pin == {"a_field": value}
    assert type(pin["a_field"]) is type(value)


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        (
            "upstream.pin.since = 2024-01-01",
            {},
            f"upstream.pin.since: {EXPECTED}, at most 32 deep (file portward.toml)",
        ),
        ("upstream.pin.temperature = nan", {}, f"upstream.pin.temperature: {EXPECTED}"),
        ("upstream.pin.tools = [{ a = -inf }]", {}, f"upstream.pin.tools: {EXPECTED}"),
        (f"upstream.pin.seed = {2**53}", {}, f"upstream.pin.seed: {EXPECTED}"),
        (f"upstream.pin.deep = {'[' * 33}{']' * 33}", {}, f"upstream.pin.deep: {EXPECTED}"),
        ("upstream.pin = []", {}, "upstream.pin: expected a table (file portward.toml)"),
        ("", {PIN: '["hunter2"]'}, f"upstream.pin: expected a table in JSON (env {PIN})"),
        ("", {PIN: "hunter2"}, f"upstream.pin: expected a table in JSON (env {PIN})"),
        ("", {PIN: '{"a":' + "[" * 100_000}, f"upstream.pin: expected a table in JSON (env {PIN})"),
        ("", {f"{PIN}__A": "hunter2\udcff"}, f"upstream.pin.a: expected UTF-8 (env {PIN}__A)"),
    ],
)
def test_what_is_no_json_is_refused(text: str, environ: dict[str, str], message: str) -> None:
    """Dates, numbers no reader is sure to keep, and depths no upstream needs."""
    with pytest.raises(SettingsError) as caught:
        settings(text, environ)
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)


def test_the_key_comes_from_a_file() -> None:
    """Without the line break at its end; the environment is stronger than the file."""
    text, files = 'upstream.api_key_file = "/k"', {"/k": "sk-a\n", "/l": "sk-b"}
    assert settings(text, files=files).upstream.api_key == Secret("sk-a")
    for name in ("OPENAI_API_KEY", "PORTWARD_UPSTREAM__API_KEY"):
        assert settings(text, {name: "sk-c"}, files=files).upstream.api_key == Secret("sk-c")
    environ = {"OPENAI_API_KEY": "sk-c", "PORTWARD_UPSTREAM__API_KEY_FILE": "/l"}
    assert settings(text, environ, files=files).upstream.api_key == Secret("sk-b")
    with pytest.raises(SettingsError, match=r"upstream\.api_key_file: the file is empty"):
        settings(text, files={"/k": "\n"})


def test_a_pinned_field_that_ends_like_a_file_key_is_a_field() -> None:
    """It names nothing to read."""
    text = '[upstream.pin]\ninstructions_file = "/k"'
    assert settings(text, files={"/k": "x"}).upstream.pin == {"instructions_file": "/k"}


AZURE = """
    [upstreams.azure]
    url = "wss://x.openai.azure.com/openai/realtime?api-version=1&deployment={model}"
    auth_header = "api-key"
    api_key_file = "/k"
    models = ["gpt-4o"]
    [upstreams.azure.pin]
    voice = "marin"
    instructions_file = "/k"
    [upstreams.Other]
    api_key = "o"
    [endpoints.azure]
    dialect = "relay"
    upstream = "azure"
"""


def test_more_upstreams_have_names() -> None:
    """Each has all keys, its own key file, and the defaults where nothing is said."""
    found = settings(AZURE, files={"/k": "sk-a\n"})
    azure, other = found.upstreams["azure"], found.upstreams["Other"]
    assert (azure.api_key, azure.models, azure.scheme) == (Secret("sk-a"), ("gpt-4o",), "")
    assert azure.pin == {"voice": "marin", "instructions_file": "/k"}
    assert other == UpstreamSettings(api_key=Secret("o"))
    assert found.upstream == UpstreamSettings()
    assert found.upstream_of(found.endpoints["azure"]) is azure
    assert found.upstream_of(found.endpoints["realtime"]) is found.upstream


def test_an_upstream_with_a_name_is_written_in_variables() -> None:
    """The name as it was chosen, pins as one table in JSON or one by one."""
    environ = {
        "PORTWARD_UPSTREAMS__AZURE__API_KEY_FILE": "/l",
        "PORTWARD_UPSTREAMS__OTHER__MODELS": "a,b",
        "PORTWARD_UPSTREAMS__AZURE__PIN": '{"voice": "cedar", "tools": []}',
        "PORTWARD_UPSTREAMS__THIRD__PIN__VOICE": "5",
        "PORTWARD_ENDPOINTS__REALTIME__UPSTREAM": "Other",
    }
    found = settings(AZURE, environ, files={"/k": "sk-a", "/l": "sk-b"})
    assert found.upstreams["azure"].api_key == Secret("sk-b")
    assert found.upstreams["azure"].pin["voice"] == "cedar"
    assert found.upstreams["azure"].pin["tools"] == []
    assert found.upstreams["Other"].models == ("a", "b")
    assert found.upstreams["third"].pin == {"voice": 5}
    assert found.upstream_of(found.endpoints["realtime"]) is found.upstreams["Other"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'endpoints.realtime.upstream = "azur"\n[upstreams.azure]',
            "endpoints.realtime.upstream: there is no table [upstreams.azur];"
            " known: [upstreams.azure] (file portward.toml)",
        ),
        (
            'endpoints.realtime.upstream = "azure"',
            "endpoints.realtime.upstream: there is no table [upstreams.azure]; known: none is set"
            " (file portward.toml)",
        ),
        ("upstreams.azure = 1", "upstreams.azure: expected a table (file portward.toml)"),
        (
            "upstreams.azure.uri = 1",
            "unknown key upstreams.azure.uri; nearest is upstreams.azure.url",
        ),
        ('[upstreams."a b"]', "upstreams: a name is made of letters"),
    ],
)
def test_what_is_no_upstream_is_refused(text: str, message: str) -> None:
    """The error names the key, and what there is."""
    with pytest.raises(SettingsError) as caught:
        settings(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("header", "scheme", "expected"),
    [
        ("Authorization", None, "Bearer"),
        ("authorization", None, "Bearer"),
        ("api-key", None, ""),
        ("api-key", "Bearer", "Bearer"),
        ("Authorization", "", ""),
    ],
)
def test_the_word_before_the_key(header: str, scheme: str | None, expected: str) -> None:
    """Where none is set it follows from the header."""
    assert UpstreamSettings(auth_header=header, auth_scheme=scheme).scheme == expected
