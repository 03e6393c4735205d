import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.identity import ChannelRight, Identity
from portward.security.redaction import fingerprint
from portward.security.tokens import (
    ClaimPath,
    KeySet,
    TokenReason,
    TokenRefused,
    UnknownKey,
    keys_from_jwks,
    public_key,
    secret_key,
    verify,
)
from portward.settings.tokens import Claims, TokenRules, Tokens, token_rules
from tests.security.make_tokens import (
    CLAIMS,
    NOW,
    SECRET,
    b64,
    ec_key,
    ed_key,
    jwk,
    mac,
    make_public_token,
    make_token,
    pem,
    rsa_key,
)

at = ClaimPath.parse
KEYS = KeySet([secret_key(SECRET)])


def rules_of(**tokens: Any) -> TokenRules:
    """The rules for tokens with these settings."""
    return token_rules(Tokens(**tokens))


RULES = rules_of(leeway=30.0)


def identity_of(token: str, rules: TokenRules = RULES, now: float = NOW) -> Identity:
    """Whom a token stands for."""
    return verify(token, KEYS, rules, now).identity


def refusal_of(token: str, rules: TokenRules = RULES, now: float = NOW) -> TokenRefused:
    """How a token is refused; it may carry nothing of the token."""
    with pytest.raises(TokenRefused) as caught:
        verify(token, KEYS, rules, now)
    refused = caught.value
    assert str(refused) == refused.reason.value
    return refused


def outcome(token: str, rules: TokenRules = RULES, now: float = NOW) -> TokenReason | None:
    """The reason of the refusal, None when the token is accepted."""
    try:
        verify(token, KEYS, rules, now)
    except TokenRefused as refused:
        return refused.reason
    return None


def test_verified_token_gives_an_identity() -> None:
    """Every mapped claim arrives in its field."""
    token = make_token(
        email="alice@example.com",
        roles=["user", "admin"],
        permissions="room.create",
        workspaceId="w1",
        jti="t1",
        sid="s1",
        iss="https://idp.example",
        iat=NOW - 10,
        nbf=NOW - 10,
        channels=[{"channel": "alerts:call-*", "allow": ["subscribe", "history"]}],
        unknown={"is": "ignored"},
    )
    assert identity_of(token) == Identity(
        subject="alice",
        email="alice@example.com",
        roles=frozenset({"user", "admin"}),
        permissions=frozenset({"room.create"}),
        workspace="w1",
        token_id="t1",
        session_id="s1",
        issuer="https://idp.example",
        issued_at=NOW - 10,
        expires_at=NOW + 600,
        channels=(ChannelRight("alerts:call-*", ("subscribe", "history")),),
        digest=fingerprint(token),
    )


def test_least_token_is_enough() -> None:
    """A subject and an end are all that is asked for."""
    token = make_token()
    assert identity_of(token) == Identity(
        subject="alice", expires_at=NOW + 600, digest=fingerprint(token)
    )


def test_claim_names_can_be_mapped() -> None:
    """An issuer's own names are read in place of the usual ones."""
    names = Claims(
        sub="user_id",
        email="mail",
        roles="https://example.com/roles",
        permissions="scope",
        workspace="tenant",
        jti="tid",
        sid="session",
        channels="rights",
    )
    token = make_token(
        {
            "user_id": "bob",
            "sub": 5,
            "exp": NOW + 1,
            "mail": "b@example.com",
            "https://example.com/roles": "user",
            "scope": ["a"],
            "tenant": "t",
            "tid": "1",
            "session": "2",
            "rights": [],
        }
    )
    identity = identity_of(token, rules_of(claims=names))
    assert identity.subject == "bob"
    assert identity.roles == {"user"}
    assert (identity.workspace, identity.token_id, identity.session_id) == ("t", "1", "2")
    assert refusal_of(make_token(), rules_of(claims=names)).claim == "user_id"


REQUIRED: list[tuple[object, dict[str, Any], bool]] = [
    (("access",), {"use": "access"}, True),
    (("access",), {"use": "Access"}, False),
    (("access",), {"use": "id"}, False),
    (("access",), {}, False),
    (("access",), {"use": None}, False),
    (("access",), {"use": ["access"]}, False),
    (("access",), {"use": {"access": 1}}, False),
    (("a", "b"), {"use": "b"}, True),
    (("a", "b"), {"use": "a b"}, False),
    ((False,), {"use": False}, True),
    ((False,), {"use": 0}, False),
    ((False,), {"use": "false"}, False),
    ((1,), {"use": 1}, True),
    ((1,), {"use": 1.0}, True),
    ((1,), {"use": True}, False),
    ((1,), {"use": "1"}, False),
    (("1",), {"use": 1}, False),
]


