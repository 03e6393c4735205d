import base64
import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from portward.security.jwk import keys_from_jwks
from portward.security.jws import (
    RSA,
    NoKeyFits,
    TokenReason,
    TokenRefused,
    UnknownKey,
    parse_compact,
)
from portward.security.keys import (
    KeySet,
    SigningKey,
    looks_like_key,
    public_key,
    secret_key,
)
from tests.security.make_tokens import (
    SECRET,
    PrivateKey,
    b64,
    ec_key,
    ed_key,
    jwk,
    mac,
    make_public_token,
    make_token,
    pem,
    published,
    rsa_key,
)

KINDS: list[tuple[PrivateKey, str]] = [
    *((rsa_key(), name) for name in sorted(RSA)),
    (ec_key(ec.SECP256R1), "ES256"),
    (ec_key(ec.SECP384R1), "ES384"),
    (ec_key(ec.SECP521R1), "ES512"),
    (ed_key(), "EdDSA"),
    (ed_key(), "Ed25519"),
]
NAMES = [name for _, name in KINDS]


def reason_of(keys: KeySet, token: str) -> TokenReason:
    """Why a key set does not accept a signature."""
    with pytest.raises(TokenRefused) as caught:
        keys.check(parse_compact(token))
    return caught.value.reason


def document(*entries: object) -> bytes:
    """A JWK set."""
    return json.dumps({"keys": entries}).encode()


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_secret_verifies_its_three_algorithms(name: str) -> None:
    """A shared secret is one for all HMAC sizes."""
    algorithm = f"HS{name[3:]}"
    signed = f"{b64(json.dumps({'alg': algorithm}))}.e30"
    KeySet([secret_key(SECRET)]).check(parse_compact(f"{signed}.{mac(signed, SECRET, name)}"))


def test_every_secret_of_a_rotation_verifies() -> None:
    """During a rotation tokens of both secrets are good; a key id changes nothing."""
    keys = KeySet([secret_key("n" * 32), secret_key(SECRET.encode())])
    keys.check(parse_compact(make_token()))
    keys.check(parse_compact(make_token(header={"alg": "HS256", "kid": "whatever"})))
    assert reason_of(keys, make_token(secret="other")) is TokenReason.SIGNATURE


@pytest.mark.p0
@pytest.mark.parametrize("change", range(5))
def test_changed_token_is_refused(change: int) -> None:
    """A bit of signature, header or payload, a cut signature, or none, and it is not the same."""
    header, payload, signature = make_token().split(".")
    raw = base64.urlsafe_b64decode(signature + "=")
    changed = [
        f"{header}.{payload}.{b64(bytes([raw[0] ^ 1]) + raw[1:])}",
        f"{b64(json.dumps({'alg': 'HS256', 'typ': 'jwt'}))}.{payload}.{signature}",
        f"{header}.{b64('{}')}.{signature}",
        f"{header}.{payload}.{b64(raw[:-1])}",
        f"{header}.{payload}.",
    ]
    assert reason_of(KeySet([secret_key(SECRET)]), changed[change]) is TokenReason.SIGNATURE


@pytest.mark.parametrize(("key", "algorithm"), KINDS, ids=NAMES)
def test_public_key_verifies_the_algorithms_of_its_kind(key: PrivateKey, algorithm: str) -> None:
    """RSA with both paddings, each curve with its hash, Ed25519."""
    keys = KeySet([public_key(pem(key)), public_key(pem(key).decode(), kid="named")])
    keys.check(parse_compact(make_public_token(key, algorithm)))
    keys.check(parse_compact(make_public_token(key, algorithm, kid="named")))
    keys.check(parse_compact(make_public_token(key, algorithm, kid="another")))


@pytest.mark.p0
@pytest.mark.parametrize(("key", "algorithm"), KINDS, ids=NAMES)
def test_changed_signature_of_a_public_key_is_refused(key: PrivateKey, algorithm: str) -> None:
    """One bit, one byte less, one byte more, all zeros, nothing."""
    keys = KeySet([public_key(pem(key))])
    signed, _, signature = make_public_token(key, algorithm).rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    for other in (bytes([raw[0] ^ 1]) + raw[1:], raw[:-1], raw + b"\0", bytes(len(raw)), b""):
        assert reason_of(keys, f"{signed}.{b64(other)}") is TokenReason.SIGNATURE


