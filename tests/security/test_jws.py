import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.security import jws
from portward.security.jws import (
    ALGORITHMS,
    TokenReason,
    TokenRefused,
    parse_compact,
    sign,
    strict_object,
)
from tests.security.make_tokens import CLAIMS, b64, make_token

HEADER = b64('{"alg":"HS256"}')
SOUND = f"{HEADER}.{b64('{}')}.{b64(b'x' * 32)}"


def reason_of(token: str) -> TokenReason:
    """Why a token is not taken apart."""
    with pytest.raises(TokenRefused) as caught:
        parse_compact(token)
    return caught.value.reason


def headed(**fields: object) -> str:
    """A token with this header."""
    return f"{b64(json.dumps({'alg': 'HS256', **fields}))}.e30.c2ln"


def test_sound_token_is_taken_apart() -> None:
    """The three parts, decoded, and what the signature covers."""
    token = parse_compact(headed(kid="k-1", typ="JWT"))
    assert token.algorithm == "HS256"
    assert token.kid == "k-1"
    assert token.payload == b"{}"
    assert token.signature == b"sig"
    assert token.signed == headed(kid="k-1", typ="JWT").rpartition(".")[0].encode()
    assert token.ignored == ()


@pytest.mark.p0
@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        f"{HEADER}.e30",
        f"{HEADER}.e30.c2ln.",
        f".{HEADER}.e30",
        f".{'e30'}.c2ln",
        f"{HEADER}.e30.c2ln=",
        f"{HEADER}.e30=.c2ln",
        f"{HEADER}=.e30.c2ln",
        f"{HEADER}.e30.c2ln\n",
        f" {HEADER}.e30.c2ln",
        f"{HEADER}. e30.c2ln",
        f"{HEADER}.e3\n0.c2ln",
        f"{HEADER}.e31.c2ln",
        f"{HEADER}.e30.c2lnA",
        f"{HEADER}.e30.c2lnA=",
        f"{HEADER}.e30.c2l_c2l+",
        f"{HEADER}.e30.c2l_c2l/",
        f"{HEADER}.e30.c2ln\x00",
        f"{HEADER}.e30.c2lñ",
        f"{HEADER}.e30.c2ln\ud800",
        f"{HEADER}.é30.c2ln",
        "e30.e30.e30".replace("e30", "!!!"),
        json.dumps({"payload": "e30", "signatures": [{"protected": HEADER, "signature": "c2ln"}]}),
        json.dumps({"payload": "e30", "protected": HEADER, "signature": "c2ln"}),
        f'{{"{HEADER}.e30.c2ln":1}}',
    ],
)
def test_everything_but_the_compact_form_is_malformed(token: str) -> None:
    """Padding, blanks, other alphabets, other serializations, repeated names: none is read."""
    assert reason_of(token) is TokenReason.MALFORMED


@pytest.mark.p0
@pytest.mark.parametrize(
    "header",
    [
        "",
        "[]",
        "null",
        "{",
        "{}{}",
        "\ufeff{}",
        '{"alg":"HS256"}'.encode("utf-16"),
        b'{"alg":"HS256","x":"\xff"}',
        '{"alg":"HS256","alg":"HS256"}',
        '{"alg":"none","alg":"HS256"}',
        r'{"alg":"HS256","\u0061lg":"none"}',
        '{"alg":"HS256","x":{"y":1,"y":2}}',
        '{"alg":"HS256","x":NaN}',
        '{"alg":"HS256","x":-Infinity}',
        '{"alg":"HS256",}',
        '{alg:"HS256"}',
        "{'alg':'HS256'}",
        '{"alg":"HS256","x":"\n"}',
        '{"alg":"HS256"} x',
        "[" * 5000,
        '{"alg":"HS256","x":' + "9" * 5000 + "}",
    ],
)
def test_header_that_is_not_strict_json_is_malformed(header: str | bytes) -> None:
    """Repeated names, other encodings and almost-JSON are not given a meaning."""
    assert reason_of(f"{b64(header)}.e30.c2ln") is TokenReason.MALFORMED


