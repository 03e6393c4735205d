import pytest

from portward.settings.checks.rule import CheckLevel
from tests.settings.checks.judging import GOOD, findings, levels
from tests.settings.reading import settings

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
WARNED = (WARN, WARN, False)
IN_PRODUCTION = (OK, WARN, False)
OFF = "endpoints.realtime.enabled = false\n"
KEYED = f'upstream.api_key = "sk-proj-{GOOD}"\n'
SECOND = '[endpoints.talk]\ndialect = "relay"\n'
Levels = tuple[CheckLevel, CheckLevel, bool]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("wss://api.openai.com/v1/realtime?model={model}", ""),
        ("wss://upstream.example/v1/{model}/realtime?a=b", ""),
        ("wss://upstream.example", ""),
        ("WSS://upstream.example:8443/", ""),
        ("https://upstream.example", "does not begin with wss:// or ws://"),
        ("upstream.example/?m={model}", "does not begin with wss:// or ws://"),
        ("", "does not begin with wss:// or ws://"),
        ("wss://", "has no host"),
        ("wss:///v1?model={model}", "has no host"),
        ("wss://user:hunter2@upstream.example", "has a user name or a password in it"),
        ("wss://upstream.example/#hunter2", "has a fragment"),
        ("wss://upstream.example/?a=hunter2 b", "has a blank, a backslash, or a sign that"),
        ("wss://upstream.example/\\r\\nhunter2", "has a blank, a backslash, or a sign that"),
        ("wss://upstream.example/{id}?model={model}", "has a brace outside of {model}"),
        ("wss://upstream.example/?m={model", "has a brace outside of {model}"),
        ("wss://upstream.example/?m={{model}}", "has a brace outside of {model}"),
        ("wss://upstream.example/{model}?m={model}", "has {model} more than once"),
        ("wss://{model}.example/", "has {model} in its host"),
        ("wss://upstream.example:{model}", "has {model} in its host"),
        ("wss://{model}@upstream.example", "has {model} in its host"),
        ("wss://upstream.example:0", "has a port that is no number"),
    ],
)
def test_the_address_of_the_upstream_is_judged(url: str, why: str) -> None:
    """What no WebSocket could be opened to stops any start, and is not repeated."""
    text = f'upstream.url = "{url}"'
    assert levels(text, "upstream-url") == (ALWAYS if why else FINE)
    (found,) = findings(text, "upstream-url")
    assert found.what.startswith(f"upstream.url {why}") or not why
    assert "hunter2" not in repr(found)
    assert found.change == ('upstream.url = "wss://…"' if why else "")


def test_a_wrong_address_is_told_once() -> None:
    """Where it would lead is not judged as long as it leads nowhere."""
    text = 'upstream.url = "ws://10.0.0.1:0"'
    assert levels(text, "upstream-plain") == levels(text, "upstream-private") == FINE


@pytest.mark.parametrize(
    ("host", "plain", "private"),
    [
        ("upstream.example", GRAVE, FINE),
        ("8.8.8.8:80", GRAVE, FINE),
        ("[2606:4700::1111]", GRAVE, FINE),
        ("127.0.0.1:9000", FINE, ALWAYS),
        ("localhost", FINE, ALWAYS),
        ("model.localhost:9000", FINE, ALWAYS),
        ("[::1]:9000", FINE, ALWAYS),
        ("[::ffff:127.0.0.1]", FINE, ALWAYS),
        ("10.0.0.7", WARNED, ALWAYS),
        ("192.168.1.1", WARNED, ALWAYS),
        ("169.254.169.254", WARNED, ALWAYS),
        ("[fe80::1]", WARNED, ALWAYS),
        ("[fd00::1]", WARNED, ALWAYS),
        ("[::ffff:10.0.0.7]", WARNED, ALWAYS),
        ("0.0.0.0", GRAVE, ALWAYS),
        ("100.64.0.1", GRAVE, ALWAYS),
        ("224.0.0.1", GRAVE, ALWAYS),
        ("[::]", GRAVE, ALWAYS),
        ("upstream", WARNED, WARNED),
        ("upstream.internal", WARNED, WARNED),
    ],
)
def test_where_the_upstream_is_counts(host: str, plain: Levels, private: Levels) -> None:
    """In the open the key needs TLS; what is not public has to be meant."""
    text = f'upstream.url = "ws://{host}/?m={{model}}"\n'
    assert levels(text, "upstream-plain") == plain
    assert levels(text, "upstream-private") == private
    assert levels(text.replace("ws:", "wss:"), "upstream-plain") == FINE
    assert levels(f"{text}upstream.allow_private = true", "upstream-private") == FINE
    for rule in ("upstream-plain", "upstream-private"):
        assert levels(text + OFF, rule) == FINE
        assert levels(text + OFF + SECOND, rule) == levels(text, rule)
        (found,) = findings(text, rule)
        assert found.change.startswith("upstream.url = " if found.level is not OK else "")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["realtime"]),
        (SECOND, ["realtime", "talk"]),
        (OFF, []),
        (KEYED, []),
        (KEYED + SECOND, []),
        ('upstream.api_key = ""', ["realtime"]),
    ],
)
def test_a_relay_wants_a_key(text: str, names: list[str]) -> None:
    """Without one it starts, and can connect nobody; each such endpoint is named."""
    for production in (False, True):
        found = findings(text, "upstream-missing", production=production)
        warned = [each for each in found if each.level is WARN]
        assert [each.what.split("endpoint ")[1].split()[0] for each in warned] == names
        assert len(found) == max(len(names), 1)
        assert all("endpoints." in each.change and "api_key" in each.change for each in warned)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"sk-proj-{GOOD}", FINE),
        ("", FINE),
        ("hunter2 hunter2", GRAVE),
        (" sk-hunter2", GRAVE),
        ("sk-hunter2\\n", GRAVE),
        ("sk-hunter2\\r\\nX: y", GRAVE),
        ("schlüssel-hunter2", GRAVE),
        ("sk-…", GRAVE),
        ("sk-...", GRAVE),
        ("your-api-key", GRAVE),
    ],
)
def test_the_key_is_judged_by_its_form(key: str, expected: Levels) -> None:
    """What cannot be a key would be refused by the upstream; none of it is repeated."""
    text = f'upstream.api_key = "{key}"'
    assert levels(text, "upstream-key-form") == expected
    (found,) = findings(text, "upstream-key-form")
    assert "hunter2" not in repr(found)
    assert found.change.startswith("upstream.api_key_file = " if expected == GRAVE else "")