@pytest.mark.parametrize(("values", "claims", "met"), REQUIRED)
def test_required_claims_equal_what_is_asked(
    values: tuple[str | float | bool, ...], claims: dict[str, Any], met: bool
) -> None:
    """A required claim is of the same type and equal to one of the values; a list is not taken apart."""
    rules = rules_of(require={"use": values})
    if met:
        assert identity_of(make_token(**claims), rules).subject == "alice"
        return
    refused = refusal_of(make_token(**claims), rules)
    assert (refused.reason, refused.claim) == (TokenReason.REQUIRED, "use")


def test_required_claims_are_all_required_and_may_be_paths() -> None:
    """Each of them must be met; one that leads through a text refuses the token by its claim."""
    wanted = {"firebase.sign_in_provider": ("password",), "client_id": ("web",)}
    rules = rules_of(require=wanted)
    good: dict[str, Any] = {"firebase": {"sign_in_provider": "password"}, "client_id": "web"}
    assert outcome(make_token(**good), rules) is None
    assert refusal_of(make_token(**{**good, "client_id": "x"}), rules).claim == "client_id"
    assert refusal_of(make_token(client_id="web"), rules).claim == "firebase.sign_in_provider"
    assert outcome(make_token(client_id="web", firebase="x"), rules) is TokenReason.CLAIMS


def test_absent_claims_are_noted_where_they_are_watched() -> None:
    """A verified token says which of the watched claims it does not have; null is absent."""
    rules = rules_of(claims=Claims(roles="realm_access.roles", workspace="tenant"))
    assert verify(make_token(), KEYS, rules, NOW).absent == rules.watched
    token = make_token(realm_access={"roles": []}, tenant=None)
    assert verify(token, KEYS, rules, NOW).absent == (at("tenant"),)


def test_tokens_of_the_usual_library_are_accepted() -> None:
    """What PyJWT makes, for every kind of key, verifies here."""
    for algorithm in ("HS256", "HS384", "HS512"):
        secret = SECRET * 2
        token = jwt.encode(CLAIMS, secret, algorithm)
        assert verify(token, KeySet([secret_key(secret)]), RULES, NOW).identity.subject == "alice"
    for key, algorithm in ((rsa_key(), "PS384"), (ec_key(), "ES256"), (ed_key(), "EdDSA")):
        token = jwt.encode(CLAIMS, key, algorithm, headers={"kid": "k"})
        keys = KeySet([public_key(pem(key), kid="k")])
        assert verify(token, keys, RULES, NOW).identity.subject == "alice"