@pytest.mark.p0
def test_every_unused_bit_must_be_zero() -> None:
    """Of the spellings that decode to one byte string, one is accepted."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sound = b64(b"x" * 32)
    spellings = [sound[:-1] + letter for letter in alphabet]
    same = [text for text in spellings if base64.urlsafe_b64decode(text + "=") == b"x" * 32]
    assert len(same) == 4
    accepted = []
    for text in same:
        try:
            parse_compact(f"{HEADER}.e30.{text}")
        except TokenRefused:
            continue
        accepted.append(text)
    assert accepted == [sound]


@given(st.text(max_size=30), st.sampled_from(range(len(SOUND))))
def test_no_text_crashes_the_parser(text: str, at: int) -> None:
    """Whatever is put into a token, it is taken apart or refused."""
    for token in (text, SOUND[:at] + text + SOUND[at:]):
        try:
            parse_compact(token)
        except TokenRefused:
            continue


@pytest.mark.p0
@pytest.mark.parametrize(
    "token", ["x" * 8193, "." * 100_000, "é" * 8193, SOUND + "A" * 2**20, f"{'[' * 10**6}.."]
)
def test_long_token_is_refused_before_anything_is_decoded(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over 8 KiB costs a look at its length and nothing else."""
    monkeypatch.setattr(jws, "base64", None)
    monkeypatch.setattr(jws, "_DECODER", None)
    assert reason_of(token) is TokenReason.TOO_LONG


def test_token_of_8_kib_is_read() -> None:
    """The limit itself is within the limit."""
    token = f"{HEADER}.{'A' * (8192 - len(HEADER) - 2 - 4)}.AAAA"
    assert len(token) == 8192
    assert len(parse_compact(token).payload) > 6000


NONES = [
    "".join(letter.upper() if 1 << at & bits else letter for at, letter in enumerate("none"))
    for bits in range(16)
]


@pytest.mark.p0
@pytest.mark.parametrize(
    "algorithm",
    [
        *NONES,
        *(f" {name}" for name in ("none", "HS256")),
        "none\x00",
        "non\u0435",
        "",
        "hs256",
        "Hs256",
        "HS256 ",
        "HS1",
        "HS257",
        "HMAC",
        "ES256K",
        "ES521",
        "RS1",
        "A128KW",
        "dir",
        "PBES2-HS256+A128KW",
        None,
        True,
        0,
        ["HS256"],
        {"HS256": 1},
    ],
)
@pytest.mark.parametrize("signature", ["", "c2ln"])
def test_other_algorithms_are_refused(algorithm: object, signature: str) -> None:
    """`none` in all its sixteen cases, near misses, and what is no string."""
    token = f"{b64(json.dumps({'alg': algorithm, 'typ': 'JWT'}))}.e30.{signature}"
    assert reason_of(token) is TokenReason.ALGORITHM


def test_missing_algorithm_is_refused() -> None:
    """A token that names no algorithm is not given one."""
    assert reason_of(f"{b64('{}')}.e30.c2ln") is TokenReason.ALGORITHM


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_known_algorithms_are_read(algorithm: str) -> None:
    """Which of them may be used is for the key to say."""
    assert parse_compact(headed(alg=algorithm)).algorithm == algorithm


@pytest.mark.p0
@pytest.mark.parametrize(
    "fields",
    [
        {"crit": ["x"]},
        {"crit": []},
        {"crit": "exp"},
        {"crit": None},
        {"crit": ["b64"], "b64": False},
        {"crit": ["alg"]},
        {"b64": False},
        {"b64": True},
    ],
)
def test_header_that_must_be_understood_is_refused(fields: dict[str, object]) -> None:
    """None of the extensions is implemented, so none is waved through."""
    assert reason_of(headed(**fields)) is TokenReason.CRITICAL


