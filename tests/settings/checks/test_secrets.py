import base64
import json
import random
import uuid
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from portward.settings.checks.secrets import disguise, is_placeholder, key_flaw, weakness

MAKERS: dict[str, Callable[[random.Random], str]] = {
    "hex": lambda dice: dice.randbytes(32).hex(),
    "short hex": lambda dice: dice.randbytes(16).hex(),
    "base64": lambda dice: base64.b64encode(dice.randbytes(48)).decode(),
    "url": lambda dice: base64.urlsafe_b64encode(dice.randbytes(32)).decode(),
    "base32": lambda dice: base64.b32encode(dice.randbytes(20)).decode(),
    "uuid": lambda dice: str(uuid.UUID(bytes=dice.randbytes(16))),
    "digits": lambda dice: "".join(dice.choices("0123456789", k=48)),
    "few digits": lambda dice: "".join(dice.choices("0123456789", k=32)),
    "octal": lambda dice: "".join(dice.choices("01234567", k=43)),
    "letters": lambda dice: "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=32)),
}
"""What tools make of random bytes; each has enough of them."""


@pytest.mark.parametrize("seed", [20, 21])
@pytest.mark.parametrize("kind", MAKERS)
def test_random_secrets_are_good(kind: str, seed: int) -> None:
    """Whatever tool made them, a thousand of a kind pass without exception."""
    dice = random.Random(seed)
    for _ in range(1000):
        text = MAKERS[kind](dice)
        assert weakness(text) is None, text
        assert disguise(text) is None, text


@pytest.mark.parametrize("size", [0, 1, 31])
def test_short_secrets_are_weak(size: int) -> None:
    """32 bytes are the least; the answer says how many there are."""
    text = "q8Zk3Wt7Yb5Nc9Rd1Fe4Hg6Jj0Lm2Pn8"[:size]
    assert weakness(text) == f"has {size} bytes; 32 are needed"


def test_bytes_are_counted_not_characters() -> None:
    """A key is what its UTF-8 is."""
    text = "äöüßéèêëåøæœñçžšđłąī"
    assert len(text) == 20
    assert weakness(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "SECRET",
        "change-me",
        "changeme" * 6,
        "secret" * 10,
        "your-256-bit-secret",
        "your_jwt_secret_key_goes_here_1234567890",
        "a-string-secret-at-least-256-bits-long",
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "please-change-this-in-production-0123456789",
        "replace-with-a-random-string-of-32-chars",
        "keyboard cat keyboard cat keyboard cat",
        "0123456789abcdef0123456789abcdef",
        "django-insecure-3k#v9!q2w@e4r5t6y7u8i9o0p",
        "thisisasecretthisisasecretthisisasecret",
        "random",
        "portward",
    ],
)
def test_placeholders_are_known(text: str) -> None:
    """What stands in tutorials and templates is weak however long it is."""
    assert weakness(text) == "is a well-known placeholder"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 64,
        "ab" * 32,
        "p4s5w0rX" * 8,
        "password-1!password-1!password-1!pass",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ",
        "98765432109876543210987654321098765432",
        "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd",
        "1212121212121233333333333333333333333333",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcdegxz!",
    ],
)
def test_dull_secrets_are_weak(text: str) -> None:
    """Repetition, runs and few different characters are found."""
    assert weakness(text) == "has too little variety to be random"


def test_uneven_secrets_are_weak() -> None:
    """Enough different characters are no help when one of them is nearly all there is."""
    text = "a1a2a3a4a5a6a7a8" + "a9aaZaaYaaXaaWaa"
    shuffled = "aQaaa1aaa4aaa7aa" + "aaZaaaKaaaa2aaa!aaa9"
    assert weakness(text) is None
    assert weakness(shuffled) == "has too little variety to be random"


def public_keys() -> list[tuple[str, object]]:
    """Make one public key of every kind tokens are signed with."""
    return [
        ("RSA", rsa.generate_private_key(65537, 2048).public_key()),
        ("EC", ec.generate_private_key(ec.SECP256R1()).public_key()),
        ("Ed25519", ed25519.Ed25519PrivateKey.generate().public_key()),
    ]


KEYS = public_keys()