@pytest.mark.p0
@pytest.mark.parametrize("key", [rsa_key(), ec_key(), ed_key()], ids=["rsa", "ec", "ed"])
def test_public_key_is_never_a_secret(key: PrivateKey) -> None:
    """An HMAC made with any published form of the key is refused for its algorithm."""
    sets = [
        KeySet([public_key(pem(key))]),
        KeySet([public_key(pem(key), kid="k")]),
        KeySet(keys_from_jwks(document(jwk(key, kid="k"))), remote=True),
    ]
    for form in published(key).values():
        for name in ("sha256", "sha384", "sha512"):
            for header in ({}, {"kid": "k"}):
                top = json.dumps({"alg": f"HS{name[3:]}", **header})
                signed = f"{b64(top)}.{b64('{}')}"
                for keys in sets:
                    token = f"{signed}.{mac(signed, form, name)}"
                    assert reason_of(keys, token) is TokenReason.ALGORITHM


@pytest.mark.p0
@pytest.mark.parametrize(("key", "algorithm"), KINDS, ids=NAMES)
def test_algorithm_of_another_kind_is_refused(key: PrivateKey, algorithm: str) -> None:
    """A key is used with the algorithms of its kind whatever the token says."""
    token = make_public_token(key, algorithm)
    for other, name in KINDS:
        if type(other) is not type(key) or (algorithm.startswith("ES") and name != algorithm):
            assert reason_of(KeySet([public_key(pem(other))]), token) is TokenReason.ALGORITHM
    assert reason_of(KeySet([secret_key(SECRET)]), token) is TokenReason.ALGORITHM


@pytest.mark.parametrize("named", [None, "EdDSA", "Ed25519"])
@pytest.mark.parametrize("said", ["EdDSA", "Ed25519"])
def test_both_names_of_ed25519(named: str | None, said: str) -> None:
    """EdDSA and Ed25519 (RFC 9864) are one algorithm, in tokens and in key sets."""
    entry = jwk(ed_key(), kid="k", **({} if named is None else {"alg": named}))
    keys = KeySet(keys_from_jwks(document(entry)), remote=True)
    keys.check(parse_compact(make_public_token(ed_key(), said, kid="k")))


@pytest.mark.p0
@pytest.mark.parametrize("said", ["Ed448", "ed25519", "eddsa", "ED25519", "Ed25519 ", "ES25519"])
def test_other_names_of_edwards_curves_are_refused(said: str) -> None:
    """Only the two registered names of Ed25519 are taken, as they are written there."""
    keys = KeySet([public_key(pem(ed_key()))])
    token = make_public_token(ed_key(), "EdDSA")
    top = b64(json.dumps({"alg": said, "typ": "JWT"}))
    with pytest.raises(TokenRefused) as caught:
        keys.check(parse_compact(f"{top}.{token.partition('.')[2]}"))
    assert caught.value.reason is TokenReason.ALGORITHM
    entry = jwk(ed_key(), kid="k", alg=said)
    assert keys_from_jwks(document(entry)) == ()


@pytest.mark.p0
@pytest.mark.parametrize(("signed_with", "said"), [("RS256", "PS256"), ("PS256", "RS256")])
def test_padding_must_be_the_one_that_is_named(signed_with: str, said: str) -> None:
    """One RSA padding is not taken for the other."""
    _, payload, signature = make_public_token(rsa_key(), signed_with).split(".")
    token = f"{b64(json.dumps({'alg': said}))}.{payload}.{signature}"
    assert reason_of(KeySet([public_key(pem(rsa_key()))]), token) is TokenReason.SIGNATURE