@pytest.mark.p0
@pytest.mark.parametrize(
    "typ",
    ["JWE", "logout+jwt", "dpop+jwt", "secevent+jwt", "application/jose", "", None, 1, ["JWT"]],
)
def test_other_types_are_refused(typ: object) -> None:
    """A token of another kind says so in its header."""
    assert reason_of(headed(typ=typ)) is TokenReason.TYPE


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+JWT", "application/jwt"])
def test_access_token_types_are_read(typ: str) -> None:
    """RFC 7519 and RFC 9068 names, in any case, with or without their prefix."""
    assert parse_compact(headed(typ=typ)).kid is None


@pytest.mark.p0
@pytest.mark.parametrize(
    "kid",
    [
        "",
        "a\x00",
        "a\n",
        "a\n\n",
        "a\x7f",
        "a\tb",
        "\x1b[2J",
        "é",
        "\u2028",
        "k" * 257,
        None,
        7,
        ["k"],
        {"k": 1},
    ],
)
def test_hostile_key_id_is_refused(kid: object) -> None:
    """A key id is printable and short, or there is none."""
    assert reason_of(headed(kid=kid)) is TokenReason.KEY


@pytest.mark.parametrize(
    "kid",
    [
        *("a/b", "a b", "a=", "x+y/z==", "me@example.com", "a:b", "~", " ", "a'--"),
        *("../../etc/passwd", "https://issuer.example/key", "k" * 256),
    ],
)
def test_key_id_is_whatever_an_issuer_writes(kid: str) -> None:
    """A key id only looks up a key that was fetched before, so any printable text will do."""
    assert parse_compact(headed(kid=kid)).kid == kid


@pytest.mark.p0
def test_headers_that_bring_a_key_are_named_and_not_used() -> None:
    """They are told to the caller, whose log may say so."""
    token = parse_compact(
        headed(x5c=["x"], jwk={"kty": "oct"}, jku="https://evil.example", x5u=1, x5t="t", cty="x")
    )
    assert token.ignored == ("jku", "x5u", "jwk", "x5c")


def test_refusal_carries_nothing_of_the_token() -> None:
    """Only the reason can be printed."""
    with pytest.raises(TokenRefused) as caught:
        parse_compact(headed(kid="canary\x00"))
    assert str(caught.value) == "key"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "canary" not in repr(vars(caught.value))


@pytest.mark.parametrize("raw", [b"1", b'"x"', b"[]", b"", b"\xef\xbb\xbf{}", b"{} x"])
def test_only_an_object_is_an_object(raw: bytes) -> None:
    """Other JSON, and almost JSON, is refused."""
    with pytest.raises(TokenRefused):
        strict_object(raw)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_signing_makes_a_compact_token(algorithm: str) -> None:
    """What is signed here is what the forge of these tests makes by hand."""
    token = sign({**CLAIMS, "name": "Zoë"}, b"secret", algorithm)
    assert parse_compact(token).algorithm == algorithm
    assert strict_object(parse_compact(token).payload)["name"] == "Zoë"
    if algorithm == "HS256":
        compact = json.dumps(CLAIMS, separators=(",", ":"))
        header = '{"alg":"HS256","typ":"JWT"}'
        assert sign(CLAIMS, "secret") == make_token(compact, header, secret="secret")


@pytest.mark.parametrize(
    ("claims", "secret", "algorithm"),
    [({}, "", "HS256"), ({}, "s", "none"), ({}, "s", "RS256"), ({"x": float("nan")}, "s", "HS256")],
)
def test_signing_refuses_what_could_not_be_verified(
    claims: dict[str, object], secret: str, algorithm: str
) -> None:
    """No empty secret, no other family, no claims outside JSON."""
    with pytest.raises(ValueError, match=r".+"):
        sign(claims, secret, algorithm)
