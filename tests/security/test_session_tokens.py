import pytest

from portward.security.jws import TokenReason, TokenRefused, parse_compact, strict_object
from portward.security.session_tokens import SessionClaims, SessionTokens
from portward.security.tokens import KeySet, secret_key, verify
from portward.settings.tokens import Tokens, token_rules
from tests.security.make_tokens import NOW, SECRET, ec_key, make_token, pem

TOKENS = SessionTokens(SECRET)
SESSION = {
    "sub": "alice",
    "sessionId": "s1",
    "type": "websocket",
    "iat": NOW,
    "exp": NOW + 3600,
    "jti": "n1",
}


def reason_of(token: str, now: float = NOW, tokens: SessionTokens = TOKENS) -> TokenReason:
    """Why a session token is refused."""
    with pytest.raises(TokenRefused) as caught:
        tokens.verify(token, now)
    return caught.value.reason


def test_issued_token_is_read_back() -> None:
    """It says who, which session, and for how long."""
    token = TOKENS.issue("alice", "s1", NOW + 0.7, token_id="n1")
    assert strict_object(parse_compact(token).payload) == SESSION
    assert TOKENS.verify(token, NOW) == SessionClaims("alice", "s1", "n1", NOW, NOW + 3600)


def test_each_issue_gives_another_token() -> None:
    """The nonce tells the live one from the ones before."""
    first, second = (TOKENS.issue("alice", "s1", NOW, token_id=nonce) for nonce in ("n1", "n2"))
    assert first != second
    assert TOKENS.verify(second, NOW).token_id == "n2"


@pytest.mark.p0
def test_session_token_is_over_in_the_second_of_its_end() -> None:
    """No leeway: the gateway's own clock made it."""
    token = TOKENS.issue("alice", "s1", NOW, token_id="n1", lifetime=60)
    assert TOKENS.verify(token, NOW + 59.999).expires_at == NOW + 60
    assert reason_of(token, NOW + 60) is TokenReason.EXPIRED


@pytest.mark.p0
def test_neither_class_is_taken_for_the_other() -> None:
    """Even under one secret an access token opens no session and a session token passes no handshake."""
    session = TOKENS.issue("alice", "s1", NOW, token_id="n1")
    with pytest.raises(TokenRefused) as caught:
        verify(session, KeySet([secret_key(SECRET)]), token_rules(Tokens()), NOW)
    assert caught.value.reason is TokenReason.TYPE
    assert reason_of(make_token()) is TokenReason.TYPE
    assert (
        reason_of(make_token(sessionId="s1", jti="n1", iat=NOW, type="access")) is TokenReason.TYPE
    )
    assert reason_of(make_token(sessionId="s1", jti="n1", iat=NOW, type=["websocket"])) is (
        TokenReason.TYPE
    )


@pytest.mark.p0
def test_other_secret_is_refused() -> None:
    """A session token of another gateway, or of nobody, is none."""
    other = SessionTokens("f" * 32).issue("alice", "s1", NOW, token_id="n1")
    assert reason_of(other) is TokenReason.SIGNATURE
    assert reason_of("x.y.z") is TokenReason.MALFORMED


@pytest.mark.p0
@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS256", "none"])
def test_session_tokens_have_one_algorithm(algorithm: str) -> None:
    """What they are made with is what they are read with."""
    token = make_token(SESSION, {"alg": algorithm, "typ": "JWT"})
    assert reason_of(token) is TokenReason.ALGORITHM


@pytest.mark.parametrize("name", ["sub", "sessionId", "iat", "exp", "jti"])
@pytest.mark.parametrize("value", [None, "", True, ["x"], {}])
def test_wrong_claims_are_refused(name: str, value: object) -> None:
    """Each claim has its type and is there."""
    assert reason_of(make_token({**SESSION, name: value})) is TokenReason.CLAIMS
    assert reason_of(make_token({key: SESSION[key] for key in SESSION if key != name})) is (
        TokenReason.CLAIMS
    )


@pytest.mark.parametrize("secret", ["", b"", pem(ec_key())], ids=["text", "bytes", "pem"])
def test_unusable_secret_is_refused(secret: str | bytes) -> None:
    """No secret, or a published key, signs nothing."""
    with pytest.raises(ValueError, match="secret"):
        SessionTokens(secret)
