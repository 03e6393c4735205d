import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.security.origin import Origin, OriginPolicy, parse_origin
from tests.examples import examples

ALLOWED = (
    "https://app.example.com",
    "https://app.example.com:8443",
    "https://*.tenants.example.com",
    "http://[2001:db8::1]:8080",
    "capacitor://localhost",
)
POLICY = OriginPolicy(ALLOWED, production=True)


def refusal_of(
    policy: OriginPolicy, values: list[str], *, ambient: bool = False, allow_missing: bool = False
) -> HandshakeRejection | None:
    """The refusal a policy answers with, None when it lets the request pass."""
    try:
        policy.check(values, ambient=ambient, allow_missing=allow_missing)
    except HandshakeRejected as refused:
        return refused.refusal
    return None


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", Origin("https", "app.example.com", 443)),
        ("HTTPS://APP.example.com", Origin("https", "app.example.com", 443)),
        ("http://localhost:3000", Origin("http", "localhost", 3000)),
        ("wss://a.example", Origin("wss", "a.example", 443)),
        ("http://[::1]", Origin("http", "[::1]", 80)),
        ("capacitor://localhost", Origin("capacitor", "localhost", 0)),
    ],
)
def test_origin_is_read_with_its_default_port(text: str, origin: Origin) -> None:
    """Two spellings of one origin are one value."""
    assert parse_origin(text) == origin


@pytest.mark.p0
@pytest.mark.parametrize(
    "value",
    [
        "https://app.example.com",
        "https://app.example.com:443",
        "https://APP.EXAMPLE.COM",
        "HTTPS://app.example.com",
        "https://app.example.com:8443",
        "https://acme.tenants.example.com",
        "https://xn--bcher-kva.tenants.example.com",
        "http://[2001:db8::1]:8080",
        "http://[2001:DB8:0::1]:8080",
        "capacitor://localhost",
    ],
)
@pytest.mark.parametrize("ambient", [True, False])
def test_listed_origin_passes(value: str, ambient: bool) -> None:
    """Members of the list pass, whatever the credential."""
    assert refusal_of(POLICY, [value], ambient=ambient) is None


@pytest.mark.p0
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "null",
        "NULL",
        "*",
        "https://",
        "https:app.example.com",
        "https:/app.example.com",
        "//app.example.com",
        "app.example.com",
        "http://app.example.com",
        "wss://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com:80",
        "https://app.example.com:",
        "https://app.example.com:0443",
        "https://app.example.com:+443",
        "https://app.example.com:443:443",
        "https://app.example.com:99999999999",
        "https://app.example.com.",
        "https://app.example.com..",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com?q",
        "https://app.example.com#f",
        "https://app.example.com\\",
        "https://app.example.com\\@evil.example",
        "https://app.example.com.evil.example",
        "https://app.example.com-evil.example",
        "https://evil-app.example.com",
        "https://evilapp.example.com",
        "https://app.example.comevil",
        "https://app-example.com",
        "https://appXexample.com",
        "https://app.example.com@evil.example",
        "https://user@app.example.com",
        "https://user:pass@app.example.com",
        "https://evil.example#https://app.example.com",
        "https://evil.example/https://app.example.com",
        "https://evil.example https://app.example.com",
        "https://app.example.com https://app.example.com",
        "https://app.example.com, https://evil.example",
        "https://app.example.com,https://app.example.com",
        "https://app.example.com\t",
        " https://app.example.com",
        "https://app.example.com\n",
        "https://app.example.com\r\nX: y",
        "https://app.example.com\x00",
        "https://app.example.com\x00.evil.example",
        "https://app%2eexample.com",
        "https://%61pp.example.com",
        "https://\u0430pp.example.com",
        "https://xn--pp-6kc.example.com",
        "https://app\u3002example.com",
        "https://app.example.com\u200b",
        "https://tenants.example.com",
        "https://.tenants.example.com",
        "https://a.b.tenants.example.com",
        "https://acme.tenants.example.com:8443",
        "http://acme.tenants.example.com",
        "https://acme.tenants.example.com.evil.example",
        "https://acme-tenants.example.com",
        "https://*.tenants.example.com",
        "http://[2001:db8::1]",
        "http://[2001:db8::1%eth0]:8080",
        "http://[2001:db8::2]:8080",
        "http://2001:db8::1:8080",
        "http://[2001:db8::1]:8080]",
        "capacitor://localhost:80",
        "javascript://app.example.com",
        "file://",
        "data:text/html,x",
        "1https://app.example.com",
    ],
)
@pytest.mark.parametrize("ambient", [True, False])
def test_look_alike_is_refused(value: str, ambient: bool) -> None:
    """No prefix, suffix, user-info, path, encoding or list talks its way past the list."""
    assert (
        refusal_of(POLICY, [value], ambient=ambient, allow_missing=True)
        is HandshakeRejection.ORIGIN
    )


@pytest.mark.p0
@pytest.mark.parametrize("allowed", ["https://app.example.com", "http://localhost:3000"])
def test_every_change_of_one_character_is_refused(allowed: str) -> None:
    """Any character replaced, put in or dropped makes a stranger, but for the case of letters."""
    policy = OriginPolicy([allowed], production=True)
    alphabet = [chr(code) for code in range(256)]
    mutants = {
        allowed[:at] + character + allowed[at + kept :]
        for at in range(len(allowed) + 1)
        for kept in (0, 1)
        for character in [*alphabet, ""]
    }
    passed = {mutant for mutant in mutants if refusal_of(policy, [mutant]) is None}
    assert len(mutants) > 10_000
    assert {mutant.lower() for mutant in passed} == {allowed}


