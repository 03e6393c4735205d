import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.request import by_name
from portward.security.address import UNKNOWN, parse_address
from portward.security.client_address import UNIX, AddressRules, ClientAddress

XFF = "x-forwarded-for"
TRUSTED = ("10.0.0.0/8", "192.0.2.1/32", "2001:db8:ffff::/48")
PEER = "10.0.0.1"
CLIENT = "203.0.113.7"

ROWS = [
    # peer, headers, client
    (CLIENT, [], CLIENT),
    (CLIENT, [(XFF, "1.1.1.1")], CLIENT),
    (CLIENT, [(XFF, "10.0.0.9")], CLIENT),
    (PEER, [], PEER),
    (PEER, [(XFF, CLIENT)], CLIENT),
    (PEER, [(XFF, f"1.1.1.1, {CLIENT}")], CLIENT),
    (PEER, [(XFF, f"127.0.0.1, {CLIENT}, 10.1.1.1")], CLIENT),
    (PEER, [(XFF, f"1.1.1.1, {CLIENT}, 10.1.1.1,10.2.2.2 ,\t192.0.2.1")], CLIENT),
    (PEER, [(XFF, "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
    (PEER, [(XFF, f"{CLIENT}:51234")], CLIENT),
    (PEER, [(XFF, f"{CLIENT}:")], PEER),
    (PEER, [(XFF, f"{CLIENT}:999999")], PEER),
    (PEER, [(XFF, "[2001:db8::7]:443")], "2001:db8::7"),
    (PEER, [(XFF, "[2001:db8::7]")], "2001:db8::7"),
    (PEER, [(XFF, "2001:DB8:0::7")], "2001:db8::7"),
    (PEER, [(XFF, "2001:db8::7%eth0")], "2001:db8::7"),
    (PEER, [(XFF, "[2001:db8::7")], PEER),
    (PEER, [(XFF, "[203.0.113.7]")], PEER),
    (PEER, [(XFF, "[2001:db8::7]x")], PEER),
    (PEER, [(XFF, "garbage")], PEER),
    (PEER, [(XFF, f"{CLIENT}, garbage, 10.1.1.1")], "10.1.1.1"),
    (PEER, [(XFF, f"{CLIENT}, unknown")], PEER),
    (PEER, [(XFF, "")], PEER),
    (PEER, [(XFF, f"{CLIENT},")], CLIENT),
    (PEER, [(XFF, f",,{CLIENT} , ,10.1.1.1,\t")], CLIENT),
    (PEER, [(XFF, CLIENT), (XFF, "")], CLIENT),
    (PEER, [(XFF, CLIENT), (XFF, ","), (XFF, " , ")], CLIENT),
    (PEER, [(XFF, f"{CLIENT},,10.1.1.1")], CLIENT),
    (PEER, [(XFF, f"1.1.1.1,, {CLIENT},")], CLIENT),
    (PEER, [(XFF, CLIENT + "," * 101)], PEER),
    (PEER, [(XFF, f"{CLIENT}%eth0")], PEER),
    (PEER, [(XFF, "0313.0.113.7")], PEER),
    (PEER, [(XFF, "3405803783")], PEER),
    (PEER, [(XFF, "1.1.1.1"), (XFF, CLIENT)], CLIENT),
    (PEER, [(XFF, CLIENT), (XFF, "10.1.1.1")], CLIENT),
    (PEER, [(XFF, CLIENT + ", 10.1.1.1" * 9)], CLIENT),
    (PEER, [(XFF, CLIENT + ", 10.1.1.1" * 10)], "10.1.1.1"),
    (PEER, [(XFF, "1.1.1.1, " * 1000 + CLIENT)], CLIENT),
    (PEER, [(XFF, "10.1.1.1, " * 1000 + CLIENT)], CLIENT),
    (PEER, [(XFF, "::ffff:203.0.113.7")], CLIENT),
    (PEER, [(XFF, "64:ff9b::203.0.113.7")], CLIENT),
    (PEER, [(XFF, f"{CLIENT}, ::ffff:10.1.1.1")], CLIENT),
    ("::ffff:10.0.0.1", [(XFF, CLIENT)], CLIENT),
    ("::ffff:203.0.113.7", [(XFF, "1.1.1.1")], CLIENT),
    ("2001:db8:ffff::1%eth0", [(XFF, CLIENT)], CLIENT),
    ("fe80::1%eth0", [(XFF, "1.1.1.1")], "fe80::1"),
    (PEER, [("x_forwarded_for", "1.1.1.1")], PEER),
    (PEER, [("x_forwarded_for", "1.1.1.1"), (XFF, CLIENT)], CLIENT),
    (PEER, [("forwarded", "for=1.1.1.1"), ("x-real-ip", "1.1.1.1")], PEER),
    (PEER, [("cf-connecting-ip", "1.1.1.1"), ("true-client-ip", "1.1.1.1")], PEER),
    ("", [(XFF, "1.1.1.1")], UNKNOWN),
    ("/run/portward.sock", [(XFF, "1.1.1.1")], UNKNOWN),
]


@pytest.mark.p0
@pytest.mark.parametrize(("peer", "headers", "client"), ROWS)
def test_client_is_the_first_address_from_the_right_that_is_not_a_proxy(
    peer: str, headers: list[tuple[str, str]], client: str
) -> None:
    """The table of what is believed, from whom, and how far."""
    assert AddressRules(TRUSTED).derive(peer, by_name(headers)).address == client


@pytest.mark.p0
@pytest.mark.parametrize(("peer", "headers", "client"), ROWS)
def test_nothing_is_trusted_by_default(
    peer: str, headers: list[tuple[str, str]], client: str
) -> None:
    """Without named proxies the peer is the client, whatever it says."""
    derived = AddressRules().derive(peer, by_name(headers))
    assert derived.address == derived.peer
    assert derived.address == (str(parse_address(peer)) if parse_address(peer) else UNKNOWN)


@pytest.mark.p0
def test_every_forwarding_header_at_once_changes_nothing_for_a_stranger() -> None:
    """From an untrusted peer no such header is believed, and that is worth a line in the log."""
    headers = [
        (name, "10.9.9.9")
        for name in (XFF, "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip")
    ]
    headers += [("forwarded", "for=10.9.9.9"), ("x-forwarded-proto", "https")]
    derived = AddressRules(TRUSTED).derive(CLIENT, by_name(headers))
    claim = "the peer is no trusted proxy"
    assert derived == ClientAddress(CLIENT, CLIENT, ignored=True, scheme=None, claim=claim)


def test_ignored_is_only_said_when_something_was_ignored() -> None:
    """A plain request, and one through a trusted proxy, are nothing to report."""
    rules = AddressRules(TRUSTED)
    assert not rules.derive(CLIENT, by_name([("origin", "https://a.example")])).ignored
    assert not rules.derive(PEER, by_name([(XFF, CLIENT)])).ignored


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["for=203.0.113.7"], CLIENT),
        (["for=1.1.1.1, for=203.0.113.7;proto=https;by=10.0.0.1"], CLIENT),
        (['For="[2001:db8::7]:4711", for=10.1.1.1'], "2001:db8::7"),
        (["for=1.1.1.1", 'for="203.0.113.7:80"'], CLIENT),
        (["for=203.0.113.7, for=unknown"], PEER),
        (["for=203.0.113.7, for=_hidden"], PEER),
        (["for=203.0.113.7, for=_hidden, for=10.1.1.1"], "10.1.1.1"),
        (['for=1.1.1.1;x="', "for=203.0.113.7"], CLIENT),
        (['for=203.0.113.7, for="10.1.1.1'], PEER),
        (["for=2001:db8::7"], PEER),
        (["203.0.113.7"], PEER),
        ([""], PEER),
        ([], PEER),
    ],
)
def test_forwarded_header_is_walked_the_same_way(values: list[str], client: str) -> None:
    """RFC 7239 in place of X-Forwarded-For, which is then not read."""
    headers = [(XFF, "9.9.9.9"), *(("forwarded", value) for value in values)]
    assert AddressRules(TRUSTED, "forwarded").derive(PEER, by_name(headers)).address == client


