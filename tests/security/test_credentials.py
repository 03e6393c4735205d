import itertools

import pytest

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead, by_name
from portward.security.credentials import (
    GivenCredential,
    extract,
    foreign_scheme,
    query_pairs,
)
from portward.settings.endpoint import CredentialSource

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
EVERYWHERE = frozenset({"header", "query", "ticket", "message"})
BEARER = ("authorization", f"Bearer {TOKEN}")


def request(*headers: tuple[str, str], query: str = "") -> RequestHead:
    """A request with these headers and this query."""
    return RequestHead(method="GET", path="/alerts", query=query, headers=by_name(headers))


def refusal_of(head: RequestHead, allowed: frozenset[str] = EVERYWHERE) -> HandshakeRejection:
    """The refusal a request is answered with."""
    with pytest.raises(HandshakeRejected) as caught:
        extract(head, allowed)
    assert TOKEN not in f"{caught.value!r} {caught.value} {caught.value.detail}"
    return caught.value.refusal


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (request(BEARER), CredentialSource.HEADER),
        (request(("authorization", f"bEARER   {TOKEN}")), CredentialSource.HEADER),
        (request(query=f"token={TOKEN}"), CredentialSource.QUERY),
        (request(query=f"a=1&&t%6Fken={TOKEN.replace('.', '%2E')}&b"), CredentialSource.QUERY),
        (request(query=f"ticket={TOKEN}"), CredentialSource.TICKET),
    ],
)
def test_credential_is_found_where_it_may_be(head: RequestHead, kind: CredentialSource) -> None:
    """Each place gives the same value and says which place it was."""
    assert extract(head, {kind.value}) == GivenCredential(kind, TOKEN)


@pytest.mark.parametrize(
    ("head", "allowed"),
    [
        (request(), EVERYWHERE),
        (request(query="a=1"), EVERYWHERE),
        (request(BEARER), frozenset({"query", "message"})),
        (request(query=f"token={TOKEN}"), frozenset({"header"})),
        (request(query=f"ticket={TOKEN}"), frozenset({"query"})),
        (request(("authorization", "Basic eDp5")), frozenset({"message"})),
        (request(("sec-websocket-protocol", f"portward, {TOKEN}")), EVERYWHERE),
        (request(("sec-websocket-protocol", "centrifuge.protobuf.v1")), EVERYWHERE),
    ],
)
def test_credential_elsewhere_counts_as_none(head: RequestHead, allowed: frozenset[str]) -> None:
    """What an endpoint does not take, it does not read."""
    assert extract(head, allowed) is None


PLACES = {
    "header": (BEARER, ""),
    "query": (None, f"token={TOKEN}"),
    "ticket": (None, f"ticket={TOKEN}"),
    "subprotocol": (("sec-websocket-protocol", f"openai-insecure-api-key.{TOKEN}"), ""),
    "unknown subprotocol": (("sec-websocket-protocol", TOKEN), ""),
}


@pytest.mark.p0
@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement(PLACES, 2)))
@pytest.mark.parametrize("allowed", [EVERYWHERE, frozenset({"message"}), frozenset({"header"})])
def test_every_pair_of_places_is_refused(pair: tuple[str, str], allowed: frozenset[str]) -> None:
    """Two credentials are refused even when equal, and even when the endpoint reads neither."""
    chosen = [PLACES[place] for place in pair]
    headers = [header for header, _ in chosen if header is not None]
    query = "&".join(query for _, query in chosen if query)
    assert (
        refusal_of(request(*headers, query=query), allowed)
        is HandshakeRejection.MULTIPLE_CREDENTIALS
    )