EDITS = st.lists(
    st.tuples(
        st.integers(0, 40), st.integers(0, 3), st.text(max_size=3) | st.sampled_from(".:/@[]*-, ")
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.p0
@given(start=st.sampled_from(ALLOWED[:2] + ALLOWED[3:]), edits=EDITS)
@settings(max_examples=examples(200), deadline=None)
def test_only_what_parses_to_a_member_passes(start: str, edits: list[tuple[int, int, str]]) -> None:
    """Whatever is done to a member, it passes when it still means a member and not otherwise."""
    members = {parse_origin(entry) for entry in ALLOWED if "*" not in entry}
    policy = OriginPolicy([entry for entry in ALLOWED if "*" not in entry], production=True)
    text = start
    for at, dropped, inserted in edits:
        text = text[:at] + inserted + text[at + dropped :]
    try:
        means_member = parse_origin(text) in members
    except ValueError:
        means_member = False
    assert (refusal_of(policy, [text]) is None) is means_member


@pytest.mark.p0
@pytest.mark.parametrize("value", ["https://app.example.com", "https://evil.example", "null"])
def test_several_origins_are_a_bad_request(value: str) -> None:
    """Two headers are refused as such, even when each of them would pass."""
    assert refusal_of(POLICY, ["https://app.example.com", value]) is HandshakeRejection.BAD_REQUEST


@pytest.mark.p0
@pytest.mark.parametrize(
    ("ambient", "allow_missing", "refusal"),
    [
        (False, True, None),
        (False, False, HandshakeRejection.ORIGIN),
        (True, True, HandshakeRejection.ORIGIN),
        (True, False, HandshakeRejection.ORIGIN),
    ],
)
def test_missing_origin_passes_with_an_explicit_credential_alone(
    ambient: bool, allow_missing: bool, refusal: HandshakeRejection | None
) -> None:
    """A cookie is never accepted from who does not say where they come from."""
    assert refusal_of(POLICY, [], ambient=ambient, allow_missing=allow_missing) is refusal


@pytest.mark.parametrize(
    "value", ["http://localhost", "http://localhost:5173", "http://127.0.0.1:1"]
)
def test_development_without_a_list_allows_loopback(value: str) -> None:
    """A page on the developer's own machine works without settings."""
    policy = OriginPolicy(production=False)
    assert refusal_of(policy, [value], ambient=True) is None
    assert not policy.listed


@pytest.mark.p0
@pytest.mark.parametrize(
    "value",
    [
        "https://localhost",
        "http://localhost.evil.example",
        "http://127.0.0.2",
        "http://a.localhost",
        "http://192.168.1.1",
        "null",
    ],
)
def test_development_without_a_list_allows_nothing_else(value: str) -> None:
    """The defaults of development are two hosts over plain HTTP."""
    assert refusal_of(OriginPolicy(production=False), [value]) is HandshakeRejection.ORIGIN


@pytest.mark.p0
def test_production_without_a_list_refuses_every_present_origin() -> None:
    """Nothing is allowed by leaving a setting out."""
    policy = OriginPolicy(production=True)
    assert refusal_of(policy, ["http://localhost"], allow_missing=True) is HandshakeRejection.ORIGIN
    assert refusal_of(policy, [], allow_missing=True) is None


@pytest.mark.p0
def test_star_covers_every_origin_but_no_cookie_and_no_null() -> None:
    """The star of development opens no cross-site request for ambient credentials."""
    policy = OriginPolicy(["*"], production=False)
    assert policy.anything
    assert policy.listed
    assert refusal_of(policy, ["https://anything.example"]) is None
    assert (
        refusal_of(policy, ["https://anything.example"], ambient=True) is HandshakeRejection.ORIGIN
    )
    assert refusal_of(policy, ["null"]) is HandshakeRejection.ORIGIN
    assert refusal_of(policy, ["https://a@b"]) is HandshakeRejection.ORIGIN


def test_any_port_can_be_listed_for_loopback_in_development() -> None:
    """A developer's list may hold the same form as the defaults."""
    policy = OriginPolicy(["http://localhost:*", "https://[::1]:*"], production=False)
    assert refusal_of(policy, ["http://localhost:8"]) is None
    assert refusal_of(policy, ["https://[::1]:9"]) is None
    assert refusal_of(policy, ["http://127.0.0.1:8"]) is HandshakeRejection.ORIGIN


@pytest.mark.parametrize("entry", ["*", "http://localhost:*"])
def test_loose_entries_are_refused_in_production(entry: str) -> None:
    """What is meant for development stops a production start."""
    with pytest.raises(ValueError, match="only for development"):
        OriginPolicy([entry], production=True)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "null",
        "example.com",
        "https://*",
        "https://*.com",
        "https://*.*.example.com",
        "https://a.*.example.com",
        "https://a*.example.com",
        "https://*.0.0.1",
        "https://example.com/",
        "https://bücher.example",
        "https://example.com:*",
        "*://example.com",
    ],
)
def test_entry_that_does_not_parse_is_named(entry: str) -> None:
    """The operator is told which entry is wrong, in production or not."""
    with pytest.raises(ValueError, match="not an allowed origin") as caught:
        OriginPolicy(["https://fine.example", entry], production=False)
    assert repr(entry) in str(caught.value)