MISSING = object()
CLAIM_ROWS: list[tuple[str, object, TokenReason | None]] = [
    ("sub", MISSING, TokenReason.CLAIMS),
    ("sub", "", TokenReason.CLAIMS),
    ("sub", "a" * 128, None),
    ("sub", "a" * 129, TokenReason.CLAIMS),
    ("sub", "a\nb", TokenReason.CLAIMS),
    ("sub", "a\x00", TokenReason.CLAIMS),
    ("sub", "a\x9bb", TokenReason.CLAIMS),
    ("sub", "a\u2028b", TokenReason.CLAIMS),
    ("sub", "\ud800", TokenReason.CLAIMS),
    ("sub", "Zoë 🙂", None),
    ("sub", 7, TokenReason.CLAIMS),
    ("sub", None, TokenReason.CLAIMS),
    ("sub", True, TokenReason.CLAIMS),
    ("sub", ["alice"], TokenReason.CLAIMS),
    ("sub", {"id": "alice"}, TokenReason.CLAIMS),
    ("exp", MISSING, TokenReason.CLAIMS),
    ("exp", str(NOW + 600), TokenReason.CLAIMS),
    ("exp", True, TokenReason.CLAIMS),
    ("exp", None, TokenReason.CLAIMS),
    ("exp", [NOW + 600], TokenReason.CLAIMS),
    ("exp", 2**53, TokenReason.CLAIMS),
    ("exp", 2**53 - 1, None),
    ("exp", 10**400, TokenReason.CLAIMS),
    ("exp", 0, TokenReason.EXPIRED),
    ("exp", -1, TokenReason.EXPIRED),
    ("exp", NOW + 0.5, None),
    ("exp", NOW - 31, TokenReason.EXPIRED),
    ("exp", NOW - 30, TokenReason.EXPIRED),
    ("exp", NOW - 29.999, None),
    ("exp", NOW - 29, None),
    ("exp", NOW, None),
    ("nbf", NOW + 31, TokenReason.NOT_YET),
    ("nbf", NOW + 30, None),
    ("nbf", NOW, None),
    ("nbf", -5, None),
    ("nbf", str(NOW), TokenReason.CLAIMS),
    ("nbf", False, TokenReason.CLAIMS),
    ("nbf", None, TokenReason.CLAIMS),
    ("iat", NOW + 31, TokenReason.NOT_YET),
    ("iat", NOW + 30, None),
    ("iat", NOW - 10**6, None),
    ("iat", str(NOW), TokenReason.CLAIMS),
    ("iat", True, TokenReason.CLAIMS),
    ("iat", {}, TokenReason.CLAIMS),
    ("iss", "anybody", None),
    ("iss", 5, TokenReason.CLAIMS),
    ("iss", None, TokenReason.CLAIMS),
    ("aud", "portward", TokenReason.AUDIENCE),
    ("aud", [], TokenReason.AUDIENCE),
    ("aud", 5, TokenReason.CLAIMS),
    ("aud", None, TokenReason.CLAIMS),
    ("aud", [5], TokenReason.CLAIMS),
    ("aud", {"portward": 1}, TokenReason.CLAIMS),
    ("email", "a" * 257, TokenReason.CLAIMS),
    ("email", 5, TokenReason.CLAIMS),
    ("email", None, None),
    ("email", "", None),
    ("email", "a@b\r\nX", TokenReason.CLAIMS),
    ("roles", "user", None),
    ("roles", [], None),
    ("roles", None, None),
    ("roles", [5], TokenReason.CLAIMS),
    ("roles", ["user", None], TokenReason.CLAIMS),
    ("roles", [["user"]], TokenReason.CLAIMS),
    ("roles", {"user": True}, TokenReason.CLAIMS),
    ("roles", True, TokenReason.CLAIMS),
    ("roles", ["a\n"], TokenReason.CLAIMS),
    ("permissions", 1, TokenReason.CLAIMS),
    ("workspaceId", ["w"], TokenReason.CLAIMS),
    ("permissions", None, None),
    ("workspaceId", None, None),
    ("jti", None, None),
    ("sid", None, None),
    ("channels", None, None),
    ("type", None, None),
    ("jti", 5, TokenReason.CLAIMS),
    ("sid", 5, TokenReason.CLAIMS),
    ("type", "websocket", TokenReason.TYPE),
    ("type", "WebSocket", TokenReason.TYPE),
    ("type", "refresh", TokenReason.TYPE),
    ("type", 5, TokenReason.TYPE),
    ("type", "access", None),
    ("typ", "ID", TokenReason.TYPE),
    ("typ", "Refresh", TokenReason.TYPE),
    ("typ", "Bearer", None),
    ("token_use", "id", TokenReason.TYPE),
    ("token_use", "access", None),
    ("token_type", "refresh", TokenReason.TYPE),
]


@pytest.mark.p0
@pytest.mark.parametrize(("name", "value", "reason"), CLAIM_ROWS)
def test_claims_table(name: str, value: object, reason: TokenReason | None) -> None:
    """Each claim missing, of a wrong type, and to either side of its bound, with leeway 30."""
    claims = {**CLAIMS, name: value}
    if value is MISSING:
        del claims[name]
    assert outcome(make_token(claims)) is reason


@pytest.mark.p0
@pytest.mark.parametrize(
    "payload",
    [
        '{"sub":"alice","exp":1e400}',
        '{"sub":"alice","exp":1e309}',
        '{"sub":"alice","exp":-1e400}',
    ],
)
def test_numbers_beyond_all_bounds_are_wrong_claims(payload: str) -> None:
    """A number that reads as infinite lasts for ever nowhere."""
    assert outcome(make_token(payload)) is TokenReason.CLAIMS