@pytest.mark.parametrize(
    "head",
    [
        request(("authorization", "")),
        request(("authorization", "Bearer")),
        request(("authorization", "Bearer ")),
        request(("authorization", f"Basic {TOKEN}")),
        request(("authorization", f"BearerX {TOKEN}")),
        request(("authorization", TOKEN)),
        request(("authorization", f"Bearer {TOKEN} {TOKEN}")),
        request(("authorization", f"Bearer {TOKEN},{TOKEN}")),
        request(("authorization", "Bearer é")),
        request(("authorization", f"Bearer\t{TOKEN}")),
        request(query="token="),
        request(query="token"),
        request(query="ticket="),
    ],
)
def test_unusable_credential_is_unauthenticated(head: RequestHead) -> None:
    """An empty one, or another scheme than Bearer, proves nothing."""
    assert refusal_of(head) is HandshakeRejection.UNAUTHENTICATED


@pytest.mark.parametrize(
    "query",
    [
        "token=%",
        "token=%4",
        "token=%zz",
        "token=%ff",
        "%ff=1",
        "a=b c",
        "a=\x00",
        "a=é",
        "a=b#c",
        "a=<b>",
        'a="b"',
        "&".join(["a=1"] * 101),
    ],
)
def test_malformed_query_is_a_bad_request(query: str) -> None:
    """A query two readers could take differently is not read at all."""
    assert refusal_of(request(query=query)) is HandshakeRejection.BAD_REQUEST


def test_query_pairs_keep_order_and_repetition() -> None:
    """Names and values are decoded; what is repeated is seen twice."""
    assert query_pairs("") == []
    assert query_pairs("a=1&b=%C3%A9&a=x+y&c&=d") == [
        ("a", "1"),
        ("b", "é"),
        ("a", "x y"),
        ("c", ""),
        ("", "d"),
    ]
    assert len(query_pairs("&".join(["a=1"] * 100))) == 100


@pytest.mark.p0
def test_credential_shows_its_value_nowhere() -> None:
    """Neither printing nor formatting gives the value away."""
    credential = GivenCredential(CredentialSource.HEADER, TOKEN)
    assert TOKEN not in f"{credential!r} {credential}"
    assert "header" in repr(credential)


# -- cookies

NAMES = ("session", "refresh")
COOKIES = frozenset({"cookie"})


def cookies(*values: str, names: tuple[str, ...] = NAMES) -> str | None:
    """The `Cookie` header that is forwarded, None for no credential."""
    head = request(*(("cookie", value) for value in values))
    credential = extract(head, COOKIES, names)
    assert credential is None or credential.kind is CredentialSource.COOKIE
    return None if credential is None else credential.value


@pytest.mark.parametrize(
    ("header", "forwarded"),
    [
        ("session=a", "session=a"),
        ("other=1; session=a; tracking=x; refresh=b", "session=a; refresh=b"),
        ("  session=a ;\trefresh=b;", "session=a; refresh=b"),
        ("session=a=b==", "session=a=b=="),
        ('session="a b"', 'session="a b"'),
        ("session=", "session="),
        ("session=\xe9", "session=\xe9"),
        ("other=1", None),
        ("SESSION=a; sessions=b; session", None),
        ("=session; ; =", None),
        ("", None),
    ],
)
def test_only_named_cookies_are_forwarded(header: str, forwarded: str | None) -> None:
    """Names are compared as a whole; cookies of other names stay here."""
    assert cookies(header) == forwarded


def test_a_star_forwards_every_cookie() -> None:
    """With `*` all cookies that are well-formed go along."""
    assert cookies("a=1; bad name=2; b=3", names=("*",)) == "a=1; b=3"


@pytest.mark.parametrize("header", ["session=a; session=a", "session=a; session=b", "session=\x7f"])
def test_a_cookie_that_is_there_twice_or_malformed_is_refused(header: str) -> None:
    """Two of one name could be read differently by the provider than by anyone else."""
    with pytest.raises(HandshakeRejected) as caught:
        cookies(header)
    assert caught.value.refusal is HandshakeRejection.BAD_REQUEST