def test_real_ip_header_is_read_when_it_is_the_chosen_one() -> None:
    """Exactly one header is read."""
    headers = [(XFF, "9.9.9.9"), ("x-real-ip", CLIENT)]
    assert AddressRules(TRUSTED, "x-real-ip").derive(PEER, by_name(headers)).address == CLIENT


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        ([], None),
        (["https"], "https"),
        (["HTTP"], "http"),
        (["https, http"], "http"),
        (["https", "http"], "http"),
        (["ftp"], None),
        ([""], None),
        ([",", " "], None),
        (["https,"], "https"),
        (["https", ""], "https"),
        (["http, ,https , ,"], "https"),
        (["wss"], "https"),
        (["WSS"], "https"),
        (["Wss, ws"], "http"),
        (["ws"], "http"),
        (["http", " wss "], "https"),
        (["https\n"], None),
        (["https wss"], None),
        (['"https"'], None),
        (["on"], None),
    ],
)
def test_scheme_is_the_nearest_proxys_word(values: list[str], scheme: str | None) -> None:
    """What stands left of the last value may be the client's own."""
    headers = [("x-forwarded-proto", value) for value in values]
    assert AddressRules(TRUSTED).derive(PEER, by_name(headers)).scheme == scheme


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        (["for=203.0.113.7;proto=https"], "https"),
        (["for=203.0.113.7;Proto=WSS"], "https"),
        (["proto=ws;for=203.0.113.7"], "http"),
        (['for=203.0.113.7;proto="https"'], "https"),
        (["for=203.0.113.7;proto=https,"], "https"),
        (["for=203.0.113.7;proto=https, for=10.1.1.1;proto=http"], "https"),
        (["for=203.0.113.7;proto=http, for=10.1.1.1;proto=https"], "http"),
        (["for=203.0.113.7, for=10.1.1.1;proto=https"], None),
        (["for=1.1.1.1;proto=https, for=203.0.113.7"], None),
        (["for=1.1.1.1;proto=https", "for=203.0.113.7;proto=http"], "http"),
        (["for=_x;proto=http, for=10.1.1.1;proto=https"], "https"),
        (["for=unknown;proto=https"], "https"),
        (["proto=https"], "https"),
        (["for=203.0.113.7;proto=gopher"], None),
        (["for=203.0.113.7;proto=https;proto=https"], None),
        (["for=203.0.113.7"], None),
        ([], None),
    ],
)
def test_scheme_stands_beside_the_address_in_forwarded(
    values: list[str], scheme: str | None
) -> None:
    """With `forwarded` the proto of the client's own element counts, and X-Forwarded-Proto never."""
    headers = [("forwarded", value) for value in values]
    rules = AddressRules(TRUSTED, "forwarded")
    for other in ([], [("x-forwarded-proto", "https")], [("x-forwarded-proto", "http")]):
        assert rules.derive(PEER, by_name([*other, *headers])).scheme == scheme


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip"])
def test_proto_of_forwarded_is_not_read_beside_another_header(header: str) -> None:
    """What `Forwarded` says counts only where it is the configured header."""
    headers = [(header, CLIENT), ("forwarded", "for=203.0.113.7;proto=https")]
    assert AddressRules(TRUSTED, header).derive(PEER, by_name(headers)).scheme is None


