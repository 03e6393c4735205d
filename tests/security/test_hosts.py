import pytest

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.security.hosts import (
    HostPolicy,
    HostPort,
    parse_authority,
    parse_host,
    parse_port,
    parse_wildcard,
)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", "localhost"),
        ("App.Example.COM", "app.example.com"),
        ("app.example.com.", "app.example.com."),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("my_service.internal", "my_service.internal"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
    ],
)
def test_host_has_one_spelling(text: str, host: str) -> None:
    """Hosts that mean the same come out the same."""
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-a.example",
        "a-.example",
        "a..example",
        ".example",
        "a" * 64,
        ".".join(["a" * 63] * 4),
        "bücher.example",
        "a b",
        "a\x00b",
        "a/b",
        "a@b",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "256.0.0.1",
        "1.2.3",
        "[::1",
        "[::1%eth0]",
        "[127.0.0.1]",
        "[]",
        "::1",
    ],
)
def test_host_outside_the_grammar_is_refused(text: str) -> None:
    """Names no resolver should see, and addresses written in disguise, are no hosts."""
    with pytest.raises(ValueError, match=r".+"):
        parse_host(text)


@pytest.mark.parametrize("text", ["", "0", "080", "65536", "100000", "8o", "-1", "+80", "٨", " 80"])
def test_port_outside_the_range_is_refused(text: str) -> None:
    """A port is 1 to 65535 in plain digits."""
    with pytest.raises(ValueError, match="port"):
        parse_port(text)


def test_authority_splits_at_the_last_colon_outside_brackets() -> None:
    """IPv6 literals keep their colons."""
    assert parse_authority("a.example:1") == HostPort("a.example", 1)
    assert parse_authority("[::1]") == HostPort("[::1]", None)
    assert parse_authority("[::1]:65535") == HostPort("[::1]", 65535)
    with pytest.raises(ValueError, match="host"):
        parse_authority("::1")


@pytest.mark.parametrize("text", ["com", "0.0.1", "[::1]", "*.example.com", "com.", ""])
def test_wildcard_over_strangers_is_refused(text: str) -> None:
    """A star never stands before a bare top-level name, an address or another star."""
    with pytest.raises(ValueError, match=r".+"):
        parse_wildcard(text)


def test_wildcard_over_localhost_is_allowed() -> None:
    """Names under localhost never leave the machine."""
    assert parse_wildcard("localhost:3000") == HostPort("localhost", 3000)


@pytest.mark.parametrize(
    "host",
    [
        "gate.example.com",
        "GATE.example.com",
        "gate.example.com:8080",
        "other.example.com:9000",
        "x.tenants.example.com",
        "x.tenants.example.com:1",
        "y.exact.example.com:7",
    ],
)
def test_listed_host_passes(host: str) -> None:
    """An entry without a port covers all of them, one with a port only that."""
    HostPolicy(
        [
            "gate.example.com",
            "other.example.com:9000",
            "*.tenants.example.com",
            "*.exact.example.com:7",
        ]
    ).check([host])


@pytest.mark.p0
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "gate.example.com.",
        "gate.example.com.evil.example",
        "other.example.com",
        "other.example.com:9001",
        "tenants.example.com",
        "a.b.tenants.example.com",
        "y.exact.example.com",
        "127.0.0.1",
    ],
)
def test_host_off_the_list_is_refused(host: str) -> None:
    """A page that rebinds its own name to the gateway gets no answer under that name."""
    policy = HostPolicy(
        [
            "gate.example.com",
            "other.example.com:9000",
            "*.tenants.example.com",
            "*.exact.example.com:7",
        ]
    )
    with pytest.raises(HandshakeRejected) as caught:
        policy.check([host])
    assert caught.value.refusal is HandshakeRejection.HOST


@pytest.mark.p0
@pytest.mark.parametrize("values", [[], ["a.example", "a.example"], ["a b"], [""], ["a:0"]])
@pytest.mark.parametrize("allowed", [[], ["a.example"]])
def test_anything_but_one_sound_host_is_a_bad_request(
    values: list[str], allowed: list[str]
) -> None:
    """A missing, repeated or malformed Host is no request at all, list or no list."""
    with pytest.raises(HandshakeRejected) as caught:
        HostPolicy(allowed).check(values)
    assert caught.value.refusal is HandshakeRejection.BAD_REQUEST


def test_empty_list_answers_to_every_sound_name() -> None:
    """Without a list the check is one of form alone."""
    HostPolicy().check(["whatever.example:1"])


@pytest.mark.parametrize("entry", ["", "*", "*.com", "https://a.example", "a.example/"])
def test_entry_that_does_not_parse_is_named(entry: str) -> None:
    """The operator is told which entry is wrong."""
    with pytest.raises(ValueError, match="not an allowed host") as caught:
        HostPolicy([entry])
    assert repr(entry) in str(caught.value)