@pytest.mark.p0
def test_embedded_key_is_not_used() -> None:
    """A token signed with the key it brings along is signed with a stranger's key."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    token = make_public_token(stranger, "ES256", jwk=jwk(stranger), kid="k")
    keys = KeySet([public_key(pem(ec_key()), kid="k")])
    assert reason_of(keys, token) is TokenReason.SIGNATURE


def test_secrets_and_public_keys_do_not_mix() -> None:
    """One issuer is symmetric or asymmetric, and what is fetched is never a secret."""
    with pytest.raises(ValueError, match="not both"):
        KeySet([secret_key(SECRET), public_key(pem(ec_key()))])
    with pytest.raises(ValueError, match="not both"):
        KeySet([secret_key(SECRET)], remote=True)


def test_key_id_chooses_the_key() -> None:
    """A named key is the only one tried for its name."""
    other = ec.generate_private_key(ec.SECP256R1())
    keys = KeySet([public_key(pem(ec_key()), kid="a"), public_key(pem(other), kid="b")])
    keys.check(parse_compact(make_public_token(other, "ES256", kid="b")))
    keys.check(parse_compact(make_public_token(other, "ES256")))
    assert reason_of(keys, make_public_token(other, "ES256", kid="a")) is TokenReason.SIGNATURE
    assert reason_of(keys, make_public_token(other, "ES256", kid="c")) is TokenReason.KEY
    assert keys.find("a") is keys.keys[0]
    assert keys.find("") is keys.keys[0]
    assert keys.find("c") is None
    assert KeySet([]).find("") is None


def test_one_id_may_stand_for_several_keys() -> None:
    """RFC 7517 allows it for keys of different kinds."""
    keys = KeySet([public_key(pem(ec_key()), kid="a"), public_key(pem(rsa_key()), kid="a")])
    keys.check(parse_compact(make_public_token(ec_key(), "ES256", kid="a")))
    keys.check(parse_compact(make_public_token(rsa_key(), "RS256", kid="a")))


def test_empty_set_accepts_nothing() -> None:
    """Without keys there are no tokens."""
    assert reason_of(KeySet([]), make_token()) is TokenReason.ALGORITHM
    assert reason_of(KeySet([]), make_public_token(ec_key(), "ES256")) is TokenReason.KEY


@pytest.mark.p0
def test_unknown_key_of_a_remote_set_is_said_apart() -> None:
    """The caller may fetch again, but only for what a fetch could bring."""
    keys = KeySet([public_key(pem(ec_key()), kid="a")], remote=True)
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(UnknownKey) as caught:
        keys.check(parse_compact(make_public_token(other, "ES256", kid="b")))
    assert caught.value.kid == "b"
    assert caught.value.reason is TokenReason.KEY
    with pytest.raises(UnknownKey) as caught:
        KeySet([], remote=True).check(parse_compact(make_public_token(other, "ES256")))
    assert caught.value.kid == ""


@pytest.mark.p0
def test_a_signature_by_no_key_of_a_remote_set_is_said_apart() -> None:
    """A key may have been changed under its id, or without any; keys at hand do not change."""
    other = ec.generate_private_key(ec.SECP256R1())
    tokens = [
        (make_public_token(other, "ES256", kid="a"), TokenReason.SIGNATURE),
        (make_public_token(other, "ES256"), TokenReason.SIGNATURE),
        (make_public_token(rsa_key(), "RS256", kid="a"), TokenReason.ALGORITHM),
    ]
    for token, reason in tokens:
        for remote, kind in ((True, NoKeyFits), (False, TokenRefused)):
            keys = KeySet([public_key(pem(ec_key()), kid="a")], remote=remote)
            with pytest.raises(TokenRefused) as refused:
                keys.check(parse_compact(token))
            assert (type(refused.value), refused.value.reason) == (kind, reason)


@pytest.mark.parametrize("kid", ["a+/b=", "a@b:c", "https://issuer.example/k#1", "k k", "~" * 256])
def test_keys_have_ids_of_printable_ascii(kid: str) -> None:
    """A key is found by whatever id an issuer writes: base64, an address, a name with blanks."""
    keys = KeySet(
        keys_from_jwks(document(jwk(ed_key(), kid="x"), jwk(ec_key(), kid=kid))), remote=True
    )
    keys.check(parse_compact(make_public_token(ec_key(), "ES256", kid=kid)))
    assert keys.find(kid) is not None


def test_unnamed_keys_do_not_hide_that_a_name_is_unknown() -> None:
    """A fetched set with an unnamed key still asks for the name it does not know."""
    keys = KeySet([public_key(pem(ec_key()))], remote=True)
    keys.check(parse_compact(make_public_token(ec_key(), "ES256", kid="b")))
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(UnknownKey):
        keys.check(parse_compact(make_public_token(other, "ES256", kid="b")))


def test_only_so_many_keys_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token without a key id does not buy a verification by every key."""
    keys = KeySet([secret_key(f"{index:032}") for index in range(100)])
    tried = []
    monkeypatch.setattr(SigningKey, "verifies", lambda key, _: tried.append(key))
    assert reason_of(keys, make_token()) is TokenReason.SIGNATURE
    assert len(tried) == 8


