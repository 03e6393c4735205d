import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from portward.security.jwk import DroppedKey, keys_from_jwks, read_jwks
from portward.security.jws import RSA, parse_compact
from portward.security.keys import KeySet
from tests.security.make_tokens import SECRET, b64, ec_key, ed_key, jwk, make_public_token, rsa_key


def document(*entries: object) -> bytes:
    """A JWK set."""
    return json.dumps({"keys": entries}).encode()


def test_jwk_set_gives_its_keys_in_order() -> None:
    """Each kind is read, with the algorithms it may be used with."""
    keys = keys_from_jwks(
        document(
            jwk(rsa_key(), kid="r", use="sig"),
            jwk(rsa_key(), kid="p", alg="PS256"),
            jwk(ec_key(ec.SECP384R1), kid="e", key_ops=["verify"]),
            jwk(ed_key()),
        )
    )
    assert [key.kid for key in keys] == ["r", "p", "e", None]
    assert [sorted(key.algorithms) for key in keys] == [
        sorted(RSA),
        ["PS256"],
        ["ES384"],
        ["Ed25519", "EdDSA"],
    ]
    KeySet(keys, remote=True).check(parse_compact(make_public_token(rsa_key(), "RS512", kid="r")))


def without(fields: dict[str, object], name: str) -> dict[str, object]:
    """A copy of a JWK that lacks one field."""
    return {key: value for key, value in fields.items() if key != name}


EC_JWK = jwk(ec_key(), kid="k")
RSA_JWK = jwk(rsa_key(), kid="k")


@pytest.mark.p0
@pytest.mark.parametrize(
    "entry",
    [
        None,
        "k",
        [],
        {},
        {"kty": "oct", "k": b64(SECRET), "kid": "k", "alg": "HS256"},
        {"kty": "oct", "kid": "k"},
        {"kty": ["RSA"], "kid": "k"},
        {**EC_JWK, "k": b64(SECRET)},
        {**EC_JWK, "d": "AAAA"},
        {**EC_JWK, "use": "enc"},
        {**EC_JWK, "key_ops": ["sign"]},
        {**EC_JWK, "key_ops": "verify"},
        {**EC_JWK, "alg": "ES384"},
        {**EC_JWK, "alg": "HS256"},
        {**EC_JWK, "alg": "none"},
        {**EC_JWK, "alg": None},
        {**EC_JWK, "alg": ["ES256"]},
        {**EC_JWK, "kid": "a\n"},
        {**EC_JWK, "kid": "é"},
        {**EC_JWK, "kid": "k" * 257},
        {**EC_JWK, "kid": 7},
        {**EC_JWK, "kid": ""},
        {**EC_JWK, "crv": "secp256k1"},
        {**EC_JWK, "crv": "P-384"},
        {**EC_JWK, "crv": None},
        {**EC_JWK, "x": EC_JWK["y"]},
        {**EC_JWK, "x": 5},
        {**EC_JWK, "x": "!"},
        without(EC_JWK, "y"),
        {**RSA_JWK, "n": "AQAB"},
        {**RSA_JWK, "n": RSA_JWK["n"] * 10},
        {**RSA_JWK, "e": "AQ"},
        {**RSA_JWK, "e": "Ag"},
        {**RSA_JWK, "e": RSA_JWK["n"]},
        {**RSA_JWK, "alg": "RSA-OAEP"},
        without(RSA_JWK, "e"),
        jwk(rsa_key(1024), kid="k"),
        {"kty": "OKP", "crv": "Ed448", "x": b64(bytes(57)), "kid": "k"},
        {"kty": "OKP", "crv": "X25519", "x": b64(bytes(32)), "kid": "k"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "k"},
    ],
)
def test_unusable_entry_is_left_out(entry: object) -> None:
    """Secrets, private keys, other uses, weak and broken keys do not spoil the rest of the set."""
    good = jwk(ed_key(), kid="good")
    assert [key.kid for key in keys_from_jwks(document(entry, good))] == ["good"]


REASONS: list[tuple[object, str, str]] = [
    (None, "", "not an object"),
    ({"kty": "oct", "k": b64(SECRET), "kid": "k"}, "k", "a secret"),
    ({**EC_JWK, "d": "AAAA"}, "k", "a private key"),
    ({**EC_JWK, "use": "enc"}, "k", "use is not sig"),
    ({**EC_JWK, "use": ["sig"]}, "k", "use is not sig"),
    ({**EC_JWK, "key_ops": ["sign"]}, "k", "key_ops is without verify"),
    (
        {**EC_JWK, "kid": "a\x1b"},
        "",
        "kid is not 1 to 256 characters of printable ASCII",
    ),
    ({**EC_JWK, "kty": "LMS"}, "k", "kty is not supported"),
    ({**EC_JWK, "alg": "ES384"}, "k", "alg is not supported, or does not belong to the key"),
    ({**EC_JWK, "x": 5}, "k", "malformed"),
    ({**EC_JWK, "crv": "P-999"}, "k", "malformed, or of an unsupported curve"),
    (jwk(rsa_key(1024), kid="a@b"), "a@b", "size or kind of key is not supported"),
]


@pytest.mark.parametrize(("entry", "kid", "reason"), REASONS)
def test_what_is_left_out_has_a_reason(entry: object, kid: str, reason: str) -> None:
    """Each entry that is not used is named by its id, if that is fit to print, with one reason."""
    found = read_jwks(document(jwk(ed_key(), kid="good"), entry))
    assert [key.kid for key in found.keys] == ["good"]
    assert found.dropped == (DroppedKey(kid, reason),)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b'{"keys": [], "keys": []}',
        b"\xff\xfe",
    ],
)
def test_document_that_is_no_set_is_refused(raw: bytes) -> None:
    """A page, a list, or a set said twice is not a set."""
    with pytest.raises(ValueError, match="not a JWK set"):
        keys_from_jwks(raw)


def test_only_so_many_entries_are_read() -> None:
    """A huge set is cut, not loaded."""
    good = jwk(ed_key(), kid="good")
    found = read_jwks(document(*[good] * 300))
    assert len(found.keys) == 256
    assert found.dropped == (DroppedKey("", "more than 256 keys"),)