@pytest.mark.p0
@pytest.mark.parametrize(
    "payload",
    [
        "",
        "null",
        "[]",
        '"alice"',
        '{"sub":"alice","exp":NaN}',
        '{"sub":"alice","exp":Infinity}',
        f'{{"sub":"bob","sub":"alice","exp":{NOW + 9}}}',
        f'{{"sub":"alice","exp":1,"exp":{NOW + 9}}}',
        f'{{"sub":"alice","exp":{NOW + 9},"x":[{{"y":1,"y":1}}]}}',
        f'{{"sub":"alice","exp":{NOW + 9}}}x',
        f'{{"sub":"alice","exp":{"9" * 5000}}}',
        "\ufeff{}",
    ],
)
def test_payload_that_is_not_strict_json_is_malformed(payload: str) -> None:
    """A sound signature does not make up for claims two readers could take differently."""
    assert outcome(make_token(payload)) is TokenReason.MALFORMED


def test_nested_token_is_malformed() -> None:
    """A signed token whose payload is another token is not opened."""
    inner = make_token()
    assert outcome(make_token(inner, {"alg": "HS256", "cty": "JWT"})) is TokenReason.MALFORMED


@pytest.mark.p0
@pytest.mark.parametrize("leeway", [0.0, 30.0, 60.0])
def test_times_are_judged_to_the_second(leeway: float) -> None:
    """A token is over in the second of its end plus leeway, and begins a leeway early at most."""
    rules = rules_of(leeway=leeway)
    token = make_token(nbf=NOW, iat=NOW, exp=NOW + 100)
    end = NOW + 100 + leeway
    assert outcome(token, rules, NOW - leeway - 1) is TokenReason.NOT_YET
    assert outcome(token, rules, NOW - leeway - 0.001) is TokenReason.NOT_YET
    assert outcome(token, rules, NOW - leeway) is None
    assert outcome(token, rules, end - 0.001) is None
    assert outcome(token, rules, end) is TokenReason.EXPIRED
    assert outcome(token, rules, end + 1) is TokenReason.EXPIRED


@pytest.mark.p0
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, TokenReason.LIFETIME),
        ({"iat": NOW - 3000}, None),
        ({"iat": NOW - 3001}, TokenReason.LIFETIME),
        ({"iat": NOW}, None),
    ],
)
def test_lifetime_can_be_bounded(more: dict[str, int], reason: TokenReason | None) -> None:
    """With a maximum, a token that does not say when it began is too old."""
    assert outcome(make_token({**CLAIMS, **more}), rules_of(max_lifetime=3600.0)) is reason


@pytest.mark.p0
@pytest.mark.parametrize(
    ("issuer", "reason"),
    [
        ("https://idp.example", None),
        ("https://idp.example/", TokenReason.ISSUER),
        ("https://idp.exampl", TokenReason.ISSUER),
        ("https://idp.example.evil", TokenReason.ISSUER),
        ("HTTPS://idp.example", TokenReason.ISSUER),
        ("", TokenReason.ISSUER),
        (MISSING, TokenReason.ISSUER),
        (["https://idp.example"], TokenReason.CLAIMS),
    ],
)
def test_issuer_is_equal_or_wrong(issuer: object, reason: TokenReason | None) -> None:
    """No part, no list, no other case."""
    more = {} if issuer is MISSING else {"iss": issuer}
    assert outcome(make_token({**CLAIMS, **more}), rules_of(issuer="https://idp.example")) is reason


@pytest.mark.p0
@pytest.mark.parametrize(
    ("audience", "reason"),
    [
        ("portward", None),
        (["other", "portward"], None),
        ("portwar", TokenReason.AUDIENCE),
        ("portward2", TokenReason.AUDIENCE),
        ("Portward", TokenReason.AUDIENCE),
        ("other portward", TokenReason.AUDIENCE),
        (["other", "portward2"], TokenReason.AUDIENCE),
        ([], TokenReason.AUDIENCE),
        (MISSING, TokenReason.AUDIENCE),
        (["portward", 5], TokenReason.CLAIMS),
        ({"portward": True}, TokenReason.CLAIMS),
        (True, TokenReason.CLAIMS),
    ],
)
def test_audience_is_equal_or_wrong(audience: object, reason: TokenReason | None) -> None:
    """A string or a list with one exact member."""
    more = {} if audience is MISSING else {"aud": audience}
    assert outcome(make_token({**CLAIMS, **more}), rules_of(audience="portward")) is reason


@pytest.mark.p0
def test_headers_that_bring_a_key_are_reported() -> None:
    """Accepted or refused, the caller learns that the token tried."""
    header = {"alg": "HS256", "jku": "https://evil.example", "x5c": []}
    assert verify(make_token(header=header), KEYS, RULES, NOW).ignored == ("jku", "x5c")
    assert refusal_of(make_token(header=header, secret="other")).ignored == ("jku", "x5c")
    assert refusal_of(make_token(header=header, exp=1)).ignored == ("jku", "x5c")
    assert verify(make_token(), KEYS, RULES, NOW).ignored == ()