@pytest.mark.parametrize(("name", "key"), KEYS, ids=[name for name, _ in KEYS])
def test_public_keys_are_recognised_in_every_form(name: str, key: rsa.RSAPublicKey) -> None:
    """PEM, SSH, DER in base64, and the JWK of each kind of key."""
    info = PublicFormat.SubjectPublicKeyInfo
    pem = key.public_bytes(Encoding.PEM, info).decode()
    ssh = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    der = base64.b64encode(key.public_bytes(Encoding.DER, info)).decode()
    assert disguise(pem) == "PEM"
    assert disguise(ssh) == "SSH"
    assert disguise(ssh.split()[1]) == "SSH"
    assert disguise(der) == "DER"
    assert disguise(pem.replace("\n", "\\n")) == "PEM"
    assert disguise(base64.urlsafe_b64encode(pem.encode()).decode().rstrip("=")) == "PEM"
    assert disguise("\n".join(pem.splitlines()[1:-1])) == "DER"


def test_an_rsa_key_of_its_own_format_is_recognised() -> None:
    """PKCS #1 has no identifier in it, but a large number."""
    key = rsa.generate_private_key(65537, 2048).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert disguise(base64.b64encode(der).decode()) == "DER"


@pytest.mark.parametrize(
    "layout", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS8", "traditional"]
)
def test_private_keys_are_recognised_too(layout: PrivateFormat) -> None:
    """They are no published secret, but nobody meant them as an HMAC secret."""
    private: list[rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
    ]
    for key in private:
        der = key.private_bytes(Encoding.DER, layout, NoEncryption())
        assert disguise(base64.b64encode(der).decode()) == "DER"


def test_jwks_are_recognised() -> None:
    """One key, a set of them, a list of them, in any layout."""
    key = jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key())
    assert disguise(key) == "JWK"
    assert disguise(json.dumps({"keys": [json.loads(key)]}, indent=2)) == "JWK"
    assert disguise(f"[{key}]") == "JWK"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MAAA",
        "not base64 ü",
        "{curly but no key at all, only a rather long text}",
        "a116c0ffac1d85cead1d090f789f4cb92806bed75b0566feab431d5fb7f57991",
        "I-like-ssh-most-of-all-the-protocols",
    ],
)
def test_what_is_no_key_is_left_alone(text: str) -> None:
    """Nothing is refused for its looks alone."""
    assert disguise(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "...", "***", "sk-", "sk-...", "sk-proj-", "sk-xxxxxxxxxxxxxxxx", "SK-PROJ-XXXX", "xxxx",
        "sk-123456", "sk-1234567890abcdef", "sk-abc", "sk-test", "dummy", "fake-key", "test",
        "changeme", "your-api-key", "sk-your-key-here", "<YOUR_OPENAI_KEY>", "your_api_key_here",
        "secretsecret",
    ],
)  # fmt: skip
def test_keys_of_examples_are_recognised(text: str) -> None:
    """Whoever copies a guide and forgets the key is told so."""
    assert key_flaw(text) == "is a well-known placeholder"


@pytest.mark.parametrize("sign", [" ", "\n", "\r", "\t", "\0", "\x7f", "é", "…", "\u200b"])
@pytest.mark.parametrize("where", ["{}aB3", "aB3{}Zq9", "aB3{}"])
def test_a_key_is_made_of_visible_signs(sign: str, where: str) -> None:
    """Others have no place in a header, and come with copying."""
    assert key_flaw(where.format(sign)) == "has a blank, a line break, or a sign that is not ASCII"


def test_random_keys_may_be_keys() -> None:
    """Short ones as well: somebody else made them."""
    dice = random.Random(22)
    for _ in range(1000):
        for text in (f"sk-proj-{dice.randbytes(24).hex()}", dice.randbytes(8).hex()):
            assert key_flaw(text) is None, text


def test_a_placeholder_is_recognised_however_it_is_spelt() -> None:
    """Signs and capitals do not count, and neither does saying it twice."""
    assert is_placeholder("Change-Me!")
    assert is_placeholder("secret secret")
    assert not is_placeholder("q8Zk3Wt7Yb5Nc9Rd")