@pytest.mark.parametrize(
    ("models", "wrong"),
    [
        ('["gpt-realtime"]', 0),
        (f'["gpt-4o-realtime-preview-2024-12-17", "ft:gpt_4o:acme::9x", "{"m" * 256}"]', 0),
        ('["org/model", "gpt&key=x", "gpt/../x", "gpt-réaltime", "a%2Fb", "a?b#c", "{model}"]', 0),
        ("[]", 1),
        ('[""]', 1),
        ('["gpt realtime"]', 1),
        ('["."]', 1),
        ('[".."]', 1),
        ('["gpt\\n"]', 1),
        ('["gpt\\u2028"]', 1),
        (f'["{"m" * 257}"]', 1),
        ('["a b", "gpt-realtime", ".."]', 2),
    ],
)
def test_models_are_judged(models: str, wrong: int) -> None:
    """A name goes into the upstream's address percent-encoded; what could not be typed there is none."""
    text = f"upstream.models = {models}"
    found = [each for each in findings(text, "upstream-models") if each.level is FAIL]
    assert len(found) == wrong
    if wrong < 2:
        assert levels(text, "upstream-models") == (ALWAYS if wrong else FINE)
    assert all(each.change.startswith("upstream.models = ") for each in found)


def test_a_wrong_model_is_told_by_its_place() -> None:
    """The line stays a line."""
    (found,) = findings('upstream.models = ["a", "b\\n"]', "upstream-models")
    assert found.what == "upstream.models entry 2 is no name of a model"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("instructions", FINE),
        ("max_output_tokens", FINE),
        ("a" * 64, FINE),
        ("a" * 65, ALWAYS),
        ("", ALWAYS),
        ("Instructions", ALWAYS),
        ("session.model", ALWAYS),
        ("max-tokens", ALWAYS),
        ("a\\nb", ALWAYS),
    ],
)
def test_pinned_fields_are_judged(name: str, expected: Levels) -> None:
    """A field the upstream does not have would pin nothing."""
    text = f'[upstream.pin]\n"{name}" = "x"'
    assert levels(text, "upstream-pin") == expected
    (found,) = findings(text, "upstream-pin")
    assert "\n" not in found.what
    assert found.change.startswith("[upstream.pin]" if expected == ALWAYS else "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KEYED, IN_PRODUCTION),
        ("", FINE),
        (KEYED + OFF, FINE),
        (f"{KEYED}upstream.max_tokens = 1", FINE),
        (f"{KEYED}upstream.max_duration = 60\nupstream.max_messages = 10", IN_PRODUCTION),
    ],
)
def test_what_a_user_may_spend_has_a_limit(text: str, expected: Levels) -> None:
    """Bounds of one connection are none of a user, who may come again."""
    assert levels(text, "upstream-unbounded") == expected


@pytest.mark.parametrize(
    ("host", "environ", "expected"),
    [
        ("127.0.0.1", {"ENABLE_WS_PROXY": "true"}, (OK, FAIL, False)),
        ("0.0.0.0", {"ENABLE_WS_PROXY": "true"}, ALWAYS),
        ("0.0.0.0", {"ENABLE_WS_PROXY": "false"}, FINE),
        ("0.0.0.0", {"ENABLE_WS_PROXY": "true", "JWT_SECRET": GOOD}, FINE),
        ("0.0.0.0", {}, FINE),
    ],
)
def test_a_relay_without_proof_is_for_development(
    host: str, environ: dict[str, str], expected: Levels
) -> None:
    """What the older server let pass without a secret is refused where others can connect."""
    tree = settings(f'server.host = "{host}"', environ)
    assert levels(tree, "auth-none") == expected