@pytest.mark.p0
def test_same_key_id_of_two_issuers_stays_two_keys() -> None:
    """A token of one issuer is not accepted by the rules of another that uses the same key id."""
    ours = KeySet(
        keys_from_jwks(json.dumps({"keys": [jwk(ec_key(), kid="k")]}).encode()), issuer="ours"
    )
    theirs = KeySet(
        keys_from_jwks(json.dumps({"keys": [jwk(ed_key(), kid="k")]}).encode()), issuer="theirs"
    )
    token = make_public_token(ed_key(), "EdDSA", {**CLAIMS, "iss": "ours"}, kid="k")
    own = make_public_token(ed_key(), "EdDSA", {**CLAIMS, "iss": "theirs"}, kid="k")
    assert verify(own, theirs, rules_of(issuer="theirs"), NOW).identity.issuer == "theirs"
    for keys, rules, presented in [
        (ours, rules_of(issuer="ours"), token),
        (theirs, rules_of(issuer="ours"), token),
        (theirs, rules_of(issuer="theirs"), token),
        (ours, rules_of(issuer="ours"), own),
    ]:
        with pytest.raises(TokenRefused):
            verify(presented, keys, rules, NOW)


def test_unknown_key_is_passed_on_with_what_was_ignored() -> None:
    """The caller can fetch, and can still log."""
    keys = KeySet([public_key(pem(ec_key()), kid="a")], remote=True)
    with pytest.raises(UnknownKey) as caught:
        verify(make_public_token(ec_key(), "ES256", kid="b", jku="x"), keys, RULES, NOW)
    assert caught.value.kid == "b"
    assert caught.value.ignored == ("jku",)


@pytest.mark.p0
def test_signature_is_judged_before_the_claims() -> None:
    """Who cannot sign learns nothing of what the claims should have been."""
    assert outcome(make_token({"sub": 5}, secret="other")) is TokenReason.SIGNATURE
    assert outcome(make_token("not json", secret="other")) is TokenReason.SIGNATURE


@pytest.mark.p0
@given(
    name=st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "email", "roles", "channels"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_no_claim_crashes_the_verification(name: str, value: Any) -> None:
    """Whatever a trusted issuer writes, the token is accepted or refused."""
    claims = {**CLAIMS, name: value}
    for rules in (RULES, rules_of(issuer="i", audience="a", max_lifetime=1e6)):
        outcome(make_token(json.dumps(claims)), rules)


@pytest.mark.p0
@given(st.integers(0, 200), st.characters(max_codepoint=255))
def test_changing_any_character_changes_the_outcome(at: int, character: str) -> None:
    """There is one spelling of a token."""
    token = make_token()
    at %= len(token)
    changed = token[:at] + character + token[at + 1 :]
    assert (outcome(changed) is None) is (changed == token)


@pytest.mark.parametrize("leeway", [-1.0, 60.5, float("nan"), float("inf")])
def test_leeway_is_at_most_a_minute(leeway: float) -> None:
    """A leeway outside 0 to 60 seconds is a mistake."""
    with pytest.raises(ValueError, match="leeway"):
        rules_of(leeway=leeway)


def test_lifetime_is_not_negative() -> None:
    """A negative maximum would refuse everything."""
    with pytest.raises(ValueError, match="lifetime"):
        rules_of(max_lifetime=-1.0)


@pytest.mark.p0
def test_refusal_never_carries_the_token() -> None:
    """Reason and claim name are all there is to print, at every stage of the check."""
    canary = "canary-7e57"
    tokens = [
        canary,
        make_token(header={"alg": canary}),
        make_token(header={"alg": "HS256", "kid": f"{canary} "}),
        make_token(sub=canary, secret="other"),
        make_token(sub=f"{canary}\n"),
        make_token(iss=canary),
        make_token(aud=canary),
        make_token(sub=canary, exp=1),
        f"{canary}.{canary}.x",
        make_token(channels=[{"channel": canary, "allow": []}]),
    ]
    for token in tokens:
        refused = refusal_of(token, rules_of(issuer="i"))
        assert canary not in f"{refused!r} {refused} {vars(refused)}"
        assert refused.__cause__ is None
    signed = f"{b64('{}')}.{b64('{}')}"
    assert refusal_of(f"{signed}.{mac(signed)}").reason is TokenReason.ALGORITHM