def test_what_was_said_of_the_scheme_can_be_logged() -> None:
    """The claim names where the scheme was looked for, and the text that was there."""
    rules, forwarded = AddressRules(TRUSTED), AddressRules(TRUSTED, "forwarded")
    assert rules.derive(PEER, by_name([])).claim == "no x-forwarded-proto came"
    said = rules.derive(PEER, by_name([("x-forwarded-proto", "https, on")])).claim
    assert said == "x-forwarded-proto is 'on'"
    element = [("forwarded", "for=203.0.113.7;proto=http")]
    assert forwarded.derive(PEER, by_name(element)).claim == "proto of Forwarded is 'http'"
    assert forwarded.derive(PEER, by_name([])).claim == "no proto of Forwarded came"
    stranger = rules.derive(CLIENT, by_name([("x-forwarded-proto", "https")]))
    assert stranger.claim == "the peer is no trusted proxy"
    assert '"unix:" makes it one' in rules.derive(UNIX, by_name([])).claim


def test_a_unix_socket_is_trusted_by_name() -> None:
    """`unix:` trusts whatever connects by a Unix socket, and nothing else does."""
    headers = [(XFF, CLIENT), ("x-forwarded-proto", "https")]
    rules = AddressRules(["unix:"])
    found = rules.derive(UNIX, by_name(headers))
    assert (found.address, found.peer, found.scheme) == (CLIENT, UNKNOWN, "https")
    assert rules.derive(UNIX, by_name([])).address == UNKNOWN
    assert rules.derive(PEER, by_name(headers)).ignored
    assert not rules.trusts_peer("")
    for trusted in ((), ("0.0.0.0/0", "::/0")):
        stranger = AddressRules(trusted).derive(UNIX, by_name(headers))
        assert (stranger.address, stranger.ignored, stranger.scheme) == (UNKNOWN, True, None)
    assert AddressRules(["unix:", "10.0.0.0/8"]).derive(PEER, by_name(headers)).address == CLIENT