BOTH = (
    (
        '[upstreams.azure]\nurl = "{url}"\n[endpoints.azure]\ndialect = "relay"\nupstream = "azure"',
        "upstreams.azure",
    ),
    ('[upstream]\nurl = "{url}"', "upstream"),
)


@pytest.mark.parametrize(("text", "key"), BOTH)
@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://upstream.example", "upstream-url"),
        ("ws://upstream.example/?m={model}", "upstream-plain"),
        ("wss://10.0.0.7/?m={model}", "upstream-private"),
        ("wss://upstream.example/?m={model}", "upstream-missing"),
    ],
)
def test_every_upstream_is_judged(text: str, key: str, url: str, rule: str) -> None:
    """The rules hold for a table with a name as for the default one, and say which it is."""
    found = findings(text.replace("{url}", url), rule)
    assert [each for each in found if each.what.startswith(f"{key}.") and each.level is not OK]


def test_an_upstream_without_an_endpoint_needs_no_key() -> None:
    """A table that nothing leads to is judged by its form alone."""
    text = '[upstreams.spare]\nurl = "ws://10.0.0.7"\n'
    for rule in ("upstream-plain", "upstream-private"):
        assert levels(text, rule) == FINE
    assert not any("spare" in each.what for each in findings(text, "upstream-missing"))


@pytest.mark.parametrize(
    ("header", "scheme", "expected"),
    [
        ("Authorization", None, FINE),
        ("api-key", None, FINE),
        ("X-Api-Key", "Token", FINE),
        ("api-key", "", FINE),
        ("", None, ALWAYS),
        ("api key", None, ALWAYS),
        ("api-key:", None, ALWAYS),
        ("api-key\\r\\nX", None, ALWAYS),
        ("Host", None, ALWAYS),
        ("upgrade", None, ALWAYS),
        ("Sec-WebSocket-Key", None, ALWAYS),
        ("Transfer-Encoding", None, ALWAYS),
        ("clé", None, ALWAYS),
        ("api-key", "two words", ALWAYS),
        ("api-key", "x\\n", ALWAYS),
    ],
)
def test_the_header_of_the_key_is_judged(header: str, scheme: str | None, expected: Levels) -> None:
    """What could not be sent, or would break the handshake, stops any start."""
    text = f'upstream.auth_header = "{header}"\n'
    if scheme is not None:
        text += f'upstream.auth_scheme = "{scheme}"'
    assert levels(text, "upstream-header") == expected


@pytest.mark.parametrize(
    ("names", "level"),
    [
        ('["intent", "call_id"]', OK),
        ('["api-version", "x_1", "a~b.c"]', OK),
        ("[]", OK),
        ('["model"]', FAIL),
        ('["token"]', FAIL),
        ('["ticket"]', FAIL),
        ('[""]', FAIL),
        ('["a b"]', FAIL),
        ('["a=b"]', FAIL),
        ('["a&b"]', FAIL),
        ('["v"]', WARN),
    ],
)
def test_parameters_are_judged(names: str, level: CheckLevel) -> None:
    """Names that mean something to the gateway, or are none, are refused."""
    text = (
        f'upstream.url = "wss://upstream.example/?v=1&m={{model}}"\nupstream.parameters = {names}'
    )
    (found,) = findings(text, "upstream-parameters")
    assert found.level is level


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        ("upstream.allow_binary = true", IN_PRODUCTION),
        ('upstream.allow_binary = true\nupstream.pin.voice = "marin"', (FAIL, FAIL, False)),
        ('upstream.allow_binary = true\nupstream.allow_events = ["x"]', (FAIL, FAIL, False)),
        ('upstream.allow_binary = true\nupstream.policy = "strict"', (FAIL, FAIL, False)),
        ('[upstreams.b]\nallow_binary = true\npin = { voice = "x" }', (FAIL, FAIL, False)),
    ],
)
def test_binary_messages_contradict_a_guard(text: str, expected: Levels) -> None:
    """Where fields are pinned or events listed, messages that nobody can read are no choice."""
    assert levels(text, "upstream-binary") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["max_tokens is 0", "max_duration bound one connection alone"]),
        ("upstream.max_duration = 0", ["max_tokens is 0", "nothing bounds one connection"]),
        (
            "upstream.max_tokens = 1\nupstream.tokens_per_second = 0",
            ["tokens_per_second is 0", "nothing bounds transcriptions"],
        ),
    ],
)
def test_what_bounds_what_is_told(text: str, words: list[str]) -> None:
    """Each finding names the settings that bound the cost, and what none of them bounds."""
    (found,) = findings(KEYED + text, "upstream-unbounded", production=True)
    assert found.level is WARN
    assert [word for word in words if word not in found.what] == []