@pytest.mark.p0
def test_no_key_shows_its_material() -> None:
    """Printing a key or a set shows names and algorithms."""
    shown = f"{secret_key(SECRET)!r} {KeySet([secret_key(SECRET)], issuer='i')!r}"
    assert SECRET not in shown
    assert "HS256" in shown
    assert "'i'" in shown


@pytest.mark.p0
@pytest.mark.parametrize("blank", b" \t\n\r\x0b\x0c")
def test_a_key_that_ends_like_a_blank_is_refused_as_a_secret(blank: int) -> None:
    """The last byte of a key in DER may be any; blanks around it hide nothing."""
    form = next(form for form in _endless_keys() if form[-1] == blank)
    assert looks_like_key(form)
    assert looks_like_key(b"\n " + form + b"\r\n")
    assert looks_like_key(base64.b64encode(form) + b"\n")


def _endless_keys() -> Iterator[bytes]:
    while True:
        yield published(ed25519.Ed25519PrivateKey.generate())["der"]


FORMS = [
    (kind, name, form)
    for kind, key in (("rsa", rsa_key()), ("ec", ec_key()), ("ed", ed_key()))
    for name, form in published(key).items()
]


@pytest.mark.p0
@pytest.mark.parametrize(
    "form", [form for *_, form in FORMS], ids=[f"{kind} {name}" for kind, name, _ in FORMS]
)
def test_published_key_is_refused_as_a_secret(form: bytes) -> None:
    """Every encoding a key is published in is recognised, as bytes and as text."""
    assert looks_like_key(form)
    assert looks_like_key(b"\n " + form + b"\n")
    with pytest.raises(ValueError, match="cannot be"):
        secret_key(form)
    try:
        text = form.decode()
    except UnicodeDecodeError:
        return
    assert looks_like_key(text)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["pem", "der"])
def test_private_key_is_refused_as_a_secret(encoding: Encoding) -> None:
    """A private key in the place of a secret is a mix-up too."""
    raw = ec_key().private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
    assert looks_like_key(raw)
    assert looks_like_key(base64.b64encode(raw))


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        "correct horse battery staple, and more",
        "8f14e45fceea167a5a36dedd4bea2543c9f0f895fb98ab9159f51fd0297e236d",
        base64.b64encode(bytes(range(48))).decode(),
        b64(bytes(range(33))),
        '{"not": "a key"}',
        "{broken",
        "[" * 5000,
        "0" + "x" * 40,
        "é" * 20,
        "my-ssh-passphrase-is-this-long-one",
    ],
)
def test_ordinary_secret_is_taken(secret: str) -> None:
    """Random text in the usual encodings is no key."""
    assert not looks_like_key(secret)
    assert secret_key(secret).symmetric


def test_empty_secret_is_refused() -> None:
    """Nobody signs with nothing."""
    with pytest.raises(ValueError, match="empty"):
        secret_key("")


def private_pem() -> bytes:
    """A private key where a public one belongs."""
    return ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def spki(key: x25519.X25519PrivateKey | ed448.Ed448PrivateKey | PrivateKey) -> bytes:
    """The public key in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (private_pem(), "private"),
        (b"", "not a public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key"),
        (SECRET.encode(), "not a public key"),
        (spki(rsa_key(1024)), "2048"),
        (spki(ec.generate_private_key(ec.SECP256K1())), "P-256"),
        (spki(ed448.Ed448PrivateKey.generate()), "Ed25519"),
        (spki(x25519.X25519PrivateKey.generate()), "Ed25519"),
    ],
    ids=["private", "empty", "broken", "text", "small", "secp256k1", "ed448", "x25519"],
)
def test_key_of_no_use_is_refused(raw: bytes, message: str) -> None:
    """The operator is told what is wrong with the file, and not what is in it."""
    with pytest.raises(ValueError, match=message) as caught:
        public_key(raw)
    assert SECRET not in str(caught.value)