def test_mapped_network_covers_plain_addresses() -> None:
    """A proxy may be named in either family; a wider IPv6 block stays what it is."""
    assert (
        AddressRules(["::ffff:10.0.0.0/104"]).derive(PEER, by_name([(XFF, CLIENT)])).address
        == CLIENT
    )
    assert AddressRules(["::/0"]).derive(PEER, by_name([(XFF, CLIENT)])).address == PEER
    assert AddressRules(["2001:db8::1/128"]).derive(
        "2001:db8::1", by_name([(XFF, CLIENT)])
    ).address == (CLIENT)


@pytest.mark.parametrize(
    ("trusted", "header"), [(["10.0.0.1/8"], XFF), (["all"], XFF), ([], "x-client-ip")]
)
def test_rules_that_do_not_parse_are_refused(trusted: list[str], header: str) -> None:
    """A slip in a network or a header name stops the start."""
    with pytest.raises(ValueError, match=r".+"):
        AddressRules(trusted, header)


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_no_input_crashes_the_derivation(peer: str, values: list[str]) -> None:
    """Whatever stands in the header, there is an answer."""
    for header in (XFF, "forwarded", "x-real-ip"):
        rules = AddressRules(["0.0.0.0/0", "::/0"], header)
        for caller in (peer, PEER):
            assert rules.derive(caller, by_name([(header, value) for value in values])).address


HTTPS = ("x-forwarded-proto", "https")


@pytest.mark.parametrize(
    ("peer", "via", "headers", "client"),
    [
        (CLIENT, PEER, [], CLIENT),
        (CLIENT, PEER, [(XFF, "1.1.1.1")], CLIENT),
        (CLIENT, PEER, [(XFF, "10.0.0.9"), HTTPS], CLIENT),
        ("10.0.0.9", PEER, [(XFF, "1.1.1.1")], "1.1.1.1"),
        ("2001:db8::7", PEER, [(XFF, "1.1.1.1")], "2001:db8::7"),
        (PEER, PEER, [(XFF, "1.1.1.1")], PEER),
        (UNIX, UNIX, [(XFF, "1.1.1.1")], UNKNOWN),
    ],
)
def test_a_proxy_header_names_the_client(
    peer: str, via: str, headers: list[tuple[str, str]], client: str
) -> None:
    """Forwarding headers are believed of it only where it is a proxy itself, and not the one that spoke."""
    found = AddressRules([*TRUSTED, "unix:"]).derive(peer, by_name(headers), via=via)
    assert (found.address, found.ignored) == (client, False)


@pytest.mark.parametrize(
    ("said", "headers", "scheme"),
    [
        ("https", [], "https"),
        ("http", [HTTPS], "http"),
        ("https", [("x-forwarded-proto", "http")], "https"),
        (None, [HTTPS], "https"),
        (None, [("x-forwarded-proto", "ws")], "http"),
        (None, [], None),
    ],
)
def test_the_scheme_behind_a_proxy_header(
    said: str | None, headers: list[tuple[str, str]], scheme: str | None
) -> None:
    """What the PROXY header says of TLS counts before what HTTP says."""
    rules = AddressRules(TRUSTED)
    for peer in (CLIENT, "10.0.0.9", PEER):
        assert rules.derive(peer, by_name(headers), via=PEER, scheme=said).scheme == scheme
    if said is not None:
        assert rules.derive(CLIENT, by_name(headers), via=PEER, scheme=said).claim.endswith(said)
    forwarded = AddressRules(TRUSTED, "forwarded")
    element = [("forwarded", "for=203.0.113.7;proto=https")]
    assert forwarded.derive(CLIENT, by_name(element), via=PEER).scheme == "https"
