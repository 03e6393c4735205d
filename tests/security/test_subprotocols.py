import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead, by_name
from portward.security.credentials import GivenCredential, extract
from portward.security.subprotocols import (
    KEY_PREFIX,
    has_jwt,
    is_nameable,
    offers,
    select,
)
from portward.settings.endpoint import REALTIME, CredentialSource

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.AAAA-_"
KEY = f"{KEY_PREFIX}{TOKEN}"
ORIGIN = ("origin", "https://app.example")
SPOKEN = frozenset({REALTIME})


def request(*values: str, page: bool = False) -> RequestHead:
    """A handshake with these values of the header; with `page` from a browser."""
    headers = tuple(("sec-websocket-protocol", value) for value in values)
    return RequestHead(
        method="GET", path="/x", headers=by_name((*headers, *((ORIGIN,) if page else ())))
    )


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((), ()),
        (("",), ()),
        ((" " * 8000,), ()),
        (("realtime",), ("realtime",)),
        (("realtime, chat",), ("realtime", "chat")),
        ((" a ,\tb,,", "c"), ("a", "b", "c")),
        ((f"realtime,{KEY}",), ("realtime", KEY)),
        ((",".join("abcdefgh"),), tuple("abcdefgh")),
    ],
)
def test_offers_are_one_list(values: tuple[str, ...], found: tuple[str, ...]) -> None:
    """Several lines are one list, and empty elements are skipped."""
    assert offers(request(*values)) == found


@pytest.mark.parametrize(
    "value",
    [
        "a b",
        "a/b",
        "a=b",
        '"a"',
        "\xe9",
        "a\x80",
        "a\xff, realtime",
        "a;q=1",
        ",".join("abcdefghi"),
        ",".join(["x"] * 1000),
    ],
)
def test_malformed_offers_are_refused(value: str) -> None:
    """A name has only the characters of a token, and there are at most eight; browser or not."""
    for page in (False, True):
        with pytest.raises(HandshakeRejected) as caught:
            select(request(value, page=page), SPOKEN)
        assert caught.value.refusal is HandshakeRejection.BAD_REQUEST
        assert value not in caught.value.detail


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        ("realtime", "realtime"),
        (f"realtime, {KEY}", "realtime"),
        (f"{KEY}, realtime", "realtime"),
        (f"realtime, {KEY}, openai-beta.realtime-v1", "realtime"),
        ("chat, realtime", "realtime"),
        ("Realtime", None),
        (KEY, None),
        (TOKEN, None),
        ("chat", None),
        ("chat, mqtt", None),
    ],
)
def test_what_is_spoken_is_answered(value: str, chosen: str | None) -> None:
    """Of the offers the one that is spoken; a browser gets 400 without any, others nothing."""
    assert select(request(value), SPOKEN) == chosen
    if chosen is not None:
        assert select(request(value, page=True), SPOKEN) == chosen
        return
    with pytest.raises(HandshakeRejected) as caught:
        select(request(value, page=True), SPOKEN)
    assert caught.value.refusal is HandshakeRejection.BAD_REQUEST
    assert value not in caught.value.detail
    assert "spoken" in caught.value.detail


def test_a_browser_that_offers_nothing_is_let_on() -> None:
    """Without the header there is nothing to answer."""
    assert select(request(page=True), ()) is None
    assert select(request(" , ", page=True), ()) is None


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        ("chat, mqtt", "chat"),
        ("wamp.2.json", "wamp.2.json"),
        (f"{TOKEN}, chat", "chat"),
        (f"{KEY}, chat", "chat"),
        ("openai-insecure-api-key.opaque, chat", "chat"),
        ("bearer.opaque, chat", "chat"),
        ("base64url.bearer.authorization.k8s.io.b3BhcXVl, chat", "chat"),
        ("access_token.opaque, chat", "chat"),
        ("x-api-key|opaque, chat", "chat"),
        ("ek_68af296e8e408191a1120ab6383263c2, chat", "chat"),
        ("sk-proj-opaque, chat", "chat"),
        (f"{'f' * 65}, chat", "chat"),
        ("authorization, opaque", "authorization"),
        (f"{TOKEN}", None),
        (f"{KEY}, {TOKEN}", None),
    ],
)
def test_the_first_is_answered_and_never_a_credential(value: str, chosen: str | None) -> None:
    """Where any name will do, it is the first one that cannot be a credential."""
    assert select(request(value), (), first=True) == chosen


@pytest.mark.parametrize(
    "name",
    [
        *("graphql-transport-ws", "graphql-ws", "mqtt", "mqttv3.1", "v12.stomp", "wamp.2.cbor"),
        *("actioncable-v1-json", "centrifuge-protobuf", "ocpp2.0.1", "soap", "xmpp", "realtime"),
        *("vnd.openxmpp.stuff", "MBWS.huawei.com", "v1.usp", "tokens", "authenticated"),
    ],
)
def test_names_that_are_in_use_can_be_answered(name: str) -> None:
    """No registered name looks like a credential."""
    assert is_nameable(name)


@given(st.text(alphabet="abeyJ.-_~|+", max_size=60))
def test_a_token_is_never_answered(offer: str) -> None:
    """Whatever has the mark of a JWT in it is not echoed."""
    head = request(f"{offer}{TOKEN}, {KEY}")
    try:
        assert select(head, (offer,), first=True) is None
    except HandshakeRejected:
        assert offers(request()) == ()


def test_a_jwt_is_found_in_one_pass() -> None:
    """Its three parts stand anywhere among the dotted ones."""
    assert has_jwt(f"a.b.{TOKEN}")
    assert has_jwt(TOKEN)
    assert not has_jwt("eyJ.a")
    assert not has_jwt("a.b.c")


@pytest.mark.parametrize(
    ("values", "allowed", "expected"),
    [
        ((f"realtime, {KEY}",), {"subprotocol"}, TOKEN),
        ((f"{KEY}",), {"subprotocol", "message"}, TOKEN),
        (("realtime", KEY), {"subprotocol"}, TOKEN),
        ((f"realtime, {KEY_PREFIX}ek_opaque",), {"subprotocol"}, "ek_opaque"),
        ((f"realtime, {KEY}",), {"header", "message"}, None),
        (("realtime",), {"subprotocol"}, None),
        ((TOKEN,), {"subprotocol"}, None),
        ((KEY.upper(),), {"subprotocol"}, None),
    ],
)
def test_the_token_is_taken_where_it_may_be(
    values: tuple[str, ...], allowed: set[str], expected: str | None
) -> None:
    """Only behind its prefix, and only where the endpoint lists the place."""
    found = extract(request(*values), allowed)
    wanted = None if expected is None else GivenCredential(CredentialSource.SUBPROTOCOL, expected)
    assert found == wanted
    assert TOKEN not in repr(found)


def test_an_empty_token_is_no_credential_to_use() -> None:
    """The prefix alone is refused as a credential that is not valid."""
    with pytest.raises(HandshakeRejected) as caught:
        extract(request(f"realtime, {KEY_PREFIX}"), {"subprotocol"})
    assert caught.value.refusal is HandshakeRejection.UNAUTHENTICATED


@pytest.mark.parametrize("second", [KEY, TOKEN, f"{KEY_PREFIX}opaque"])
def test_two_tokens_are_too_many(second: str) -> None:
    """Two offers that carry a token are refused like any two credentials."""
    for allowed in ({"subprotocol"}, {"header"}, set()):
        with pytest.raises(HandshakeRejected) as caught:
            extract(request(f"{KEY}, {second}"), allowed)
        assert caught.value.refusal is HandshakeRejection.MULTIPLE_CREDENTIALS