def test_cookies_count_only_where_they_are_taken() -> None:
    """Browsers send cookies everywhere: elsewhere they are neither a credential nor one too many."""
    head = request(("cookie", "session=a"), BEARER)
    assert extract(head, EVERYWHERE, NAMES) == GivenCredential(CredentialSource.HEADER, TOKEN)


@pytest.mark.parametrize(
    "head",
    [
        request(("cookie", "session=a"), BEARER),
        request(("cookie", "session=a"), query=f"token={TOKEN}"),
        request(("cookie", "session=a"), query="ticket=t"),
        request(("cookie", "session=a"), ("sec-websocket-protocol", TOKEN)),
    ],
)
def test_a_cookie_and_another_credential_are_too_many(head: RequestHead) -> None:
    """Where cookies are taken, a second credential is refused whatever it is."""
    with pytest.raises(HandshakeRejected) as caught:
        extract(head, COOKIES, NAMES)
    assert caught.value.refusal is HandshakeRejection.MULTIPLE_CREDENTIALS


# -- Authorization of other schemes

FOREIGN = [
    ("Basic c3RhZ2luZzpzZWNyZXQ=", "basic"),
    ("basic c3RhZ2luZzpzZWNyZXQ=", "basic"),
    ("BASIC   c3RhZ2luZzpzZWNyZXQ=", "basic"),
    ("Basic", "basic"),
    ('Digest username="u", realm="r", nonce="n", uri="/", response="x"', "digest"),
    ("Negotiate YIIJvwYGKwYBBQUCoIIJszCC", "negotiate"),
    ("Negotiate", "negotiate"),
    ("NTLM TlRMTVNTUAABAAAA", "ntlm"),
    ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c", "aws4-hmac-sha256"),
    ("apikey k-1234", "apikey"),
    ("Token 0123456789abcdef", "token"),
    ("Letmein abc", "other"),
]
NOT_FOREIGN = [
    "",
    " ",
    "Bearer",
    "Bearer x",
    "bearer x",
    "Letmein",
    TOKEN,
    f"Basic {TOKEN}",
    f"JWT {TOKEN}",
    f"Token {TOKEN}",
    f"Basic eDp5, Bearer {TOKEN}",
    "0basic x",
    "Ba.sic x",
    "x" * 33 + " y",
]


@pytest.mark.parametrize(("value", "scheme"), FOREIGN)
def test_another_scheme_is_no_credential(value: str, scheme: str) -> None:
    """A proxy's own login is neither a credential nor one too many, whatever else is there."""
    header = ("authorization", value)
    assert foreign_scheme(request(header)) == scheme
    assert extract(request(header), EVERYWHERE) is None
    query = request(header, query=f"token={TOKEN}")
    assert extract(query, EVERYWHERE) == GivenCredential(CredentialSource.QUERY, TOKEN)
    cookie = extract(request(header, ("cookie", "session=a")), COOKIES, NAMES)
    assert cookie == GivenCredential(CredentialSource.COOKIE, "session=a")
    pair = request(header, query=f"token={TOKEN}&ticket={TOKEN}")
    assert refusal_of(pair) is HandshakeRejection.MULTIPLE_CREDENTIALS


@pytest.mark.parametrize("value", NOT_FOREIGN)
def test_what_is_not_said_to_be_for_others(value: str) -> None:
    """A token under any scheme, and what has none, is a credential: one that may be of no use."""
    assert foreign_scheme(request(("authorization", value))) == ""


def test_two_headers_are_not_sorted_out() -> None:
    """Which of two a proxy believes cannot be known, so neither is passed over."""
    basic = ("authorization", "Basic eDp5")
    for pair in ((basic, BEARER), (BEARER, basic), (basic, basic)):
        assert foreign_scheme(request(*pair)) == ""
        assert refusal_of(request(*pair)) is HandshakeRejection.MULTIPLE_CREDENTIALS


def test_a_scheme_that_may_be_a_secret_is_not_named() -> None:
    """What is not well known is called other."""
    assert foreign_scheme(request(("authorization", "hunter2 x"))) == "other"
